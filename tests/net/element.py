# SPDX-License-Identifier: Apache-2.0
"""A SIP element for tests of the network layer: answers each request with 200 and keeps what happened."""

import itertools
import random
import ssl
from pathlib import Path
from typing import Any

from ringback.net.driver import StackDriver
from ringback.net.endpoint import Endpoint
from ringback.net.hosts_file import HostsFile
from ringback.net.limits import TransportLimits
from ringback.net.network import Network
from ringback.net.resolver import Resolver
from ringback.sip.events import Event, RequestReceived
from ringback.sip.flow import Address, Flow, Transport
from ringback.sip.identifiers import Identifiers
from ringback.sip.message.message import Request, Response
from ringback.sip.stack import SipStack
from ringback.testing import Names

_calls = itertools.count(1)


class Element:
    """One stack, one driver."""

    def __init__(
        self,
        network: Network,
        *,
        seed: int = 1,
        dns: Names | None = None,
        limits: TransportLimits | None = None,
        client_tls: ssl.SSLContext | None = None,
    ) -> None:
        self.chance = random.Random(seed)
        self.stack = SipStack(Identifiers(self.chance.randbytes))
        self.resolver = Resolver(
            dns or Names(), hosts=HostsFile(Path("/nonexistent")), chance=random.Random(seed)
        )
        self.driver = StackDriver(
            self.stack,
            network,
            resolver=self.resolver,
            handler=self.handle,
            limits=limits,
            client_tls=client_tls,
        )
        self.events: list[Event] = []
        self.flows: list[Flow] = []
        self.status = 200
        self.sent: list[tuple[bytes, Flow]] = []
        self.received: list[tuple[bytes, Flow]] = []
        self.driver.watch(self.tap)

    def tap(self, sent: bool, data: bytes, flow: Flow, _now: float) -> None:
        (self.sent if sent else self.received).append((data, flow))

    def handle(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, RequestReceived):
            self.flows.append(event.flow)
            if self.status:
                response = self.stack.make_response(event.transaction, self.status)
                self.driver.perform(self.stack.respond, event.transaction, response)

    async def listen(self, transport: Transport, local: Address, **options: Any) -> Endpoint:
        return await self.driver.listen(transport, local, **options)

    async def ask(self, target: str, **parts: Any) -> Response:
        """OPTIONS (or another method) and its final response."""
        flow = parts.pop("flow", None)
        return await self.driver.request(request_to(target, **parts), flow=flow)

    @property
    def requests(self) -> list[Request]:
        return [event.request for event in self.events if isinstance(event, RequestReceived)]

    async def close(self) -> None:
        await self.driver.close()


def request_to(target: str, *, method: str = "OPTIONS", body: bytes = b"") -> Request:
    return Request.new(
        method,
        target,
        from_="<sip:alice@example.com>;tag=a",
        to=f"<{target}>",
        call_id=f"{next(_calls)}@test",
        cseq=1,
        body=body,
        content_type="text/plain" if body else None,
    )
