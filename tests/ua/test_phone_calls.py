# SPDX-License-Identifier: Apache-2.0
"""Two phones call each other, over a network in memory and in virtual time."""

import asyncio
from types import SimpleNamespace

import pytest
from phones import ALICE, BOB, CAROL, phone, uri_of

from ringback.media.files import read_pcm
from ringback.media.pcm import tone_share
from ringback.media.tones import steady
from ringback.sip.errors import InvalidState
from ringback.testing import Network, run
from ringback.ua.call import Call, CallState
from ringback.ua.errors import Busy, CallEnded, Declined, NoAnswer, NotAcceptable, NotFound, Unreachable
from ringback.ua.ladder import Ladder
from ringback.ua.phone import Phone

BOB_URI = uri_of("bob", BOB)


def test_a_call_is_heard_by_both_and_ends_when_the_caller_leaves(tmp_path):
    async def main():
        network = Network(seed=1)
        alice, bob = phone(network, "alice", ALICE), phone(network, "bob", BOB)
        seen: list[Call] = []

        @bob.on_call
        async def answer(call):
            seen.append(call)
            await call.ring()
            await call.answer()
            call.record(tmp_path / "bob.wav")
            await call.play(steady(660, 2_000))
            await call.wait_ended()

        ladder = Ladder("alice")
        alice.watch(ladder.record)
        async with bob, alice:
            async with alice.dial(BOB_URI) as call:
                assert call.state is CallState.ANSWERED
                call.record(tmp_path / "alice.wav")
                await call.play(steady(440, 2_000))
                assert call.duration == pytest.approx(2.0, abs=0.2)
                assert call.stats.mos > 4
                assert call.stats.lost == 0
            assert call.ended.by == "local"
            await asyncio.sleep(0.1)
            assert seen[0].ended.by == "remote"
            assert (alice.calls, bob.calls) == ([], [])
        assert network.host(ALICE).open_sockets == network.host(BOB).open_sockets == 0
        return seen[0], ladder.labels

    bobs, labels = run(main())
    assert (bobs.caller.number, bobs.called.number) == ("alice", "bob")
    assert labels == [
        "INVITE sip:bob@10.0.0.12:5060 (SDP)",
        "180 Ringing (INVITE)",
        "200 OK (INVITE) (SDP)",
        "ACK sip:bob@10.0.0.12:5060",
        "BYE sip:bob@10.0.0.12:5060",
        "200 OK (BYE)",
    ]
    assert tone_share(read_pcm(tmp_path / "bob.wav"), 440) > 0.6
    assert tone_share(read_pcm(tmp_path / "alice.wav"), 660) > 0.6


def test_the_handler_is_the_call_and_returning_hangs_up():
    async def main():
        network = Network(seed=2)

        async def answer(call):
            await call.answer()
            await asyncio.sleep(3)

        async with calling(network, answer) as call:
            ended = await call.wait_ended()
            return ended.by, call.duration

    by, duration = run(main())
    assert by == "remote"
    assert duration == pytest.approx(3.0, abs=0.1)


def test_the_handler_is_cancelled_when_the_caller_hangs_up_and_may_clean_up():
    happened: list[str] = []

    async def main():
        network = Network(seed=3)

        async def answer(call):
            await call.answer()
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                happened.append("cancelled")
                raise
            finally:
                happened.append("cleaned up")

        async with calling(network, answer):
            await asyncio.sleep(1)
        await asyncio.sleep(0.1)

    run(main())
    assert happened == ["cancelled", "cleaned up"]


def test_whoever_plays_when_the_other_side_hangs_up_gets_call_ended():
    async def main():
        network = Network(seed=4)

        async def answer(call):
            await call.answer()
            await asyncio.sleep(1)

        with pytest.raises(CallEnded) as raised:
            async with calling(network, answer) as call:
                await call.play(steady(440))
        return raised.value, call.duration

    error, duration = run(main())
    assert error.status == 200
    assert duration == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(
    ("status", "error", "text"),
    [
        (486, Busy, "486 Busy Here"),
        (600, Busy, "600 Busy Everywhere"),
        (603, Declined, "603 Decline"),
        (404, NotFound, "404 Not Found"),
        (480, NoAnswer, "480 Temporarily Unavailable"),
    ],
)
def test_a_refusal_is_an_exception_that_says_so(status, error, text):
    async def main():
        network = Network(seed=5)
        with pytest.raises(error) as raised:
            async with calling(network, lambda call: call.reject(status)):
                pass
        return raised.value

    why = run(main())
    assert str(why) == text
    assert why.response.status == status


