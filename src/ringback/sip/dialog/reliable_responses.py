# SPDX-License-Identifier: Apache-2.0
"""How does a callee deliver a provisional response for certain? 100rel: RFC 3262 section 3.

One response is in flight at a time; the next waits for its PRACK. A 2xx waits, too, while a response with
a session description is not acknowledged.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ringback.sip.dialog.invite_usage import Carrier, PendingOffer
from ringback.sip.dialog.negotiation import OfferInput, OfferState, session_description
from ringback.sip.dialog.session_states import Input, Occasion, advance
from ringback.sip.errors import PeerError
from ringback.sip.events import AnswerReceived, OfferReceived

if TYPE_CHECKING:
    from ringback.sip.dialog.invite_session import InviteSession
    from ringback.sip.message.message import Request, Response
    from ringback.sip.transaction.server import ServerTransaction
    from ringback.sip.transaction.timers import Deadline

#: RFC 3262 3: the first RSeq is random and below 2**31; a session sends few, so there is room above.
FIRST_RSEQ_LIMIT = 0x7FFF0000


@dataclass(slots=True, eq=False)
class _Reliable:
    response: Response
    has_description: bool
    is_acknowledged: bool = False


@dataclass(slots=True, eq=False)
class ReliableResponses:
    """The reliable provisional responses to one INVITE."""

    session: InviteSession
    deferred: Occasion | None = None
    """The acceptance that waits for a PRACK."""
    _rseq: int = 0
    _in_flight: _Reliable | None = None
    _waiting: deque[_Reliable] = field(default_factory=deque)
    _interval: float = 0.0
    _give_up_at: float = 0.0
    _deadline: Deadline | None = None

    @property
    def is_idle(self) -> bool:
        """True when every response was acknowledged."""
        return self._in_flight is None or self._in_flight.is_acknowledged

    @property
    def holds_success_back(self) -> bool:
        """RFC 3262 3: no 2xx while a description is not acknowledged; nor while an offer of the caller
        (in a PRACK or UPDATE) waits for our user.
        """
        if self.session.pending:
            return True
        unacknowledged = [] if self.is_idle else [self._in_flight, *self._waiting]
        return any(each is not None and each.has_description for each in unacknowledged)

    def send(self, response: Response, *, has_description: bool, now: float) -> None:
        """Send it now, or after the PRACK for the one before it."""
        response.headers.add("Require", "100rel")
        each = _Reliable(response, has_description)
        if self.is_idle:
            self._launch(each, now)
        else:
            self._waiting.append(each)

    def stop(self) -> None:
        """A final response ends the repetitions; a PRACK may still come and is still confirmed."""
        self._waiting.clear()
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def receive_prack(self, transaction: ServerTransaction, *, now: float) -> None:
        """RFC 3262 3: 200 if it acknowledges the response in flight, 481 if there is none like that."""
        session, request = self.session, transaction.request
        each = self._in_flight
        if each is None or each.is_acknowledged or not _acknowledges(request, each.response):
            session.respond(transaction, 481, now=now)
            return
        each.is_acknowledged = True
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._take_description(transaction, now)
        self.proceed(now=now)

    def proceed(self, *, now: float) -> None:
        """What waited for the PRACK, or for the answer to its offer, goes out."""
        if self._waiting and self.is_idle:
            self._launch(self._waiting.popleft(), now)
        if self.deferred is not None and not self.holds_success_back:
            occasion, self.deferred = self.deferred, None
            advance(self.session, Input.ACCEPT, Occasion(now, sdp=occasion.sdp, headers=occasion.headers))

    def _take_description(self, transaction: ServerTransaction, now: float) -> None:
        session, usage = self.session, self.session.usage
        assert usage is not None
        negotiation = usage.negotiation
        sdp = session_description(transaction.request)
        if sdp is not None and negotiation.state is OfferState.LOCAL_OFFER:
            negotiation.receive_answer(sdp)
            session.emit(AnswerReceived(session, sdp, is_early=True))
        elif sdp is not None and negotiation.state is OfferState.STABLE:
            negotiation.receive_offer(sdp)
            session.pending.append(PendingOffer(Carrier.PRACK, usage, sdp, transaction=transaction))
            session.emit(OfferReceived(session, sdp))
            return
        elif sdp is not None and not negotiation.is_allowed(OfferInput.OFFER_RECEIVED):
            session.respond(transaction, 488, now=now)
            return
        session.respond(transaction, 200, now=now)

    def _launch(self, each: _Reliable, now: float) -> None:
        self._rseq = self._rseq + 1 if self._rseq else self._first_rseq()
        each.response.headers["RSeq"] = str(self._rseq)
        timers = self.session.stack.timers
        self._in_flight = each
        self._interval = timers.t1
        self._give_up_at = now + 64 * timers.t1
        self._transmit(now)

    def _transmit(self, now: float) -> None:
        assert self._in_flight is not None
        assert self.session.transaction is not None
        self.session.stack.respond(self.session.transaction, self._in_flight.response, now=now)
        self._deadline = self.session.stack.deadlines.arm(
            min(now + self._interval, self._give_up_at), self._repeat
        )
        self._interval *= 2

    def _repeat(self, now: float) -> None:
        self._deadline = None
        if now < self._give_up_at:
            self._transmit(now)
        else:
            advance(self.session, Input.NO_PRACK, Occasion(now, status=504, reason="no PRACK came"))

    def _first_rseq(self) -> int:
        return 1 + self.session.stack.identifiers.session_id() % FIRST_RSEQ_LIMIT


def _acknowledges(request: Request, response: Response) -> bool:
    try:
        rack = request.rack
    except PeerError:
        return False
    cseq = response.cseq
    return rack is not None and (rack.rseq, rack.cseq, rack.method) == (
        response.rseq,
        cseq.number,
        cseq.method,
    )
