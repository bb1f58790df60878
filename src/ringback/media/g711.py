# SPDX-License-Identifier: Apache-2.0
"""How does sound become G.711, the codec every telephone has? A byte a sample, without memory."""

from __future__ import annotations

from ringback.media.pcm import SAMPLE_BYTES, SAMPLE_RATE, audioop
from ringback.sdp.attributes import AudioFormat


class Pcmu:
    """The mu-law of G.711 (RFC 3551 section 4.5.14)."""

    __slots__ = ("format",)

    sample_rate = SAMPLE_RATE
    has_no_memory = True

    def __init__(self, audio_format: AudioFormat) -> None:
        self.format = audio_format

    def encode(self, pcm: bytes) -> bytes:
        return audioop.lin2ulaw(pcm, SAMPLE_BYTES)

    def decode(self, payload: bytes) -> bytes:
        return audioop.ulaw2lin(payload, SAMPLE_BYTES)

    def duration(self, payload: bytes) -> int:
        return len(payload)


class Pcma:
    """The A-law of G.711."""

    __slots__ = ("format",)

    sample_rate = SAMPLE_RATE
    has_no_memory = True

    def __init__(self, audio_format: AudioFormat) -> None:
        self.format = audio_format

    def encode(self, pcm: bytes) -> bytes:
        return audioop.lin2alaw(pcm, SAMPLE_BYTES)

    def decode(self, payload: bytes) -> bytes:
        return audioop.alaw2lin(payload, SAMPLE_BYTES)

    def duration(self, payload: bytes) -> int:
        return len(payload)
