# SPDX-License-Identifier: Apache-2.0
"""A program listens and speaks frame by frame: rates, pace, marks, barge-in."""

import asyncio
from array import array

import pytest
from talking import stay, talking

from ringback import audio
from ringback.media.pcm import tone_share
from ringback.media.tones import Burst, Tone, steady
from ringback.testing import run
from ringback.ua.errors import CallEnded

#: Bursts that are as loud and as irregular as syllables, for the judge by loudness.
SYLLABLES = Tone((Burst((300, 700, 1_900), 180), Burst((), 60), Burst((250, 1_100, 2_300), 240)), level=0.3)


def tone_at(rate: int, frequency: float, seconds: float) -> bytes:
    """A tone of any rate."""
    import math

    step = 2 * math.pi * frequency / rate
    return array("h", (int(8_000 * math.sin(step * n)) for n in range(int(rate * seconds)))).tobytes()


@pytest.mark.parametrize(
    ("rate", "frame_ms"), [(8_000, 20), (16_000, 20), (16_000, 30), (24_000, 100), (8_000, 10)]
)
def test_frames_come_at_the_rate_and_in_the_size_that_was_asked_for(rate, frame_ms):
    async def main():
        async def sing(call):
            await call.play(steady(500))

        async with talking(sing) as call:
            frames = []
            async for frame in call.audio.read(rate=rate, frame_ms=frame_ms):
                frames.append(frame)
                if frame.at >= 1.0:
                    break
            return frames, asyncio.get_running_loop().time()

    frames, ended = run(main())
    assert {len(frame.pcm) for frame in frames} == {rate * frame_ms // 1_000 * 2}
    assert {frame.rate for frame in frames} == {rate}
    assert ended == pytest.approx(1.0, abs=0.25)
    assert tone_share(b"".join(frame.pcm for frame in frames)[rate // 2 :], 500, rate=rate) > 0.9


def test_reading_ends_with_the_call():
    async def main():
        async def leave(call):
            await asyncio.sleep(1)

        async with talking(leave) as call:
            return len([frame async for frame in call.audio.read()])

    assert run(main()) == pytest.approx(50, abs=5)


def test_written_sound_is_paced_resampled_and_heard():
    heard = []

    async def main():
        async def listen(call):
            async for frame in call.audio.read():
                heard.append(frame.pcm)

        async with talking(listen) as call:
            started = asyncio.get_running_loop().time()
            sound = tone_at(24_000, 600, 2.0)
            for start in range(0, len(sound), 4_801):  # models cut anywhere, even in the middle of a sample
                await call.audio.write(audio.Pcm(sound[start : start + 4_801], rate=24_000))
            took = asyncio.get_running_loop().time() - started
            await call.audio.mark().wait()
            return took, call.audio.played

    took, played = run(main())
    assert took == pytest.approx(1.8, abs=0.06)  # all but what may wait
    assert played == pytest.approx(2.0, abs=0.01)
    sound = b"".join(heard)
    assert tone_share(sound[4_000:30_000], 600) > 0.95


def test_marks_say_what_was_really_played_and_flush_what_was_not():
    async def main():
        async with talking(stay) as call:
            await call.audio.write(tone_at(8_000, 400, 0.1))
            first = call.audio.mark("first")
            assert not first.is_played
            assert await first.wait()
            writing = asyncio.create_task(call.audio.write(tone_at(8_000, 400, 5.0)))
            await asyncio.sleep(1.0)
            last = call.audio.mark("last")
            waiting = asyncio.create_task(last.wait())
            await asyncio.sleep(0.01)
            dropped = call.audio.flush()
            await writing  # comes back at once
            assert not await waiting
            assert (last.is_flushed, first.is_flushed, first.is_played) == (True, False, True)
            assert call.audio.dropped == dropped
            return dropped, call.audio.played, call.audio.queued, asyncio.get_running_loop().time()

    dropped, played, queued, ended = run(main())
    assert 0.0 < dropped <= 0.3
    assert played == pytest.approx(1.1, abs=0.05)
    assert queued == 0
    assert ended < 1.4


def test_a_mark_in_a_call_that_ends_is_not_played():
    async def main():
        async def leave(call):
            await asyncio.sleep(0.5)

        async with talking(leave) as call:
            call.write(tone_at(8_000, 400, 3.0))
            with pytest.raises(CallEnded):
                await call.audio.write(tone_at(8_000, 400, 3.0))

    run(main())


def test_a_caller_who_begins_to_speak_can_stop_what_is_said():
    async def main():
        async def speak_after_a_while(call):
            await asyncio.sleep(2.0)
            await call.play(SYLLABLES)
            await call.play(SYLLABLES)
            await asyncio.sleep(2.0)

        async with talking(speak_after_a_while) as call:
            saying = asyncio.create_task(call.play(steady(440)))
            starts, ends = [], []
            async for frame in call.audio.read(rate=16_000):
                if frame.speech_started:
                    starts.append(frame.at)
                    call.audio.flush()
                    await saying
                if frame.speech_ended:
                    ends.append(frame.at)
            return starts, ends

    starts, ends = run(main())
    assert starts == [pytest.approx(2.15, abs=0.15)]
    assert ends == [pytest.approx(3.5, abs=0.3)]


def test_a_rate_or_a_frame_nobody_can_use_is_an_error_of_the_program():
    async def main():
        async with talking(stay) as call:
            for options in (
                {"rate": 4_000},
                {"frame_ms": 5},
                {"frame_ms": 1_000},
                {"rate": 11_025, "frame_ms": 25},
            ):
                with pytest.raises(ValueError, match="use"):
                    call.audio.read(**options)
            with pytest.raises(ValueError, match="use"):
                audio.Pcm(b"", rate=96_000)

    run(main())
