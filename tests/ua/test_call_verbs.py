# SPDX-License-Identifier: Apache-2.0
"""Ask, say, play and record; keys in all their ways; tasks and bridges."""

import asyncio
import wave
from array import array

import pytest
from phones import ALICE, BOB, CAROL, phone, uri_of
from talking import stay, talking

from ringback import audio
from ringback.media.pcm import tone_share
from ringback.media.tones import key_tone, steady
from ringback.sip.errors import InvalidState
from ringback.testing import Network, run
from ringback.ua.errors import Busy, CallEnded, NotAcceptable


class Hum:
    """A voice that hums for a second, at its own rate."""

    def __init__(self):
        self.said = []

    async def speak(self, text, *, language="en"):
        self.said.append((text, language))
        return audio.Pcm(b"".join(steady(300, 1_000)), rate=8_000)


async def answers(call, *prompts, **options):
    """What is returned for one prompt after the other."""
    return [await call.ask(prompt, **options) for prompt in prompts]


# --- asking ------------------------------------------------------------------------------------------


def test_a_question_is_said_by_the_phones_voice_and_answered_by_keys():
    hum, got = Hum(), []

    async def main():
        async def menu(call):
            got.append(await call.ask("Sales, press 1.", digits=1, timeout=5))
            got.append(await call.ask("Your number, please.", digits=6, timeout=2, language="de"))
            got.append(await call.ask("Once more.", timeout=1))
            got.append(asyncio.get_running_loop().time())

        async with talking(menu, bobs={"voice": hum}) as call:
            await asyncio.sleep(3)
            await call.send_dtmf("1")
            await asyncio.sleep(2)
            await call.send_dtmf("42#")
            await call.wait_ended()

    run(main())
    assert got[:3] == ["1", "42", ""]
    assert hum.said == [("Sales, press 1.", "en"), ("Your number, please.", "de"), ("Once more.", "en")]
    assert got[3] == pytest.approx(5.6 + 2.0, abs=0.3)  # the last key, then the prompt and its time-out


@pytest.mark.parametrize(("barge_in", "answered_at"), [(True, 0.7), (False, 3.0)])
def test_the_first_key_stops_the_prompt_unless_it_must_be_heard(barge_in, answered_at):
    got = []

    async def main():
        async def menu(call):
            got.append(await call.ask(steady(440, 3_000), barge_in=barge_in))
            got.append(asyncio.get_running_loop().time())
            await asyncio.sleep(1)

        async with talking(menu) as call:
            await asyncio.sleep(0.5)
            await call.send_dtmf("7")
            await call.wait_ended()

    run(main())
    assert got == ["7", pytest.approx(answered_at, abs=0.2)]


def test_the_end_of_one_answer_is_not_the_next_one():
    got = []

    async def main():
        async def menu(call):
            await asyncio.sleep(3)
            got.extend(await answers(call, steady(440, 100), steady(440, 100), digits=4, timeout=1))

        async with talking(menu) as call:
            await call.send_dtmf("1234#56")
            await call.wait_ended()

    run(main())
    assert got == ["1234", "56"]


def test_keys_come_as_events_by_info_and_as_tones():
    got = []

    async def main():
        async def listen(call):
            got.append(await call.digits(4, timeout=3))

        # A peer whose description names no telephone events presses its keys as tones.
        async with talking(listen) as call:
            await call.send_dtmf("12")
            await call.send_info("Signal=5\r\nDuration=160\r\n", content_type="application/dtmf-relay")
            await call.send_info("10", content_type="application/dtmf")
            await call.wait_ended()

    run(main())
    assert got == ["125*"]


def test_keys_of_a_peer_without_telephone_events_are_heard_in_its_sound(monkeypatch):
    got = []

    async def main():
        async def listen(call):
            got.append(call._audio.negotiated.telephone_event)
            got.append(await call.digits(4, timeout=3))
            await asyncio.sleep(1)

        network = Network(seed=3)
        alice, bob = phone(network, "alice", ALICE), phone(network, "bob", BOB)

        @bob.on_call
        async def answer(call):
            await call.answer()
            await listen(call)

        async with bob, alice:
            knowing = alice.agent.audio.open

            async def knowing_no_events(remote_host):
                session = await knowing(remote_host)
                offering = session.make_offer
                session.make_offer = lambda *direction: without_events(offering(*direction))
                return session

            alice.agent.audio.open = knowing_no_events
            async with alice.dial(uri_of("bob", BOB)) as call:
                for key in "19#D":
                    await call.play(key_tone(key))
                await call.wait_ended()

    run(main())
    assert got == [None, "19"]


