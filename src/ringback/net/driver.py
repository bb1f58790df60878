# SPDX-License-Identifier: Apache-2.0
"""How does a `SipStack` meet the world? The complete I/O driver: sockets, names, the clock, and one rule.

The rule: *one input, then drain.* After every datagram, message, timer and command the driver sends what the
stack wants sent, hands out its events, and sets its one timer to the stack's next deadline. Nothing else in
Ringback moves signalling bytes.

    driver = StackDriver(stack, RealNetwork(), resolver=Resolver(SystemDns()), handler=print)
    await driver.listen(Transport.UDP, Address("0.0.0.0", 5060))
    response = await driver.request(Request.new("OPTIONS", "sip:example.com", ...))
    await driver.close()
"""

import asyncio
import logging
import random
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from ringback.net.endpoint import Endpoint
from ringback.net.errors import RequestTimeout, TransportError
from ringback.net.limits import TransportLimits
from ringback.net.network import Network
from ringback.net.resolver import Resolver
from ringback.net.route import FlowFinder
from ringback.net.transport_layer import TransportLayer
from ringback.sip.events import (
    Consumer,
    Event,
    FlowNeeded,
    Outgoing,
    PeerMisbehaved,
    RequestReceived,
    RequestTimedOut,
    ResponseReceived,
    TransportFailed,
)
from ringback.sip.flow import Address, Flow, Transport
from ringback.sip.message.message import Request, Response
from ringback.sip.message.uri import Uri
from ringback.sip.stack import SipStack

log = logging.getLogger("ringback.net")

Result = TypeVar("Result")
#: (True when we sent it, data, flow, time)
Watcher = Callable[[bool, bytes, Flow, float], None]


