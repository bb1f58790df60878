# SPDX-License-Identifier: Apache-2.0
"""How does a `SipStack` meet the world? The complete I/O driver: sockets, names, the clock, and one rule.

The rule: *one input, then drain.* After every batch of messages, timer and command the driver hands out the
stack's events, sends what it wants sent, and sets its one timer to the stack's next deadline. Of a batch each
message has its events handed out before the next one is looked at, and all is sent together at the end: one
reading of the clock, one system call a socket. Nothing else in Ringback moves signalling bytes.

    driver = StackDriver(stack, RealNetwork(), resolver=Resolver(SystemDns()), handler=print)
    await driver.listen(Transport.UDP, Address("0.0.0.0", 5060))
    response = await driver.request(Request.new("OPTIONS", "sip:example.com", ...))
    await driver.close()
"""

import asyncio
import logging
import random
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, TypeVar

from ringback.net.endpoint import Endpoint
from ringback.net.errors import RequestTimeout, TransportError
from ringback.net.gate import MessageGate
from ringback.net.limits import TransportLimits
from ringback.net.neighbours import Neighbours
from ringback.net.network import Network
from ringback.net.resolver import Resolver
from ringback.net.route import FlowFinder
from ringback.net.transport_layer import TransportLayer
from ringback.net.udp_socket import BATCH
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

#: More messages at once are sorted by what is at stake (5 ms of work); fewer are worked on as they came.
BEHIND = 4 * BATCH

Result = TypeVar("Result")
#: (True when we sent it, data, flow, time)
Watcher = Callable[[bool, bytes, Flow, float], None]
#: (True when we sent them, messages, time)
Tap = Callable[[bool, Sequence[tuple[bytes, Flow]], float], None]