def test_a_handler_that_does_not_answer_declines_and_one_that_fails_is_a_server_error():
    async def ignore(call):
        pass

    async def fail(call):
        raise ZeroDivisionError

    async def main(handler):
        with pytest.raises(Exception) as raised:
            async with calling(Network(seed=6), handler):
                pass
        return str(raised.value)

    assert run(main(ignore)) == "603 Decline"
    assert run(main(fail)) == "500 Server Internal Error"


def test_a_phone_without_a_handler_is_not_available():
    async def main():
        network = Network(seed=6)
        alice, bob = phone(network, "alice", ALICE), phone(network, "bob", BOB)
        async with bob, alice:
            with pytest.raises(NoAnswer, match="480"):
                await alice.dial(BOB_URI)

    run(main())


def test_nobody_picks_up_in_time_so_the_call_is_cancelled():
    async def main():
        network = Network(seed=7)
        ends: list[Call] = []

        async def ring(call):
            ends.append(call)
            await call.ring()
            await asyncio.sleep(1000)

        started = asyncio.get_running_loop().time()
        with pytest.raises(NoAnswer) as raised:
            async with calling(network, ring, timeout=30):
                pass
        return str(raised.value), asyncio.get_running_loop().time() - started, ends[0].ended

    text, waited, ended = run(main())
    assert text == "408 No answer within 30 s"
    assert 30 <= waited < 31
    assert (ended.status, ended.by) == (487, "remote")