def without_events(description):
    """A description as of a phone that has no telephone events."""
    lines = [
        line for line in description.split(b"\r\n") if b"telephone-event" not in line and b":101 " not in line
    ]
    return b"\r\n".join(line.replace(b" 101", b"") if line.startswith(b"m=") else line for line in lines)


# --- playing and recording ---------------------------------------------------------------------------


async def pieces():
    for _ in range(10):
        yield audio.Pcm(b"".join(steady(500, 100)), rate=8_000)


@pytest.mark.parametrize(
    "make", [lambda: steady(500, 1_000), pieces, lambda: audio.Pcm(b"".join(steady(500, 1_000)))]
)
def test_tones_pcm_and_generators_are_played(make, tmp_path):
    async def main():
        async def listen(call):
            call.record(tmp_path / "heard.wav")
            await call.wait_ended()

        async with talking(listen) as call:
            await call.play(make())
            return asyncio.get_running_loop().time()

    assert run(main()) == pytest.approx(1.0, abs=0.3)
    with wave.open(str(tmp_path / "heard.wav")) as file:
        assert tone_share(file.readframes(file.getnframes())[:12_000], 500) > 0.9


def test_a_stereo_recording_has_them_on_the_left_and_us_on_the_right(tmp_path):
    async def main():
        async def sing(call):
            await call.play(steady(440, 2_000))
            await asyncio.sleep(5)

        async with talking(sing) as call:
            with call.record(tmp_path / "both.wav", stereo=True) as recording:
                await asyncio.sleep(1)
                await call.play(steady(900, 2_000))
            return recording.duration

    assert run(main()) == pytest.approx(3.0, abs=0.1)
    with wave.open(str(tmp_path / "both.wav")) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, 8_000)
        samples = array("h", file.readframes(file.getnframes()))
    left, right = samples[0::2].tobytes(), samples[1::2].tobytes()
    assert tone_share(left[3_200:28_000], 440) > 0.95
    assert tone_share(right[17_600:44_800], 900) > 0.95
    assert max(abs(value) for value in array("h", right[:14_000])) < 20
    assert max(abs(value) for value in array("h", left[36_000:44_000])) < 20


def test_a_stereo_recording_ends_with_its_call(tmp_path):
    async def main():
        async def leave(call):
            await asyncio.sleep(2)

        async with talking(leave) as call:
            recording = call.record(tmp_path / "both.wav", stereo=True)
            await call.wait_ended()
            await asyncio.sleep(0.1)
            return recording.is_running

    assert run(main()) is False
    with wave.open(str(tmp_path / "both.wav")) as file:
        assert file.getnframes() == pytest.approx(16_000, abs=800)


def test_a_full_disk_ends_a_stereo_recording_and_keeps_the_call(caplog):
    async def main():
        async with talking(stay) as call:
            recording = call.record("/dev/full", stereo=True)
            await asyncio.sleep(3)
            assert not call.is_over
            return recording.is_running, recording.failure

    is_running, failure = run(main())
    assert not is_running
    assert "No space left" in str(failure)
    assert "a recording ended early" in caplog.text


# --- before the answer -------------------------------------------------------------------------------


def test_a_caller_hears_early_media_and_then_the_refusal(tmp_path):
    async def main():
        network = Network(seed=4)
        alice, bob = phone(network, "alice", ALICE), phone(network, "bob", BOB)

        @bob.on_call
        async def busy(call):
            with pytest.raises(InvalidState):
                await call.play(steady(480, 100))
            await call.preview()
            await call.play(steady(480, 1_000))
            await call.reject(486)

        def record(response):
            if response.status == 183:
                alice.calls[0]._audio.record(tmp_path / "early.wav")

        async with bob, alice:
            with pytest.raises(Busy):
                await alice.dial(uri_of("bob", BOB), on_progress=record)

    run(main())
    with wave.open(str(tmp_path / "early.wav")) as file:
        assert tone_share(file.readframes(file.getnframes())[1_600:14_000], 480) > 0.9


