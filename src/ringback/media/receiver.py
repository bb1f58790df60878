# SPDX-License-Identifier: Apache-2.0
"""What becomes of a datagram on our RTP port? It is checked, counted, and goes to the buffer or keypad.

Nothing in it is believed before its source is (`transport.py`); nothing it holds raises, ends the call, or
takes more room or work than three times a normal stream (RELIABILITY rows 39, 40 and 43).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ringback.media.codecs import Codec, codec_for
from ringback.media.pcm import SAMPLE_RATE
from ringback.rtp.jitter_buffer import JitterBuffer
from ringback.rtp.packet import RtpPacket
from ringback.rtp.rtcp_session import RtcpSession
from ringback.rtp.telephone_event import TelephoneEventReceiver
from ringback.sdp.attributes import TELEPHONE_EVENT, AudioFormat
from ringback.sip.errors import PeerError

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
    """One incoming stream.

    The jitter buffer counts in ticks of the RTP clock of what comes. A codec with another clock is
    followed when two of its packets came in a row: one alone may be anything.
    """

    __slots__ = (
        "_codecs",
        "_event_payloads",
        "_events",
        "_other_clock",
        "_rate",
        "_rtcp",
        "buffer",
        "excess",
        "is_listening",
        "malformed",
        "on_key",
        "unknown",
    )

    def __init__(self, rtcp: RtcpSession) -> None:
        self._rtcp = rtcp
        #: Called with every key that was pressed.
        self.on_key: Callable[[str], None] | None = None
        self._codecs: dict[int, Codec] = {}
        #: Payload number -> clock rate.
        self._event_payloads: dict[int, int] = {}
        self._events = TelephoneEventReceiver()
        self._rate = RateLimit(NOMINAL_RATE * RATE_ALLOWANCE)
        self._other_clock = 0
        #: A new one takes its place when the clock rate changes.
        self.buffer = JitterBuffer(clock_rate=SAMPLE_RATE)
        #: False while the negotiated direction lets nothing in.
        self.is_listening = False
        self.malformed = self.unknown = self.excess = 0

    @property
    def clock_rate(self) -> int:
        """Ticks a second of the RTP clock of what comes."""
        return self.buffer.clock_rate

    def configure(self, formats: Mapping[int, AudioFormat]) -> None:
        """Which payload numbers may come in, the likeliest first. Codecs that go on keep their memory."""
        codecs: dict[int, Codec] = {}
        for number, each in formats.items():
            codec = self._codecs.get(number)
            if codec is None or codec.format != each:
                codec = codec_for(each)
            if codec is not None:
                codecs[number] = codec
        self._codecs = codecs
        self._event_payloads = {
            number: each.clock_rate
            for number, each in formats.items()
            if each.encoding.lower() == TELEPHONE_EVENT
        }
        clocks = [each.clock_rate for each in formats.values() if each.is_codec]
        if clocks and self.clock_rate not in clocks:
            self._follow(clocks[0])

    def receive(self, data: bytes, now: float) -> None:
        """Take one packet of a source that is believed."""
        if not self._rate.allows(now):
            self.excess += 1
            return
        try:
            self._receive_packet(RtpPacket.parse(data), now)
        except PeerError:
            self.malformed += 1

    def codec_of(self, packet: RtpPacket) -> Codec | None:
        """What decodes a packet that was accepted; None if its format was negotiated away meanwhile."""
        return self._codecs.get(packet.payload_type)

    def _receive_packet(self, packet: RtpPacket, now: float) -> None:
        self._rtcp.received(packet, now=now)
        if not self.is_listening:
            return
        codec = self._codecs.get(packet.payload_type)
        if codec is not None:
            if codec.format.clock_rate == self.clock_rate or self._is_new_clock(codec):
                self._other_clock = 0
                self.buffer.insert(packet, duration=codec.duration(packet.payload), now=now)
        elif packet.payload_type in self._event_payloads:
            self._receive_event(packet)
        else:
            self.unknown += 1

    def _receive_event(self, packet: RtpPacket) -> None:
        clock_rate = self._event_payloads[packet.payload_type]
        key = self._events.receive(
            packet.payload, timestamp=packet.timestamp, ssrc=packet.ssrc, clock_rate=clock_rate
        )
        if key is not None and self.on_key is not None:
            self.on_key(key)

    def _is_new_clock(self, codec: Codec) -> bool:
        """Whether to follow a codec whose clock is not the one we count in; comfort noise has to fit."""
        if not codec.format.is_codec:
            return False
        is_confirmed = self._other_clock == codec.format.clock_rate or self.buffer.is_unused
        self._other_clock = codec.format.clock_rate
        if is_confirmed:
            self._follow(codec.format.clock_rate)
        return is_confirmed

    def _follow(self, clock_rate: int) -> None:
        """Count in another clock from now on."""
        self.buffer = JitterBuffer(clock_rate=clock_rate, counters=self.buffer.counters)
        self._rtcp.follow_clock(clock_rate)
