# SPDX-License-Identifier: Apache-2.0
"""What is heard in place of a packet that did not come? The last sound, repeated and fading.

The last pitch period is looked for and repeated, so that a voice (or a tone) goes on without a buzz: the idea
of G.711 appendix I, for every sample rate. The search runs inside audioop and costs 20 us at 8 kHz, 80 us at
16 kHz, for the first of several lost packets only.
"""

from __future__ import annotations

from ringback.media.comfort_noise import noise
from ringback.media.pcm import SAMPLE_BYTES, audioop, scale

#: How loud the first, second, ... 20 ms are; then it is silent.
FADE = (0.9, 0.6, 0.3, 0.1)
_FADE_STEPS_A_SECOND = 50

#: Shares of a second: what is looked for, the longest and the shortest period (50 to 400 Hz).
_TEMPLATE, _LONGEST, _SHORTEST = 1 / 200, 1 / 50, 1 / 400


class Concealment:
    """Told of all sound that is played, at one sample rate; makes up for what is missing."""

    __slots__ = ("_history", "_kept", "_missing", "_noise_level", "_period", "rate")

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._kept = round((_LONGEST + _TEMPLATE) * rate) * SAMPLE_BYTES
        self._history = b""
        self._period = b""
        #: Samples made up since the last that came.
        self._missing = 0
        self._noise_level: int | None = None

    def heard(self, pcm: bytes) -> None:
        """This was decoded."""
        self._history = (self._history + pcm)[-self._kept :]
        self._missing = 0
        self._noise_level = None

    def noise_began(self, level: int) -> None:
        """The other end is silent on purpose: until sound comes, nothing is missing."""
        self._noise_level = level

    def conceal(self, samples: int) -> bytes:
        """So many samples in place of what did not come."""
        start, self._missing = self._missing, self._missing + samples
        if self._noise_level is not None:
            return noise(self._noise_level, samples, start=start)
        step = start * _FADE_STEPS_A_SECOND // self.rate
        if step >= len(FADE) or not self._history:
            return bytes(samples * SAMPLE_BYTES)
        if start == 0:
            self._period = self._last_period()
        first = start * SAMPLE_BYTES % len(self._period)
        size = samples * SAMPLE_BYTES
        sound = self._period * (2 + size // len(self._period))
        return scale(sound[first : first + size], FADE[step])

    def _last_period(self) -> bytes:
        """The end of what was heard, from where it looked most alike before.

        Where it looked most alike upside down (half a period of a tone), twice as much comes back.
        """
        history = self._history
        samples = len(history) // SAMPLE_BYTES
        template, shortest = round(_TEMPLATE * self.rate), round(_SHORTEST * self.rate)
        if samples < 2 * template + shortest:
            return history
        searched = history[: (samples - shortest) * SAMPLE_BYTES]
        place, factor = audioop.findfit(searched, history[-template * SAMPLE_BYTES :])
        period = history[(place + template) * SAMPLE_BYTES :]
        return scale(period, -1.0) + period if factor < 0.0 else period
