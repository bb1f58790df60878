# SPDX-License-Identifier: Apache-2.0
"""Something of ours fails at the n-th step, for every n: the caller gets an answer, and nothing is left."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from server_rig import DOMAIN, SERVER, Device, Leg, Rig, on_a_server

from ringback.sip.message.message import Request
from ringback.sip.message.parser import parse_message
from ringback.sip.stack import SipStack


class Fuse:
    """Blows at the n-th command to the stack, once."""

    def __init__(self, stack: SipStack, blows_at: int) -> None:
        self._left = blows_at
        for name in ("keep", "make_response", "respond", "respond_stateless", "send_request", "cancel"):
            setattr(stack, name, partial(self._command, getattr(stack, name)))

    def _command(self, command: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        self._left -= 1
        if self._left == 0:
            raise RuntimeError("a fault that was put in")
        return command(*arguments, **keywords)


def statuses(device: Device) -> list[int]:
    found = [parse_message(data) for data in device.peer.heard]
    return [each.status for each in found if not isinstance(each, Request) and each.cseq.method == "INVITE"]


async def ring_and_answer(bob: Device, *, status: int) -> None:
    """Bob's phone: rings, then answers, and obeys a CANCEL."""
    invite = b""
    while True:
        data = await bob.peer.hear(timeout=400)
        message = parse_message(data)
        if not isinstance(message, Request):
            continue
        if message.method == "INVITE" and not invite:
            invite = data
            bob.peer.reply(180, to=invite)
            if status:
                bob.peer.reply(status, to=invite, headers=[("Contact", f"<{bob.contact}>")])
        elif message.method == "CANCEL":
            bob.peer.reply(200, to=data)
            bob.peer.reply(487, to=invite)


@pytest.mark.parametrize("outcome", [200, 486, 0])
@pytest.mark.parametrize("blows_at", range(1, 17))
def test_every_call_gets_a_final_answer_though_we_fail(outcome: int, blows_at: int) -> None:
    """Outcome 0 is a phone that only rings: the caller cancels."""

    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        phone = asyncio.create_task(ring_and_answer(bob, status=outcome))
        Fuse(rig.server.stack, blows_at)
        sent = anna.send("INVITE", f"sip:102@{DOMAIN}")
        await asyncio.sleep(0.1)
        if statuses(anna)[:1] == [407]:
            sent = anna.resend_with_credentials(sent, parse_message(anna.peer.heard[-1]))  # type: ignore[arg-type]
        await asyncio.sleep(1)
        if outcome == 0:
            Leg(anna, sent).cancel()
        await asyncio.sleep(400)
        assert statuses(anna)[-1] >= 200
        phone.cancel()
        assert rig.state == (0, 0, 0, 0, 0)

    on_a_server(test)


def test_a_fault_in_one_call_is_not_noticed_by_another() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        carol = await rig.phone("103", "10.0.0.13")
        first = await anna.call(f"sip:102@{DOMAIN}")
        await bob.peer.expect("INVITE")
        rig.server.location._by_user["101"] = 5  # type: ignore[assignment]
        await carol.ask("INVITE", f"sip:101@{DOMAIN}")
        await carol.peer.expect(500)
        bob.peer.reply(200, headers=[("Contact", f"<{bob.contact}>")])
        await first.answered(200)
        del rig.server.location._by_user["101"]
        anna.peer.send(b"\r\n\r\n", SERVER)

    on_a_server(test)
