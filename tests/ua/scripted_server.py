# SPDX-License-Identifier: Apache-2.0
"""A SIP server for tests of phones: it answers as the test's script says, and remembers all requests."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from ringback.net.driver import StackDriver
from ringback.net.resolver import Resolver
from ringback.sip.digest import ha1
from ringback.sip.digest_server import DigestServer
from ringback.sip.events import Event, RequestReceived
from ringback.sip.flow import Address, Flow, Transport
from ringback.sip.identifiers import Identifiers
from ringback.sip.message import Request
from ringback.sip.stack import SipStack
from ringback.testing import Network

Answer = tuple[int, list[tuple[str, str]]]
#: The request and where it came from -> status and header fields; None: silence.
Script = Callable[[Request, Flow], Answer | None]

HOST = "10.0.0.1"


def accept_register(request: Request, flow: Flow) -> Answer:
    """200 with the contacts that were asked for."""
    contacts = [("Contact", str(contact)) for contact in request.contacts]
    return 200, [*contacts, ("Expires", request.headers.get("Expires") or "3600")]


@dataclass
class ScriptedServer:
    """Answers by `script`."""

    driver: StackDriver
    script: Script
    requests: list[Request] = field(default_factory=list)
    flows: list[Flow] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    @classmethod
    async def start(
        cls, network: Network, script: Script = accept_register, *, host: str = HOST, seed: int = 1
    ) -> ScriptedServer:
        """Listen on 5060 UDP and TCP."""
        stack = SipStack(Identifiers(random.Random(seed).randbytes))
        driver = StackDriver(stack, network.host(host), resolver=Resolver(network.dns), handler=print)
        server = cls(driver, script)
        driver.handler = server.receive_event
        for transport in (Transport.UDP, Transport.TCP):
            await driver.listen(transport, Address(host, 5060))
        return server

    def receive_event(self, event: Event) -> None:
        """A new request."""
        if not isinstance(event, RequestReceived):
            return
        self.requests.append(event.request)
        self.flows.append(event.flow)
        self.times.append(self.driver.now)
        answer = self.script(event.request, event.flow)
        if answer is not None:
            status, headers = answer
            stack = self.driver.stack
            response = stack.make_response(event.transaction, status, headers=headers)
            self.driver.perform(stack.respond, event.transaction, response)

    @property
    def methods(self) -> list[str]:
        """What was asked, in order."""
        return [request.method for request in self.requests]

    async def close(self) -> None:
        """Stop."""
        await self.driver.close()


def challenging(
    accept: Script, *, status: int = 401, realm: str = "example.com", password: str = "s3cret"
) -> Script:
    """Everything is challenged; what user 101 proves goes to `accept`."""
    digest = DigestServer(b"k" * 32, realm=realm, algorithms=("SHA-256", "MD5"))

    def ha1_for(user: str, algorithm: str) -> str | None:
        return ha1(user, realm, password, algorithm) if user == "101" else None

    def script(request: Request, flow: Flow) -> Answer | None:
        now, source = asyncio.get_running_loop().time(), flow.remote.host
        verdict = digest.verify(
            request.credentials, request.method, request.target, request.body, ha1_for, source, now=now
        )
        if verdict.user is not None:
            return accept(request, flow)
        field = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
        return status, [(field, value) for value in digest.challenges(source, now=now)]

    return script
