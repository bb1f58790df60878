# SPDX-License-Identifier: Apache-2.0
"""What goes into the next packet? Keys being sent, else the output, else silence: one packet a tick.

Silence is sent, too: phones and NATs take a stream that stops for a call that died. Only where comfort noise
is agreed on (RFC 3389) a packet of it every 200 ms stands for the silence.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator

from ringback.media.codecs import Codec, codec_for
from ringback.media.output import Output
from ringback.media.pcm import FRAME_MS, SAMPLE_BYTES, SAMPLE_RATE
from ringback.rtp.comfort_noise import payload_of
from ringback.rtp.packet import RtpPacket
from ringback.rtp.telephone_event import EventPacket, event_packets
from ringback.sdp.attributes import AudioFormat

KEY_MS = 100
PAUSE_MS = 100
#: Comfort noise: how often, and how loud (-dBov).
NOISE_MS = 200
NOISE_LEVEL = 75


class KeyPress:
    """One key on its way: its event packets, then a pause. `finished` is done after the pause."""

    __slots__ = ("finished", "key", "packets", "pause_ticks")

    def __init__(self, key: str) -> None:
        self.key = key
        self.packets: Iterator[EventPacket] | None = None
        self.pause_ticks = 0
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def finish(self) -> None:
        if not self.finished.done():
            self.finished.set_result(None)


class Sender:
    """One outgoing stream: its numbers, and how its packets come to be."""

    __slots__ = (
        "_comfort_noise",
        "_due",
        "_event_timestamp",
        "_keys",
        "_marker",
        "_noise_due_ms",
        "_output",
        "_packet_ms",
        "_resumes",
        "_sequence",
        "_silence",
        "_timestamp",
        "codec",
        "payload_type",
        "ssrc",
        "telephone_event",
    )

    def __init__(self, output: Output, random_bytes: Callable[[int], bytes]) -> None:
        self._output = output
        self.ssrc = int.from_bytes(random_bytes(4), "big")
        self._sequence = int.from_bytes(random_bytes(2), "big")
        self._timestamp = int.from_bytes(random_bytes(4), "big")
        self._event_timestamp = 0
        self._keys: deque[KeyPress] = deque()
        self._marker = True
        #: When the packet that `_timestamp` belongs to is due.
        self._due: float | None = None
        #: A packet of silence, for codecs without memory.
        self._silence: bytes | None = None
        self._packet_ms = FRAME_MS
        #: True until the first packet after a pause.
        self._resumes = False
        self._comfort_noise: int | None = None
        #: Milliseconds until the next packet of comfort noise, while it is silent.
        self._noise_due_ms = 0
        self.codec: Codec | None = None
        self.payload_type = 0
        self.telephone_event: int | None = None

    def configure(
        self,
        send: AudioFormat,
        *,
        packet_time_ms: int,
        telephone_event: int | None,
        comfort_noise: int | None = None,
    ) -> None:
        """What was negotiated: the codec, and the payload numbers of what rides along with it."""
        if self.codec is None or self.codec.format != send:
            self.codec = codec_for(send)
        self._packet_ms = _packet_ms(send, packet_time_ms)
        self.payload_type = send.payload_type
        self.telephone_event = telephone_event
        self._comfort_noise = comfort_noise
        self._silence = None
        if self.codec is not None:
            self._output.rate = self.codec.sample_rate
            if self.codec.has_no_memory:
                self._silence = self.codec.encode(bytes(self._packet_bytes))

    @property
    def clock_rate(self) -> int:
        """Ticks a second of our RTP clock."""
        return self.codec.format.clock_rate if self.codec is not None else SAMPLE_RATE

    @property
    def packet_time(self) -> float:
        """Seconds of sound in a packet."""
        return self._packet_ms / 1_000

    @property
    def _packet_ticks(self) -> int:
        return self._packet_ms * self.clock_rate // 1_000

    @property
    def _packet_bytes(self) -> int:
        return self._packet_ms * self._output.rate // 1_000 * SAMPLE_BYTES

    def resume(self) -> None:
        """The stream (re)starts: its clock has gone on meanwhile (RFC 3550 section 5.1)."""
        self._marker = self._resumes = True

    def press(self, key: str) -> KeyPress:
        """Send a key as a telephone event after those that wait."""
        press = KeyPress(key)
        self._keys.append(press)
        return press

    def stop(self) -> None:
        """Forget the keys that wait."""
        while self._keys:
            self._keys.popleft().finish()

    def next_packet(self, missed: int, *, now: float) -> RtpPacket | None:
        """The packet of this tick; `missed` ticks before it were left out. None: silence needs no packet."""
        assert self.codec is not None
        if self._resumes and self._due is not None:
            self._pass(max(0, round((now - self._due) * self.clock_rate)))
        self._resumes = False
        if missed:
            self._pass(missed * self._packet_ticks)
            self._marker = True
        packet = self._key_packet() if self._keys else None
        if packet is None:
            packet = self._audio_packet(self.codec)
        if packet is not None:
            self._sequence = (self._sequence + 1) & 0xFFFF
        self._pass(self._packet_ticks)
        self._due = now + self.packet_time
        return packet

    def _pass(self, ticks: int) -> None:
        self._timestamp = (self._timestamp + ticks) & 0xFFFFFFFF

    def _audio_packet(self, codec: Codec) -> RtpPacket | None:
        size = self._packet_bytes
        pcm = b"" if self._keys else self._output.take(size)
        if not pcm and self._comfort_noise is not None:
            return self._noise_packet(self._comfort_noise)
        self._noise_due_ms = 0
        if not pcm and self._silence is not None:
            payload = self._silence
        else:
            payload = codec.encode(pcm if len(pcm) == size else pcm + bytes(size - len(pcm)))
        return self._packet(self.payload_type, payload) if payload else None

    def _noise_packet(self, payload_type: int) -> RtpPacket | None:
        """The first packet of a silence, and then one now and then; the sound after it has the marker."""
        self._noise_due_ms -= self._packet_ms
        if self._noise_due_ms >= 0:
            return None
        self._noise_due_ms = NOISE_MS - self._packet_ms
        packet = self._packet(payload_type, payload_of(NOISE_LEVEL))
        self._marker = True
        return packet

    def _packet(self, payload_type: int, payload: bytes) -> RtpPacket:
        marker, self._marker = self._marker, False
        return RtpPacket(payload_type, self._sequence, self._timestamp, self.ssrc, payload, marker)

    def _key_packet(self) -> RtpPacket | None:
        """The next packet of the key being sent; None during the pause after it."""
        press = self._keys[0]
        if press.packets is None:
            duration = KEY_MS * self.clock_rate // 1_000
            press.packets = event_packets(press.key, duration=duration, step=self._packet_ticks)
            press.pause_ticks = max(1, PAUSE_MS // self._packet_ms)
            self._event_timestamp = self._timestamp
        packet = next(press.packets, None)
        if packet is None or self.telephone_event is None:
            self._pause_after(press)
            return None
        self._marker = True
        return RtpPacket(
            self.telephone_event,
            self._sequence,
            self._event_timestamp,
            self.ssrc,
            packet.event.to_bytes(),
            packet.marker,
        )

    def _pause_after(self, press: KeyPress) -> None:
        press.pause_ticks -= 1
        if press.pause_ticks <= 0:
            self._keys.popleft()
            press.finish()


def _packet_ms(send: AudioFormat, wanted: int) -> int:
    """Opus has frames of 10, 20, 40 and 60 ms (RFC 7587 section 6.1), the others any."""
    if send.encoding.lower() != "opus":
        return wanted
    return max(each for each in (10, 20, 40, 60) if each <= wanted)