def test_a_cancelled_dial_cancels_the_call():
    async def main():
        network = Network(seed=8)
        alice, bob = phone(network, "alice", ALICE), phone(network, "bob", BOB)
        ended = asyncio.Event()

        @bob.on_call
        async def ring(call):
            await call.ring()
            try:
                await asyncio.sleep(1000)
            finally:
                ended.set()

        async with bob, alice:
            task = asyncio.create_task(dialled(alice))
            await asyncio.sleep(2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(ended.wait(), 1)
            assert alice.calls == []

    run(main())


def test_nobody_there_is_unreachable_after_the_timers_of_the_standard():
    async def main():
        network = Network(seed=9)
        alice = phone(network, "alice", ALICE)
        async with alice:
            with pytest.raises(Unreachable):
                await alice.dial(uri_of("bob", "10.9.9.9"))
            return asyncio.get_running_loop().time()

    assert 32 <= run(main()) < 40


def test_a_name_that_does_not_exist_is_unreachable():
    async def main():
        network = Network(seed=10)
        alice = phone(network, "alice", ALICE)
        async with alice:
            with pytest.raises(Unreachable, match=r"nowhere\.example"):
                await alice.dial("sip:bob@nowhere.example")

    run(main())


def test_hold_and_resume_by_either_side_stop_and_start_the_sound():
    async def main():
        network = Network(seed=11)
        theirs: list[Call] = []

        async def answer(call):
            theirs.append(call)
            await call.answer()
            await call.wait_ended()

        async with calling(network, answer) as call:
            await call.hold()
            assert call.is_held
            before = call.stats.packets_received
            await asyncio.sleep(1)
            assert call.stats.packets_received - before <= 1
            await call.resume()
            await asyncio.sleep(1)
            assert call.stats.packets_received - before > 40
            await theirs[0].hold()
            held = theirs[0].stats.packets_received
            await asyncio.sleep(1)
            assert theirs[0].stats.packets_received - held <= 1
            await theirs[0].resume()
            await asyncio.sleep(1)
            assert theirs[0].stats.packets_received - held > 40

    run(main())


def test_keys_arrive_by_rtp_and_by_info():
    async def main():
        network = Network(seed=12)
        got: list[str] = []

        async def answer(call):
            await call.answer()
            got.append(await call.digits(4, timeout=3))
            got.append(await call.digits(10, timeout=1))
            got.append(str(await call.digit(timeout=1)))
            await call.wait_ended()

        async with calling(network, answer) as call:
            await call.send_dtmf("12#34")
            await call.send_info("Signal=9\r\nDuration=160\r\n", content_type="application/dtmf-relay")
            await asyncio.sleep(5)
        return got

    assert run(main()) == ["12", "349", "None"]


def test_an_info_nobody_understands_is_refused():
    async def main():
        async def answer(call):
            await call.answer()
            await call.wait_ended()

        async with calling(Network(seed=13), answer) as call:
            with pytest.raises(NotAcceptable, match="415"):
                await call.send_info(b"x", content_type="application/x-nonsense")
            await call.send_info(b"", content_type="text/plain")

    run(main())


def test_a_redirected_call_reaches_the_new_place():
    async def main():
        network = Network(seed=14)
        carol = phone(network, "carol", CAROL)

        @carol.on_call
        async def answer(call):
            await call.answer()
            await call.wait_ended()

        async with carol, calling(network, lambda call: call.redirect(uri_of("carol", CAROL))) as call:
            return call.invite.target

    assert run(main()) == uri_of("carol", CAROL)


def test_phones_that_send_each_other_in_circles_give_up():
    async def main():
        network = Network(seed=15)
        with pytest.raises(Exception, match="302"):
            async with calling(network, lambda call: call.redirect(BOB_URI)):
                pass

    run(main())


def test_a_call_whose_media_do_not_match_is_refused_with_488():
    async def main():
        network = Network(seed=16)

        async def answer(call):
            await call.answer()

        with pytest.raises(NotAcceptable) as raised:
            async with calling(network, answer, callee={"codecs": ("PCMA",)}, caller={"codecs": ("PCMU",)}):
                pass
        return raised.value.status

    assert run(main()) == 488


def test_busy_when_as_many_calls_as_allowed_live():
    async def main():
        network = Network(seed=17)
        alice = phone(network, "alice", ALICE)
        bob = phone(network, "bob", BOB, max_calls=2)

        @bob.on_call
        async def answer(call):
            await call.answer()
            await call.wait_ended()

        async with bob, alice:
            first, second = await alice.dial(BOB_URI), await alice.dial(BOB_URI)
            with pytest.raises(Busy):
                await alice.dial(BOB_URI)
            await first.hangup()
            await asyncio.sleep(0.1)
            third = await alice.dial(BOB_URI)
            assert len(bob.calls) == 2
            assert not second.is_over
            assert not third.is_over

    run(main())


def test_what_needs_an_answered_call_says_so_before():
    async def main():
        network = Network(seed=18)
        errors: list[str] = []

        async def answer(call):
            for too_early in (call.play(steady(440, 20)), call.send_dtmf("1"), call.hold(), call.digit()):
                with pytest.raises(InvalidState) as raised:
                    await too_early
                errors.append(str(raised.value))
            await call.answer()
            with pytest.raises(InvalidState):
                await call.answer()

        async with calling(network, answer) as call:
            await call.wait_ended()
        with pytest.raises(CallEnded):
            await call.play(steady(440, 20))
        await call.hangup()
        return errors

    assert run(main()) == ["there is no sound before the call is answered"] * 4


def test_header_fields_of_the_caller_are_seen_by_the_callee():
    async def main():
        network = Network(seed=19)
        seen: list[str] = []

        async def answer(call):
            seen.append(call.invite.headers["X-Id"])
            await call.answer()

        async with calling(network, answer, headers={"X-Id": "42"}) as call:
            await call.wait_ended()
        return seen

    assert run(main()) == ["42"]


@pytest.mark.parametrize("seed", range(8))
def test_a_call_survives_a_network_that_loses_doubles_and_reorders(seed):
    async def main():
        network = Network(seed=seed, loss=0.15, duplicate=0.05, delay=(0.01, 0.08), reorder=0.05)

        async def answer(call):
            await call.ring()
            await asyncio.sleep(1)
            await call.answer()
            await call.wait_ended()

        async with calling(network, answer) as call:
            await asyncio.sleep(2)
            await call.hold()
            await call.resume()
        assert call.ended.by == "local"

    run(main())


def test_a_call_over_tcp_uses_the_same_rules():
    async def main():
        network = Network(seed=20)

        async def answer(call):
            await call.answer()
            await call.wait_ended()

        target = f"{BOB_URI};transport=tcp"
        async with calling(network, answer, target=target) as call:
            assert call.session.flow.transport == "TCP"
            await call.hold()

    run(main())


async def dialled(alice, target=BOB_URI):
    return await alice.dial(target)


class calling:  # noqa: N801 (reads as what it does)
    """`async with calling(network, handler) as call`: Alice calls Bob, who does what the handler says."""

    def __init__(self, network, handler, *, callee=None, caller=None, target=BOB_URI, **options):
        self.alice = phone(network, "alice", ALICE, **(caller or {}))
        self.bob = phone(network, "bob", BOB, **(callee or {}))
        self.bob.on_call(handler)
        self.target, self.options = target, options

    async def __aenter__(self):
        await self.bob.start()
        await self.alice.start()
        try:
            self.call = await self.alice.dial(self.target, **self.options)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self.call

    async def __aexit__(self, *_why):
        await self.alice.close()
        await self.bob.close()


def test_a_handler_whose_own_call_fails_passes_the_reason_on():
    async def main():
        network = Network(seed=21)
        carol = phone(network, "carol", CAROL)
        carol.on_call(lambda call: call.reject(486))

        async def forward(call):
            await calling_now.bob.dial(uri_of("carol", CAROL))

        calling_now = calling(network, forward)
        async with carol:
            with pytest.raises(Busy):
                async with calling_now:
                    pass

    run(main())


def test_a_peer_whose_answer_is_nonsense_is_hung_up_on():
    async def main():
        network = Network(seed=22)

        async def answer(call):
            await call.answer()
            await call.wait_ended()

        rig = calling(network, answer)
        await rig.bob.start()
        rig.bob.agent.audio.open = nonsense
        await rig.alice.start()
        rig.alice.watch(ladder.record)
        with pytest.raises(NotAcceptable) as raised:
            await rig.alice.dial(BOB_URI)
        await asyncio.sleep(1)
        assert (rig.alice.calls, rig.bob.calls) == ([], [])
        await rig.alice.close()
        await rig.bob.close()
        return raised.value.status

    ladder = Ladder()
    assert run(main()) == 488
    assert [label.split(" ")[0] for label in ladder.labels] == ["INVITE", "200", "ACK", "BYE", "200"]


class Nonsense:
    """Sound whose description nobody can accept."""

    def __init__(self):
        self.on_digit = []
        self.negotiated = SimpleNamespace(telephone_event=101)
        self.statistics = None

    def make_answer(self, offer, *, signalling_host=None):
        return b"v=0\r\no=- 1 1 IN IP4 10.0.0.12\r\ns=-\r\nt=0 0\r\nm=video 0 RTP/AVP 31\r\n"

    def start(self):
        pass

    async def close(self):
        pass


async def nonsense(remote_host):
    return Nonsense()


def test_sockets_of_a_call_that_never_ended_are_closed_with_the_phone():
    async def main():
        network = Network(seed=23)
        alice = phone(network, "alice", ALICE)
        await alice.start()
        with pytest.raises(NoAnswer):
            await alice.dial(uri_of("bob", "10.9.9.9"), timeout=2)
        await alice.close()
        assert network.host(ALICE).open_sockets == 0

    run(main())


def test_ipv6():
    async def main():
        network = Network(seed=24)
        bob = Phone(
            "sip:bob@[fd00::2]", register=False, port=5060, network=network.host("fd00::2"), dns=network.dns
        )
        alice = Phone("sip:alice@[fd00::1]", register=False, network=network.host("fd00::1"), dns=network.dns)

        @bob.on_call
        async def answer(call):
            await call.answer()
            await call.wait_ended()

        async with bob, alice, alice.dial("sip:bob@[fd00::2]:5060") as call:
            await call.play(steady(440, 500))
            assert call.stats.packets_received > 10

    run(main())


def test_who_is_called_directly_gives_the_address_they_were_called_at():
    async def main():
        network = Network(seed=25)
        two_homed = network.host(BOB, "192.168.7.7")
        bob = Phone("sip:bob@example.com", register=False, port=5060, network=two_homed, dns=network.dns)

        @bob.on_call
        async def answer(call):
            await call.answer()
            await call.wait_ended()

        async with bob, phone(network, "alice", ALICE) as alice:
            call = await alice.dial("sip:bob@192.168.7.7:5060")
            return str(call.session.dialog.remote_target)

    assert run(main()) == "sip:bob@192.168.7.7:5060"


@pytest.mark.parametrize(("method", "status"), [("MESSAGE", 200), ("OPTIONS", 200), ("REFER", 405)])
def test_other_requests_inside_a_call_are_answered(method, status):
    async def main():
        async def answer(call):
            await call.answer()
            await call.wait_ended()

        rig = calling(Network(seed=26), answer)
        got = []

        @rig.bob.on_message
        async def read(message):
            got.append(message.text)

        async with rig as call:
            for _ in range(70):
                response = await rig.alice.agent.session_request(
                    call.session, method, body=b"hi", content_type="text/plain"
                )
            return response.status, got

    answered, got = run(main())
    assert answered == status
    assert got == (["hi"] * 70 if method == "MESSAGE" else [])
