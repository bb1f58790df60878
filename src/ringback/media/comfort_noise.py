# SPDX-License-Identifier: Apache-2.0
"""What is heard while the other end is silent on purpose? Soft noise of the level it told us (RFC 3389)."""

from __future__ import annotations

import math
import random
from array import array
from functools import lru_cache

from ringback.media.pcm import FRAME_MS, SAMPLE_BYTES, audioop, scale
from ringback.rtp.comfort_noise import LOWEST_LEVEL, level_of, payload_of
from ringback.sdp.attributes import AudioFormat

#: The overload point: a square wave as loud as can be.
_OVERLOAD = 32_768.0
_TABLE_SAMPLES = 16_384
_TABLE_LEVEL = 4_000.0
#: However loud the other end says its silence is, we play no noise above this level (in -dBov).
LOUDEST_NOISE = 30


class ComfortNoise:
    """A "codec" of noise: a payload says how loud it is from now on."""

    __slots__ = ("format", "level", "sample_rate")

    has_no_memory = True

    def __init__(self, audio_format: AudioFormat) -> None:
        self.format = audio_format
        self.sample_rate = audio_format.clock_rate
        self.level = LOWEST_LEVEL

    def encode(self, pcm: bytes) -> bytes:
        """The payload that says how loud `pcm` is."""
        return payload_of(level_of_sound(pcm))

    def decode(self, payload: bytes) -> bytes:
        """20 ms of noise."""
        level = level_of(payload)
        self.level = LOWEST_LEVEL if level is None else level
        return noise(self.level, self.sample_rate * FRAME_MS // 1_000)

    def duration(self, payload: bytes) -> int:
        return self.format.clock_rate * FRAME_MS // 1_000


def level_of_sound(pcm: bytes) -> int:
    """How loud a piece of sound is, in -dBov."""
    loudness = audioop.rms(pcm, SAMPLE_BYTES)
    return min(LOWEST_LEVEL, round(20.0 * math.log10(_OVERLOAD / loudness))) if loudness else LOWEST_LEVEL


def noise(level: int, samples: int, *, start: int = 0) -> bytes:
    """White noise of a level in -dBov; `start` says how much of it was heard before."""
    if level >= LOWEST_LEVEL:
        return bytes(samples * SAMPLE_BYTES)
    loudness = _OVERLOAD * 10.0 ** (-max(level, LOUDEST_NOISE) / 20.0)
    first = start % _TABLE_SAMPLES
    table = _table()
    times = -(-(first + samples) // _TABLE_SAMPLES)
    piece = (table * times)[first * SAMPLE_BYTES : (first + samples) * SAMPLE_BYTES]
    return scale(piece, loudness / _TABLE_LEVEL)


@lru_cache(maxsize=1)
def _table() -> bytes:
    """Two seconds of noise, the same in every process: it is nobody's secret."""
    chance = random.Random(3389)  # noqa: S311 - noise for the ear
    return array(
        "h",
        (
            round(max(-32_768.0, min(chance.gauss(0.0, _TABLE_LEVEL), 32_767.0)))
            for _ in range(_TABLE_SAMPLES)
        ),
    ).tobytes()
