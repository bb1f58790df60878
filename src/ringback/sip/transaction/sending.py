# SPDX-License-Identifier: Apache-2.0
"""How does a request find a target that answers? Fail-over (RFC 3263 section 4.3), CANCEL (RFC 3261 9.1).

Each target gets an attempt with a branch of its own. A 503, a transport error and a timeout without any
response mean: ask for the next target (`FlowNeeded`), as long as there is one. A target that says nothing
at all is left early, after `Timers.failover_delay`. What it still says later is treated as a late fork
would be: a provisional response gets a CANCEL, a failure its ACK, and a 2xx goes to the user, who hangs up
on it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ringback.sip.errors import InvalidState
from ringback.sip.events import Event, FlowNeeded, RequestTimedOut, ResponseReceived, TransportFailed
from ringback.sip.message.message import Request, Response
from ringback.sip.routing import next_hop
from ringback.sip.transaction.client import ClientTransaction, Input, State
from ringback.sip.transaction.derived_requests import make_cancel
from ringback.sip.transaction.keys import client_key
from ringback.sip.transaction.table import TransactionTable

if TYPE_CHECKING:
    from ringback.kernel import Head
    from ringback.sip.events import Consumer
    from ringback.sip.flow import Flow
    from ringback.sip.identifiers import Identifiers
    from ringback.sip.outbox import Outbox
    from ringback.sip.transaction.timers import Deadlines, Timers

_BEFORE_ANY_RESPONSE = (State.NEW, State.CALLING, State.TRYING)
_UNDER_WAY = (State.CALLING, State.TRYING, State.PROCEEDING)


@dataclass(slots=True, eq=False)
class LoneRequest:
    """A request without a transaction that waits for a flow: the ACK to a 2xx (13.2.2.4)."""

    request: Request
    branch_suffix: str = ""


class RequestSender:
    """Owns the client transactions of one stack."""

    __slots__ = ("_identifiers", "_outbox", "deadlines", "send", "timers", "transactions")

    def __init__(
        self, identifiers: Identifiers, *, timers: Timers, deadlines: Deadlines, outbox: Outbox
    ) -> None:
        self._identifiers = identifiers
        self._outbox = outbox
        #: A request or an ACK, first or again.
        self.send: Callable[[bytes, Flow], None] = outbox.send
        self.timers = timers
        self.deadlines = deadlines
        self.transactions: TransactionTable[ClientTransaction] = TransactionTable()

    # --- commands

    def send_request(
        self,
        request: Request,
        flow: Flow | None,
        now: float,
        *,
        consumer: Consumer | None = None,
        branch_suffix: str = "",
    ) -> ClientTransaction:
        """Start a transaction for `request`, which is ours now; without a flow, ask for one."""
        if request.method == "ACK":
            raise InvalidState("an ACK has no transaction: use send_stateless")
        transaction = ClientTransaction(request, self, consumer, branch_suffix)
        if request.facts is None and "Via" not in request.headers:
            transaction.is_origin = True
        if flow is None:
            self._seek_flow(transaction, now)
        else:
            self._begin(transaction, flow, now)
        return transaction

    def send_lone_request(self, request: Request, flow: Flow | None, branch_suffix: str) -> None:
        """Send `request`, which is ours now, once and keep nothing of it."""
        if flow is None:
            self._outbox.emit(FlowNeeded(LoneRequest(request, branch_suffix), next_hop(request), 0))
        else:
            self.send_on(request, flow, branch_suffix)

    def send_on(self, request: Request, flow: Flow, branch_suffix: str) -> None:
        """The flow for a lone request is found."""
        request.push_via(_via(flow, self._identifiers.branch(branch_suffix)))
        self._outbox.messages.append((request.to_bytes(), flow))

    def use_flow(self, transaction: ClientTransaction, flow: Flow, *, now: float, has_more: bool) -> None:
        """A target is found. Ignored when none is wanted any more."""
        if not self._end_search(transaction):
            return
        transaction.has_more = has_more
        if transaction.state is not State.NEW:
            self._leave_behind(transaction)
        self._begin(transaction, flow, now)

    def no_flow(self, transaction: ClientTransaction, *, now: float, detail: str) -> None:
        """No target is left: what happened at the last one is the outcome."""
        if not self._end_search(transaction):
            return
        transaction.has_more = False
        if transaction.state in _UNDER_WAY:
            return
        if transaction.held_failure is None:
            transaction.fail(detail, now)
        else:
            self._outbox.emit(transaction.held_failure)
            transaction.held_failure = None

    def cancel(self, transaction: ClientTransaction, *, now: float, reason: str | None = None) -> None:
        """9.1: nothing is sent before a provisional response came, and nothing after the final one."""
        if not transaction.is_invite:
            raise InvalidState("only an INVITE can be cancelled (RFC 3261 9.1)")
        if transaction.is_cancelled:
            return
        transaction.is_cancelled, transaction.cancel_reason = True, reason
        transaction.has_more = False
        was_seeking = self._end_search(transaction)
        if transaction.state is State.PROCEEDING:
            self._send_cancel(transaction, now)
        elif was_seeking and transaction.state not in _UNDER_WAY:
            self._give_up_search(transaction, now)

    def receive_plain(self, head: Head, now: float) -> bool:
        """`receive_response` for what is yet to become a response: strays cost a look into a table."""
        transaction = self.transactions.by_key.get((head.branch, head.method))
        if transaction is None or (head.via_count > 1 and transaction.is_origin):
            return False
        transaction.receive(Response.read(head), now)
        return True

    def receive_response(self, response: Response, now: float) -> bool:
        """17.1.3. False when no request of ours is meant: such a response goes nowhere (RFC 6026 7.2)."""
        key = client_key(response.top_via.branch or "", response.cseq.method)
        transaction = self.transactions.by_key.get(key)
        if transaction is None or (transaction.is_origin and len(response.vias) > 1):
            return False
        transaction.receive(response, now)
        return True

    def flow_failed(self, flow: Flow, *, now: float, detail: str) -> None:
        """The connection is lost, or sending on it failed."""
        for transaction in self.transactions.on_flow(flow):
            transaction.fail(detail, now)

    # --- what client transactions report (ClientTransactionOwner)

    def response_received(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """Pass it on, unless it is the cue for the next target or belongs to one that was left."""
        if transaction.is_cancel:
            return
        if transaction.successor is not None:
            self._answer_latecomer(transaction, transaction.successor, response, now)
            return
        event = ResponseReceived(response, transaction)
        if response.status == 503 and transaction.has_more:
            self._try_next(transaction, event, now)
            return
        if transaction.search is not None and self._end_search(transaction):
            transaction.attempt -= 1  # this target spoke before the next one was found
        if transaction.has_more and response.status > 100:
            transaction.has_more = False
        self._outbox.events.append(event)
        if response.status < 200 and transaction.is_cancelled:
            self._send_cancel(transaction, now)

    def timed_out(self, transaction: ClientTransaction, now: float) -> None:
        """Timer B or F, or a CANCEL that helped nothing."""
        self._failed(transaction, RequestTimedOut(transaction), now)

    def transport_failed(self, transaction: ClientTransaction, detail: str, now: float) -> None:
        """The target cannot be reached, or not any more."""
        self._failed(transaction, TransportFailed(transaction, detail), now)

    def terminated(self, transaction: ClientTransaction) -> None:
        """Nothing more is expected under this branch."""
        if self.transactions.by_key.get(transaction.key) is transaction:
            self.transactions.remove(transaction.key)

    # --- attempts

    def _begin(self, transaction: ClientTransaction, flow: Flow, now: float) -> None:
        branch = self._identifiers.branch(transaction.branch_suffix)
        transaction.request.push_via(_via(flow, branch))
        self._start(transaction, flow, branch, now)
        if transaction.has_more:
            at = now + self.timers.failover_delay
            transaction.search = self.deadlines.arm(at, partial(self._notice_silence, transaction))

    def _start(self, transaction: ClientTransaction, flow: Flow, branch: str, now: float) -> None:
        transaction.flow, transaction.branch = flow, branch
        transaction.key = (branch, transaction.request.method)
        self.transactions.add(transaction, flow)
        transaction.start(now)

    def _failed(self, transaction: ClientTransaction, event: Event, now: float) -> None:
        if transaction.is_cancel or transaction.successor is not None:
            return
        if transaction.has_more:
            self._try_next(transaction, event, now)
        else:
            self._end_search(transaction)
            self._outbox.emit(transaction.held_failure or event)
            transaction.held_failure = None

    def _try_next(self, transaction: ClientTransaction, failure: Event, now: float) -> None:
        """RFC 3263 4.3. A 503 says more than a silence that follows it, so it is kept."""
        if not isinstance(transaction.held_failure, ResponseReceived):
            transaction.held_failure = failure
        if not transaction.is_seeking_flow:
            transaction.attempt += 1
            self._seek_flow(transaction, now)

    def _notice_silence(self, transaction: ClientTransaction, now: float) -> None:
        """The target has not said a word: look for another, while it may still speak."""
        transaction.search = None
        if transaction.state in _BEFORE_ANY_RESPONSE and transaction.has_more:
            transaction.attempt += 1
            self._seek_flow(transaction, now)

    def _seek_flow(self, transaction: ClientTransaction, now: float) -> None:
        self._end_search(transaction)
        transaction.is_seeking_flow = True
        patience = now + self.timers.transaction_timeout
        transaction.search = self.deadlines.arm(patience, partial(self._notice_lost_search, transaction))
        self._outbox.emit(FlowNeeded(transaction, next_hop(transaction.request), transaction.attempt))

    def _notice_lost_search(self, transaction: ClientTransaction, now: float) -> None:
        transaction.search = None
        self.no_flow(transaction, now=now, detail="no way to the next hop was found in time")

    def _end_search(self, transaction: ClientTransaction) -> bool:
        """True when a flow was being looked for."""
        if transaction.search is not None:
            transaction.search.cancel()
            transaction.search = None
        was_seeking, transaction.is_seeking_flow = transaction.is_seeking_flow, False
        return was_seeking

    def _leave_behind(self, transaction: ClientTransaction) -> None:
        """Make room for the next attempt; what the last one may still bring keeps its own entry."""
        key, flow = transaction.key, transaction.flow
        rest = transaction.leave_behind()
        transaction.request.headers.remove_first_value("Via")
        if rest.state is not State.TERMINATED:
            assert flow is not None
            self.transactions.add(rest, flow)
        else:
            self.transactions.remove(key)

    def _answer_latecomer(
        self, rest: ClientTransaction, successor: ClientTransaction, response: Response, now: float
    ) -> None:
        if not rest.is_invite:
            return
        if response.status < 200:
            self._send_cancel(rest, now)
        elif response.status < 300:
            self._outbox.emit(ResponseReceived(response, successor))

    # --- CANCEL

    def _send_cancel(self, transaction: ClientTransaction, now: float) -> None:
        """Once for each attempt, hop by hop, on the flow and with the branch of the INVITE."""
        if transaction.is_cancel_sent:
            return
        assert transaction.flow is not None
        transaction.is_cancel_sent = True
        cancel = ClientTransaction(make_cancel(transaction.request, transaction.cancel_reason), self)
        cancel.is_cancel = True
        self._start(cancel, transaction.flow, transaction.branch, now)
        transaction.limit_wait_after_cancel(now)

    def _give_up_search(self, transaction: ClientTransaction, now: float) -> None:
        """Cancelled while no attempt was under way: the last failure is the outcome, or a 487 of our own."""
        held, transaction.held_failure = transaction.held_failure, None
        if held is None:
            response = Response.to(transaction.request, 487, to_tag=self._identifiers.tag())
            transaction.last_response = response
            held = ResponseReceived(response, transaction)
        transaction.feed(Input.ABANDON, now)
        self._outbox.emit(held)


def _via(flow: Flow, branch: str) -> bytes:
    """8.1.1.7 and RFC 3581 3: where responses shall come, also through an address translator."""
    return flow.via + branch.encode("ascii") + b";rport"