class StackDriver:
    """Joins one `SipStack` to a `Network` and the running loop's clock.

    handler:
        gets every event nobody else asked for (new requests, stray ACKs, misbehaving peers); may be set later
    client_tls:
        for TLS connections we open; None: the certificates this machine trusts
    gate:
        orders the messages when more come than can be worked on; None: first come, first served
    neighbours:
        the other processes that share our ports; None: there are none
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
        gate: MessageGate | None = None,
        neighbours: Neighbours | None = None,
    ) -> None:
        limits = limits or TransportLimits()
        self.stack = stack
        self.resolver = resolver
        self.handler = handler
        self._gate = gate
        self.transports = TransportLayer(
            network,
            limits=limits,
            client_tls=client_tls,
            path=websocket_path,
            received=self.receive_batch if neighbours is None else neighbours.sorting(self.receive_batch),
            lost=self.flow_lost,
            # From the stack's chance, so that a simulation repeats; it spreads pings, protects nothing.
            chance=random.Random(stack.identifiers.session_id()),  # noqa: S311
            neighbours=neighbours,
        )
        self._finder = FlowFinder(
            self.transports, resolver, limits=limits, found=self._flow_found, lost=self._flow_not_found
        )
        self._loop = asyncio.get_running_loop()
        self._watchers: list[Watcher] = []
        self.tap: Tap | None = None  # is given every batch to keep; never raises; leaves the door as it is
        #: Called once with each flow whose connection ended (RFC 5626 4.4: register anew).
        self.on_flow_lost: list[Callable[[Flow], None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = self._now = 0.0
        self._serving: asyncio.TimerHandle | None = None
        self._is_draining = False
        self._is_closed = False

    # --- for those who build on it ---

    @property
    def now(self) -> float:
        """The time every input and command is given: while a batch is worked on, when it came."""
        return self._now if self._is_draining else self._loop.time()

    @property
    def gate(self) -> MessageGate | None:
        """Who decides what is worked on first."""
        return self._gate

    @gate.setter
    def gate(self, gate: MessageGate | None) -> None:
        self._gate = gate
        self.transports.answer_by(None)

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
        if self._is_draining:
            return command(*arguments, now=self._now, **keywords)
        try:
            return command(*arguments, now=self._loop.time(), **keywords)
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
        if flow.connection:
            self.transports.trust(flow)
        if self._gate is not None:
            self._gate.trust(flow, self.now)

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
        if self._serving is not None:
            self._serving.cancel()
        await self._finder.close()
        await self.resolver.close()
        await self.transports.close()

    # --- inputs ---

    def receive(self, data: bytes, flow: Flow) -> None:
        """One whole message from a transport."""
        self.receive_batch(((data, flow),))

    def receive_batch(self, batch: Sequence[tuple[bytes, Flow]]) -> None:
        """Whole messages from the transports, in the order they came; what cannot be done now waits."""
        if self._is_closed:
            return
        now = self._loop.time()
        if self.tap is not None:
            self.tap(False, batch, now)
        if self._watchers:
            for data, flow in batch:
                self._show(False, data, flow)
        gate = self._gate
        if gate is not None and (len(batch) > BEHIND or not gate.is_open):
            gate.sort(batch, now)
            # Watchers shall see everything.
            self.transports.answer_by(None if self._watchers else gate.door)
            self._serve_soon(gate, 0.0)
        else:
            self._work_on(batch, now)

    def _work_on(self, batch: Sequence[tuple[bytes, Flow]], now: float) -> None:
        self._now = now
        is_outermost, self._is_draining = not self._is_draining, True
        receive, events, dispatch = self.stack.receive, self.stack.events, self._dispatch
        for data, flow in batch:
            try:
                receive(data, flow, now)
                if is_outermost:
                    while events:
                        dispatch(events.popleft())
            except Exception:
                log.exception("our own code failed in the stack")
        if is_outermost:
            self._is_draining = False
            self._drain()

    def _wake(self, scheduled: float) -> None:
        self._timer = None
        self._now = scheduled  # the loop may wake a hair early
        if self._gate is not None:
            self._gate.late(self._loop.time() - scheduled, scheduled)
        self._input(self.stack.handle_timer)

    def flow_lost(self, flow: Flow, detail: str) -> None:
        """A connection is over, here or in another process of ours."""
        self._input(self.stack.flow_failed, flow, detail=detail)
        for callback in list(self.on_flow_lost):
            self._guarded(callback, flow)
        self._drain()

    def _flow_found(self, outgoing: Outgoing, flow: Flow, more: bool) -> None:
        self._input(self.stack.use_flow, outgoing, flow, more=more)

    def _flow_not_found(self, outgoing: Outgoing, detail: str) -> None:
        self._input(self.stack.no_flow, outgoing, detail=detail)

    def _input(self, call: Callable[..., object], *arguments: Any, **keywords: Any) -> None:
        """What is no message; it may also come while one is worked on."""
        self._now = max(self._now, self._loop.time())
        is_outermost, self._is_draining = not self._is_draining, True
        self._guarded(call, *arguments, now=self._now, **keywords)
        if is_outermost:
            self._is_draining = False
            self._drain()

    # --- what waits at the gate ---

    def _serve_soon(self, gate: MessageGate, pause: float) -> None:
        if self._serving is None:
            self._serving = self._loop.call_later(pause, self._serve, gate)

    def _serve(self, gate: MessageGate) -> None:
        """One slice. Then the sockets are read again, so that what is urgent can overtake."""
        self._serving = None
        now = self._loop.time()
        self._work_on(gate.take(now), now)
        answers = gate.answers()
        self.transports.send_batch(answers)
        if self.tap is not None and answers:
            self.tap(True, answers, self._loop.time())
        if self._watchers:
            for data, flow in answers:
                self._show(True, data, flow)
        pause = gate.pause()
        if pause is not None:
            self._serve_soon(gate, pause)

    # --- one input, then drain ---

    def _drain(self) -> None:
        """Hand out, send, arm. What a consumer commands in here is drained by this same loop."""
        if self._is_draining or self._is_closed:
            return
        self._now = self._loop.time()
        self._is_draining = True
        events, dispatch, to_send = self.stack.events, self._dispatch, self.stack.to_send
        try:
            while True:
                while events:
                    dispatch(events.popleft())
                messages = to_send()
                if not messages:
                    break
                self._transmit(messages)
        finally:
            self._is_draining = False
        self._arm()

    def _transmit(self, messages: list[tuple[bytes, Flow]]) -> None:
        """Send what the stack wants sent, in its order."""
        dead = self.transports.send_batch(messages)
        if self.tap is not None:
            self.tap(True, [one for one in messages if one[1] not in dead] if dead else messages, self._now)
        if self._watchers:
            for data, flow in messages:
                if flow not in dead:
                    self._show(True, data, flow)
        for flow in dead:
            self._guarded(self.stack.flow_failed, flow, now=self._now, detail="the connection is gone")

    def _dispatch(self, event: Event) -> None:
        """The one place that catches everything: a bug in one consumer must not stop the phones of all."""
        if type(event) is FlowNeeded:
            self._finder.find(event)
            return
        if type(event) is PeerMisbehaved:
            log.debug("%s broke %s: %s", event.flow, event.section or "a rule", event.detail)
        consumer = event.consumer or self.handler
        try:
            consumer(event)
        except Exception:
            log.exception("our own code failed in %s", getattr(consumer, "__qualname__", consumer))
            if type(event) is RequestReceived:
                self._guarded(self._answer_for_failure, event)

    def _arm(self) -> None:
        """One timer for the whole stack; only ever moved to an earlier time, else it wakes and arms again."""
        deadline = self.stack.next_deadline()
        if deadline is None or (self._timer is not None and self._armed_for <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_for = deadline
        self._timer = self._loop.call_at(deadline, self._wake, deadline)

    # --- the guard ---

    def _guarded(self, call: Callable[..., object], *arguments: Any, **keywords: Any) -> None:
        """The same for what is not on the path of every message: there the `try` stands inline."""
        try:
            call(*arguments, **keywords)
        except Exception:
            log.exception("our own code failed in %s", getattr(call, "__qualname__", call))

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
