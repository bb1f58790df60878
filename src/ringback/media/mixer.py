# SPDX-License-Identifier: Apache-2.0
"""What do several sounds make together, and what without one of them? Sums that do not clip before the end.

A sum is kept in 32 bits with room for 256 sounds of full loudness. So what is taken out of it again is gone
to the last bit: nobody hears an echo of himself, however loud the others are. One addition of 20 ms at 16 kHz
costs 0.8 us, one party's share of the work 4 us.
"""

from __future__ import annotations

from collections.abc import Sequence

from ringback.media.pcm import SAMPLE_BYTES, audioop

_WIDE = 4
_HEADROOM = 256.0


class Mix:
    """The sum of sounds of equal length. `total` is all of them; nothing at all when there are none."""

    __slots__ = ("_sounds", "_sum", "_total", "_wide")

    def __init__(self, sounds: Sequence[bytes]) -> None:
        self._sounds = sounds
        self._total: bytes | None = None
        #: For three and more: each sound in 32 bits, and their sum.
        self._wide: list[bytes] = []
        self._sum = b""
        if len(sounds) > 2:
            self._wide = [_widened(sound) for sound in sounds]
            self._sum = self._wide[0]
            for sound in self._wide[1:]:
                self._sum = audioop.add(self._sum, sound, _WIDE)

    @property
    def total(self) -> bytes:
        """All sounds; what does not fit is clipped."""
        if self._total is None:
            self._total = self._added()
        return self._total

    def without(self, number: int) -> bytes:
        """All but the sound of that number, the first being 0."""
        match len(self._sounds):
            case 1:
                return bytes(len(self._sounds[0]))
            case 2:
                return self._sounds[1 - number]
        own = audioop.mul(self._wide[number], _WIDE, -1.0)
        return _narrowed(audioop.add(self._sum, own, _WIDE))

    def _added(self) -> bytes:
        match len(self._sounds):
            case 0:
                return b""
            case 1:
                return self._sounds[0]
            case 2:
                return audioop.add(self._sounds[0], self._sounds[1], SAMPLE_BYTES)
        return _narrowed(self._sum)


def _widened(pcm: bytes) -> bytes:
    return audioop.mul(audioop.lin2lin(pcm, SAMPLE_BYTES, _WIDE), _WIDE, 1.0 / _HEADROOM)


def _narrowed(wide: bytes) -> bytes:
    return audioop.lin2lin(audioop.mul(wide, _WIDE, _HEADROOM), _WIDE, SAMPLE_BYTES)
