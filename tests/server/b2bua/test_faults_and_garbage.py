# SPDX-License-Identifier: Apache-2.0
"""Something of ours fails at the n-th step, for every n; calls that are over leave nothing; floods end."""

import asyncio
import gc
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from bridge_rig import call, half_of_caller, on_a_bridge, sdp_of, two_phones
from server_rig import DOMAIN, Device, Leg, Rig

from ringback.server.b2bua.call import EVENT_LIMIT, BridgedCall
from ringback.server.b2bua.leg import BridgeLeg
from ringback.server.b2bua.search import Search
from ringback.sip.dialog.dialog import Dialog
from ringback.sip.dialog.invite_session import InviteSession
from ringback.sip.message.message import Request
from ringback.sip.message.parser import parse_message
from ringback.sip.stack import SipStack
from ringback.sip.transaction.client import ClientTransaction
from ringback.sip.transaction.server import ServerTransaction


class Fuse:
    """Blows at the n-th command to the stack, once."""

    def __init__(self, stack: SipStack, blows_at: int) -> None:
        self._left = blows_at
        for name in ("keep", "make_response", "respond", "send_request", "cancel", "send_stateless"):
            setattr(stack, name, partial(self._command, getattr(stack, name)))

    def _command(self, command: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        self._left -= 1
        if self._left == 0:
            raise RuntimeError("a fault that was put in")
        return command(*arguments, **keywords)


class Phone:
    """Answers calls, confirms everything."""

    def __init__(self, device: Device, *, status: int) -> None:
        self.device = device
        self.status = status
        self.is_talking = False
        self._invite = b""
        self._task = asyncio.create_task(self._run())

    def stop(self) -> None:
        self._task.cancel()

    async def _run(self) -> None:
        peer = self.device.peer
        while True:
            data = await peer.hear(timeout=4000)
            message = parse_message(data)
            if not isinstance(message, Request):
                continue
            contact = [("Contact", f"<{self.device.contact}>")]
            if message.method == "INVITE" and not self._invite:
                self._invite = data
                peer.reply(180, to=data, headers=contact)
                if self.status:
                    peer.reply(self.status, to=data, headers=contact, body=sdp_of(self.device))
            elif message.method == "ACK":
                self.is_talking = self.status == 200
            elif message.method == "CANCEL":
                peer.reply(200, to=data)
                peer.reply(487, to=self._invite)
            elif message.method == "BYE":
                self.is_talking = False
                peer.reply(200, to=data)


async def answer_everything(device: Device) -> None:
    """The caller confirms what the server asks of it."""
    while True:
        data = await device.peer.hear(timeout=4000)
        if data.startswith(b"BYE"):
            device.peer.reply(200, to=data)


def statuses(device: Device) -> list[int]:
    found = [parse_message(data) for data in device.peer.heard]
    return [each.status for each in found if not isinstance(each, Request) and each.cseq.method == "INVITE"]


@pytest.mark.parametrize("outcome", [200, 486, 0])
@pytest.mark.parametrize("blows_at", range(1, 22))
def test_every_call_gets_a_final_answer_and_no_half_is_left_though_we_fail(
    outcome: int, blows_at: int
) -> None:
    """Outcome 0 is a phone that only rings: the caller cancels."""

    async def test(rig: Rig) -> None:
        anna, bob = await two_phones(rig)
        phone = Phone(bob, status=outcome)
        Fuse(rig.server.stack, blows_at)
        sent = anna.send("INVITE", f"sip:102@{DOMAIN}", body=sdp_of(anna))
        await asyncio.sleep(0.1)
        if statuses(anna)[:1] == [407]:
            challenge = parse_message(anna.peer.heard[-1])
            sent = anna.resend_with_credentials(sent, challenge)  # type: ignore[arg-type]
        await asyncio.sleep(1)
        leg = Leg(anna, sent)
        hearing = asyncio.create_task(answer_everything(anna))
        if outcome == 0:
            leg.cancel()
        await asyncio.sleep(400)
        assert statuses(anna)[-1] >= 200
        assert not phone.is_talking  # nobody acknowledged the 200: both halves are over
        assert rig.server.status()["bridged"] == 0
        phone.stop()
        hearing.cancel()

    on_a_bridge(test)


@pytest.mark.parametrize("blows_at", range(1, 9))
def test_a_fault_in_a_call_that_stands_ends_it_at_both_ends_or_not_at_all(blows_at: int) -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await two_phones(rig)
        phone = Phone(bob, status=200)
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sdp_of(anna))
        await leg.answered(200)
        half = half_of_caller(leg)
        await asyncio.sleep(0.5)
        Fuse(rig.server.stack, blows_at)
        hearing = asyncio.create_task(answer_everything(anna))
        half.send("INFO")
        await asyncio.sleep(1)
        half.send("BYE")
        await asyncio.sleep(4000)
        assert not phone.is_talking
        assert rig.server.status()["bridged"] == 0
        assert not len(rig.server.bridged)
        phone.stop()
        hearing.cancel()

    on_a_bridge(test)


def test_who_floods_a_call_loses_it_and_nobody_else_notices() -> None:
    async def test(rig: Rig) -> None:
        one, other = await call(rig, *await two_phones(rig))
        for number in range(EVENT_LIMIT + 40):
            one.send("OPTIONS", headers=[("X-Number", str(number))])
        await asyncio.sleep(0)
        await other.expect("BYE", skip=("OPTIONS",))
        other.reply(200)
        await asyncio.sleep(40)
        assert rig.server.status()["bridged"] == 0

    on_a_bridge(test)


def test_a_call_that_is_over_leaves_nothing_to_the_garbage_collector() -> None:
    kept = (BridgedCall, BridgeLeg, Search, InviteSession, Dialog, ClientTransaction, ServerTransaction)

    async def test(rig: Rig) -> None:
        one, other = await call(rig, *await two_phones(rig))
        one.send("INVITE", body=sdp_of(one.device, version=2))
        await other.expect("INVITE")
        other.reply(200, body=sdp_of(other.device, port=5000, version=2))
        await one.expect(200, skip=(100,))
        one.send("ACK", cseq=one.cseq)
        await other.expect("ACK")
        one.send("BYE")
        await other.expect("BYE")
        gc.collect()
        gc.disable()
        try:
            other.reply(200)
            await asyncio.sleep(60)
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            left = [each for each in gc.garbage if isinstance(each, kept)]
            assert left == []
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()

    on_a_bridge(test)
