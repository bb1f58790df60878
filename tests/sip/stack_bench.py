# SPDX-License-Identifier: Apache-2.0
"""One stack and what comes out of it; and messages as a peer would write them."""

from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

from ringback.sip.events import Event
from ringback.sip.flow import Address, Flow, Transport
from ringback.sip.identifiers import Identifiers
from ringback.sip.message.message import Message, Request, Response
from ringback.sip.message.parser import parse_message
from ringback.sip.stack import SipStack
from ringback.sip.transaction.server import ServerTransaction

US = Address("192.0.2.1", 5060)
PEER = Address("192.0.2.2", 5060)
OTHER = Address("192.0.2.3", 5060)
UDP = Flow(Transport.UDP, US, PEER, sent_by="us.example.com")
UDP_2 = Flow(Transport.UDP, US, OTHER, sent_by="us.example.com")
TCP = Flow(Transport.TCP, US, PEER, 1, sent_by="us.example.com")
TCP_2 = Flow(Transport.TCP, US, PEER, 2, sent_by="us.example.com")

E = TypeVar("E", bound=Event)


@dataclass(eq=False)
class StackBench:
    keep_requests: bool = True
    server_transactions: int = 100_000
    now: float = 0.0
    events: list[Event] = field(default_factory=list)
    sent: list[tuple[float, bytes, Flow]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stack = SipStack(
            Identifiers(Random(1).randbytes),
            keep_requests=self.keep_requests,
            server_transactions=self.server_transactions,
        )

    def receive(self, data: bytes, flow: Flow = UDP) -> list[Message]:
        """What the stack sends because of these bytes."""
        before = len(self.sent)
        self.stack.receive(data, flow, self.now)
        self.drain()
        return self.messages()[before:]

    def run(self, until: float) -> None:
        while (at := self.stack.next_deadline()) is not None and at <= until:
            self.now = max(self.now, at)
            self.stack.handle_timer(self.now)
            self.drain()
        self.now = until

    def drain(self) -> None:
        self.sent += [(self.now, data, flow) for data, flow in self.stack.to_send()]
        while (event := self.stack.next_event()) is not None:
            self.events.append(event)

    def messages(self) -> list[Message]:
        return [parse_message(data) for _, data, _ in self.sent]

    def lines(self) -> list[tuple[float, str]]:
        """When what was sent: the method, or the status."""
        return [(at, word(data)) for at, data, _ in self.sent]

    def words(self) -> list[str]:
        return [what for _, what in self.lines()]

    def take(self, kind: type[E]) -> list[E]:
        """The events of one kind; they are gone then."""
        self.drain()
        found = [event for event in self.events if isinstance(event, kind)]
        self.events = [event for event in self.events if not isinstance(event, kind)]
        return found

    def kinds(self) -> list[str]:
        self.drain()
        return [type(event).__name__ for event in self.events]

    # commands, drained

    def respond(self, transaction: ServerTransaction, status: int, *, stateless: bool = False) -> Response:
        response = self.stack.make_response(transaction, status)
        if stateless:
            self.stack.respond_stateless(transaction, response, now=self.now)
        else:
            self.stack.respond(transaction, response, now=self.now)
        self.drain()
        return response

    def is_quiet(self) -> bool:
        return self.stack.pending == (0, 0, 0) and self.stack.next_deadline() is None


def word(data: bytes) -> str:
    first = data.partition(b"\r\n")[0].decode().split(" ")
    return first[1] if first[0] == "SIP/2.0" else first[0]


def named(name: str, value: str | None) -> str:
    """A parameter, if it has a value."""
    return "" if value is None else f";{name}={value}"


def incoming(
    method: str = "INVITE",
    *,
    branch: str | None = "z9hG4bKone",
    sent_by: str = "192.0.2.2",
    transport: str = "UDP",
    via_parameters: str = "",
    target: str = "sip:bob@192.0.2.1",
    to_tag: str = "",
    from_tag: str = "alice",
    call_id: str = "call-1",
    cseq: int = 1,
    lines: tuple[str, ...] = (),
) -> bytes:
    """A request of the peer."""
    all_lines = (
        f"{method} {target} SIP/2.0",
        f"Via: SIP/2.0/{transport} {sent_by}{named('branch', branch)}{via_parameters}",
        "Max-Forwards: 70",
        f"From: <sip:alice@example.com>{named('tag', from_tag or None)}",
        f"To: <sip:bob@example.com>{named('tag', to_tag or None)}",
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} {method}",
        "Contact: <sip:alice@192.0.2.2>",
        *lines,
        "Content-Length: 0",
    )
    return ("\r\n".join(all_lines) + "\r\n\r\n").encode()


def outgoing(method: str = "INVITE", *, target: str = "sip:bob@192.0.2.2") -> Request:
    """A request of ours, before the stack adds its Via."""
    return Request.new(
        method,
        target,
        from_="<sip:us@example.com>;tag=ours",
        to="<sip:bob@example.com>",
        call_id="call-out",
        cseq=1,
        headers=[("Contact", "<sip:us@192.0.2.1>")],
    )


def answer(request: Request, status: int, *, tag: str = "theirs") -> bytes:
    """The peer's response to a request of ours as it was sent."""
    return Response.to(request, status, to_tag=None if status == 100 else tag).to_bytes()
