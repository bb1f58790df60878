# SPDX-License-Identifier: Apache-2.0
"""Tones and their measurement."""

from itertools import islice

import pytest

from ringback.media.pcm import FRAME_BYTES, SILENCE, duration_of, mix, scale, tone_share
from ringback.media.tones import KEY_FREQUENCIES, TONES, Burst, Tone, beep, key_tone, steady


@pytest.mark.parametrize("name", TONES)
def test_every_tone_is_made_of_whole_frames_and_sounds_as_its_row_says(name):
    tone = TONES[name]
    frames = list(islice(tone, 300))
    assert all(len(frame) == FRAME_BYTES for frame in frames)
    first = tone.bursts[0]
    pcm = b"".join(frames)[: first.duration_ms * 16]
    share = sum(tone_share(pcm, frequency) for frequency in first.frequencies)
    assert share > 0.9
    assert tone_share(pcm, 2_345) < 0.05


def test_a_cadence_has_its_pauses():
    busy = b"".join(islice(TONES["busy"], 50))
    assert any(busy[:16_00])
    assert not any(busy[8_000:16_000])


def test_a_tone_of_some_milliseconds_ends_and_one_without_does_not():
    assert duration_of(b"".join(beep())) == pytest.approx(0.2)
    assert len(list(steady(440, 1_000))) == 50
    assert len(list(islice(steady(440), 1_000))) == 1_000
    assert len(list(steady(440).frames(500))) == 25


def test_the_last_frame_is_filled_up():
    frames = list(Tone((Burst((1_000,), 30),)))
    assert [len(frame) for frame in frames] == [FRAME_BYTES] * 2
    assert not any(frames[1][160:])


@pytest.mark.parametrize("key", KEY_FREQUENCIES)
def test_a_key_sounds_with_its_two_frequencies(key):
    pcm = b"".join(key_tone(key))[:1_600]
    row, column = KEY_FREQUENCIES[key]
    assert tone_share(pcm, row) == pytest.approx(0.5, abs=0.1)
    assert tone_share(pcm, column) == pytest.approx(0.5, abs=0.1)


def test_silence_and_nothing_have_no_tone():
    assert tone_share(SILENCE * 10, 1_000) == 0.0
    assert tone_share(b"", 1_000) == 0.0


def test_sounds_are_scaled_and_mixed_without_wrapping_around():
    loud = b"\xff\x7f" * 160
    assert mix(loud, loud) == loud
    assert scale(loud, 2.0) == loud
    assert scale(loud, 0.0) == SILENCE
