# SPDX-License-Identifier: Apache-2.0
"""One phone hands its call to a number that the server answers itself (RFC 5589 section 6)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from bridge_rig import Half, call, on_a_bridge, sdp_of, two_phones
from server_rig import DOMAIN, Rig
from test_referring import refer, report, they_talk_and_hang_up

from ringback.server.applications import Application, IncomingCall
from ringback.server.routing import Decision, Refusal, ToApplication, ToUser
from ringback.server.subscribers import Principal
from ringback.sip.events import AnswerReceived, SessionEnded, SessionEstablished

ECHO = f"<sip:*43@{DOMAIN}>"
OURS = b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 9000 RTP/AVP 0\r\n"


class Menu:
    """A dial plan with one application, and a name of one that there is not."""

    def decide(self, user: str, *, method: str, caller: Principal | None) -> Decision:
        if user.startswith("*"):
            return ToApplication("echo" if user == "*43" else "nothing")
        return ToUser(user) if user.startswith("1") else Refusal(404)


class OneApplication:
    def __init__(self, application: Application) -> None:
        self.application = application
        self.calls: list[IncomingCall] = []
        self.heard: list[object] = []

    def find(self, name: str) -> Application | None:
        return self._run if name == "echo" else None

    async def _run(self, call: IncomingCall) -> None:
        self.calls.append(call)
        await self.application(call)


async def answers(call: IncomingCall) -> None:
    call.driver.perform(call.session.accept, OURS)
    while not isinstance(await call.next_event(), SessionEnded):
        pass


async def hangs_up_after_a_second(call: IncomingCall) -> None:
    call.driver.perform(call.session.accept, OURS)
    assert isinstance(await call.next_event(), SessionEstablished)
    await asyncio.sleep(1)


async def is_busy(call: IncomingCall) -> None:
    call.driver.perform(call.session.reject, 486)
    assert isinstance(await call.next_event(), SessionEnded)


async def announces_and_refuses(call: IncomingCall) -> None:
    call.driver.perform(call.session.ring, OURS, status=183)
    await asyncio.sleep(1)
    call.driver.perform(call.session.reject, 404)


async def fails(call: IncomingCall) -> None:
    raise RuntimeError("a bug")


async def waits(call: IncomingCall) -> None:
    assert isinstance(await call.next_event(), SessionEnded)


def on_a_server_with(
    application: Application, test: Callable[[Rig, OneApplication], Awaitable[None]]
) -> None:
    applications = OneApplication(application)

    async def run(rig: Rig) -> None:
        await test(rig, applications)

    on_a_bridge(run, applications=applications, dial_plan=Menu())


def sound_in(message: Any) -> bytes:
    """A description without its origin."""
    body: bytes = message if isinstance(message, bytes) else message.body
    return body.partition(b"s=-")[2]


async def asked(half: Half, *, version: int = 7) -> bytes:
    """The one who stays is asked for an offer, and makes one."""
    invite = await half.expect("INVITE")
    assert invite.body == b""
    assert invite.headers["P-Asserted-Identity"].endswith(f"@{DOMAIN}>")
    offer = sdp_of(half.device, version=version)
    half.reply(200, body=offer)
    return offer


async def given_back(staying: Half, referrer: Half) -> None:
    """What was offered to the application goes to the old partner, and its answer back."""
    told = await referrer.expect("INVITE")
    assert told.body.partition(b"s=-")[2] == sdp_of(staying.device).partition(b"s=-")[2]
    answer = sdp_of(referrer.device, port=5000, version=3)
    referrer.reply(200, body=answer)
    await referrer.expect("ACK")
    ack = await staying.expect("ACK")
    assert ack.body.partition(b"s=-")[2] == answer.partition(b"s=-")[2]


async def nothing_is_left(rig: Rig) -> None:
    await asyncio.sleep(40)
    assert rig.state == (0, 0, 0, 0, 0)
    status = rig.server.status()
    assert (status["bridged"], status["applications"]) == (0, 0)
    assert not len(rig.server.bridged)
    assert rig.server.services.bridge.legs == {}


@pytest.mark.parametrize("who", [0, 1])
def test_who_is_transferred_to_an_application_talks_with_it(who: int) -> None:
    async def test(rig: Rig, applications: OneApplication) -> None:
        halves = await call(rig, *await two_phones(rig))
        referrer, staying = halves[who], halves[1 - who]
        await refer(referrer, ECHO)
        offer = await asked(staying)
        ack = await staying.expect("ACK")
        assert sound_in(ack) == sound_in(OURS)
        partner = referrer.device
        assert f"o=- {partner.number} 2 IN IP4 {partner.peer.local.host}".encode() in ack.body  # goes on
        assert await report(referrer) == "200 OK"
        bye = await referrer.expect("BYE", timeout=3)
        assert "transferred" in bye.headers["Reason"]
        referrer.reply(200)
        (incoming,) = applications.calls
        assert incoming.number == "*43"
        assert incoming.caller is not None
        assert incoming.caller.number == staying.device.number
        assert incoming.session.remote_sdp == offer
        assert incoming.flow.remote == staying.device.peer.local
        assert rig.server.status()["bridged"] == 0
        assert rig.server.status()["applications"] == 1
        staying.send("BYE")
        await staying.expect(200)
        await nothing_is_left(rig)

    on_a_server_with(answers, test)


def test_the_application_hangs_up() -> None:
    async def test(rig: Rig, _: OneApplication) -> None:
        staying, referrer = await call(rig, *await two_phones(rig))
        await refer(referrer, ECHO)
        await asked(staying)
        await staying.expect("ACK")
        assert await report(referrer) == "200 OK"
        referrer.send("BYE")
        await referrer.expect(200)
        await staying.expect("BYE", timeout=2)
        staying.reply(200)
        await nothing_is_left(rig)

    on_a_server_with(hangs_up_after_a_second, test)


def test_who_transfers_to_an_application_may_hang_up_at_once() -> None:
    async def test(rig: Rig, _: OneApplication) -> None:
        staying, referrer = await call(rig, *await two_phones(rig))
        await refer(referrer, ECHO)
        referrer.send("BYE")
        await referrer.expect(200)
        await asked(staying)
        await staying.expect("ACK")
        await staying.device.peer.expect_silence(5)
        staying.send("BYE")
        await staying.expect(200)
        await nothing_is_left(rig)

    on_a_server_with(answers, test)


def test_what_is_said_in_the_call_reaches_the_application() -> None:
    async def talks(call: IncomingCall) -> None:
        call.driver.perform(call.session.accept, OURS)
        assert isinstance(await call.next_event(), SessionEstablished)
        event: Any = await call.next_event()
        call.driver.perform(call.session.respond, event.transaction, 200)
        event = await call.next_event()
        assert event.session is call.session
        call.driver.perform(call.session.answer, OURS)
        assert isinstance(await call.next_event(), SessionEnded)

    async def test(rig: Rig, _: OneApplication) -> None:
        staying, referrer = await call(rig, *await two_phones(rig))
        await refer(referrer, ECHO)
        await asked(staying)
        await staying.expect("ACK")
        assert await report(referrer) == "200 OK"
        staying.send("INFO", body=b"Signal=1", content_type="application/dtmf-relay")
        await staying.expect(200)
        staying.send("INVITE", body=sdp_of(staying.device, version=9))
        assert sound_in(await staying.expect(200)) == sound_in(OURS)
        staying.send("ACK", cseq=staying.cseq)
        staying.send("BYE")
        await staying.expect(200)

    on_a_server_with(talks, test)


def test_who_makes_no_offer_gets_one_of_the_application() -> None:
    async def offers(call: IncomingCall) -> None:
        assert call.session.remote_sdp is None
        call.driver.perform(call.session.accept, OURS)
        assert isinstance(await call.next_event(), AnswerReceived)
        assert isinstance(await call.next_event(), SessionEstablished)
        assert isinstance(await call.next_event(), SessionEnded)

    async def test(rig: Rig, _: OneApplication) -> None:
        staying, referrer = await call(rig, *await two_phones(rig))
        await refer(referrer, ECHO)
        await staying.expect("INVITE")
        staying.device.peer.reply(415)
        await staying.expect("ACK")
        assert sound_in(await staying.expect("INVITE")) == sound_in(OURS)
        await referrer.device.peer.expect_silence(0.3)
        staying.reply(200, body=sdp_of(staying.device, version=8))
        await staying.expect("ACK")
        assert await report(referrer) == "200 OK"
        staying.send("BYE")
        await staying.expect(200)

    on_a_server_with(offers, test)


def test_who_takes_nothing_stays_with_the_old_partner() -> None:
    async def test(rig: Rig, _: OneApplication) -> None:
        staying, referrer = await call(rig, *await two_phones(rig))
        await refer(referrer, ECHO)
        for _attempt in range(2):
            await staying.expect("INVITE")
            staying.device.peer.reply(488)
            await staying.expect("ACK")
        assert (await report(referrer)).startswith("488")
        await staying.device.peer.expect_silence(3)
        await they_talk_and_hang_up(rig, staying, referrer)

    on_a_server_with(answers, test)


@pytest.mark.parametrize(("application", "status"), [(is_busy, "486 Busy Here"), (fails, "500")])
def test_when_the_application_refuses_the_old_call_goes_on(application: Application, status: str) -> None:
    async def test(rig: Rig, _: OneApplication) -> None:
        staying, referrer = await call(rig, *await two_phones(rig))
        await refer(referrer, ECHO)
        await asked(staying)
        assert (await report(referrer)).startswith(status)
        await given_back(staying, referrer)
        await they_talk_and_hang_up(rig, staying, referrer)

    on_a_server_with(application, test)


def test_an_announcement_is_heard_and_the_old_call_goes_on() -> None:
    async def test(rig: Rig, _: OneApplication) -> None:
        staying, referrer = await call(rig, *await two_phones(rig))
        await refer(referrer, ECHO)
        await asked(staying)
        assert sound_in(await staying.expect("ACK")) == sound_in(OURS)
        assert await report(referrer) == "404 Not Found"
        await asked(staying, version=8)
        await given_back(staying, referrer)
        await they_talk_and_hang_up(rig, staying, referrer)

    on_a_server_with(announces_and_refuses, test)


def test_when_the_application_refuses_and_the_referrer_is_gone_the_call_is_over() -> None:
    async def test(rig: Rig, _: OneApplication) -> None:
        staying, referrer = await call(rig, *await two_phones(rig))
        await refer(referrer, ECHO)
        referrer.send("BYE")
        await referrer.expect(200)
        await asked(staying)
        assert (await staying.expect("ACK")).body == b""
        bye = await staying.expect("BYE")
        assert bye.headers["Reason"].startswith("SIP;cause=486")
        staying.reply(200)
        await nothing_is_left(rig)

    on_a_server_with(is_busy, test)


def test_who_hangs_up_before_the_application_answers_ends_all_of_it() -> None:
    async def test(rig: Rig, _: OneApplication) -> None:
        staying, referrer = await call(rig, *await two_phones(rig))
        await refer(referrer, ECHO)
        await asked(staying)
        await asyncio.sleep(1)
        assert rig.server.status()["applications"] == 1
        staying.send("BYE")
        await staying.expect(200)
        await referrer.expect("BYE")
        referrer.reply(200)
        await nothing_is_left(rig)

    on_a_server_with(waits, test)


def test_meanwhile_nothing_else_is_negotiated_or_transferred() -> None:
    async def test(rig: Rig, _: OneApplication) -> None:
        staying, referrer = await call(rig, *await two_phones(rig))
        await refer(referrer, ECHO)
        await asked(staying)
        referrer.send("INVITE", body=sdp_of(referrer.device, version=9))
        await referrer.expect(491)
        referrer.send("REFER", headers=[("Refer-To", ECHO)])
        await referrer.expect(491)

    on_a_server_with(waits, test)


def test_who_owes_an_offer_for_ever_stays_with_the_old_partner() -> None:
    async def test(rig: Rig, _: OneApplication) -> None:
        staying, referrer = await call(rig, *await two_phones(rig))
        await refer(referrer, ECHO)
        await staying.expect("INVITE")
        staying.reply(200)
        await staying.expect("ACK")
        notify = await referrer.expect("NOTIFY", timeout=80)
        referrer.device.peer.reply(200, to=notify.to_bytes())
        assert notify.body.startswith(b"SIP/2.0 480")
        await they_talk_and_hang_up(rig, staying, referrer)

    on_a_server_with(answers, test)


def test_an_application_that_there_is_not_is_reported() -> None:
    async def test(rig: Rig, _: OneApplication) -> None:
        staying, referrer = await call(rig, *await two_phones(rig))
        await refer(referrer, f"<sip:*99@{DOMAIN}>")
        await asked(staying)
        assert await report(referrer) == "404 Not Found"
        await given_back(staying, referrer)
        await they_talk_and_hang_up(rig, staying, referrer)

    on_a_server_with(answers, test)


def test_a_server_that_stops_hangs_up_who_was_transferred() -> None:
    async def test(rig: Rig, _: OneApplication) -> None:
        staying, referrer = await call(rig, *await two_phones(rig))
        await refer(referrer, ECHO)
        await asked(staying)
        await staying.expect("ACK")
        assert await report(referrer) == "200 OK"
        await rig.server.close()
        await staying.expect("BYE")

    on_a_server_with(answers, test)
