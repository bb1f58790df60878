# SPDX-License-Identifier: Apache-2.0
"""What goes into the next packet? Keys being sent, else the output, else silence: one packet a tick.

Silence is sent, too: phones and NATs take a stream that stops for a call that died.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator

from ringback.media.codecs import Codec
from ringback.media.output import Output
from ringback.media.pcm import FRAME_SAMPLES, SAMPLE_BYTES, SAMPLE_RATE
from ringback.rtp.packet import RtpPacket
from ringback.rtp.telephone_event import EventPacket, event_packets

KEY_MS = 100
PAUSE_MS = 100


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
        "_due",
        "_event_timestamp",
        "_keys",
        "_marker",
        "_output",
        "_sequence",
        "_timestamp",
        "codec",
        "packet_samples",
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
        self.codec: Codec | None = None
        self.payload_type = 0
        self.packet_samples = FRAME_SAMPLES
        self.telephone_event: int | None = None

    def resume(self, now: float) -> None:
        """The stream (re)starts: its clock has gone on meanwhile (RFC 3550 section 5.1)."""
        if self._due is not None:
            self._pass(max(0, round((now - self._due) * SAMPLE_RATE)))
        self._marker = True

    def press(self, key: str) -> KeyPress:
        """Send a key as a telephone event after those that wait."""
        press = KeyPress(key)
        self._keys.append(press)
        return press

    def stop(self) -> None:
        """Forget the keys that wait."""
        while self._keys:
            self._keys.popleft().finish()

    def next_packet(self, missed: int, *, now: float) -> RtpPacket:
        """The packet of this tick; `missed` ticks before it were left out."""
        assert self.codec is not None
        if missed:
            self._pass(missed * self.packet_samples)
            self._marker = True
        packet = self._key_packet() if self._keys else None
        if packet is None:
            packet = self._audio_packet(self.codec)
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._pass(self.packet_samples)
        self._due = now + self.packet_samples / SAMPLE_RATE
        return packet

    def _pass(self, ticks: int) -> None:
        self._timestamp = (self._timestamp + ticks) & 0xFFFFFFFF

    def _audio_packet(self, codec: Codec) -> RtpPacket:
        size = self.packet_samples * SAMPLE_BYTES
        pcm = b"" if self._keys else self._output.take(size)
        if pcm:
            payload = codec.encode(pcm if len(pcm) == size else pcm + bytes(size - len(pcm)))
        elif self.packet_samples == FRAME_SAMPLES:
            payload = codec.silence
        else:
            payload = codec.encode(bytes(size))
        marker, self._marker = self._marker, False
        return RtpPacket(self.payload_type, self._sequence, self._timestamp, self.ssrc, payload, marker)

    def _key_packet(self) -> RtpPacket | None:
        """The next packet of the key being sent; None during the pause after it."""
        press = self._keys[0]
        if press.packets is None:
            press.packets = event_packets(
                press.key, duration=KEY_MS * SAMPLE_RATE // 1_000, step=self.packet_samples
            )
            press.pause_ticks = max(1, PAUSE_MS * SAMPLE_RATE // 1_000 // self.packet_samples)
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
