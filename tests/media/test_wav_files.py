# SPDX-License-Identifier: Apache-2.0
"""WAV files: whatever rate, width and number of channels come in, 8 kHz mono goes on."""

import io
import math
import struct
import wave

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.media.errors import UnreadableAudio, UnwritableAudio
from ringback.media.files import WaveFormat, WaveWriter, decode_wave, read_frames, read_pcm, write_pcm
from ringback.media.pcm import FRAME_BYTES, audioop, duration_of, tone_share


def sine(rate: int, frequency: float = 1_000.0, seconds: float = 1.0) -> bytes:
    return b"".join(
        struct.pack("<h", int(12_000 * math.sin(2 * math.pi * frequency * n / rate)))
        for n in range(int(rate * seconds))
    )


def chunked(data: bytes, *, tag: int, channels: int, rate: int, bits: int, extra: bytes = b"") -> bytes:
    block = channels * bits // 8
    head = struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits) + extra
    body = b"WAVE" + b"LIST\x03\x00\x00\x00abc\x00"
    body += b"fmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 6_000])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_every_rate_and_number_of_channels_is_read(tmp_path, rate, channels):
    mono = sine(rate)
    path = tmp_path / "in.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(b"".join(mono[n : n + 2] * channels for n in range(0, len(mono), 2)))
    pcm = read_pcm(path)
    assert duration_of(pcm) == pytest.approx(1.0, abs=0.021)
    assert tone_share(pcm[: 7_900 * 2], 1_000) > 0.97
    assert len(pcm) % FRAME_BYTES == 0


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_every_width_is_read(tmp_path, width):
    data = audioop.lin2lin(sine(8_000), 2, width)
    if width == 1:
        data = audioop.bias(data, 1, 128)
    path = tmp_path / "in.wav"
    path.write_bytes(chunked(data, tag=1, channels=1, rate=8_000, bits=8 * width))
    assert tone_share(read_pcm(path), 1_000) > 0.98


@pytest.mark.parametrize(
    ("tag", "bits", "encode"),
    [
        (WaveFormat.PCMU, 8, lambda pcm: audioop.lin2ulaw(pcm, 2)),
        (WaveFormat.PCMA, 8, lambda pcm: audioop.lin2alaw(pcm, 2)),
        (
            WaveFormat.FLOAT,
            32,
            lambda pcm: b"".join(struct.pack("<f", v / 32_768) for v in memoryview(pcm).cast("h")),
        ),
    ],
)
def test_other_encodings_are_read(tmp_path, tag, bits, encode):
    path = tmp_path / "in.wav"
    path.write_bytes(chunked(encode(sine(8_000)), tag=tag, channels=1, rate=8_000, bits=bits))
    assert tone_share(read_pcm(path), 1_000) > 0.98


def test_the_extensible_header_is_understood(tmp_path):
    extra = struct.pack("<HHI", 22, 16, 4) + struct.pack("<H", 1) + bytes(14)
    path = tmp_path / "in.wav"
    path.write_bytes(
        chunked(sine(16_000), tag=WaveFormat.EXTENSIBLE, channels=1, rate=16_000, bits=16, extra=extra)
    )
    assert tone_share(read_pcm(path), 1_000) > 0.97


def test_what_a_telephone_cannot_carry_does_not_fold_back(tmp_path):
    path = tmp_path / "in.wav"
    path.write_bytes(chunked(sine(48_000, 15_000), tag=1, channels=1, rate=48_000, bits=16))
    level = audioop.rms(read_pcm(path), 2)
    assert level < 0.35 * audioop.rms(sine(8_000), 2)


def test_not_a_number_in_a_float_file_is_silence():
    data = struct.pack("<f", float("nan")) * 160 + struct.pack("<f", float("inf")) * 160
    pcm = decode_wave(io.BytesIO(chunked(data, tag=3, channels=1, rate=8_000, bits=32)))
    assert pcm == bytes(320) + b"\xff\x7f" * 160


def test_a_file_of_unknown_length_is_read_to_its_end():
    data = chunked(sine(8_000), tag=1, channels=1, rate=8_000, bits=16)
    endless = data.replace(b"data" + struct.pack("<I", 16_000), b"data\xff\xff\xff\x7f")
    assert duration_of(decode_wave(io.BytesIO(endless))) == 1.0


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"RIFF\0\0\0\0WAVE",
        b"RIFF\0\0\0\0AVI fmt ",
        b"RIFF\0\0\0\0WAVEdata\x04\0\0\0abcd",
        chunked(b"xx", tag=85, channels=1, rate=8_000, bits=16),
        chunked(b"xx", tag=1, channels=0, rate=8_000, bits=16),
        chunked(b"xx", tag=1, channels=1, rate=0, bits=16),
        chunked(b"xx", tag=1, channels=1, rate=400_000, bits=16),
        chunked(b"xx", tag=1, channels=1, rate=8_000, bits=64),
    ],
)
def test_what_is_no_sound_is_refused_with_the_name_of_the_file(tmp_path, data):
    path = tmp_path / "broken.wav"
    path.write_bytes(data)
    with pytest.raises(UnreadableAudio, match=r"broken\.wav"):
        read_frames(path)


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(UnreadableAudio, match="No such file"):
        read_frames(tmp_path / "nowhere.wav")


@given(st.binary(max_size=200).map(lambda tail: b"RIFF\0\0\0\0WAVE" + tail))
def test_garbage_is_refused_or_read(data):
    try:
        decode_wave(io.BytesIO(data))
    except UnreadableAudio:
        return


def test_what_is_written_is_read_again(tmp_path):
    pcm = sine(8_000)
    write_pcm(tmp_path / "out.wav", pcm)
    assert read_pcm(tmp_path / "out.wav") == pcm
    with wave.open(str(tmp_path / "out.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth(), file.getnframes()) == (
            8_000,
            1,
            2,
            8_000,
        )


def test_a_place_that_cannot_be_written_is_said_at_once(tmp_path):
    with pytest.raises(UnwritableAudio):
        WaveWriter(tmp_path / "no" / "such" / "folder.wav")
    writer = WaveWriter(tmp_path / "twice.wav")
    writer.close()
    writer.close()
