# SPDX-License-Identifier: Apache-2.0
"""What do programs get and give when they handle the sound of a call piece by piece?

async for frame in call.audio.read(rate=16_000, frame_ms=20):
    await model.send(frame.pcm)

await call.audio.write(audio.Pcm(pcm, rate=24_000))
"""

from __future__ import annotations

from dataclasses import dataclass

from ringback.media.pcm import SAMPLE_BYTES, SAMPLE_RATE

#: What a program may ask for or bring: the rates of telephones, of speech models and of discs.
LOWEST_RATE, HIGHEST_RATE = 8_000, 48_000
SHORTEST_FRAME_MS, LONGEST_FRAME_MS = 10, 500


@dataclass(frozen=True, slots=True)
class Pcm:
    """Sound to be said: 16 bit samples, one channel, in this machine's byte order."""

    pcm: bytes
    rate: int = SAMPLE_RATE

    def __post_init__(self) -> None:
        check_rate(self.rate)

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.pcm) / (self.rate * SAMPLE_BYTES)


@dataclass(frozen=True, slots=True)
class Frame:
    """A piece of what is heard. `at` is when it begins, in seconds since the reading began."""

    pcm: bytes
    rate: int
    at: float
    is_speech: bool = False
    #: True for the one frame in which somebody begins to speak, or stops.
    speech_started: bool = False
    speech_ended: bool = False

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.pcm) / (self.rate * SAMPLE_BYTES)


def check_rate(rate: int) -> None:
    """ValueError for what is no rate of speech."""
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise ValueError(f"{rate} samples a second: use {LOWEST_RATE} to {HIGHEST_RATE}")


def frame_bytes(rate: int, frame_ms: int) -> int:
    """The size of a frame; ValueError when it is too short or too long, or no whole number of samples."""
    check_rate(rate)
    if not SHORTEST_FRAME_MS <= frame_ms <= LONGEST_FRAME_MS or rate * frame_ms % 1_000:
        raise ValueError(
            f"no frames of {frame_ms} ms at {rate} Hz: "
            f"use {SHORTEST_FRAME_MS} to {LONGEST_FRAME_MS} ms that hold a whole number of samples"
        )
    return rate * frame_ms // 1_000 * SAMPLE_BYTES
