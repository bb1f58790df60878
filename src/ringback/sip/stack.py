# SPDX-License-Identifier: Apache-2.0
"""The I/O line: what does everything above it ask of SIP, and what does it hear?

    receive(data, flow, now)   handle_timer(now)   next_event()   to_send()   next_deadline()

One input, then drain: after every input or command empty `to_send()`, then `next_event()`, then arm one
timer at `next_deadline()`. The stack does not read a clock, opens no socket and asks no resolver
(`FlowNeeded` asks whoever can). It routes, and holds no rule of any RFC: those live in `receiving.py`,
`transaction/` and `dialog/`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ringback.kernel import scan
from ringback.sip.dialog.identifier import DialogId, DialogUsage
from ringback.sip.errors import InvalidState, PeerError
from ringback.sip.events import AckReceived, PeerMisbehaved, RequestReceived
from ringback.sip.message.message import Request, Response
from ringback.sip.outbox import Outbox
from ringback.sip.receiving import BadRequest, BadResponse, Unreadable, read_message
from ringback.sip.transaction.client import ClientTransaction
from ringback.sip.transaction.layer import TransactionLayer
from ringback.sip.transaction.response_making import response_tag
from ringback.sip.transaction.sending import LoneRequest, RequestSender
from ringback.sip.transaction.server import ServerTransaction
from ringback.sip.transaction.timers import Deadlines, Timers

if TYPE_CHECKING:
    from ringback.sip.events import Consumer, Event, Outgoing
    from ringback.sip.flow import Flow
    from ringback.sip.identifiers import Identifiers

#: More than any honest peer needs; one costs about 7 KB.
SERVER_TRANSACTIONS = 100_000


class SipStack:
    """One SIP element without its sockets.

    `keep_requests`: True for user agents (every new request has a transaction at once), False for servers
    (nothing is kept for a stranger until `keep` or `respond`). `now` is that of the latest input or command.
    """

    def __init__(
        self,
        identifiers: Identifiers,
        *,
        timers: Timers | None = None,
        keep_requests: bool = True,
        user_agent: str = "Ringback",
        server_transactions: int = SERVER_TRANSACTIONS,
    ) -> None:
        self.identifiers = identifiers
        self.timers = timers or Timers()
        self.deadlines = Deadlines()
        self.user_agent = user_agent
        self.now = 0.0
        self._keeps_requests = keep_requests
        self._outbox = Outbox()
        self._usages: dict[DialogId, DialogUsage] = {}
        self._sender = RequestSender(
            identifiers, timers=self.timers, deadlines=self.deadlines, outbox=self._outbox
        )
        self._layer = TransactionLayer(
            identifiers,
            timers=self.timers,
            deadlines=self.deadlines,
            outbox=self._outbox,
            limit=server_transactions,
            merges=keep_requests,
        )
        #: Events that nobody took, oldest first: for the driver, which takes them all.
        self.events = self._outbox.events
        #: The oldest event that nobody took, or None.
        self.next_event: Callable[[], Event | None] = self._outbox.take_event
        #: What was counted since the start.
        self.statistics = self._outbox.statistics

    # --- inputs

    def receive(self, data: bytes, flow: Flow, now: float) -> None:
        """One whole message. Never raises because of what is in it."""
        self.now = now
        self.statistics.received += 1
        remote = flow.remote
        head = scan(data, remote.host, remote.port)
        if head is None:
            self._receive_unusual(data, flow, now)
        elif not head.status:
            self._receive_request(Request.read(head), flow, now)
        elif not self._sender.receive_plain(head, now):
            self.statistics.stray_responses += 1

    def _receive_unusual(self, data: bytes, flow: Flow, now: float) -> None:
        """What the kernel does not read: it is strange, or broken, or no message at all."""
        received = read_message(data, flow)
        if isinstance(received, Request):
            self._receive_request(received, flow, now)
        elif isinstance(received, Response):
            self._receive_response(received, flow, now)
        elif isinstance(received, BadRequest):
            self._refuse(received.request, received.error, flow)
        else:
            self._drop(received, flow)

    def handle_timer(self, now: float) -> None:
        """Something may be due."""
        self.now = now
        self.deadlines.expire(now)

    def flow_failed(self, flow: Flow, *, now: float, detail: str = "the connection is lost") -> None:
        """A connection is lost, or a send failed: the transactions on it are told."""
        self.now = now
        self._sender.flow_failed(flow, now=now, detail=detail)
        self._layer.flow_failed(flow, now=now, detail=detail)

    # --- outputs

    def to_send(self) -> list[tuple[bytes, Flow]]:
        """All that is to be sent, in this order; it is the caller's then."""
        return self._outbox.take_messages()

    def next_deadline(self) -> float | None:
        """When `handle_timer` is wanted."""
        return self.deadlines.next()

    def emit(self, event: Event) -> None:
        """For sessions: an event in its place among the others."""
        self._outbox.emit(event)

    @property
    def pending(self) -> tuple[int, int, int]:
        """Client transactions, server transactions, dialogs: (0, 0, 0) when all is quiet."""
        return len(self._sender.transactions), len(self._layer.transactions), len(self._usages)

    # --- commands of the client side

    def send_request(
        self,
        request: Request,
        *,
        now: float,
        flow: Flow | None = None,
        consumer: Consumer | None = None,
        branch_suffix: str = "",
        hand_over: bool = False,
    ) -> ClientTransaction:
        """Send a copy of `request` with our Via; what comes of it goes to `consumer`. Not for ACK.

        `hand_over`: the caller has no more use for it, so that it is sent itself.
        """
        self.now = now
        if not hand_over:
            request = request.copy()
        if request.facts is None:
            self._sign(request)
        return self._sender.send_request(request, flow, now, consumer=consumer, branch_suffix=branch_suffix)

    def send_stateless(
        self,
        message: Request | Response,
        *,
        now: float,
        flow: Flow | None = None,
        branch_suffix: str = "",
        hand_over: bool = False,
    ) -> None:
        """Send once: the ACK to a 2xx, or a response whose transaction is elsewhere (that needs a flow)."""
        self.now = now
        if isinstance(message, Request):
            if not hand_over:
                message = message.copy()
            self._sender.send_lone_request(message, flow, branch_suffix)
        elif flow is None:
            raise InvalidState("a response without a transaction needs a flow")
        else:
            self._outbox.send(message.to_bytes(), flow)

    def use_flow(self, outgoing: Outgoing, flow: Flow, *, now: float, more: bool = False) -> None:
        """The answer to FlowNeeded. `more`: if this one fails, FlowNeeded comes again."""
        self.now = now
        if isinstance(outgoing, ClientTransaction):
            self._sender.use_flow(outgoing, flow, now=now, has_more=more)
        elif isinstance(outgoing, ServerTransaction):
            self._layer.use_flow(outgoing, flow)
        elif isinstance(outgoing, LoneRequest):
            self._sender.send_on(outgoing.request, flow, outgoing.branch_suffix)

    def no_flow(self, outgoing: Outgoing, *, now: float, detail: str) -> None:
        """The other answer to FlowNeeded: there is nothing (more) to try."""
        self.now = now
        if isinstance(outgoing, ClientTransaction):
            self._sender.no_flow(outgoing, now=now, detail=detail)
        elif isinstance(outgoing, ServerTransaction):
            self._layer.no_flow(outgoing, now=now, detail=detail)
        else:
            self.statistics.unsent += 1

    def cancel(self, transaction: ClientTransaction, *, now: float, reason: str | None = None) -> None:
        """Give up an INVITE (9.1). Its outcome still comes: a 487 as a rule, a 2xx in a race."""
        self.now = now
        self._sender.cancel(transaction, now=now, reason=reason)

    # --- commands of the server side

    def keep(self, transaction: ServerTransaction, *, now: float, answers_soon: bool = False) -> bool:
        """Keep state for this request. False: drop it, it is a repetition or was refused for want of room.

        `answers_soon`: a 100 or more follows at once, so nothing sees to one.
        """
        self.now = now
        return self._layer.keep(transaction, now, answers_soon=answers_soon)

    def make_response(
        self,
        to: ServerTransaction | Request,
        status: int,
        reason: str | None = None,
        *,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
        to_tag: str | None = None,
    ) -> Response:
        """A response with a To tag that is the same each time (unless `to_tag` says another)."""
        request = to.request if isinstance(to, ServerTransaction) else to
        if to_tag is None and status > 100 and (request.facts is None or request.facts.to_tag is None):
            if isinstance(to, ServerTransaction):
                to_tag = to.local_tag
            else:
                to_tag = response_tag(self.identifiers, request)
        if self.user_agent and not any(name == "Server" for name, _ in headers):
            headers = (*headers, ("Server", self.user_agent))
        return Response.to(
            request,
            status,
            reason,
            to_tag=None if status == 100 else to_tag,
            headers=headers,
            body=body,
            content_type=content_type,
        )

    def respond(self, transaction: ServerTransaction, response: Response, *, now: float) -> None:
        """Send a response reliably. One that comes too late is discarded (17.2)."""
        self.now = now
        self._layer.respond(transaction, response, now)

    def respond_stateless(self, transaction: ServerTransaction, response: Response, *, now: float) -> None:
        """Send a response once and keep nothing."""
        self.now = now
        self._layer.respond_stateless(transaction, response, now)

    def has_invite(self, branch: str, sent_by: str) -> bool:
        """Whether the INVITE that a CANCEL with this top Via means is worked on here (9.2)."""
        return (branch, sent_by, "INVITE") in self._layer.transactions.by_key

    def register_dialog(self, dialog_id: DialogId, usage: DialogUsage) -> None:
        """Requests inside this dialog go to `usage` from now on."""
        self._usages[dialog_id] = usage

    def unregister_dialog(self, dialog_id: DialogId) -> None:
        """They do not any more."""
        self._usages.pop(dialog_id, None)

    def usage_of(self, dialog_id: DialogId) -> DialogUsage | None:
        """Who has this dialog."""
        return self._usages.get(dialog_id)

    # --- routing what came in

    def _receive_response(self, response: Response, flow: Flow, now: float) -> None:
        if not self._sender.receive_response(response, now):
            self.statistics.stray_responses += 1

    def _receive_request(self, request: Request, flow: Flow, now: float) -> None:
        method = request.method
        if method == "ACK":
            self._receive_ack(request, flow, now)
            return
        if method == "CANCEL":
            self._layer.receive_cancel(request, flow, now=now)
            return
        usage = self._usage_of(request) if self._usages else None
        must_keep = self._keeps_requests or usage is not None
        transaction = self._layer.receive_request(request, flow, now, must_keep)
        if transaction is None:
            return
        if usage is not None:
            self._hand_over(usage, request, transaction, flow=flow, now=now)
        else:
            self._outbox.events.append(RequestReceived(request, transaction, flow))

    def _receive_ack(self, ack: Request, flow: Flow, now: float) -> None:
        if self._layer.receive_ack(ack, now):
            return
        usage = self._usage_of(ack) if self._usages else None
        if usage is not None:
            self._hand_over(usage, ack, None, flow=flow, now=now)
        elif not self._layer.absorbs_stateless_ack(ack):
            self.emit(AckReceived(ack, flow))

    def _usage_of(self, request: Request) -> DialogUsage | None:
        local_tag = request.to_tag
        if local_tag is None:
            return None
        return self._usages.get(DialogId(request.call_id, local_tag, request.from_tag or ""))

    def _hand_over(
        self,
        usage: DialogUsage,
        request: Request,
        transaction: ServerTransaction | None,
        *,
        flow: Flow,
        now: float,
    ) -> None:
        """A fault that shows only when the usage looks closer is still the peer's."""
        try:
            usage.receive_request(request, transaction, flow, now)
        except PeerError as error:
            self._report(error, flow)
            if transaction is not None:
                response = self.make_response(transaction, error.status, error.detail)
                self._layer.respond(transaction, response, now)

    def _refuse(self, request: Request, error: PeerError, flow: Flow) -> None:
        self.statistics.malformed_requests += 1
        self._report(error, flow)
        if request.method != "ACK":
            self._layer.refuse_malformed(
                request, flow, self.make_response(request, error.status, error.detail)
            )

    def _drop(self, received: BadResponse | Unreadable, flow: Flow) -> None:
        if isinstance(received, BadResponse):
            self.statistics.malformed_responses += 1
        else:
            self.statistics.unreadable += 1
        self._report(received.error, flow)

    def _report(self, error: PeerError, flow: Flow) -> None:
        self.emit(PeerMisbehaved(flow, error.detail, error.status, error.section))

    def _sign(self, request: Request) -> None:
        """20.41: requests that start here say what made them."""
        if self.user_agent and "Via" not in request.headers and "User-Agent" not in request.headers:
            request.headers.add("User-Agent", self.user_agent)
