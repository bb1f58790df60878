# SPDX-License-Identifier: Apache-2.0
"""Which requests of peers are new? Matching to server transactions: RFC 3261 17.2.3, 8.2.2.2 and 9.2.

State is kept for a request only when somebody asked for it (`keep`, `respond`), or for every request when
the stack is a user agent. Whatever is answered without state gets the same To tag each time (8.2.7), so
that the ACK to it is recognised without any memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.sip.errors import PeerError
from ringback.sip.events import CancelReceived, FlowNeeded, ServerTransactionFailed
from ringback.sip.message.message import Request, Response
from ringback.sip.transaction.keys import (
    Key,
    ack_key,
    acknowledgement_key,
    cancel_mark,
    invite_key,
    merged_key,
    server_key,
)
from ringback.sip.transaction.response_making import has_own_tag, tagged
from ringback.sip.transaction.response_routing import reply_flow, reply_hop
from ringback.sip.transaction.server import Input, ServerTransaction, State
from ringback.sip.transaction.table import TransactionTable

if TYPE_CHECKING:
    from ringback.sip.flow import Flow
    from ringback.sip.identifiers import Identifiers
    from ringback.sip.outbox import Outbox
    from ringback.sip.transaction.timers import Deadlines, Timers


#: By these names because a member costs 0.3 us when it is looked up on its class.
_COMPLETED, _ACCEPTED, _TERMINATED = State.COMPLETED, State.ACCEPTED, State.TERMINATED
_ACK, _REQUEST = Input.ACK, Input.REQUEST

#: Answered transactions wait 32 s for repetitions (Timers J, L): so many for one that may be unanswered.
SETTLED_FACTOR = 4


class TransactionLayer:
    """Owns the server transactions of one stack."""

    __slots__ = (
        "_acks",
        "_limit",
        "_merged",
        "_merges",
        "_outbox",
        "_settled",
        "deadlines",
        "identifiers",
        "statistics",
        "timers",
        "transactions",
    )

    def __init__(
        self,
        identifiers: Identifiers,
        *,
        timers: Timers,
        deadlines: Deadlines,
        outbox: Outbox,
        limit: int,
        merges: bool = True,
    ) -> None:
        """`merges`: refuse merged requests (8.2.2.2), as only user agents do."""
        self._merges = merges
        self.identifiers = identifiers
        self._outbox = outbox
        self.statistics = outbox.statistics
        self._limit = limit
        self._settled = 0
        self.timers = timers
        self.deadlines = deadlines
        self.transactions: TransactionTable[ServerTransaction] = TransactionTable()
        self._acks: dict[Key, ServerTransaction] = {}
        self._merged: dict[Key, ServerTransaction] = {}

    # --- what comes in

    def receive_request(
        self, request: Request, flow: Flow, now: float, must_keep: bool
    ) -> ServerTransaction | None:
        """A request other than ACK and CANCEL. None when it needs nobody's attention any more."""
        key = server_key(request)
        known = self.transactions.by_key.get(key)
        if known is not None:
            self._absorb(known, flow, now)
            return None
        transaction = ServerTransaction(request, flow, key, self, "", now, reply_flow(request, flow))
        if not must_keep:
            return transaction
        if self._merges and self._is_merged(request):
            self.statistics.merged_requests += 1
            self._refuse(transaction, 482)
            return None
        return transaction if self.keep(transaction, now) else None

    def receive_ack(self, ack: Request, now: float) -> bool:
        """True when it ends here; False when it is the ACK to a 2xx, or to nothing we know."""
        key = ack_key(ack)
        invite = self.transactions.by_key.get(key) or self._acks.get(key)
        if invite is not None and invite.state is not _ACCEPTED:
            self.statistics.absorbed_acks += 1
            invite.feed(_ACK, now)
            return True
        return False

    def absorbs_stateless_ack(self, ack: Request) -> bool:
        """True for the ACK to a failure that was sent without a transaction: the tag in it is our own."""
        if not has_own_tag(self.identifiers, ack):
            return False
        self.statistics.absorbed_acks += 1
        return True

    def receive_cancel(self, cancel: Request, flow: Flow, *, now: float) -> None:
        """9.2: answered here, each time it comes; passed on once, and only while the INVITE is unanswered."""
        invite = self.transactions.get(invite_key(cancel))
        answer = ServerTransaction(cancel, flow, (), self, "", now, reply_flow(cancel, flow))
        if invite is None or invite.cancel_mark != cancel_mark(cancel):
            self.statistics.stray_cancels += 1
            self._refuse(answer, 481)
            return
        if invite.last_response is not None and invite.last_response.to_tag:
            answer.local_tag = invite.last_response.to_tag
        self._refuse(answer, 200)
        if invite.state is State.PROCEEDING and not invite.is_cancelled:
            invite.is_cancelled = True
            self._outbox.emit(CancelReceived(cancel, invite))

    def refuse_malformed(self, request: Request, flow: Flow, response: Response) -> None:
        """Answer a request that cannot have a transaction, because its parts cannot be read."""
        self._outbox.send(response.to_bytes(), _reply_flow_of(request, flow))

    # --- commands

    def keep(self, transaction: ServerTransaction, now: float, *, answers_soon: bool = False) -> bool:
        """Store it. False when there is nothing more to do: it is a repetition, or there is no room (503)."""
        if transaction.is_kept or transaction.last_status >= 200:
            return transaction.is_kept
        known = self.transactions.by_key.get(transaction.key)
        if known is not None:
            self._absorb(known, transaction.flow, now)
            return False
        if not self._has_room_for(transaction.request):
            self.statistics.refused_for_room += 1
            self._refuse(transaction, 503)
            return False
        transaction.is_kept = True
        assert transaction.reply_flow is not None
        self.transactions.add(transaction, transaction.reply_flow)
        if self._merges:
            self._expect_merged(transaction)
        if not answers_soon:
            transaction.start(now)
        return True

    def respond(self, transaction: ServerTransaction, response: Response, now: float) -> None:
        """Send reliably, which needs state; without room for it, send all the same."""
        status = response.status
        if not transaction.is_kept:
            if not self._has_room_for(transaction.request):
                self.respond_stateless(transaction, response, now)
                return
            if not self.keep(transaction, now, answers_soon=status >= 200):
                return
        transaction.respond(response, now)
        if status >= 200 and not transaction.is_settled and transaction.state is not _TERMINATED:
            transaction.is_settled = transaction.last_status >= 200
            self._settled += transaction.is_settled
        if not transaction.key[0]:
            self._expect_ack(transaction)

    def respond_stateless(self, transaction: ServerTransaction, response: Response, now: float) -> None:
        """Send once and forget. A repetition of a request that was kept meanwhile gets the kept answer."""
        if transaction.is_kept:
            self.respond(transaction, response, now)
            return
        known = self.transactions.get(transaction.key)
        if known is not None:
            self._absorb(known, transaction.flow, now)
        elif not transaction.has_final_response:
            self._send_once(transaction, response)

    def use_flow(self, transaction: ServerTransaction, flow: Flow) -> None:
        """A connection replaces the lost one (18.2.2)."""
        if not transaction.is_seeking_flow:
            return
        transaction.is_seeking_flow = False
        self._move(transaction, flow)
        transaction.resend()

    def no_flow(self, transaction: ServerTransaction, *, now: float, detail: str) -> None:
        """Nobody answers at the sent-by either."""
        if not transaction.is_seeking_flow:
            return
        transaction.is_seeking_flow = False
        if transaction.has_ended:
            self.response_failed(transaction, detail)
        else:
            transaction.fail(detail, now)

    def flow_failed(self, flow: Flow, *, now: float, detail: str) -> None:
        """A lost connection is replaced when there is something to send; a lost datagram is reported."""
        for transaction in self.transactions.on_flow(flow):
            if not flow.is_reliable:
                transaction.fail(detail, now)
                continue
            transaction.is_flow_lost = True
            if transaction.is_invite and transaction.state is _COMPLETED:
                transaction.resend()  # no ACK has come: the failure may have been lost with the connection

    # --- what server transactions report (ServerTransactionOwner)

    def send_response(self, transaction: ServerTransaction, data: bytes) -> None:
        """A response, first or again."""
        if transaction.is_flow_lost:
            self._seek_flow(transaction)
        else:
            assert transaction.reply_flow is not None
            self._outbox.messages.append((data, transaction.reply_flow))

    def response_failed(self, transaction: ServerTransaction, detail: str) -> None:
        """17.2.4, or no ACK (Timer H)."""
        self._outbox.emit(ServerTransactionFailed(transaction, detail))

    def server_terminated(self, transaction: ServerTransaction) -> None:
        """Repetitions would be new requests from now on."""
        if transaction.is_settled:
            self._settled -= 1
        self.transactions.remove(transaction.key)
        if transaction.ack_key is not None:
            self._acks.pop(transaction.ack_key, None)
        if transaction.merged_key is not None and self._merged.get(transaction.merged_key) is transaction:
            del self._merged[transaction.merged_key]

    # --- inside

    def _has_room_for(self, request: Request) -> bool:
        """As much room again is left for what goes on in dialogs: whoever is in must be able to hang up."""
        settled, limit = self._settled, self._limit
        pending = len(self.transactions.by_key) - settled
        if settled >= SETTLED_FACTOR * limit:
            return False
        return pending < limit or (pending < 2 * limit and request.to_tag is not None)

    def _expect_merged(self, transaction: ServerTransaction) -> None:
        """8.2.2.2: the same request may come over another path."""
        transaction.merged_key = merged_key(transaction.request)
        if transaction.merged_key is not None:
            self._merged.setdefault(transaction.merged_key, transaction)

    def _absorb(self, known: ServerTransaction, flow: Flow, now: float) -> None:
        """A repetition. On a new connection it also shows where the peer is now."""
        self.statistics.repeated_requests += 1
        if known.is_flow_lost and flow.transport is known.flow.transport and flow != known.flow:
            known.is_seeking_flow = False
            self._move(known, flow)
        known.feed(_REQUEST, now)

    def _move(self, transaction: ServerTransaction, flow: Flow) -> None:
        transaction.flow = transaction.reply_flow = flow
        transaction.is_flow_lost = False
        if not transaction.has_ended:
            self.transactions.add(transaction, flow)

    def _is_merged(self, request: Request) -> bool:
        """8.2.2.2: the same request over another path, while the first one is still here."""
        key = merged_key(request)
        return key is not None and key in self._merged

    def _expect_ack(self, transaction: ServerTransaction) -> None:
        """17.2.3: without a unique branch, the ACK to a failure is found by the tag of the response."""
        if not transaction.is_invite or transaction.state is not _COMPLETED:
            return
        if transaction.ack_key is None:
            assert transaction.last_response is not None
            key = acknowledgement_key(transaction.request, transaction.last_response.to_tag or "")
            transaction.ack_key = key
            self._acks[key] = transaction

    def _seek_flow(self, transaction: ServerTransaction) -> None:
        if transaction.is_seeking_flow:
            return
        hop = reply_hop(transaction.request.top_via, transaction.flow)
        if hop is None:
            self.response_failed(transaction, "the connection of the request is lost")
        else:
            transaction.is_seeking_flow = True
            self._outbox.emit(FlowNeeded(transaction, hop, 0))

    def _refuse(self, transaction: ServerTransaction, status: int) -> None:
        self._send_once(transaction, tagged(transaction.request, status, transaction.local_tag))

    def _send_once(self, transaction: ServerTransaction, response: Response) -> None:
        assert transaction.reply_flow is not None
        transaction.last_response, transaction.last_status = response, response.status
        self._outbox.send(response.to_bytes(), transaction.reply_flow)


def _reply_flow_of(request: Request, flow: Flow) -> Flow:
    """Where it came from, when its Via cannot be read."""
    try:
        return reply_flow(request, flow)
    except PeerError:
        return flow
