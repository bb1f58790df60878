# SPDX-License-Identifier: Apache-2.0
"""How is sound read from and written to WAV files? Any rate, width and number of channels in; mono out.

Read are linear PCM of 8 to 32 bits, 32 bit floats and both laws of G.711, in a RIFF file with or without the
extensible header. Everything is turned into 16 bit samples as it is read, a piece at a time: at 8000 Hz, or
at the rate that is asked for.
"""

from __future__ import annotations

import math
import struct
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO

from ringback.media.errors import UnreadableAudio, UnwritableAudio
from ringback.media.pcm import FRAME_MS, SAMPLE_BYTES, SAMPLE_RATE, audioop

_HEAD = struct.Struct("<4sI8sIHHIIHH4sI")
_PIECE_FRAMES = 4_096
_HIGHEST_RATE = 384_000
_MOST_CHANNELS = 32
_MOST_CHUNKS = 1_000
#: The share of the rate that passes: at 8000 Hz the 3400 Hz of a telephone line; the filter starts there.
_PASS_SHARE = 3_400.0 / 8_000.0


class WaveFormat(IntEnum):
    """wFormatTag of the "fmt " chunk."""

    PCM = 1
    FLOAT = 3
    PCMA = 6
    PCMU = 7
    EXTENSIBLE = 0xFFFE


@dataclass(frozen=True, slots=True)
class _Layout:
    format: int
    channels: int
    rate: int
    width: int
    data_start: int
    data_bytes: int


def read_frames(path: Path | str, rate: int = SAMPLE_RATE) -> Iterator[bytes]:
    """The sound of a file as 20 ms frames at `rate`, the last one filled up with silence; or UnreadableAudio.

    The file is opened and its head is read at once, the rest as the frames are asked for.
    """
    try:
        file = Path(path).open("rb")  # noqa: SIM115 - the iterator closes it
    except OSError as error:
        raise UnreadableAudio(f"cannot open {path}: {error.strerror}") from error
    try:
        layout = _read_layout(file)
    except UnreadableAudio as error:
        file.close()
        raise UnreadableAudio(f"{path}: {error}") from None
    return _frames(file, layout, rate)


def read_pcm(path: Path | str, rate: int = SAMPLE_RATE) -> bytes:
    """The whole sound of a file, in whole frames."""
    return b"".join(read_frames(path, rate))


def decode_wave(file: BinaryIO, rate: int = SAMPLE_RATE) -> bytes:
    """The whole sound of an open WAV file, in whole frames; the file is closed."""
    return b"".join(_frames(file, _read_layout(file), rate))


class WaveWriter:
    """A WAV file of 16 bit samples being written. Its head is right once it is closed."""

    def __init__(self, path: Path | str, *, rate: int = SAMPLE_RATE, channels: int = 1) -> None:
        self.path = Path(path)
        self.rate, self.channels = rate, channels
        self.is_open = True
        self._bytes = 0
        try:
            self._file = self.path.open("wb")
            self._file.write(_head(0, rate, channels))
        except OSError as error:
            raise UnwritableAudio(f"cannot write {path}: {error.strerror}") from error

    def write(self, pcm: bytes) -> None:
        """Append samples, those of several channels in turns; UnwritableAudio when the disk is full."""
        try:
            self._file.write(_little_endian(pcm))
        except OSError as error:
            raise UnwritableAudio(f"cannot write {self.path}: {error.strerror}") from error
        self._bytes += len(pcm)

    def close(self) -> None:
        """Write the head and close. Twice is as good as once."""
        if not self.is_open:
            return
        self.is_open = False
        try:
            with self._file:
                self._file.seek(0)
                self._file.write(_head(self._bytes, self.rate, self.channels))
        except OSError as error:
            raise UnwritableAudio(f"cannot finish {self.path}: {error.strerror}") from error


def write_pcm(path: Path | str, pcm: bytes, *, rate: int = SAMPLE_RATE, channels: int = 1) -> None:
    """Write a whole sound as a WAV file."""
    writer = WaveWriter(path, rate=rate, channels=channels)
    try:
        writer.write(pcm)
    finally:
        writer.close()


def _head(data_bytes: int, rate: int, channels: int) -> bytes:
    """RIFF head of 44 bytes; sizes that do not fit are written as large as they can be."""
    size = min(data_bytes, 0xFFFFFFFF - 36)
    return _HEAD.pack(
        b"RIFF",
        36 + size,
        b"WAVEfmt ",
        16,
        WaveFormat.PCM,
        channels,
        rate,
        rate * channels * SAMPLE_BYTES,
        channels * SAMPLE_BYTES,
        8 * SAMPLE_BYTES,
        b"data",
        size,
    )


# --- reading the head --------------------------------------------------------------------------------


