# SPDX-License-Identifier: Apache-2.0
"""Sound of any rate goes out at the codec's and comes in at the listener's."""

import asyncio

import pytest
from sounds import frames_of, sine

from ringback.media.input import MOST_WAITING, Input
from ringback.media.live_sound import LONGEST_WAIT, LiveSound
from ringback.media.output import LONGEST_QUEUE, Output
from ringback.media.pcm import tone_share
from ringback.sip.errors import InvalidState


def all_of(output: Output, frames: int) -> bytes:
    size = output.rate // 50 * 2
    return b"".join(taken + bytes(size - len(taken)) for taken in (output.take(size) for _ in range(frames)))


@pytest.mark.parametrize("rate", [8_000, 16_000])
@pytest.mark.parametrize("source", [8_000, 16_000, 24_000, 44_100, 48_000])
async def test_written_and_played_sound_of_any_rate_is_sent_at_the_rate_of_the_codec(rate, source):
    output = Output()
    output.rate = rate
    output.write(sine(1_000, source, 1.0), source)
    playing = output.play(iter(frames_of(sine(440, source, 1.0), source)), source)
    assert not output.is_idle
    heard = all_of(output, 101)
    assert playing.finished.done()
    assert output.is_idle
    assert output.queued == 0
    assert tone_share(heard[: rate * 19 // 10], 440, rate=rate) > 0.95
    assert tone_share(heard[rate * 21 // 10 : rate * 4], 1_000, rate=rate) > 0.95
    assert not any(output.take(rate // 50 * 2))


async def test_the_end_of_a_sound_is_not_swallowed_by_the_filter():
    output = Output()
    output.write(b"\x00\x20" * 480, 24_000)
    heard = all_of(output, 2)
    assert memoryview(heard).cast("h")[150] > 6_000
    assert sum(memoryview(heard).cast("h")) == pytest.approx(0x2000 * 160, rel=0.02)


async def test_pieces_of_odd_lengths_and_mixed_rates_come_out_whole():
    output, seconds = Output(), 0.0
    for length, rate in ((100, 8_000), (777, 24_000), (1, 16_000), (3_000, 48_000), (250, 8_000)):
        output.write(b"\x00\x10" * length, rate)
        seconds += length / rate
    assert output.queued == pytest.approx(seconds)
    heard = memoryview(all_of(output, 12)).cast("h")
    assert sum(heard) == pytest.approx(0x1000 * 8_000 * seconds, rel=0.05)


async def test_a_minute_may_wait_at_every_rate_and_no_more():
    for rate in (8_000, 48_000):
        output = Output()
        for _ in range(LONGEST_QUEUE):
            output.write(bytes(2 * rate), rate)
        with pytest.raises(InvalidState):
            output.write(b"\0\0", rate)
        output.clear()
        assert output.queued == 0
        output.write(bytes(2 * rate), rate)


async def test_what_is_sent_can_be_heard_with_its_silence():
    output, said = Output(), []
    output.hearers.append(lambda pcm, rate: said.append((len(pcm), rate)))
    output.write(bytes(400))
    all_of(output, 3)
    assert said == [(320, 8_000)] * 3


async def test_forwarded_sound_never_waits_for_more_than_60_ms():
    output = Output()
    for frame in frames_of(sine(700, 16_000, 1.0), 16_000):
        output.forward(frame, 16_000)
    heard = all_of(output, 10)
    assert len([frame for frame in frames_of(heard, 8_000) if any(frame)]) == 3
    assert not output.is_idle or not output.take(320)


def test_two_clocks_that_tick_at_different_moments_lose_nothing():
    live, heard = LiveSound(8_000), b""
    frames = frames_of(sine(700, 8_000, 4.0), 8_000)
    live.put(frames[0], 8_000)
    for frame in frames[1:]:
        live.put(frame, 8_000)
        heard += live.take(320)
    assert live.left_out == 0
    assert tone_share(heard, 700) > 0.99


def test_what_piled_up_after_a_stall_is_left_out_again():
    live = LiveSound(8_000)
    for _ in range(10):
        live.put(bytes(320), 8_000)
    assert live.queued == pytest.approx(LONGEST_WAIT)
    for _ in range(150):
        live.put(bytes(320), 8_000)
        assert len(live.take(320)) == 320
    assert live.queued <= 0.021


def test_a_packet_of_60_ms_finds_its_sound_whole():
    live = LiveSound(8_000)
    taken = []
    for number in range(60):
        live.put(b"\1\0" * 160, 8_000)
        if number % 3 == 2:
            taken.append(live.take(960))
    assert {len(each) for each in taken} == {960}
    assert live.left_out == 0


async def test_everybody_listens_at_the_rate_they_like():
    source, kept = Input(), {8_000: b"", 16_000: b"", 24_000: b""}

    def keep(rate):
        def hear(frame):
            kept[rate] += frame

        return hear

    for rate in kept:
        source.add(keep(rate), rate)
    frames = source.frames(48_000)
    for frame in frames_of(sine(1_000, 16_000, 0.5), 16_000):
        source.hear(frame, 16_000)
    for frame in frames_of(sine(1_000, 8_000, 0.5), 8_000):
        source.hear(frame, 8_000)
    for rate, pcm in kept.items():
        assert len(pcm) == rate * 2
        assert tone_share(pcm, 1_000, rate=rate) > 0.95
    assert len(await anext(frames)) == 1_920
    source.close()
    assert len([frame async for frame in frames]) == 49


async def test_a_listener_that_left_hears_nothing_and_costs_nothing():
    source, kept = Input(), []
    source.add(kept.append, 16_000)
    source.hear(bytes(320))
    source.remove(kept.append)
    source.remove(kept.append)
    source.hear(bytes(320))
    assert len(kept) == 1
    assert not source._branches


async def test_who_does_not_keep_up_loses_the_oldest():
    source = Input()
    frames = source.frames()
    for number in range(MOST_WAITING + 5):
        source.hear(number.to_bytes(2, "little") * 160)
    assert frames.dropped == 5
    assert (await anext(frames))[:1] == b"\5"
    waiting = asyncio.ensure_future(_drain(frames))
    await asyncio.sleep(0)
    await frames.aclose()
    await waiting


async def _drain(frames):
    return [frame async for frame in frames]
