# SPDX-License-Identifier: Apache-2.0
"""The walk of a request: order, waiting, the guard. And applications, which answer calls here."""

import asyncio
from collections.abc import Awaitable

import pytest
from server_rig import DOMAIN, SERVER, Leg, Rig, final, on_a_server, talk

from ringback.server.applications import Application, IncomingCall
from ringback.server.pipeline import Exchange
from ringback.server.routing import Decision, Refusal, ToApplication, ToUser
from ringback.server.subscribers import Principal
from ringback.sip.errors import PeerError
from ringback.sip.events import SessionEnded, SessionEstablished


class Slow:
    """A service that waits for a gate, then does what it is told."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.seen: list[str] = []
        self.raises: Exception | None = None

    def serve(self, exchange: Exchange) -> bool | Awaitable[bool]:
        self.seen.append(f"{exchange.request.method} {exchange.request.cseq.number}")
        return self._wait() if not self.gate.is_set() else False

    async def _wait(self) -> bool:
        await self.gate.wait()
        if self.raises is not None:
            raise self.raises
        return False


def with_service(rig: Rig, slow: Slow, *, place: int = -1) -> None:
    """Put a service before another: before the proxy, or where `place` says."""
    pipeline = rig.server.pipeline
    pipeline.services = (*pipeline.services[:place], slow, *pipeline.services[place:])


def test_requests_of_one_call_keep_their_order_while_a_service_waits() -> None:
    async def test(rig: Rig) -> None:
        _, bob, leg = await talk(rig)
        slow = Slow()
        with_service(rig, slow, place=1)  # before what takes the requests of a dialog
        for method in ("INFO", "MESSAGE", "BYE"):
            leg.request(method)
        await asyncio.sleep(0.3)
        assert [line.split(" ")[0] for line in slow.seen] == ["INFO"]
        assert rig.server.pipeline.waiting == 1
        slow.gate.set()
        for method in ("INFO", "MESSAGE", "BYE"):
            await bob.peer.expect(method)
            bob.peer.reply(200)
        assert rig.server.pipeline.waiting == 0

    on_a_server(test)


def test_other_calls_do_not_wait() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        slow = Slow()
        with_service(rig, slow)
        await anna.ask("MESSAGE", f"sip:102@{DOMAIN}", call_id="first")
        await asyncio.sleep(0.1)
        with_gate_open = slow.gate
        with_gate_open.set()
        await bob.peer.expect("MESSAGE")

    on_a_server(test)


def test_a_cancel_while_a_service_waits_ends_the_call_before_any_phone_rings() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        slow = Slow()
        with_service(rig, slow)
        sent = await anna.ask("INVITE", f"sip:102@{DOMAIN}")
        await anna.peer.expect(100)
        leg = Leg(anna, sent)
        leg.cancel()
        await anna.peer.expect(200)
        await leg.answered(487)
        slow.gate.set()
        await bob.peer.expect_silence(1)
        await asyncio.sleep(60)
        assert rig.state == (0, 0, 0, 0, 0)

    on_a_server(test)


@pytest.mark.parametrize(
    ("error", "status"), [(RuntimeError("a bug"), 500), (PeerError("bad thing", status=488), 488)]
)
def test_what_a_waiting_service_raises_becomes_an_answer(error: Exception, status: int) -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11")
        slow = Slow()
        slow.raises = error
        with_service(rig, slow)
        sent = await anna.ask("INVITE", f"sip:102@{DOMAIN}")
        await asyncio.sleep(0.1)
        slow.gate.set()
        answer = await Leg(anna, sent).answered(status, skip=(100,))
        assert "Traceback" not in answer.reason
        await asyncio.sleep(60)
        assert rig.state == (0, 0, 0, 0, 0)

    on_a_server(test)


def test_a_request_that_is_repeated_while_a_service_waits_is_served_once() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        slow = Slow()
        with_service(rig, slow)
        data = await anna.ask("MESSAGE", f"sip:102@{DOMAIN}")
        for _ in range(5):
            anna.peer.send(data, SERVER)
        await asyncio.sleep(0.1)
        slow.gate.set()
        await bob.peer.expect("MESSAGE")
        bob.peer.reply(200)
        await anna.peer.expect(200)
        await bob.peer.expect_silence(5)

    on_a_server(test)


class Menu:
    """A dial plan with one application."""

    def decide(self, user: str, *, method: str, caller: Principal | None) -> Decision:
        if user == "*43":
            return ToApplication("echo")
        return ToUser(user) if user.startswith("1") else Refusal(404)


class OneApplication:
    def __init__(self, application: Application) -> None:
        self.application = application
        self.calls: list[IncomingCall] = []

    def find(self, name: str) -> Application | None:
        return self._run if name == "echo" else None

    async def _run(self, call: IncomingCall) -> None:
        self.calls.append(call)
        await self.application(call)


async def answers(call: IncomingCall) -> None:
    call.driver.perform(call.session.accept, b"v=0\r\n")
    assert isinstance(await call.next_event(), SessionEstablished)
    await call.next_event()


async def hangs_up(call: IncomingCall) -> None:
    call.driver.perform(call.session.accept, b"v=0\r\n")
    await call.next_event()


async def fails(call: IncomingCall) -> None:
    raise RuntimeError("a bug")


async def waits(call: IncomingCall) -> None:
    assert isinstance(await call.next_event(), SessionEnded)


def test_an_application_answers_a_number_and_the_caller_hangs_up() -> None:
    applications = OneApplication(answers)

    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11")
        leg = Leg(anna, await anna.ask("INVITE", f"sip:*43@{DOMAIN}", body=b"v=0\r\n"))
        answer = await leg.answered(200)
        assert str(answer.contacts[0].uri) == "sip:*43@10.0.0.1:5060"
        assert answer.record_routes == []
        assert applications.calls[0].caller == Principal("101", "Anna")
        assert applications.calls[0].number == "*43"
        leg.request("BYE")
        await anna.peer.expect(200)
        await asyncio.sleep(60)
        assert rig.state == (0, 0, 0, 0, 0)

    on_a_server(test, applications=applications, dial_plan=Menu())


def test_when_the_application_ends_the_call_is_hung_up() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11")
        leg = Leg(anna, await anna.ask("INVITE", f"sip:*43@{DOMAIN}", body=b"v=0\r\n"))
        await leg.answered(200)
        await anna.peer.expect("BYE")
        anna.peer.reply(200)
        await asyncio.sleep(60)
        assert rig.state == (0, 0, 0, 0, 0)

    on_a_server(test, applications=OneApplication(hangs_up), dial_plan=Menu())


def test_when_the_application_fails_the_caller_gets_500() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11")
        leg = Leg(anna, await anna.ask("INVITE", f"sip:*43@{DOMAIN}", body=b"v=0\r\n"))
        await leg.answered(500)
        await asyncio.sleep(60)
        assert rig.state == (0, 0, 0, 0, 0)

    on_a_server(test, applications=OneApplication(fails), dial_plan=Menu())


def test_a_cancelled_call_ends_the_application() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11")
        leg = Leg(anna, await anna.ask("INVITE", f"sip:*43@{DOMAIN}", body=b"v=0\r\n"))
        await anna.peer.expect(100)
        leg.cancel()
        await anna.peer.expect(200)
        await leg.answered(487)
        await asyncio.sleep(60)
        assert rig.server.status()["applications"] == 0
        assert rig.state == (0, 0, 0, 0, 0)

    on_a_server(test, applications=OneApplication(waits), dial_plan=Menu())


def test_what_else_is_sent_to_an_application_is_answered_for_it() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11")
        for method, status in (("OPTIONS", 200), ("MESSAGE", 405)):
            await anna.ask(method, f"sip:*43@{DOMAIN}")
            assert (await final(anna.peer)).status == status
        await anna.ask("BYE", f"sip:*43@{DOMAIN}", to=f"<sip:*43@{DOMAIN}>;tag=x")
        assert (await final(anna.peer)).status == 481

    on_a_server(test, applications=OneApplication(waits), dial_plan=Menu())


def test_closing_the_server_hangs_up_its_own_calls() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11")
        leg = Leg(anna, await anna.ask("INVITE", f"sip:*43@{DOMAIN}", body=b"v=0\r\n"))
        await leg.answered(200)
        await asyncio.sleep(0.1)
        await rig.server.close()
        await anna.peer.expect("BYE")

    on_a_server(test, applications=OneApplication(answers), dial_plan=Menu())
