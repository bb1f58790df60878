# SPDX-License-Identifier: Apache-2.0
"""Which codecs do we have? The table, one row per codec. RFC 3551 section 4.5.14 for G.711."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ringback.media.pcm import FRAME_SAMPLES, SAMPLE_BYTES, SAMPLE_RATE, audioop
from ringback.sdp.attributes import AudioFormat


@dataclass(frozen=True, slots=True)
class Codec:
    """`encode` and `decode` go between PCM (16 bit, 8000 Hz) and payloads; `silence` is 20 ms of it, encoded.

    `duration` gives the ticks of the RTP clock a payload holds.
    """

    format: AudioFormat
    encode: Callable[[bytes], bytes]
    decode: Callable[[bytes], bytes]
    duration: Callable[[bytes], int]
    silence: bytes

    @property
    def name(self) -> str:
        return self.format.encoding


def _pcmu_encode(pcm: bytes) -> bytes:
    return audioop.lin2ulaw(pcm, SAMPLE_BYTES)


def _pcmu_decode(payload: bytes) -> bytes:
    return audioop.ulaw2lin(payload, SAMPLE_BYTES)


def _pcma_encode(pcm: bytes) -> bytes:
    return audioop.lin2alaw(pcm, SAMPLE_BYTES)


def _pcma_decode(payload: bytes) -> bytes:
    return audioop.alaw2lin(payload, SAMPLE_BYTES)


#: In order of preference.
CODECS: dict[str, Codec] = {
    row.name: row
    for row in (
        Codec(AudioFormat(0, "PCMU", SAMPLE_RATE), _pcmu_encode, _pcmu_decode, len, b"\xff" * FRAME_SAMPLES),
        Codec(AudioFormat(8, "PCMA", SAMPLE_RATE), _pcma_encode, _pcma_decode, len, b"\xd5" * FRAME_SAMPLES),
    )
}


def codec_for(wanted: AudioFormat) -> Codec | None:
    """The row for a negotiated format."""
    return next((row for row in CODECS.values() if row.format.is_same_encoding(wanted)), None)


def formats_for(names: Sequence[str]) -> tuple[AudioFormat, ...]:
    """The formats of the named codecs, in that order; KeyError for a name that is not in the table."""
    return tuple(CODECS[name.upper()].format for name in names)
