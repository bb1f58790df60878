# SPDX-License-Identifier: Apache-2.0
"""Sound at another rate is the same sound: no click, no image, no alias, no drift."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sounds import frames_of, loudness_of, signal_to_noise, sine

from ringback.media.resampling import Resampler, resampled

RATES = (8_000, 16_000, 24_000, 32_000, 48_000)
PAIRS = [(old, new) for old in RATES for new in RATES if old != new]


ODD = [(44_100, 8_000), (22_050, 16_000), (16_000, 44_100)]


@pytest.mark.parametrize(
    ("old", "new", "share"),
    [(*pair, share) for pair in PAIRS for share in (0.05, 0.2, 0.4)]
    + [(*pair, share) for pair in ODD for share in (0.05, 0.2)],
)
def test_a_tone_keeps_its_loudness_and_purity(old, new, share):
    frequency = share * min(old, new)
    resampler = Resampler(old, new)
    heard = b"".join(resampler.process(frame) for frame in frames_of(sine(frequency, old, 0.5), old))
    middle = heard[new // 10 * 2 : new // 10 * 8]
    assert loudness_of(middle) == pytest.approx(8_000 / 2**0.5, rel=0.03)
    assert signal_to_noise(middle, frequency, new) > 38


@pytest.mark.parametrize(("old", "new"), [pair for pair in PAIRS if pair[0] > pair[1]])
def test_what_the_lower_rate_cannot_carry_is_filtered_out(old, new):
    heard = Resampler(old, new).process(sine(0.6 * new, old, 0.5))
    assert loudness_of(heard[new // 5 :]) < 8_000 / 100


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_every_20_ms_become_20_ms(old, new):
    resampler = Resampler(old, new)
    assert {len(resampler.process(bytes(old // 50 * 2))) for _ in range(10)} == {new // 50 * 2}


@given(st.lists(st.integers(0, 400), min_size=1, max_size=12), st.sampled_from([*PAIRS, (44_100, 8_000)]))
def test_it_does_not_matter_how_the_sound_is_cut(lengths, pair):
    whole = sine(440, pair[0], sum(lengths) / pair[0])
    resampler, heard, start = Resampler(*pair), b"", 0
    for length in lengths:
        heard += resampler.process(whole[start * 2 : (start + length) * 2])
        start += length
    expected = Resampler(*pair).process(whole)
    assert heard == expected[: len(heard)]
    assert len(expected) - len(heard) <= 2


@pytest.mark.parametrize(
    ("old", "new"), [(8_000, 16_000), (16_000, 8_000), (48_000, 16_000), (48_000, 8_000)]
)
def test_a_whole_sound_is_neither_late_nor_shorter(old, new):
    heard = memoryview(resampled(sine(500, old, 0.1), old, new)).cast("h")
    expected = memoryview(sine(500, new, 0.1)).cast("h")
    assert len(heard) == len(expected)
    assert max(abs(a - b) for a, b in list(zip(heard, expected, strict=True))[50:-50]) < 200


def test_loud_sound_is_clipped_and_does_not_wrap_around():
    square = (b"\xff\x7f" * 8 + b"\x00\x80" * 8) * 100
    heard = memoryview(resampled(square, 8_000, 16_000)).cast("h")
    for number, value in enumerate(heard[64:-64], 64):
        if number % 32 in (8, 24):
            assert abs(value) > 25_000
            assert (value > 0) == (number % 32 == 8)


def test_silence_stays_silent_and_the_same_rate_changes_nothing():
    for old, new in PAIRS:
        assert not any(resampled(bytes(old // 5), old, new))
    tone = sine(440, 8_000, 0.1)
    assert resampled(tone, 8_000, 8_000) == tone
    assert Resampler(8_000, 8_000).process(tone) == tone
    with pytest.raises(ValueError):
        Resampler(0, 8_000)
