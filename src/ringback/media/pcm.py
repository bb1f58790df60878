# SPDX-License-Identifier: Apache-2.0
"""What is sound, between codecs and files? 16 bit signed samples of this machine's byte order, 8000 a
second where nothing else is said.

The one place that imports audioop, which left the standard library with Python 3.13: there the package
audioop-lts brings it back.
"""

import math
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

__all__ = [
    "FRAME_BYTES",
    "FRAME_MS",
    "FRAME_SAMPLES",
    "SAMPLE_RATE",
    "SILENCE",
    "audioop",
    "duration_of",
    "frame_bytes",
    "mix",
    "scale",
    "tone_share",
]

SAMPLE_RATE = 8_000
SAMPLE_BYTES = 2
FRAME_MS = 20
FRAME_SAMPLES = SAMPLE_RATE * FRAME_MS // 1_000
FRAME_BYTES = FRAME_SAMPLES * SAMPLE_BYTES
SILENCE = bytes(FRAME_BYTES)


def duration_of(pcm: bytes, rate: int = SAMPLE_RATE) -> float:
    """Seconds of sound in `pcm`."""
    return len(pcm) / (rate * SAMPLE_BYTES)


def frame_bytes(rate: int) -> int:
    """Bytes of 20 ms of sound."""
    return rate * FRAME_MS // 1_000 * SAMPLE_BYTES


def scale(pcm: bytes, factor: float) -> bytes:
    """Louder or softer; what does not fit is clipped."""
    return audioop.mul(pcm, SAMPLE_BYTES, factor)


def mix(one: bytes, other: bytes) -> bytes:
    """Both at once; what does not fit is clipped. Equal lengths."""
    return audioop.add(one, other, SAMPLE_BYTES)


def tone_share(pcm: bytes, frequency: float, *, rate: int = SAMPLE_RATE) -> float:
    """The share of the energy of `pcm` that is at `frequency` (Goertzel's algorithm): 0.0 to about 1.0.

    Measured in pieces of 50 ms, so that a phase that jumps (a concealed loss) does not cancel the tone.
    """
    samples = memoryview(pcm[: len(pcm) // SAMPLE_BYTES * SAMPLE_BYTES]).cast("h")
    size = rate // 20
    at_frequency = total = 0.0
    for start in range(0, len(samples) - size + 1, size):
        piece = samples[start : start + size]
        at_frequency += 2.0 * _goertzel_power(piece, frequency, rate) / size
        total += float(sum(sample * sample for sample in piece))
    return at_frequency / total if total else 0.0


def _goertzel_power(samples: memoryview, frequency: float, rate: int) -> float:
    coefficient = 2.0 * math.cos(2.0 * math.pi * frequency / rate)
    before = last = 0.0
    for sample in samples:
        before, last = last, sample + coefficient * last - before
    return last * last + before * before - coefficient * last * before
