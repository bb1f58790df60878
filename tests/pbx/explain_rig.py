# SPDX-License-Identifier: Apache-2.0
"""A whole phone system on a network in memory whose calls are explained: what went over the wire is what is judged."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from server_rig import DOMAIN, SECRET, USERS, Device, Leg, Rig

from ringback.media.facilities import Facilities
from ringback.media.local_plane import LocalPlane
from ringback.media.ports import PortRange
from ringback.pbx.accounts import new_user
from ringback.pbx.app import PhoneSystem
from ringback.server.config import Settings
from ringback.server.identity import Identity
from ringback.server.storage import MemoryStore
from ringback.sip.message.message import Request
from ringback.testing import run


def call_id_of(data: bytes) -> str:
    """Of a message as it was sent."""
    line = next(line for line in data.split(b"\r\n") if line.lower().startswith(b"call-id:"))
    return line.partition(b":")[2].strip().decode()


class ExplainedOffice(Rig):
    """The server is that of a `PhoneSystem`, with its trace, its decisions and its verbs."""

    system: PhoneSystem

    def __init__(
        self, *, calls: str = "bridge", max_bridged: int = 100, advertised: str = "10.0.0.1", **settings: Any
    ) -> None:
        super().__init__()
        self.advertised = advertised
        self.settings = Settings.model_validate(
            {
                "sip": {"domain": DOMAIN, "host": ["10.0.0.1"]},
                "calls": {"mode": calls, "max_bridged": max_bridged},
                **settings,
            }
        )
        self.plane: Any = None

    async def start(self) -> ExplainedOffice:
        loop = asyncio.get_running_loop()
        store = MemoryStore()
        for number, name in USERS.items():
            store.put_user(new_user(number, name, password=f"secret-{number}", realm=DOMAIN))
        self.system = PhoneSystem(
            self.settings,
            Identity(domain=DOMAIN, advertised=(self.advertised,), realm=DOMAIN, secret=SECRET),
            store=store,
            network=self.server_host,
            wall_clock=lambda: 1_000_000_000.0 + loop.time(),
            plane=self.plane,
        )
        await self.system.start()
        self.server = self.system.server
        self.ended: list[dict[str, Any]] = []
        self.system.bulletin.listen(
            lambda event: self.ended.append(event["call"]) if event["kind"] == "call.ended" else None
        )
        return self

    async def explain(self, call_id: str, **arguments: Any) -> dict[str, Any]:
        """What the verb says."""
        return await self.system.ask("explain", {"call_id": call_id, **arguments})

    async def verdicts(self, call_id: str, **arguments: Any) -> dict[str, dict[str, Any]]:
        """The verdicts, by code."""
        answer = await self.explain(call_id, **arguments)
        assert answer["found"], f"nothing is known of {call_id}"
        return {verdict["code"]: verdict for verdict in answer["verdicts"]}


def in_an_office(
    test: Callable[[ExplainedOffice], Awaitable[None]], *, has_plane: bool = False, **settings: Any
) -> None:
    """Run a test in virtual time; with a plane, sound can come through the server."""

    async def main() -> None:
        office = ExplainedOffice(**settings)
        if has_plane:
            office.plane = LocalPlane(
                Facilities(office.server_host, host="10.0.0.1", ports=PortRange(20_000, 30_000))
            )
            await office.plane.start()
        await office.start()
        try:
            await test(office)
        finally:
            await office.system.close()
            if has_plane:
                await office.plane.close()

    run(main())


def sound(host: str, port: int = 4000, *, formats: str = "0", extra: str = "", origin: str = "") -> bytes:
    """A description: sound at this address."""
    lines = (
        "v=0",
        f"o=- 1 1 IN IP4 {origin or host}",
        "s=-",
        f"c=IN IP4 {host}",
        "t=0 0",
        f"m=audio {port} RTP/AVP {formats}",
        *extra.split("|"),
    )
    return "".join(f"{line}\r\n" for line in lines if line).encode()


async def answered(callee: Device, body: bytes = b"", *, status: int = 200, **parts: Any) -> Request:
    """The INVITE that rings here, and its answer."""
    invite = await callee.peer.expect("INVITE")
    assert isinstance(invite, Request)
    callee.peer.reply(status, headers=[("Contact", f"<{callee.contact}>")], body=body, **parts)
    return invite


async def talk(office: ExplainedOffice, caller: Device, callee: Device, **parts: Any) -> tuple[Leg, Request]:
    """A call that stands, in both directions with a description."""
    leg = await caller.call(
        f"sip:{callee.number}@{DOMAIN}", body=parts.pop("body", sound(caller.peer.local.host)), **parts
    )
    invite = await answered(callee, sound(callee.peer.local.host, 5000))
    await leg.answered(200)
    await callee.peer.expect("ACK")
    return leg, invite
