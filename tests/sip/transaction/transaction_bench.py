# SPDX-License-Identifier: Apache-2.0
"""A bench to run one machine on: it owns the deadlines, and writes down what the machine does and when."""

from dataclasses import dataclass, field
from random import Random

from ringback.sip.flow import Address, Flow, Transport
from ringback.sip.identifiers import Identifiers
from ringback.sip.message.message import Request, Response
from ringback.sip.message.parser import parse_message
from ringback.sip.statistics import StackStatistics
from ringback.sip.transaction.client import ClientTransaction
from ringback.sip.transaction.server import ServerTransaction
from ringback.sip.transaction.timers import Deadlines, Timers

LOCAL = Address("192.0.2.1", 5060)
REMOTE = Address("192.0.2.2", 5060)
UDP = Flow(Transport.UDP, LOCAL, REMOTE, sent_by="192.0.2.1")
TCP = Flow(Transport.TCP, LOCAL, REMOTE, 1, sent_by="192.0.2.1")


def identifiers(seed: int = 1) -> Identifiers:
    return Identifiers(Random(seed).randbytes)


def request_bytes(
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
    cseq_method: str | None = None,
    lines: tuple[str, ...] = (),
) -> bytes:
    """A request as a peer at 192.0.2.2 would write it."""
    via = f"Via: SIP/2.0/{transport} {sent_by}" + (f";branch={branch}" if branch is not None else "")
    return _joined(
        f"{method} {target} SIP/2.0",
        via + via_parameters,
        "Max-Forwards: 70",
        "From: <sip:alice@example.com>" + (f";tag={from_tag}" if from_tag else ""),
        "To: <sip:bob@example.com>" + (f";tag={to_tag}" if to_tag else ""),
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} {cseq_method or method}",
        "Contact: <sip:alice@192.0.2.2>",
        *lines,
        "Content-Length: 0",
    )


def make_request(method: str = "INVITE", **parts: object) -> Request:
    message = parse_message(request_bytes(method, **parts))  # type: ignore[arg-type]
    assert isinstance(message, Request)
    return message


def make_outgoing(
    method: str = "INVITE", *, target: str = "sip:bob@192.0.2.2", lines: tuple[str, ...] = ()
) -> Request:
    """A request of ours, still without a Via."""
    request = make_request(method, target=target, lines=lines)
    request.headers.remove("Via")
    return request


def response_bytes(request: Request, status: int, *, to_tag: str = "bob") -> bytes:
    return Response.to(request, status, to_tag=None if status == 100 else to_tag).to_bytes()


def _joined(*lines: str) -> bytes:
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@dataclass(eq=False)
class Bench:
    """Owns client and server transactions alike."""

    timers: Timers = field(default_factory=Timers)
    deadlines: Deadlines = field(default_factory=Deadlines)
    now: float = 0.0
    sent: list[tuple[float, str]] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    identifiers: Identifiers = field(default_factory=lambda: Identifiers(bytes))
    statistics: StackStatistics = field(default_factory=StackStatistics)

    def run(self, until: float) -> None:
        """Let time pass, stopping at every deadline."""
        while (at := self.deadlines.next()) is not None and at <= until:
            self.now = max(self.now, at)
            self.deadlines.expire(self.now)
        self.now = until

    def instants(self, word: str) -> list[float]:
        """When a message that begins so was sent."""
        return [at for at, line in self.sent if line.startswith(word)]

    # what both owners offer

    def send(self, data: bytes, flow: Flow) -> None:
        self.sent.append((self.now, data.partition(b"\r\n")[0].decode()))

    # ClientTransactionOwner

    def response_received(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        self.events.append(str(response.status))

    def timed_out(self, transaction: ClientTransaction, now: float) -> None:
        self.events.append("timeout")

    def transport_failed(self, transaction: ClientTransaction, detail: str, now: float) -> None:
        self.events.append(f"transport: {detail}")

    def terminated(self, transaction: ClientTransaction) -> None:
        self.ends.append(self.now)

    # ServerTransactionOwner

    def send_response(self, transaction: ServerTransaction, data: bytes) -> None:
        self.sent.append((self.now, data.partition(b"\r\n")[0].decode()))

    def response_failed(self, transaction: ServerTransaction, detail: str) -> None:
        self.events.append(f"failed: {detail}")

    def server_terminated(self, transaction: ServerTransaction) -> None:
        self.ends.append(self.now)
