# SPDX-License-Identifier: Apache-2.0
"""Recorded prompts need nothing; speech needs a program, and says so."""

import shutil
from importlib.resources import files

import pytest

from ringback.media.errors import SpeechUnavailable, UnreadableAudio
from ringback.media.files import read_pcm
from ringback.media.frames import Pcm
from ringback.media.pcm import FRAME_BYTES, audioop, duration_of
from ringback.media.prompts import PROMPTS, prompt, say, say_digits, say_time
from ringback.media.speech import EspeakVoice, speak

FOLDER = files("ringback.media").joinpath("prompts")


@pytest.mark.parametrize("name", PROMPTS)
def test_every_prompt_is_there_and_can_be_heard(name):
    pcm = prompt(name)
    assert len(pcm) % FRAME_BYTES == 0
    assert 0.2 < duration_of(pcm) < 6.0
    assert 1_000 < audioop.rms(pcm, 2) < 8_000
    assert not any(value == -32_768 for value in memoryview(pcm).cast("h"))


def test_the_folder_holds_the_prompts_and_nothing_else_and_is_small():
    found = list(FOLDER.iterdir())
    assert sorted(each.name for each in found) == sorted(f"{name}.wav" for name in PROMPTS)
    assert sum(len(each.read_bytes()) for each in found) < 400_000


def test_an_unknown_prompt_is_refused():
    with pytest.raises(UnreadableAudio):
        prompt("../../../etc/passwd")


def test_numbers_are_said_key_by_key():
    assert say_digits("*65") == say("star", "6", "5")
    assert say_digits("+1-0#") == say("plus", "1", "0", "hash")
    assert say_digits("anna") == b""


@pytest.mark.parametrize(
    ("time", "names"),
    [
        ((0, 0, 0), ("0", "hours", "0", "minutes", "and", "0", "seconds")),
        ((14, 5, 10), ("14", "hours", "5", "minutes", "and", "10", "seconds")),
        ((23, 59, 40), ("20", "3", "hours", "50", "9", "minutes", "and", "40", "seconds")),
    ],
)
def test_times_are_put_together(time, names):
    assert say_time(*time) == say(*names)


def test_every_time_of_a_day_can_be_said():
    assert all(say_time(hour, minute, 30) for hour in range(24) for minute in range(60))
    with pytest.raises(ValueError):
        say_time(60, 0, 0)


async def test_a_missing_program_is_named_with_its_package():
    with pytest.raises(SpeechUnavailable, match="apt install espeak-ng"):
        await EspeakVoice("no-such-program").speak("hello")


async def test_a_program_that_fails_or_writes_no_sound_is_an_error():
    with pytest.raises(SpeechUnavailable, match="failed"):
        await EspeakVoice("false").speak("hello")
    with pytest.raises(SpeechUnavailable, match="wrote no sound"):
        await EspeakVoice("echo").speak("hello")


async def test_what_is_no_language_or_too_long_is_refused():
    for language in ("", "-w/tmp/x", "en; rm", "\u0435n"):
        with pytest.raises(ValueError):
            await speak("hello", language=language)
    with pytest.raises(ValueError):
        await speak("x" * 5_001)


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
async def test_text_is_spoken_and_never_taken_for_options():
    sound = await speak("hello world, this is a test")
    assert sound.rate == 16_000
    assert 0.8 < sound.duration < 4.0
    assert audioop.rms(sound.pcm, 2) > 500
    assert (await speak("--help -w /nowhere")).duration > 0.3


async def test_a_voice_of_ones_own_can_be_given():
    class Parrot:
        async def speak(self, text: str, *, language: str = "en") -> bytes:
            return f"{language}:{text}".encode()

    assert await speak("hi", language="fr", voice=Parrot()) == Pcm(b"fr:hi", 8_000)


def test_prompts_are_ordinary_wav_files(tmp_path):
    path = tmp_path / "five.wav"
    path.write_bytes(FOLDER.joinpath("5.wav").read_bytes())
    assert read_pcm(path) == prompt("5")
