# SPDX-License-Identifier: Apache-2.0
"""Keys as tones: all that ITU-T Q.24 says must be heard, and nothing that is no key, a voice above all."""

import asyncio
import math
import shutil
from array import array

import pytest
from sounds import added, frames_of, noisy, sine

from ringback.media.codecs import CODECS, codec_for
from ringback.media.dtmf_detector import DtmfDetector
from ringback.media.prompts import PROMPTS, prompt
from ringback.media.resampling import resampled
from ringback.media.speech import speak
from ringback.media.tones import KEY_FREQUENCIES, TONES

KEYS = "".join(KEY_FREQUENCIES)
LONG_TEXT = (
    "She sells sea shells by the sea shore, and the shells she sells are sea shells for sure. "
    "Oh, you are too kind; no one knew who you were. Seven, nine, eleven, twelve: we owe you a loan. "
    "Many moons ago a wily wizard moaned in a loony room. Eeny, meeny, miny, moe. "
)


def press(
    keys: str, *, on_ms: float = 60, off_ms: float = 60, twist_db: float = 0.0, loudness: float = 4_000.0,
    off_frequency: float = 0.0, rate: int = 8_000,
) -> bytes:  # fmt: skip
    pcm = bytes(rate // 50 * 2)
    for key in keys:
        low, high = (each * (1.0 + off_frequency) for each in KEY_FREQUENCIES[key])
        stronger = loudness * 10 ** (twist_db / 20)
        pcm += added(
            sine(low, rate, on_ms / 1_000, loudness=loudness),
            sine(high, rate, on_ms / 1_000, loudness=stronger),
        )
        pcm += bytes(round(rate * off_ms / 1_000) * 2)
    return pcm + bytes(rate // 20 * 2)


def heard(pcm: bytes, rate: int = 8_000, piece_ms: int = 20) -> str:
    detector = DtmfDetector(rate)
    return "".join(detector.feed(frame) for frame in frames_of(pcm, rate, piece_ms))


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
def test_every_key_is_heard_once_at_every_rate(rate):
    assert heard(press(KEYS, rate=rate), rate) == KEYS


@pytest.mark.parametrize("piece_ms", [10, 20, 30, 60])
def test_the_length_of_the_pieces_does_not_matter(piece_ms):
    assert heard(press("159D", off_ms=90), piece_ms=piece_ms) == "159D"


@pytest.mark.parametrize("start", range(0, 64, 7))
def test_keys_of_40_ms_with_pauses_of_40_ms_are_heard_and_23_ms_are_not(start):
    lead = bytes(start * 2)
    assert heard(lead + press(KEYS, on_ms=40, off_ms=40)) == KEYS
    assert heard(lead + press(KEYS, on_ms=23, off_ms=60)) == ""


def test_the_same_key_twice_is_two_keys_and_a_gap_of_10_ms_is_none():
    assert heard(press("55", off_ms=45)) == "55"
    broken = press("5", on_ms=60, off_ms=0)[: -2 * 400] + bytes(160) + press("5", on_ms=60)[320:]
    assert heard(broken) == "5"


def test_a_key_held_for_long_is_one_key():
    assert heard(press("8", on_ms=3_000)) == "8"


@pytest.mark.parametrize("twist_db", [-8, -4, 4, 8])
def test_tones_of_unequal_loudness_are_heard(twist_db):
    assert heard(press(KEYS, twist_db=twist_db, loudness=3_000)) == KEYS


@pytest.mark.parametrize("twist_db", [-14, 14])
def test_tones_of_very_unequal_loudness_are_not(twist_db):
    assert heard(press(KEYS, twist_db=twist_db, loudness=3_000)) == ""


@pytest.mark.parametrize("off", [-0.015, 0.015])
def test_frequencies_may_be_off_by_1_5_percent(off):
    assert heard(press(KEYS, off_frequency=off)) == KEYS


@pytest.mark.parametrize("off", [-0.05, 0.05])
def test_frequencies_that_are_off_by_5_percent_are_other_tones(off):
    assert heard(press("1470", off_frequency=off)) == ""


@pytest.mark.parametrize("seed", range(4))
def test_keys_are_heard_in_noise_15_db_below_them(seed):
    loudness = 4_000.0
    noise = loudness * 10 ** (-15 / 20)
    assert heard(noisy(press(KEYS, loudness=loudness), noise, seed)) == KEYS


@pytest.mark.parametrize("loudness", [60, 300, 12_000])
def test_soft_and_loud_keys_are_heard(loudness):
    assert heard(press(KEYS, loudness=loudness)) == KEYS


def test_clipped_keys_are_heard():
    assert heard(press(KEYS, loudness=24_000)) == KEYS


@pytest.mark.parametrize("name", ["PCMU", "PCMA", "G722"])
def test_keys_are_heard_through_a_codec(name):
    codec = codec_for(CODECS[name].format)
    rate = codec.sample_rate
    frames = frames_of(press(KEYS, rate=rate), rate)
    assert heard(b"".join(codec.decode(codec.encode(frame)) for frame in frames), rate) == KEYS


def test_silence_noise_and_single_tones_are_no_keys():
    assert heard(bytes(80_000)) == ""
    assert heard(noisy(bytes(160_000), 6_000.0)) == ""
    for frequency in (697, 941, 1_209, 1_477, 440):
        assert heard(sine(frequency, 8_000, 0.5)) == ""
    for name, tone in TONES.items():
        assert heard(b"".join(tone.frames(2_000))) == "", name
    sweep = b"".join(sine(300 + 10 * n, 8_000, 0.02) for n in range(300))
    assert heard(sweep) == ""


def test_recorded_voices_are_no_keys():
    assert heard(b"".join(prompt(name) for name in PROMPTS)) == ""


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
@pytest.mark.parametrize("language", ["en", "de", "fr", "it"])
def test_spoken_text_is_no_key_at_any_pitch(language):
    spoken = asyncio.run(speak(LONG_TEXT * 2, language=language))
    for pitch in (3, 4, 5, 6):  # the same voice, lower and higher
        assert heard(resampled(spoken.pcm, spoken.rate * pitch // 4, 8_000)) == ""


def test_a_key_is_heard_while_somebody_speaks_softly():
    voice = prompt("not-in-service")
    keys = press("159#", on_ms=100, off_ms=100, loudness=6_000)
    voice = (voice * math.ceil(len(keys) / len(voice)))[: len(keys)]
    soft = array("h", (value // 16 for value in memoryview(voice).cast("h"))).tobytes()
    assert heard(added(keys, soft)) == "159#"
