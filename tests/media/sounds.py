# SPDX-License-Identifier: Apache-2.0
"""Sounds for tests, and how clean they are."""

import math
import random
from array import array


def sine(
    frequency: float, rate: int, seconds: float, *, loudness: float = 8_000.0, phase: float = 0.0
) -> bytes:
    step = 2.0 * math.pi * frequency / rate
    return array(
        "h", (round(loudness * math.sin(phase + step * n)) for n in range(round(rate * seconds)))
    ).tobytes()


def frames_of(pcm: bytes, rate: int, frame_ms: int = 20) -> list[bytes]:
    size = rate * frame_ms // 1_000 * 2
    return [pcm[start : start + size] for start in range(0, len(pcm) - size + 1, size)]


def noisy(pcm: bytes, loudness: float, seed: int = 1) -> bytes:
    """With white noise of that RMS."""
    chance = random.Random(seed)
    return array(
        "h",
        (
            max(-32_768, min(32_767, round(value + chance.gauss(0.0, loudness))))
            for value in memoryview(pcm).cast("h")
        ),
    ).tobytes()


def added(*sounds: bytes) -> bytes:
    columns = zip(*(memoryview(sound).cast("h") for sound in sounds), strict=True)
    return array("h", (max(-32_768, min(32_767, sum(column))) for column in columns)).tobytes()


def signal_to_noise(pcm: bytes, frequency: float, rate: int) -> float:
    """dB of a sine over all else in `pcm`, whatever its phase and loudness."""
    samples = memoryview(pcm).cast("h")
    step, count = 2.0 * math.pi * frequency / rate, len(samples)
    sines = [math.sin(step * n) for n in range(count)]
    cosines = [math.cos(step * n) for n in range(count)]
    in_phase = 2.0 * sum(a * b for a, b in zip(samples, sines, strict=True)) / count
    across = 2.0 * sum(a * b for a, b in zip(samples, cosines, strict=True)) / count
    rest = sum(
        (value - in_phase * s - across * c) ** 2 for value, s, c in zip(samples, sines, cosines, strict=True)
    )
    return 10.0 * math.log10((in_phase**2 + across**2) * count / 2.0 / max(rest, 1e-9))


def loudness_of(pcm: bytes) -> float:
    """RMS."""
    samples = memoryview(pcm).cast("h")
    return math.sqrt(sum(value * value for value in samples) / max(1, len(samples)))
