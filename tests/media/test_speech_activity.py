# SPDX-License-Identifier: Apache-2.0
"""When does somebody begin to speak, and when do they stop?"""

import importlib.util
import random
from array import array

import pytest

from ringback.media import speech_activity
from ringback.media.pcm import FRAME_BYTES, scale
from ringback.media.prompts import prompt
from ringback.media.speech_activity import BEGINS_AFTER, ENDS_AFTER, Loudness, SpeechActivity, judge_for

WORDS = prompt("not-in-service")


def frames(pcm: bytes) -> list[bytes]:
    return [pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES)]


def noise(level: int, count: int, seed: int = 1) -> list[bytes]:
    chance = random.Random(seed)
    return [array("h", (chance.randint(-level, level) for _ in range(160))).tobytes() for _ in range(count)]


def followed(activity: SpeechActivity, sound: list[bytes]) -> tuple[list[int], list[int]]:
    """The frames in which speech began, and in which it ended."""
    starts, ends = [], []
    for number, frame in enumerate(sound):
        activity.hear(frame)
        starts += [number] if activity.started else []
        ends += [number] if activity.ended else []
    return starts, ends


NO_WEBRTCVAD = importlib.util.find_spec("webrtcvad") is None
JUDGES = [
    pytest.param(lambda: Loudness().is_speech, id="loudness"),
    pytest.param(
        lambda: judge_for(8_000), id="webrtcvad", marks=pytest.mark.skipif(NO_WEBRTCVAD, reason="extra media")
    ),
]


@pytest.mark.parametrize("make", JUDGES)
def test_a_sentence_begins_once_and_ends_once(make):
    sound = noise(30, 50) + frames(WORDS) + noise(30, 50)
    spoken = len(frames(WORDS))
    starts, ends = followed(SpeechActivity(judge=make()), sound)
    assert len(starts) == len(ends)
    assert starts[0] == pytest.approx(50 + BEGINS_AFTER, abs=5)
    assert ends[-1] == pytest.approx(50 + spoken + ENDS_AFTER, abs=12)
    assert len(starts) <= 2  # it is two sentences


@pytest.mark.parametrize("make", JUDGES)
def test_a_click_and_a_noisy_line_are_no_speech(make):
    activity = SpeechActivity(judge=make())
    click = [b"\xff\x3f" * 160]
    assert followed(activity, noise(100, 100) + click + noise(100, 100)) == ([], [])
    assert not activity.is_speech


def test_a_louder_background_is_learned():
    activity = SpeechActivity(judge=Loudness().is_speech)
    quiet = followed(activity, noise(150, 300))
    assert quiet == ([], [])
    starts, _ = followed(activity, frames(scale(WORDS, 0.7)))
    assert starts


def test_without_webrtcvad_loudness_decides(monkeypatch):
    monkeypatch.setattr(speech_activity, "_webrtcvad", lambda: None)
    assert judge_for(8_000).__self__.__class__ is Loudness
    monkeypatch.undo()
    assert judge_for(24_000).__self__.__class__ is Loudness  # a rate that it does not know


def test_an_empty_frame_is_silence():
    assert not Loudness().is_speech(b"")
    assert not judge_for(8_000)(b"")