def _read_layout(file: BinaryIO) -> _Layout:
    head = file.read(12)
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
        raise UnreadableAudio("not a WAV file")
    found: bytes | None = None
    for _ in range(_MOST_CHUNKS):
        chunk = file.read(8)
        if len(chunk) < 8:
            break
        name, size = chunk[:4], int.from_bytes(chunk[4:], "little")
        if name == b"data":
            return _layout(found, file.tell(), size)
        if name == b"fmt ":
            found = file.read(min(size, 64))
            size -= len(found)
        file.seek(size + (size & 1), 1)
    raise UnreadableAudio("no sound in this WAV file")


def _layout(chunk: bytes | None, data_start: int, data_bytes: int) -> _Layout:
    if chunk is None or len(chunk) < 16:
        raise UnreadableAudio("the format of this WAV file is missing")
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == WaveFormat.EXTENSIBLE and len(chunk) >= 26:
        (tag,) = struct.unpack_from("<H", chunk, 24)
    if not 1 <= channels <= _MOST_CHANNELS or not 1 <= rate <= _HIGHEST_RATE or not _is_known(tag, bits):
        raise UnreadableAudio(
            f"cannot read WAV format {tag} with {bits} bits, {channels} channels, {rate} Hz"
        )
    return _Layout(tag, channels, rate, (bits + 7) // 8, data_start, data_bytes)


def _is_known(tag: int, bits: int) -> bool:
    match tag:
        case WaveFormat.PCM:
            return 1 <= bits <= 32
        case WaveFormat.FLOAT:
            return bits == 32
        case WaveFormat.PCMA | WaveFormat.PCMU:
            return bits == 8
    return False


# --- turning it into mono ----------------------------------------------------------------------------


def _frames(file: BinaryIO, layout: _Layout, rate: int) -> Iterator[bytes]:
    waiting = b""
    size = rate * FRAME_MS // 1_000 * SAMPLE_BYTES
    with file:
        for piece in _resampled(_mono_pieces(file, layout), layout.rate, rate):
            waiting += piece
            whole = len(waiting) // size * size
            for start in range(0, whole, size):
                yield waiting[start : start + size]
            waiting = waiting[whole:]
    if waiting:
        yield waiting + bytes(size - len(waiting))


def _mono_pieces(file: BinaryIO, layout: _Layout) -> Iterator[bytes]:
    block = layout.width * layout.channels
    left = layout.data_bytes
    while left >= block:
        data = file.read(min(block * _PIECE_FRAMES, left))
        left -= len(data)
        usable = len(data) // block * block
        if not usable:
            return
        yield _mono(_sixteen_bits(data[:usable], layout), layout.channels)


def _sixteen_bits(data: bytes, layout: _Layout) -> bytes:
    match layout.format:
        case WaveFormat.PCMU:
            return audioop.ulaw2lin(data, SAMPLE_BYTES)
        case WaveFormat.PCMA:
            return audioop.alaw2lin(data, SAMPLE_BYTES)
        case WaveFormat.FLOAT:
            floats = array("f", data)
            if sys.byteorder == "big":
                floats.byteswap()
            return array("h", (_from_float(value) for value in floats)).tobytes()
    if layout.width == 1:
        data = audioop.bias(data, 1, 128)  # 8 bit WAV samples are unsigned
    elif sys.byteorder == "big":
        data = audioop.byteswap(data, layout.width)
    return audioop.lin2lin(data, layout.width, SAMPLE_BYTES)


def _from_float(value: float) -> int:
    return int(max(-1.0, min(value, 1.0)) * 32_767) if value == value else 0  # noqa: PLR0124 - NaN


def _mono(pcm: bytes, channels: int) -> bytes:
    if channels == 1:
        return pcm
    if channels == 2:
        return audioop.tomono(pcm, SAMPLE_BYTES, 0.5, 0.5)
    samples = array("h", pcm)
    starts = range(0, len(samples), channels)
    return array("h", (sum(samples[start : start + channels]) // channels for start in starts)).tobytes()


def _resampled(pieces: Iterator[bytes], rate: int, wanted: int) -> Iterator[bytes]:
    """The pieces at the wanted rate. Going down, what it cannot carry is filtered out: it would fold back."""
    if rate == wanted:
        yield from pieces
        return
    new, old = (1, 0) if rate < wanted else _filter_weights(rate, wanted)
    state = None
    for piece in pieces:
        converted, state = audioop.ratecv(piece, SAMPLE_BYTES, 1, rate, wanted, state, new, old)
        yield converted


def _filter_weights(rate: int, wanted: int) -> tuple[int, int]:
    """Weights of the new and the old sample for a low pass of one pole at the edge of the band."""
    step = 2.0 * math.pi * _PASS_SHARE * wanted / rate
    new = round(1_000 * step / (1.0 + step))
    return new, 1_000 - new


def _little_endian(pcm: bytes) -> bytes:
    return pcm if sys.byteorder == "little" else audioop.byteswap(pcm, SAMPLE_BYTES)
