# SPDX-License-Identifier: Apache-2.0
"""What is heard in the next 20 ms? The jitter buffer, decoded, with what is missing concealed: no gap, ever.

Concealment repeats the last sound, softer each time, and is silent after 80 ms (the idea of G.711 appendix I
without its pitch search).
"""

from __future__ import annotations

from collections.abc import Callable

from ringback.media.pcm import FRAME_BYTES, SAMPLE_BYTES, SILENCE, scale
from ringback.rtp.jitter_buffer import JitterBuffer, PieceKind
from ringback.rtp.packet import RtpPacket

#: How loud the first, second, ... repetition is.
FADE = (0.8, 0.5, 0.25, 0.1)

Decode = Callable[[RtpPacket], bytes]


class Playout:
    """Pulls pieces out of a jitter buffer and makes frames of 20 ms of them."""

    __slots__ = ("_buffer", "_decode", "_last", "_missing", "_waiting")

    def __init__(self, buffer: JitterBuffer, decode: Decode) -> None:
        self._buffer = buffer
        self._decode = decode
        self._waiting = b""
        self._last = b""
        self._missing = 0

    def frame(self, now: float) -> bytes:
        """The next 20 ms."""
        while len(self._waiting) < FRAME_BYTES:
            piece = self._buffer.pull(now)
            if piece.packet is not None:
                self._play(self._decode(piece.packet))
            elif piece.kind is PieceKind.CONCEALED:
                self._waiting += self._concealed(piece.duration * SAMPLE_BYTES)
            else:
                self._waiting += SILENCE
        frame, self._waiting = self._waiting[:FRAME_BYTES], self._waiting[FRAME_BYTES:]
        return frame

    def _play(self, pcm: bytes) -> None:
        self._last, self._missing = pcm, 0
        self._waiting += pcm

    def _concealed(self, size: int) -> bytes:
        """`size` bytes in place of what did not come."""
        if self._missing >= len(FADE) or not self._last:
            return bytes(size)
        sound = scale(self._last[-FRAME_BYTES:], FADE[self._missing])
        self._missing += 1
        repeats = -(-size // len(sound))
        return (sound * repeats)[:size]