def test_early_media_go_on_when_the_call_is_answered():
    async def main():
        network = Network(seed=5)
        alice, bob = phone(network, "alice", ALICE), phone(network, "bob", BOB)

        @bob.on_call
        async def answer_late(call):
            await call.preview()
            await call.play(steady(480, 1_000))
            await call.answer()
            await call.play(steady(480, 1_000))

        async with bob, alice, alice.dial(uri_of("bob", BOB)) as call:
            frames = [frame.pcm async for frame in call.audio.read()]
            return tone_share(b"".join(frames)[1_600:14_000], 480), call.duration

    share, duration = run(main())
    assert share > 0.9
    assert duration == pytest.approx(1.0, abs=0.1)


def test_an_offer_nobody_can_preview_is_the_handlers_to_refuse():
    async def main():
        network = Network(seed=6)
        alice = phone(network, "alice", ALICE, codecs=("PCMU",))
        bob = phone(network, "bob", BOB, codecs=("PCMA",))
        seen = []

        @bob.on_call
        async def preview(call):
            try:
                await call.preview()
            except NotAcceptable as why:
                seen.append(why.status)
                await call.reject(480)

        async with bob, alice:
            with pytest.raises(Exception, match="480"):
                await alice.dial(uri_of("bob", BOB))
        return seen

    assert run(main()) == [488]


# --- several things at once --------------------------------------------------------------------------


def test_tasks_of_a_call_end_together():
    async def main():
        done = []
        async with talking(stay) as call:
            async with call.tasks() as t:

                @t.start
                async def first():
                    await asyncio.sleep(1)
                    done.append("first")
                    return 7

                @t.start
                async def second():
                    await asyncio.sleep(2)
                    done.append("second")

            assert first.result() == 7
            return done, asyncio.get_running_loop().time()

    done, ended = run(main())
    assert done == ["first", "second"]
    assert ended == pytest.approx(2.0, abs=0.1)


def test_tasks_are_cancelled_when_the_call_ends():
    async def main():
        cleaned = []

        async def leave(call):
            await asyncio.sleep(1)

        async with talking(leave) as call:
            with pytest.raises(CallEnded):  # noqa: PT012
                async with call.tasks() as t:

                    @t.start
                    async def forever():
                        try:
                            await asyncio.sleep(1_000)
                        finally:
                            cleaned.append(asyncio.get_running_loop().time())

            return cleaned

    assert run(main()) == [pytest.approx(1.0, abs=0.1)]


def test_a_task_that_fails_cancels_the_others_and_is_told():
    async def main():
        async with talking(stay) as call:
            with pytest.raises(ZeroDivisionError):  # noqa: PT012
                async with call.tasks() as t:

                    @t.start
                    async def fail():
                        await asyncio.sleep(1)
                        return 1 // 0

                    await asyncio.sleep(1_000)
            assert not call.is_over
            return asyncio.get_running_loop().time()

    assert run(main()) == pytest.approx(1.0, abs=0.1)


def test_a_block_without_tasks_ends_at_once():
    async def main():
        async with talking(stay) as call:
            async with call.tasks():
                pass
            return asyncio.get_running_loop().time()

    assert run(main()) < 0.5


# --- bridges -----------------------------------------------------------------------------------------


def test_two_calls_of_one_program_hear_each_other(tmp_path):
    async def main():
        network = Network(seed=7)
        alice, carol = phone(network, "alice", ALICE), phone(network, "carol", CAROL)
        bob = phone(network, "bob", BOB)
        ends = []

        @carol.on_call
        async def sing(call):
            await call.answer()
            call.record(tmp_path / "carol.wav")
            await call.play(steady(440, 3_000))

        @bob.on_call
        async def connect(call):
            await call.answer()
            async with bob.dial(uri_of("carol", CAROL)) as other:
                await call.bridge(other)
                ends.append((call.is_over, other.is_over))

        async with alice, bob, carol, alice.dial(uri_of("bob", BOB)) as call:
            call.record(tmp_path / "alice.wav")
            await call.play(steady(900, 2_500))
            await call.wait_ended()
        return ends, call.duration

    ends, duration = run(main())
    assert ends == [(False, True)]
    assert duration == pytest.approx(3.0, abs=0.3)
    for name, frequency in (("alice", 440), ("carol", 900)):
        with wave.open(str(tmp_path / f"{name}.wav")) as file:
            assert tone_share(file.readframes(file.getnframes())[4_800:36_000], frequency) > 0.9
