# SPDX-License-Identifier: Apache-2.0
"""Every codec gives back what it got, and a foreign decoder hears the same (FFmpeg, through PyAV)."""

import logging
from array import array
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sounds import frames_of, signal_to_noise, sine

from ringback.media import codecs
from ringback.media.codecs import (
    CODECS,
    COMFORT_NOISE,
    EVENT_FORMATS,
    codec_for,
    formats_for,
    is_available,
)
from ringback.media.errors import CodecUnavailable
from ringback.media.pcm import tone_share
from ringback.sdp.attributes import AudioFormat

#: Least signal to noise in dB of a tone that went through the codec; Opus may change the phase of a tone.
CLEAN = {"PCMU": 35, "PCMA": 35, "G722": 20, "L16/16000": 60, "L16/8000": 60, "opus": 12}
samples = st.lists(st.integers(-32_768, 32_767), min_size=1, max_size=160)


def make(name: str):
    return codec_for(CODECS[name].format)


def through(encoder, decoder, pcm: bytes, frame_ms: int = 20) -> bytes:
    frames = frames_of(pcm, encoder.sample_rate, frame_ms)
    return b"".join(decoder.decode(encoder.encode(frame)) for frame in frames)


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("frequency", [300, 1_000, 2_500])
def test_a_tone_survives_the_way_through_a_codec(name, frequency):
    codec = make(name)
    rate = codec.sample_rate
    heard = through(codec, make(name), sine(frequency, rate, 1.0))
    assert len(heard) == rate * 2
    middle = heard[rate // 2 : rate * 3 // 2]
    assert signal_to_noise(middle, frequency, rate) > CLEAN[name]
    assert tone_share(middle, frequency, rate=rate) > 0.9


@pytest.mark.parametrize("name", [name for name in CODECS if make(name).sample_rate == 16_000])
def test_wideband_codecs_carry_what_a_telephone_line_does_not(name):
    heard = through(make(name), make(name), sine(6_000, 16_000, 1.0))
    assert tone_share(heard[8_000:], 6_000, rate=16_000) > 0.9


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("frame_ms", [10, 20, 40, 60])
def test_the_duration_of_a_packet_is_that_of_its_sound(name, frame_ms):
    codec = make(name)
    payload = codec.encode(bytes(codec.sample_rate * frame_ms // 1_000 * 2))
    assert codec.duration(payload) == codec.format.clock_rate * frame_ms // 1_000
    assert len(codec.decode(payload)) == codec.sample_rate * frame_ms // 1_000 * 2


@pytest.mark.parametrize("name", ["PCMU", "PCMA"])
@given(values=samples)
def test_g711_gives_back_nearly_every_sample(name, values):
    codec, pcm = make(name), array("h", values).tobytes()
    heard = codec.decode(codec.encode(pcm))
    for before, after in zip(values, memoryview(heard).cast("h"), strict=True):
        assert abs(before - after) <= max(64, abs(before) // 16)


@given(values=samples)
def test_l16_gives_back_every_sample_and_is_big_endian_on_the_wire(values):
    codec, pcm = make("L16/16000"), array("h", values).tobytes()
    assert codec.decode(codec.encode(pcm)) == pcm
    assert codec.encode(array("h", [0x0102]).tobytes()) == b"\x01\x02"


@pytest.mark.parametrize("name", CODECS)
@given(payload=st.binary(max_size=400))
def test_whatever_comes_is_decoded_to_sound_or_nothing(name, payload):
    codec = make(name)
    ticks = codec.duration(payload)
    heard = codec.decode(payload)
    assert len(heard) in (0, ticks * codec.sample_rate // codec.format.clock_rate * 2)


@pytest.mark.parametrize("name", CODECS)
def test_nonsense_in_between_does_not_end_a_stream(name):
    codec, other = make(name), make(name)
    rate, heard = codec.sample_rate, b""
    for number, frame in enumerate(frames_of(sine(1_000, rate, 1.0), rate)):
        if number % 10 == 5:
            for nonsense in (b"", b"\xff", b"\x03", b"\x00" * 3):
                codec.decode(nonsense)
        heard += codec.decode(other.encode(frame))
    assert tone_share(heard[rate:], 1_000, rate=rate) > 0.8


def test_two_streams_do_not_disturb_each_other():
    one, other = make("G722"), make("G722")
    tone = frames_of(sine(1_000, 16_000, 0.2), 16_000)
    alone = [make("G722")]
    expected = [alone[0].encode(frame) for frame in tone]
    mixed = []
    for frame in tone:
        other.encode(frame[::-1])
        mixed.append(one.encode(frame))
    assert mixed == expected


def test_codecs_are_found_by_encoding_whatever_the_number_and_the_case():
    found = codec_for(AudioFormat(96, "pcma"))
    assert found.format.payload_type == 96
    assert type(found) is type(make("PCMA"))
    assert codec_for(AudioFormat(0, "PCMU", 16_000)) is None
    assert codec_for(AudioFormat(96, "L16", 44_100)) is None
    assert codec_for(AudioFormat(101, "telephone-event")) is None
    assert codec_for(COMFORT_NOISE).sample_rate == 8_000
    assert codec_for(AudioFormat(96, "OPUS", 48_000, 2)).sample_rate == 16_000


def test_formats_are_listed_in_the_order_asked_for():
    assert [each.payload_type for each in formats_for(("pcma", "PCMU", "g722"))] == [8, 0, 9]
    assert [each.clock_rate for each in formats_for(("L16",))] == [16_000, 8_000]
    assert [each.clock_rate for each in formats_for(("L16/8000",))] == [8_000]
    numbers = [row.format.payload_type for row in CODECS.values()]
    numbers += [each.payload_type for each in (COMFORT_NOISE, *EVENT_FORMATS)]
    assert len(set(numbers)) == len(numbers)
    with pytest.raises(KeyError):
        formats_for(("G729",))


@pytest.fixture
def _no_pyav(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr("ringback.media.opus.importlib.import_module", missing)
    is_available.cache_clear()
    yield
    is_available.cache_clear()


@pytest.mark.usefixtures("_no_pyav")
def test_a_codec_that_does_not_load_takes_itself_out_and_says_so_once(caplog):
    caplog.set_level(logging.WARNING, codecs.log.name)
    for _ in range(3):
        assert [each.encoding for each in formats_for(("opus", "PCMU"))] == ["PCMU"]
        assert codec_for(AudioFormat(96, "opus", 48_000, 2)) is None
    assert [record.getMessage() for record in caplog.records] == [
        "the codec opus is left out: Opus needs PyAV: pip install 'ringback[media]'"
    ]
    with pytest.raises(CodecUnavailable):
        formats_for(("opus",))


# --- the foreign judge -------------------------------------------------------------------------------


def heard_by_ffmpeg(name: str, payloads: list[bytes], rate: int) -> bytes:
    av = pytest.importorskip("av")
    decoder = av.CodecContext.create(name, "r")
    decoder.sample_rate, decoder.layout = rate, "mono"
    resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
    pcm = b""
    for payload in payloads:
        for frame in decoder.decode(av.Packet(payload)):
            frame.pts = None
            for piece in resampler.resample(frame):
                pcm += bytes(piece.planes[0])[: piece.samples * 2]
    return pcm


def said_by_ffmpeg(name: str, pcm: bytes, rate: int, layout: str = "mono", **options: str) -> list[bytes]:
    av = pytest.importorskip("av")
    encoder = av.CodecContext.create(name, "w")
    encoder.sample_rate, encoder.format, encoder.layout = rate, "s16", layout
    encoder.time_base, encoder.options = Fraction(1, rate), options
    encoder.open()
    payloads = []
    for number, piece in enumerate(frames_of(pcm, rate)):
        frame = av.AudioFrame(format="s16", layout=layout, samples=rate // 50)
        frame.sample_rate, frame.pts = rate, number * rate // 50
        stereo = b"".join(piece[at : at + 2] * len(frame.layout.channels) for at in range(0, len(piece), 2))
        frame.planes[0].update(stereo)
        payloads += [bytes(packet) for packet in encoder.encode(frame)]
    return payloads


@pytest.mark.parametrize(
    ("name", "decoder", "rate"),
    [
        ("G722", "g722", 16_000),
        ("opus", "libopus", 48_000),
        ("opus", "opus", 48_000),
        ("PCMU", "pcm_mulaw", 8_000),
        ("PCMA", "pcm_alaw", 8_000),
    ],
)
def test_ffmpeg_hears_the_tone_that_we_encoded(name, decoder, rate):
    codec = make(name)
    payloads = [
        codec.encode(frame) for frame in frames_of(sine(1_000, codec.sample_rate, 1.0), codec.sample_rate)
    ]
    heard = heard_by_ffmpeg(decoder, payloads, rate)
    assert len(heard) == pytest.approx(rate * 2, rel=0.03)
    assert tone_share(heard[rate // 2 :], 1_000, rate=rate) > 0.95


@pytest.mark.parametrize(
    ("name", "encoder", "rate", "layout", "options"),
    [
        ("G722", "g722", 16_000, "mono", {}),
        ("opus", "libopus", 48_000, "mono", {"application": "voip"}),
        ("opus", "libopus", 48_000, "stereo", {"application": "audio"}),
        ("opus", "libopus", 8_000, "mono", {"application": "voip"}),
        ("opus", "libopus", 16_000, "mono", {"application": "lowdelay"}),
        ("PCMU", "pcm_mulaw", 8_000, "mono", {}),
        ("PCMA", "pcm_alaw", 8_000, "mono", {}),
    ],
)
def test_we_hear_the_tone_that_ffmpeg_encoded(name, encoder, rate, layout, options):
    codec = make(name)
    payloads = said_by_ffmpeg(encoder, sine(1_000, rate, 1.0), rate, layout, **options)
    heard = b"".join(codec.decode(payload) for payload in payloads)
    assert len(heard) == sum(codec.duration(each) for each in payloads) * codec.sample_rate * 2 // (
        codec.format.clock_rate
    )
    assert tone_share(heard[codec.sample_rate // 2 :], 1_000, rate=codec.sample_rate) > 0.95
