# SPDX-License-Identifier: Apache-2.0
"""How does sound become L16? As it is, the higher byte first (RFC 3551 section 4.5.11)."""

from __future__ import annotations

import sys

from ringback.media.pcm import SAMPLE_BYTES, audioop
from ringback.sdp.attributes import AudioFormat


class Linear16:
    """Samples as they are, at the clock rate of the format."""

    __slots__ = ("format", "sample_rate")

    has_no_memory = True

    def __init__(self, audio_format: AudioFormat) -> None:
        self.format = audio_format
        self.sample_rate = audio_format.clock_rate

    def encode(self, pcm: bytes) -> bytes:
        return _swapped(pcm)

    def decode(self, payload: bytes) -> bytes:
        return _swapped(payload[: len(payload) // SAMPLE_BYTES * SAMPLE_BYTES])

    def duration(self, payload: bytes) -> int:
        return len(payload) // SAMPLE_BYTES


def _swapped(pcm: bytes) -> bytes:
    return audioop.byteswap(pcm, SAMPLE_BYTES) if sys.byteorder == "little" else pcm
