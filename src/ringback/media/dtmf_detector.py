# SPDX-License-Identifier: Apache-2.0
"""Which keys are heard as tones? ITU-T Q.24: two frequencies, both strong, nearly nothing else, long enough.

The sound is looked at in windows of 16 ms, one every 8 ms. A window speaks for a key when the stronger tone
is no more than 9 dB above the other, both stand out among the frequencies of their group, and together they
hold most of what is heard: that is what keeps voices out. Three windows in a row of the same loudness are a
key (so 40 ms are heard and 23 ms are not); three windows without it end it (a gap of 10 ms does not).

The correlations run inside audioop: 20 ms cost 30 us, a loop in Python would take 300.
"""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass

from ringback.media.pcm import SAMPLE_BYTES, SAMPLE_RATE, audioop
from ringback.media.resampling import Resampler
from ringback.media.tones import KEY_FREQUENCIES

_WINDOW, _STEP = 128, 64
_WINDOWS_TO_BEGIN = _WINDOWS_TO_END = 3
#: Powers are mean squares of samples. Each tone at -40 dBm0 or louder.
_WEAKEST = 2.0 * 20.0**2
#: 9 dB between the two tones (Q.24 asks for at least 4 and 8).
_TWIST = 10.0**0.9
#: 8 dB above the next frequency of the group.
_STANDS_OUT = 10.0**0.8
#: The share of both tones of all that is heard, with 15 dB of noise and 1.5 % beside the frequency.
_SHARE = 0.62
#: The windows of a key are as loud as each other, within 2.5 dB.
_STEADY = 10.0**0.25

_AMPLITUDE = 16_000
_ROWS = tuple(sorted({low for low, _ in KEY_FREQUENCIES.values()}))
_COLUMNS = tuple(sorted({high for _, high in KEY_FREQUENCIES.values()}))
_KEYS = {frequencies: key for key, frequencies in KEY_FREQUENCIES.items()}


def _waves(frequency: float) -> tuple[bytes, bytes]:
    steps = [2.0 * math.pi * frequency * n / SAMPLE_RATE for n in range(_WINDOW)]
    return (
        array("h", (round(_AMPLITUDE * math.sin(step)) for step in steps)).tobytes(),
        array("h", (round(_AMPLITUDE * math.cos(step)) for step in steps)).tobytes(),
    )


_WAVES = {frequency: _waves(frequency) for frequency in (*_ROWS, *_COLUMNS)}


@dataclass(frozen=True, slots=True)
class _Window:
    """What one window speaks for."""

    key: str
    power: float


class DtmfDetector:
    """One stream of sound. `feed` gives the keys that began in a piece of it."""

    __slots__ = ("_candidate", "_count", "_misses", "_pressed", "_resampler", "_strongest", "_waiting")

    def __init__(self, rate: int = SAMPLE_RATE) -> None:
        self._resampler = Resampler(rate, SAMPLE_RATE) if rate != SAMPLE_RATE else None
        self._waiting = b""
        self._candidate = ""
        self._count = 0
        self._strongest = 0.0
        self._misses = 0
        #: The key that is held down.
        self._pressed = ""

    def feed(self, pcm: bytes) -> str:
        """The keys that were recognised in this piece, mostly none."""
        if self._resampler is not None:
            pcm = self._resampler.process(pcm)
        sound = self._waiting + pcm
        keys, start = "", 0
        while start + _WINDOW * SAMPLE_BYTES <= len(sound):
            keys += self._look_at(sound[start : start + _WINDOW * SAMPLE_BYTES])
            start += _STEP * SAMPLE_BYTES
        self._waiting = sound[start:]
        return keys

    def _look_at(self, window: bytes) -> str:
        found = _key_in(window)
        if self._pressed:
            self._misses = 0 if found and found.key == self._pressed else self._misses + 1
            if self._misses < _WINDOWS_TO_END:
                return ""
            self._pressed = ""
        return self._counted(found)

    def _counted(self, found: _Window | None) -> str:
        """The key, when this was the last window it needed."""
        if found is None:
            self._candidate = ""
            return ""
        if found.key != self._candidate or found.power > self._strongest * _STEADY:
            self._candidate, self._count, self._strongest = found.key, 1, found.power
            return ""
        if found.power * _STEADY < self._strongest:
            self._candidate = ""
            return ""
        self._strongest = max(self._strongest, found.power)
        self._count += 1
        if self._count < _WINDOWS_TO_BEGIN:
            return ""
        self._pressed, self._candidate, self._misses = found.key, "", 0
        return self._pressed


def _key_in(window: bytes) -> _Window | None:
    total = float(audioop.rms(window, SAMPLE_BYTES)) ** 2
    if total < 2 * _WEAKEST:
        return None
    low, row = _strongest_of(window, _ROWS)
    if row < _WEAKEST or not low:
        return None
    high, column = _strongest_of(window, _COLUMNS)
    if column < _WEAKEST or not high or row > column * _TWIST or column > row * _TWIST:
        return None
    if row + column < _SHARE * total:
        return None
    return _Window(_KEYS[low, high], row + column)


def _strongest_of(window: bytes, group: tuple[float, ...]) -> tuple[float, float]:
    """Frequency and power of the tone that stands out; frequency 0 when none does."""
    powers = [(_power(window, frequency), frequency) for frequency in group]
    (best, frequency), (second, _) = sorted(powers, reverse=True)[:2]
    return (frequency, best) if best > second * _STANDS_OUT else (0.0, best)


def _power(window: bytes, frequency: float) -> float:
    """The mean square of what the window has of a frequency, of whatever phase."""
    sine, cosine = _WAVES[frequency]
    in_phase, across = audioop.findfactor(window, sine), audioop.findfactor(window, cosine)
    return (in_phase * in_phase + across * across) * _AMPLITUDE**2 / 2.0
