# SPDX-License-Identifier: Apache-2.0
"""A server that bridges, phones that speak raw SIP to it, and both halves of a call."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from server_rig import DOMAIN, SERVER, Device, Leg, Rig, on_a_server, with_bridge

from ringback.server.config import Settings
from ringback.sip.message.message import Request
from ringback.testing import messages


def sdp_of(
    device: Device, *, port: int = 4000, version: int = 1, extra: str = "", payload: str = "0"
) -> bytes:
    """What a phone says of its sound."""
    host = device.peer.local.host
    lines = (
        "v=0",
        f"o=- {device.number} {version} IN IP4 {host}",
        "s=-",
        f"c=IN IP4 {host}",
        "t=0 0",
        f"m=audio {port} RTP/AVP {payload}",
    )
    return "".join(f"{line}\r\n" for line in (*lines, *extra.split())).encode()


class Half:
    """One phone in a call that stands: its dialog, from its side. Each request has the next number."""

    def __init__(
        self, device: Device, *, target: str, local: str, remote: str, call_id: str, cseq: int = 10
    ) -> None:
        self.device = device
        self.target = target
        self.local = local
        self.remote = remote
        self.call_id = call_id
        self.cseq = cseq

    @property
    def local_tag(self) -> str:
        return self.local.rpartition("tag=")[2]

    @property
    def remote_tag(self) -> str:
        return self.remote.rpartition("tag=")[2]

    def send(
        self,
        method: str,
        *,
        cseq: int | None = None,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str = "application/sdp",
    ) -> bytes:
        """A request in the dialog."""
        if cseq is None and method != "ACK":
            self.cseq += 1
        data = messages.request(
            method,
            self.target,
            via=f"SIP/2.0/{self.device.peer.transport} {self.device.peer.local}",
            from_=self.local,
            to=self.remote,
            call_id=self.call_id,
            cseq=self.cseq if cseq is None else cseq,
            headers=[("Contact", f"<{self.device.contact}>"), *headers],
            body=body,
            content_type=content_type,
        )
        self.device.peer.send(data, SERVER)
        return data

    def replaces(self) -> str:
        """The dialog as the server knows it, for a Replaces."""
        return f"{self.call_id};to-tag={self.remote_tag};from-tag={self.local_tag}"

    async def expect(self, what: str | int, **options: Any) -> Any:
        return await self.device.peer.expect(what, **options)

    def reply(self, status: int, *, body: bytes = b"", headers: Iterable[tuple[str, str]] = ()) -> None:
        """Answer the last request of the server."""
        lines = [("Contact", f"<{self.device.contact}>"), *headers]
        self.device.peer.reply(status, headers=lines, body=body)


def half_of_caller(leg: Leg) -> Half:
    """The caller's half of a call that was answered."""
    from ringback.sip.message.parser import parse_message

    invite, answer = parse_message(leg.invite), leg.answer
    assert isinstance(invite, Request)
    assert answer is not None
    return Half(
        leg.device,
        target=str(answer.contacts[0].uri),
        local=invite.headers["From"],
        remote=answer.headers["To"],
        call_id=invite.call_id,
        cseq=leg.device.cseq,
    )


def half_of_callee(device: Device, invite: Request, *, tag: str = "peer") -> Half:
    """The callee's half, from the INVITE it got."""
    return Half(
        device,
        target=str(invite.contacts[0].uri),
        local=f"{invite.headers['To']};tag={tag}",
        remote=invite.headers["From"],
        call_id=invite.call_id,
    )


async def call(
    rig: Rig, caller: Device, callee: Device, *, allow: bool = False, **parts: Any
) -> tuple[Half, Half]:
    """A call that stands: both halves."""
    headers = [*parts.pop("headers", ())]
    allowed = [("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE, PRACK, INFO, REFER, NOTIFY")] if allow else []
    leg = await caller.call(
        f"sip:{callee.number}@{DOMAIN}",
        body=parts.pop("body", sdp_of(caller)),
        headers=[*headers, *allowed],
        **parts,
    )
    invite = await callee.peer.expect("INVITE")
    callee.peer.reply(
        200, headers=[("Contact", f"<{callee.contact}>"), *allowed], body=sdp_of(callee, port=5000)
    )
    await leg.answered(200)
    await callee.peer.expect("ACK")
    await asyncio.sleep(0.1)  # the caller's ACK arrives
    return half_of_caller(leg), half_of_callee(callee, invite)


def on_a_bridge(
    test: Callable[[Rig], Awaitable[None]], *, settings: Settings | None = None, **options: Any
) -> None:
    """Run a test in virtual time on a server that bridges."""
    on_a_server(test, settings=settings or with_bridge(), **options)


async def two_phones(rig: Rig) -> tuple[Device, Device]:
    return await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