class StackDriver:
    """Joins one `SipStack` to a `Network` and the running loop's clock.

    handler:
        gets every event nobody else asked for (new requests, stray ACKs, misbehaving peers); may be set later
    client_tls:
        for TLS connections we open; None: the certificates this machine trusts
    """

    def __init__(
        self,
        stack: SipStack,
        network: Network,
        *,
        resolver: Resolver,
        handler: Consumer,
        limits: TransportLimits | None = None,
        client_tls: ssl.SSLContext | None = None,
        websocket_path: str = "/ws",
    ) -> None:
        limits = limits or TransportLimits()
        self.stack = stack
        self.resolver = resolver
        self.handler = handler
        self.transports = TransportLayer(
            network,
            limits=limits,
            client_tls=client_tls,
            path=websocket_path,
            received=self.receive,
            lost=self._flow_lost,
            # From the stack's chance, so that a simulation repeats; it spreads pings, protects nothing.
            chance=random.Random(stack.identifiers.session_id()),  # noqa: S311
        )
        self._finder = FlowFinder(
            self.transports, resolver, limits=limits, found=self._flow_found, lost=self._flow_not_found
        )
        self._loop = asyncio.get_running_loop()
        self._watchers: list[Watcher] = []
        #: Called once with each flow whose connection ended (RFC 5626 4.4: register anew).
        self.on_flow_lost: list[Callable[[Flow], None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._is_draining = False
        self._is_closed = False

    # --- for those who build on it ---

    @property
    def now(self) -> float:
        """The time every input and command is given."""
        return self._loop.time()

    @property
    def endpoints(self) -> list[Endpoint]:
        """Where we listen."""
        return list(self.transports.endpoints)

    async def listen(
        self,
        transport: Transport,
        local: Address,
        *,
        advertise: Address | None = None,
        tls: ssl.SSLContext | None = None,
        path: str = "/ws",
    ) -> Endpoint:
        """Listen; port 0 takes a free one. Raises `PortInUse` or another `OSError`."""
        return await self.transports.listen(transport, local, advertise=advertise, tls=tls, path=path)

    def perform(self, command: Callable[..., Result], *arguments: Any, **keywords: Any) -> Result:
        """Give the stack (or a session) a command, and drain. `now` is added."""
        try:
            return command(*arguments, now=self.now, **keywords)
        finally:
            self._drain()

    async def request(self, request: Request, *, flow: Flow | None = None) -> Response:
        """Send a request and wait for its final response. Raises `RequestTimeout` or `TransportError`."""
        inbox = self._ask(request, flow)
        while True:
            response = _response(await inbox.get())
            if response.status >= 200:
                return response

    async def responses(self, request: Request, *, flow: Flow | None = None) -> AsyncIterator[Response]:
        """Every response to a request, the final one last. Raises as `request` does."""
        inbox = self._ask(request, flow)
        while True:
            response = _response(await inbox.get())
            yield response
            if response.status >= 200:
                return

    async def flow_to(self, uri: Uri) -> Flow:
        """A flow to the first server of `uri` that can be reached. Raises `TransportError`."""
        return await self._finder.flow_to(uri)

    def endpoint_for(self, transport: Transport, remote_host: str) -> Endpoint | None:
        """The endpoint a peer at `remote_host` is best spoken to from."""
        return self.transports.endpoint_for(transport, remote_host)

    def is_alive(self, flow: Flow) -> bool:
        """True while something can be sent on the flow."""
        return self.transports.is_alive(flow)

    def trust(self, flow: Flow) -> None:
        """The peer on this flow is known (a phone that registered): its connection may be silent for long."""
        self.transports.trust(flow)

    def ping(self, flow: Flow) -> None:
        """Keep the NAT binding of a UDP flow open: one CRLFCRLF. Connections of ours ping by themselves."""
        if flow.transport is Transport.UDP:
            self.transports.send(b"\r\n\r\n", flow)

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Show every message sent and received to `watcher`; the result ends that."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    async def close(self) -> None:
        """Close every endpoint and connection. What was sent goes out; what is pending is forgotten."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        await self._finder.close()
        await self.resolver.close()
        await self.transports.close()

    # --- inputs ---

    def receive(self, data: bytes, flow: Flow) -> None:
        """One whole message from a transport."""
        self._show(False, data, flow)
        self._guarded(self.stack.receive, data, flow, self.now)
        self._drain()

    def _flow_lost(self, flow: Flow, detail: str) -> None:
        self._guarded(self.stack.flow_failed, flow, now=self.now, detail=detail)
        for callback in list(self.on_flow_lost):
            self._guarded(callback, flow)
        self._drain()

    def _wake(self, scheduled: float) -> None:
        self._timer = None
        self._guarded(self.stack.handle_timer, max(self.now, scheduled))  # the loop may wake a hair early
        self._drain()

    def _flow_found(self, outgoing: Outgoing, flow: Flow, more: bool) -> None:
        self._guarded(self.stack.use_flow, outgoing, flow, now=self.now, more=more)
        self._drain()

    def _flow_not_found(self, outgoing: Outgoing, detail: str) -> None:
        self._guarded(self.stack.no_flow, outgoing, now=self.now, detail=detail)
        self._drain()

    # --- one input, then drain ---

    def _drain(self) -> None:
        """Send, hand out, arm. What a consumer commands in here is drained by this same loop."""
        if self._is_draining or self._is_closed:
            return
        self._is_draining = True
        try:
            self.transmit()
            while (event := self.stack.next_event()) is not None:
                self._dispatch(event)
                self.transmit()
        finally:
            self._is_draining = False
        self._arm()

    def transmit(self) -> None:
        """Send what the stack wants sent, in its order."""
        for data, flow in self.stack.to_send():
            if self.transports.send(data, flow):
                self._show(True, data, flow)
            else:
                self._guarded(self.stack.flow_failed, flow, now=self.now, detail="the connection is gone")

    def _dispatch(self, event: Event) -> None:
        if isinstance(event, FlowNeeded):
            self._finder.find(event)
            return
        if isinstance(event, PeerMisbehaved):
            log.debug("%s broke %s: %s", event.flow, event.section or "a rule", event.detail)
        went_well = self._guarded(event.consumer or self.handler, event)
        if not went_well and isinstance(event, RequestReceived):
            self._guarded(self._answer_for_failure, event)

    def _arm(self) -> None:
        """One timer for the whole stack; only ever moved to an earlier time, else it wakes and arms again."""
        deadline = self.stack.next_deadline()
        if deadline is None or (self._timer is not None and self._timer.when() <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._wake, deadline)

    # --- the guard ---

    def _guarded(self, call: Callable[..., object], *arguments: Any, **keywords: Any) -> bool:
        """The one place that catches everything: a bug in one consumer must not stop the phones of all."""
        try:
            call(*arguments, **keywords)
        except Exception:
            log.exception("our own code failed in %s", getattr(call, "__qualname__", call))
            return False
        return True

    def _answer_for_failure(self, event: RequestReceived) -> None:
        """The peer must not wait for an answer that our failed consumer will never give."""
        transaction = event.transaction
        if transaction.last_response is None or transaction.last_response.status < 200:
            response = self.stack.make_response(transaction, 500)
            self.stack.respond(transaction, response, now=self.now)

    # --- inside ---

    def _ask(self, request: Request, flow: Flow | None) -> asyncio.Queue[Event]:
        inbox: asyncio.Queue[Event] = asyncio.Queue()
        self.perform(self.stack.send_request, request, flow=flow, consumer=inbox.put_nowait)
        return inbox

    def _show(self, sent: bool, data: bytes, flow: Flow) -> None:
        for watcher in self._watchers:
            self._guarded(watcher, sent, data, flow, self.now)


def _response(event: Event) -> Response:
    """The response in an event, or the exception the event stands for."""
    if isinstance(event, ResponseReceived):
        return event.response
    if isinstance(event, RequestTimedOut):
        raise RequestTimeout(f"nobody answered the {event.transaction.request.method}")
    assert isinstance(event, TransportFailed)
    raise TransportError(event.detail)
