# SPDX-License-Identifier: Apache-2.0
"""How does sound become G.722, wideband at 64 kbit/s? Two samples a byte, by the package G722."""

from __future__ import annotations

import importlib
from array import array
from typing import Any

from ringback.media.errors import CodecUnavailable
from ringback.sdp.attributes import AudioFormat

_BIT_RATE = 64_000


class G722:
    """One stream; encoder and decoder each remember what went before. A byte is one tick of the RTP clock."""

    __slots__ = ("_decoder", "_encoder", "format")

    sample_rate = 16_000
    has_no_memory = False

    def __init__(self, audio_format: AudioFormat) -> None:
        self.format = audio_format
        self._encoder = _adaptive(self.sample_rate)
        self._decoder = _adaptive(self.sample_rate)

    def encode(self, pcm: bytes) -> bytes:
        encoded: bytes = self._encoder.encode(array("h", pcm))
        return encoded

    def decode(self, payload: bytes) -> bytes:
        decoded: array[int] = self._decoder.decode(payload)
        return decoded.tobytes()

    def duration(self, payload: bytes) -> int:
        return len(payload)


def _adaptive(rate: int) -> Any:
    """The package is C: where there is no wheel for the machine it may be missing."""
    try:
        return importlib.import_module("G722").G722(rate, _BIT_RATE)
    except ImportError as error:
        raise CodecUnavailable("the package G722 is not installed") from error
