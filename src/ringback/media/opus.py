# SPDX-License-Identifier: Apache-2.0
"""How does sound become Opus, the codec of browsers? By libopus through PyAV, the extra [media]. RFC 7587.

Inside it is 16 kHz mono, which is all a telephone call has. What comes may be anything; the decoder makes
16 kHz mono of it. Measured for 20 ms of speech: decode 30 us; encode 57 us and 41 kbit/s as it is set below,
133 us and 22 kbit/s with application "voip", 158 us and 129 kbit/s at 48 kHz stereo as WebRTC programs do.
"""

from __future__ import annotations

import importlib
from fractions import Fraction
from types import ModuleType
from typing import Any

from ringback.media.errors import CodecUnavailable
from ringback.media.pcm import SAMPLE_BYTES
from ringback.sdp.attributes import AudioFormat

#: What we tell the other end (RFC 7587 section 6.1): more than 16 kHz would not be heard.
WANTED_PARAMETERS = "maxplaybackrate=16000;sprop-maxcapturerate=16000"

_RATE = 16_000
_CLOCK = 48_000
_BIT_RATE = 24_000
_APPLICATION = "audio"
#: Of 10: three times the work would be hardly audible in speech.
_COMPLEXITY = "5"

#: RFC 6716 section 3.1: ticks of a frame by the configuration in the first five bits of the payload.
_SILK, _HYBRID, _CELT = (480, 960, 1920, 2880), (480, 960), (120, 240, 480, 960)
_FRAME_TICKS = (*_SILK * 3, *_HYBRID * 2, *_CELT * 4)
#: RFC 6716 section 3.4: no packet is longer than 120 ms.
_LONGEST = 5_760


class Opus:
    """One stream; encoder and decoder are made when they are first asked for."""

    __slots__ = ("_av", "_decoder", "_encoder", "_resampler", "_waiting", "format")

    sample_rate = _RATE
    has_no_memory = False

    def __init__(self, audio_format: AudioFormat) -> None:
        self.format = audio_format
        self._av = _pyav()
        self._encoder: Any = None
        self._decoder: Any = None
        self._resampler: Any = None
        self._waiting = b""

    def encode(self, pcm: bytes) -> bytes:
        """A packet of 10, 20, 40 or 60 ms, which are the lengths Opus has; nothing for another length."""
        samples = len(pcm) // SAMPLE_BYTES
        if self._encoder is None or self._encoder.frame_size != samples:
            self._encoder = self._new_encoder(samples)
        frame = self._av.AudioFrame(format="s16", layout="mono", samples=samples)
        frame.sample_rate = _RATE
        frame.planes[0].update(pcm)
        return b"".join(bytes(packet) for packet in self._encoder.encode(frame))

    def decode(self, payload: bytes) -> bytes:
        """As much sound as the payload's first byte says; the decoder's filter is 1 ms late."""
        ticks = self.duration(payload)
        if not ticks:
            return b""  # to FFmpeg an empty packet is the end of the stream
        if self._decoder is None:
            self._begin_decoding()
        try:
            frames = self._decoder.decode(self._av.Packet(payload))
        except self._av.FFmpegError:
            return b""
        sound = self._waiting
        for frame in frames:
            frame.pts = None
            for piece in self._resampler.resample(frame):
                sound += bytes(piece.planes[0])[: piece.samples * SAMPLE_BYTES]
        return self._cut(sound, ticks)

    def duration(self, payload: bytes) -> int:
        """RFC 6716 section 3.2: frames times length; 0 when the payload is malformed or too long."""
        if not payload:
            return 0
        frames = (1, 2, 2, payload[1] & 0x3F if len(payload) > 1 else 0)[payload[0] & 0x03]
        ticks = frames * _FRAME_TICKS[payload[0] >> 3]
        return ticks if ticks <= _LONGEST else 0

    def _cut(self, sound: bytes, ticks: int) -> bytes:
        """Exactly as long as it says: the first time the filter's delay is filled up with silence."""
        size = ticks * _RATE // _CLOCK * SAMPLE_BYTES
        if len(sound) < size:
            sound = bytes(size - len(sound)) + sound
        self._waiting = sound[size:][-size:]
        return sound[:size]

    def _begin_decoding(self) -> None:
        decoder = self._av.CodecContext.create("opus", "r")
        decoder.sample_rate, decoder.layout = _CLOCK, "mono"
        self._decoder = decoder
        # FFmpeg's resampler, as it is loaded anyway: 12 us, ours takes 50.
        self._resampler = self._av.AudioResampler(format="s16", layout="mono", rate=_RATE)

    def _new_encoder(self, samples: int) -> Any:
        encoder = self._av.CodecContext.create("libopus", "w")
        encoder.sample_rate, encoder.format, encoder.layout = _RATE, "s16", "mono"
        encoder.bit_rate, encoder.time_base = _BIT_RATE, Fraction(1, _RATE)
        encoder.options = {
            "application": _APPLICATION,
            "compression_level": _COMPLEXITY,
            "frame_duration": str(samples * 1_000 // _RATE),
        }
        encoder.open()
        return encoder


def _pyav() -> ModuleType:
    """PyAV, loaded when Opus is first wanted: importing it costs 100 ms and 30 MB."""
    try:
        module = importlib.import_module("av")
        module.CodecContext.create("libopus", "w")
    except (ImportError, ValueError) as error:
        raise CodecUnavailable("Opus needs PyAV: pip install 'ringback[media]'") from error
    return module
