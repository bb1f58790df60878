# SPDX-License-Identifier: Apache-2.0
"""Sound for tests: make a tone, and ask a recording which tone it holds."""

from __future__ import annotations

import array
import math
import wave
from pathlib import Path


def write_tone(
    path: Path, frequency: float, *, seconds: float = 30.0, rate: int = 8000, channels: int = 1
) -> Path:
    """A 16-bit WAV file holding one sine, the same on all channels."""
    second = [int(12000 * math.sin(2 * math.pi * frequency * n / rate)) for n in range(rate)]
    samples = array.array("h", [sample for sample in second for _ in range(channels)] * int(seconds))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return path


def read_samples(path: Path) -> tuple[array.array[int], int]:
    """The samples of a 16-bit WAV file (first channel) and its rate; a header cut short by a kill is forgiven."""
    data = path.read_bytes()
    start = data.find(b"data")
    channels = int.from_bytes(data[22:24], "little")
    rate = int.from_bytes(data[24:28], "little")
    payload = data[start + 8 :]
    samples = array.array("h", payload[: len(payload) // (2 * channels) * 2 * channels])
    return samples[::channels], rate


def share_of_energy(samples: array.array[int], rate: int, frequency: float) -> float:
    """How much of the energy lies at `frequency` (0 to 1), by the Goertzel algorithm."""
    total = sum(sample * sample for sample in samples)
    if not total:
        return 0.0
    omega = 2 * math.pi * frequency / rate
    coefficient = 2 * math.cos(omega)
    first = second = 0.0
    for sample in samples:
        first, second = sample + coefficient * first - second, first
    power = first * first + second * second - coefficient * first * second
    return 2 * power / (len(samples) * total)


def loudness(path: Path, frequency: float, *, window: float = 0.1, share: float = 0.6) -> list[bool]:
    """For every tenth of a second of a recording: is the tone what is heard?"""
    samples, rate = read_samples(path)
    size = int(window * rate)
    return [
        max(samples[start : start + size], default=0) > 500
        and share_of_energy(samples[start : start + size], rate, frequency) > share
        for start in range(0, len(samples) - size + 1, size)
    ]


def seconds_of_tone(path: Path, frequency: float, *, window: float = 0.1, share: float = 0.6) -> float:
    """For how many seconds of a recording the tone is what is heard."""
    return loudness(path, frequency, window=window, share=share).count(True) * window
