# SPDX-License-Identifier: Apache-2.0
"""Two or more user agents in one process: a wire with seeded loss, and a clock that is turned by hand."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

from ringback.sip.dialog.invite_session import InviteSession
from ringback.sip.dialog.session_table import SessionTable
from ringback.sip.digest_client import DigestClient
from ringback.sip.events import (
    Event,
    FlowNeeded,
    RequestReceived,
    SessionEnded,
    SessionEstablished,
    SessionEvent,
)
from ringback.sip.flow import Address, Flow, Transport
from ringback.sip.identifiers import Identifiers
from ringback.sip.message.message import Message, Request, Response
from ringback.sip.message.parser import parse_message
from ringback.sip.message.uri import NameAddr
from ringback.sip.stack import SipStack
from ringback.sip.transaction.server import ServerTransaction

OFFER = b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
ANSWER = OFFER.replace(b"10.0.0.1", b"10.0.0.2").replace(b"4000", b"5000")
HOLD = OFFER + b"a=sendonly\r\n"
HELD = ANSWER + b"a=recvonly\r\n"

Drop = Callable[[Message], bool]


@dataclass(repr=False)
class Wire:
    """Carries bytes between the ends, and the time."""

    seed: int = 1
    loss: float = 0.0
    duplicate: float = 0.0
    delay: tuple[float, float] = (0.01, 0.01)
    transport: Transport = Transport.UDP
    now: float = 1000.0
    ends: dict[str, End] = field(default_factory=dict)
    drops: list[Drop] = field(default_factory=list)
    trace: list[tuple[float, str, str, Message]] = field(default_factory=list)
    _queue: list[tuple[float, int, bytes, Flow]] = field(default_factory=list)
    _actions: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _order: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def end(self, name: str, host: str, **settings: Any) -> End:
        end = End(self, name, Address(host, 5060), **settings)
        self.ends[host] = end
        return end

    def send(self, data: bytes, flow: Flow) -> None:
        message = parse_message(data)
        self.trace.append((self.now, flow.local.host, flow.remote.host, message))
        if any(drop(message) for drop in self.drops):
            return
        for _ in range(2 if self.random.random() < self.duplicate else 1):
            if self.random.random() >= self.loss:
                self._order += 1
                at = self.now + self.random.uniform(*self.delay)
                heappush(self._queue, (at, self._order, data, flow))

    def at(self, delay: float, action: Callable[[], None]) -> None:
        self._order += 1
        heappush(self._actions, (self.now + delay, self._order, action))

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while (instant := self._next()) is not None and instant <= until:
            self.now = max(self.now, instant)
            self._step()
        self.now = until

    def run_until_quiet(self, limit: float = 4000.0) -> None:
        until = self.now + limit
        while (instant := self._next()) is not None and instant <= until:
            self.now = max(self.now, instant)
            self._step()

    def _next(self) -> float | None:
        instants = [queue[0][0] for queue in (self._queue, self._actions) if queue]
        instants += [at for end in self.ends.values() if (at := end.stack.next_deadline()) is not None]
        return min(instants, default=None)

    def _step(self) -> None:
        while self._actions and self._actions[0][0] <= self.now:
            heappop(self._actions)[2]()
        while self._queue and self._queue[0][0] <= self.now:
            _, _, data, flow = heappop(self._queue)
            receiver = self.ends.get(flow.remote.host)
            if receiver is not None:
                back = Flow(flow.transport, flow.remote, flow.local, flow.connection, str(flow.remote))
                receiver.stack.receive(data, back, self.now)
                receiver.drain()
        for end in self.ends.values():
            at = end.stack.next_deadline()
            if at is not None and at <= self.now:
                end.stack.handle_timer(self.now)
                end.drain()

    def sent(self, what: str | int, *, by: str | None = None) -> list[Message]:
        """Messages sent: by method, by status, or by "status method"."""
        return [
            message
            for _, source, _, message in self.trace
            if (by is None or self.ends[source].name == by) and matches(message, what)
        ]

    def drop_first(self, what: str | int, count: int = 1) -> None:
        remaining = [count]

        def drop(message: Message) -> bool:
            if remaining[0] and matches(message, what):
                remaining[0] -= 1
                return True
            return False

        self.drops.append(drop)

    def drop_all(self, what: str | int) -> None:
        self.drop_first(what, 10**6)

    @property
    def is_quiet(self) -> bool:
        return all(
            end.stack.pending == (0, 0, 0) and not len(end.stack.deadlines) and not len(end.table)
            for end in self.ends.values()
        )


def matches(message: Message, what: str | int) -> bool:
    if isinstance(message, Request):
        return message.method == what
    return what in (message.status, f"{message.status} {message.cseq.method}")


@dataclass(repr=False)
class End:
    """One user agent. `on_call(session)` answers calls; `on_event(event)` sees every session event."""

    wire: Wire
    name: str
    address: Address
    settings: dict[str, Any] = field(default_factory=dict)
    on_call: Callable[[InviteSession], None] | None = None
    on_event: Callable[[SessionEvent], None] | None = None
    credentials: DigestClient | None = None
    events: list[SessionEvent] = field(default_factory=list)
    sessions: list[InviteSession] = field(default_factory=list)
    strays: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        source = random.Random(f"{self.wire.seed} {self.name}")
        self.stack = SipStack(Identifiers(source.randbytes), user_agent="")
        self.table = SessionTable(self.stack, credentials=self.credentials, **self.settings)

    @property
    def now(self) -> float:
        return self.wire.now

    @property
    def contact(self) -> NameAddr:
        return NameAddr.parse(f"<sip:{self.name}@{self.address}>")

    def flow_to(self, host: str) -> Flow:
        return Flow(self.wire.transport, self.address, Address(host, 5060), 0, str(self.address))

    def invite(self, other: End | str, sdp: bytes | None = OFFER, **more: Any) -> InviteSession:
        target = other if isinstance(other, str) else f"sip:{other.name}@{other.address}"
        headers = [("Contact", str(self.contact)), *more.pop("headers", ())]
        request = Request.new(
            "INVITE",
            target,
            from_=f"<sip:{self.name}@example.com>;tag={self.stack.identifiers.tag()}",
            to=f"<{target}>",
            call_id=self.stack.identifiers.call_id(),
            cseq=1,
            headers=headers,
        )
        session = self.table.invite(request, now=self.now, consumer=self.hear, sdp=sdp, **more)
        self.sessions.append(session)
        self.drain()
        return session

    def do(self, command: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        result = command(*arguments, now=self.now, **more)
        self.drain()
        return result

    def hear(self, event: Event) -> None:
        assert isinstance(event, SessionEvent)
        self.events.append(event)
        if self.on_event is not None:
            self.on_event(event)

    def heard(self, kind: type[SessionEvent]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def drain(self) -> None:
        while True:
            for data, flow in self.stack.to_send():
                self.wire.send(data, flow)
            event = self.stack.next_event()
            if event is None:
                break
            self.handle(event)

    def handle(self, event: Event) -> None:
        if isinstance(event, FlowNeeded):
            host = getattr(event.hop, "host", "")
            if event.attempt == 0 and host in self.wire.ends:
                self.stack.use_flow(event.outgoing, self.flow_to(host), now=self.now)
            else:
                self.stack.no_flow(event.outgoing, now=self.now, detail="no such host")
        elif event.consumer is not None:
            event.consumer(event)
        elif isinstance(event, RequestReceived):
            self.receive(event)
        else:
            self.strays.append(event)

    def receive(self, event: RequestReceived) -> None:
        transaction: ServerTransaction = event.transaction
        request = event.request
        if request.method != "INVITE":
            status = 481 if request.to.tag is not None else 200
            self.stack.respond(transaction, Response.to(request, status, to_tag="stray"), now=self.now)
            return
        session = self.table.incoming(transaction, now=self.now, consumer=self.hear, contact=self.contact)
        self.sessions.append(session)
        if self.on_call is not None and session.ended is None:
            self.on_call(session)

    @property
    def session(self) -> InviteSession:
        return self.sessions[-1]

    @property
    def established(self) -> list[SessionEstablished]:
        return self.heard(SessionEstablished)

    @property
    def ended(self) -> list[SessionEnded]:
        return self.heard(SessionEnded)


def pair(**settings: Any) -> tuple[Wire, End, End]:
    """Alice and Bob; Bob rings and answers unless he is told otherwise."""
    alice_settings, bob_settings = settings.pop("alice", {}), settings.pop("bob", {})
    wire = Wire(**settings)
    alice = wire.end("alice", "10.0.0.1", **alice_settings)
    bob = wire.end("bob", "10.0.0.2", **bob_settings)
    if bob.on_call is None:
        bob.on_call = rings_and_answers(bob)
    return wire, alice, bob


def rings_and_answers(
    end: End, after: float = 0.2, sdp: bytes | None = ANSWER
) -> Callable[[InviteSession], None]:
    def answer(session: InviteSession) -> None:
        session.ring(now=end.now)

        def accept() -> None:
            if session.ended is None:
                end.do(session.accept, sdp)

        end.wire.at(after, accept)

    return answer


def rings(end: End) -> Callable[[InviteSession], None]:
    def answer(session: InviteSession) -> None:
        session.ring(now=end.now)

    return answer


def call(**settings: Any) -> tuple[Wire, End, End, InviteSession, InviteSession]:
    """A call that is established."""
    wire, alice, bob = pair(**settings)
    caller = alice.invite(bob)
    wire.run(2.0)
    assert caller.is_established
    assert bob.session.is_established
    return wire, alice, bob, caller, bob.session
