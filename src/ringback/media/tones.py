# SPDX-License-Identifier: Apache-2.0
"""What does a telephone say without words? Dial, ringback, busy and special information tones.

Frequencies and cadences of North America (the precise tone plan); ITU-T E.180 lists those of other countries.
A tone is an iterable of 20 ms frames, so that it can be played like a file.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import cycle

from ringback.media.pcm import FRAME_BYTES, SAMPLE_BYTES, SAMPLE_RATE, SILENCE

LOUDEST = 32_767
#: About -13 dBm0 for each frequency of a tone.
_LEVEL = 0.18


@dataclass(frozen=True, slots=True)
class Burst:
    """Frequencies sounding together for some milliseconds; none at all is a pause."""

    frequencies: tuple[float, ...]
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Tone:
    """Bursts one after the other, once or for ever. Iterate for frames."""

    bursts: tuple[Burst, ...]
    repeats: bool = False
    level: float = _LEVEL

    def __iter__(self) -> Iterator[bytes]:
        """20 ms frames; the last one is filled up with silence."""
        bursts = cycle(self.bursts) if self.repeats else iter(self.bursts)
        waiting = b""
        for burst in bursts:
            waiting += self._samples(burst)
            while len(waiting) >= FRAME_BYTES:
                yield waiting[:FRAME_BYTES]
                waiting = waiting[FRAME_BYTES:]
        if waiting:
            yield waiting + SILENCE[len(waiting) :]

    def frames(self, duration_ms: int) -> Iterator[bytes]:
        """As many frames as fit into `duration_ms`."""
        for _, frame in zip(range(duration_ms // 20), self, strict=False):
            yield frame

    def _samples(self, burst: Burst) -> bytes:
        samples = SAMPLE_RATE * burst.duration_ms // 1_000
        second = _one_second(burst.frequencies, self.level)
        whole, rest = divmod(samples * SAMPLE_BYTES, len(second))
        return second * whole + second[:rest]


def beep(frequency: float = 1_000.0, duration_ms: int = 200) -> Tone:
    """One short tone."""
    return Tone((Burst((frequency,), duration_ms),))


def steady(frequency: float, duration_ms: int | None = None) -> Tone:
    """One frequency, for some milliseconds or for ever."""
    burst = Burst((frequency,), 1_000 if duration_ms is None else duration_ms)
    return Tone((burst,), repeats=duration_ms is None)


def _tone(*bursts: tuple[tuple[float, ...], int], repeats: bool = True) -> Tone:
    return Tone(tuple(Burst(frequencies, duration) for frequencies, duration in bursts), repeats)


#: ITU-T Q.23: the two frequencies of a key.
_ROWS, _COLUMNS = (697, 770, 852, 941), (1_209, 1_336, 1_477, 1_633)
KEY_FREQUENCIES: dict[str, tuple[float, float]] = {
    key: (_ROWS[index // 4], _COLUMNS[index % 4]) for index, key in enumerate("123A456B789C*0#D")
}


def key_tone(key: str) -> Tone:
    """A key as its two tones, for peers without telephone events. Silence for the flash hook."""
    return _tone((KEY_FREQUENCIES.get(key.upper(), ()), 100), ((), 100), repeats=False)


#: By name. SIT is the one for a number that does not exist ("intercept").
TONES: dict[str, Tone] = {
    "dial":       _tone(((350, 440), 1_000)),
    "ringback":   _tone(((440, 480), 2_000), ((), 4_000)),
    "busy":       _tone(((480, 620), 500), ((), 500)),
    "congestion": _tone(((480, 620), 250), ((), 250)),
    "sit":        _tone(((913.8,), 274), ((1370.6,), 274), ((1776.7,), 380), ((), 200), repeats=False),
    "beep":       _tone(((1_000,), 200), repeats=False),
}  # fmt: skip


@lru_cache(maxsize=64)
def _one_second(frequencies: tuple[float, ...], level: float) -> bytes:
    """A second of a tone: with whole numbers of Hertz it can be repeated without a click."""
    if not frequencies:
        return bytes(SAMPLE_RATE * SAMPLE_BYTES)
    steps = [2.0 * math.pi * frequency / SAMPLE_RATE for frequency in frequencies]
    loudness = min(level, 1.0 / len(frequencies)) * LOUDEST
    return array(
        "h", (int(loudness * sum(math.sin(step * n) for step in steps)) for n in range(SAMPLE_RATE))
    ).tobytes()
