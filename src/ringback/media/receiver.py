# SPDX-License-Identifier: Apache-2.0
"""What becomes of a datagram on our RTP port? It is checked, counted, and goes to the buffer or keypad.

Nothing in it is believed before its source is (`source_lock.py`); nothing it holds raises, ends the call, or
takes more room or work than three times a normal stream (RELIABILITY rows 39, 40 and 43).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ringback.media.codecs import Codec, codec_for
from ringback.media.pcm import SAMPLE_RATE
from ringback.media.source_lock import SourceLock
from ringback.rtp.jitter_buffer import JitterBuffer
from ringback.rtp.packet import HEADER_BYTES, RtpPacket
from ringback.rtp.rtcp_session import RtcpSession
from ringback.rtp.telephone_event import TelephoneEventReceiver
from ringback.sdp.attributes import TELEPHONE_EVENT, AudioFormat
from ringback.sip.errors import PeerError
from ringback.sip.flow import Address

#: Packets a second of a normal stream of 20 ms, and how many times as many we take.
NOMINAL_RATE = 50.0
RATE_ALLOWANCE = 3.0


class RateLimit:
    """A bucket that holds one second of packets."""

    __slots__ = ("_at", "_left", "rate")

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._left = rate
        self._at = 0.0

    def allows(self, now: float) -> bool:
        """Take one packet out of the bucket, if there is one."""
        self._left = min(self.rate, self._left + (now - self._at) * self.rate)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class Receiver:
    """One incoming stream."""

    __slots__ = (
        "_codecs",
        "_event_payloads",
        "_events",
        "_rate",
        "_rtcp",
        "buffer",
        "excess",
        "is_listening",
        "lock",
        "malformed",
        "on_key",
        "unknown",
    )

    def __init__(self, rtcp: RtcpSession) -> None:
        self._rtcp = rtcp
        #: Called with every key that was pressed.
        self.on_key: Callable[[str], None] | None = None
        self._codecs: dict[int, Codec] = {}
        self._event_payloads: frozenset[int] = frozenset()
        self._events = TelephoneEventReceiver()
        self._rate = RateLimit(NOMINAL_RATE * RATE_ALLOWANCE)
        self.lock = SourceLock()
        self.buffer = JitterBuffer(clock_rate=SAMPLE_RATE)
        #: False while the negotiated direction lets nothing in.
        self.is_listening = False
        self.malformed = self.unknown = self.excess = 0

    def configure(self, formats: Mapping[int, AudioFormat]) -> None:
        """Which payload numbers may come in."""
        rows = ((number, codec_for(each)) for number, each in formats.items())
        self._codecs = {number: codec for number, codec in rows if codec is not None}
        self._event_payloads = frozenset(
            number for number, each in formats.items() if each.encoding.lower() == TELEPHONE_EVENT
        )

    def receive(self, data: bytes, source: Address, now: float) -> None:
        """Take one datagram."""
        if len(data) < HEADER_BYTES:
            self.malformed += 1
            return
        if not self.lock.accepts(source, int.from_bytes(data[8:12], "big")):
            return
        if not self._rate.allows(now):
            self.excess += 1
            return
        try:
            self._receive_packet(RtpPacket.parse(data), now)
        except PeerError:
            self.malformed += 1

    def decode(self, packet: RtpPacket) -> bytes:
        """The sound of a packet that was accepted; nothing if its format was negotiated away meanwhile."""
        codec = self._codecs.get(packet.payload_type)
        return codec.decode(packet.payload) if codec else b""

    def _receive_packet(self, packet: RtpPacket, now: float) -> None:
        self._rtcp.received(packet, now=now)
        if not self.is_listening:
            return
        codec = self._codecs.get(packet.payload_type)
        if codec is not None:
            self.buffer.insert(packet, duration=codec.duration(packet.payload), now=now)
        elif packet.payload_type in self._event_payloads:
            key = self._events.receive(packet.payload, timestamp=packet.timestamp, ssrc=packet.ssrc)
            if key is not None and self.on_key is not None:
                self.on_key(key)
        else:
            self.unknown += 1
