# SPDX-License-Identifier: Apache-2.0
"""Programs that answer numbers: how they are reached, and which handler gets a call."""

import asyncio
import os

import pytest
from phones import ALICE, BOB, CAROL, phone, uri_of

from ringback import App
from ringback.testing import Network, run
from ringback.ua.account import InvalidAddress
from ringback.ua.app import from_environment, spelling
from ringback.ua.errors import Busy, NoAnswer, NotFound


def app(network: Network, **options) -> App:
    return App(network=network.host(BOB), dns=network.dns, host=BOB, **options)


def test_the_number_that_was_dialled_chooses_the_handler():
    async def main():
        network = Network(seed=1)
        answering = app(network)
        alice = phone(network, "alice", ALICE)
        seen = []

        @answering.call("+44 20 7946 0000", "menu")
        async def menu(call):
            seen.append("menu")
            await call.answer()

        @answering.call("agent")
        async def agent(call):
            seen.append("agent")
            await call.answer()

        async with answering, alice:
            for user in ("+442079460000", "menu", "agent"):
                async with alice.dial(uri_of(user, BOB)) as call:
                    await call.wait_ended()
            with pytest.raises(NotFound):
                await alice.dial(uri_of("sales", BOB))

            @answering.call()
            async def anything_else(call):
                seen.append(call.called.number)
                await call.reject(486)

            with pytest.raises(Busy):
                await alice.dial(uri_of("sales", BOB))
            assert (await alice.options(uri_of("menu", BOB))).status == 200
        return seen, answering.numbers

    seen, numbers = run(main())
    assert seen == ["menu", "menu", "agent", "sales"]
    assert numbers == ["+442079460000", "menu", "agent"]


def test_a_server_that_puts_our_address_into_the_request_still_says_what_was_dialled():
    async def main():
        network = Network(seed=2)
        answering = app(network)
        alice = phone(network, "alice", ALICE)
        seen = []

        @answering.call("menu")
        async def menu(call):
            seen.append(call.invite.target)
            await call.answer()

        async with answering, alice:
            agent = alice.agent
            target = agent.account.resolve(uri_of("somebody", BOB))
            contact = await agent.reachability.contact_towards(target)
            from ringback.sip.message import SipUri
            from ringback.ua.call import Call

            call = Call(agent.host, is_incoming=False)
            audio = call.adopt_audio(await agent.audio.open(BOB))
            request = agent.make_request(
                "INVITE",
                target,
                to=SipUri.parse("sip:menu@pbx.example.com"),
                headers=[("Contact", str(contact))],
            )
            agent.place(call, request, audio.make_offer())
            await call.wait_ended()
        return seen

    assert run(main()) == [uri_of("somebody", BOB)]


def test_the_handler_is_the_call():
    async def main():
        network = Network(seed=3)
        answering = app(network)
        alice = phone(network, "alice", ALICE)
        happened = []

        @answering.call("agent")
        async def agent(call):
            await call.answer()
            try:
                async with call.tasks() as t:

                    @t.start
                    async def listen():
                        async for _frame in call.audio.read(rate=16_000):
                            pass
                        happened.append("no more frames")
                        await asyncio.sleep(1_000)

            finally:
                happened.append("cleaned up")

        async with answering, alice:
            async with alice.dial(uri_of("agent", BOB)):
                await asyncio.sleep(1)
            await asyncio.sleep(0.1)
            assert (answering.calls, alice.calls) == ([], [])
        assert network.host(BOB).open_sockets == 0
        return happened

    assert run(main())[-1] == "cleaned up"


def test_an_app_without_an_account_listens_on_the_standard_port():
    async def main():
        network = Network(seed=4)
        async with app(network) as answering:
            ports = {endpoint.local.port for endpoint in answering.agent.driver.endpoints}
            assert not answering.registered
            return ports

    assert run(main()) == {5060}


def test_an_app_says_less_calls_when_it_has_many():
    async def main():
        network = Network(seed=5)
        answering = app(network, max_calls=1)
        alice = phone(network, "alice", ALICE)

        @answering.call("menu")
        async def menu(call):
            await call.answer()
            await call.wait_ended()

        async with answering, alice, alice.dial(uri_of("menu", BOB)):
            with pytest.raises(Busy):
                await alice.dial(uri_of("menu", BOB))

    run(main())


def test_a_handler_that_never_answers_is_given_up_on():
    async def main():
        network = Network(seed=6)
        answering = app(network)
        alice = phone(network, "alice", ALICE)
        ends = []

        @answering.call("menu")
        async def menu(call):
            try:
                await asyncio.sleep(1_000)
            finally:
                ends.append(call.ended.status)

        async with answering, alice:
            with pytest.raises(NoAnswer):
                await alice.dial(uri_of("menu", BOB), timeout=5)
            await asyncio.sleep(1)
        return ends

    assert run(main()) == [487]


def test_an_app_can_call_somebody_and_connect_them():
    async def main():
        network = Network(seed=7)
        answering = app(network)
        alice, carol = phone(network, "alice", ALICE), phone(network, "carol", CAROL)

        @answering.call("connect")
        async def connect(call):
            await call.answer()
            async with answering.dial(uri_of("carol", CAROL)) as other:
                await call.bridge(other)

        @carol.on_call
        async def answer(call):
            await call.answer()
            pressed.append(await call.digits(5, timeout=3))
            await asyncio.sleep(1)

        pressed = []
        async with answering, alice, carol, alice.dial(uri_of("connect", BOB)) as call:
            await asyncio.sleep(1)
            await call.send_dtmf("42#")
            return (await call.wait_ended()).by, pressed

    assert run(main()) == ("remote", ["42"])


def test_the_environment_says_where_a_program_is_reached(monkeypatch):
    monkeypatch.setenv("RINGBACK_APP_ADDRESS", "sip:600@pbx.example.com")
    monkeypatch.setenv("RINGBACK_APP_PORT", "5070")
    made = App(port=None)
    assert str(made.account.uri) == "sip:600@pbx.example.com"
    assert from_environment(os.environ) == {"address": "sip:600@pbx.example.com", "port": 5070}
    assert str(App("sip:601@example.com").account.uri) == "sip:601@example.com"
    with pytest.raises(InvalidAddress, match="RINGBACK_APP_PORT"):
        from_environment({"RINGBACK_APP_PORT": "many"})


@pytest.mark.parametrize(
    ("written", "spelled"),
    [("+44 (20) 7946-0000", "+442079460000"), ("agent smith", "agent smith"), ("*43", "*43")],
)
def test_numbers_are_compared_without_what_makes_them_readable(written, spelled):
    assert spelling(written) == spelled
