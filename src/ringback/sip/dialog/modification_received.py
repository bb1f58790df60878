# SPDX-License-Identifier: Apache-2.0
"""How does the peer change a session that stands? Its re-INVITE (RFC 3261 section 14.2) and UPDATE (RFC
3311 5.2).

Who may not change anything now is told so: 491 when our change is under way, 500 with Retry-After when the
peer has not waited for the end of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from ringback.sip.dialog import answering
from ringback.sip.dialog.invite_usage import Carrier, InviteUsage, PendingOffer
from ringback.sip.dialog.negotiation import OfferState, session_description
from ringback.sip.dialog.session_states import State
from ringback.sip.events import CancelReceived, Event, OfferReceived

if TYPE_CHECKING:
    from ringback.sip.dialog.invite_session import InviteSession
    from ringback.sip.transaction.server import ServerTransaction

Headers = Iterable[tuple[str, str]]

#: An UPDATE whose offer our user has not answered by then gets 504 (RFC 3311 5.2): the peer still listens.
UPDATE_PATIENCE = 16.0


def receive_reinvite(
    session: InviteSession, usage: InviteUsage, transaction: ServerTransaction, *, now: float
) -> None:
    """14.2. Also before the ACK of the first INVITE has come (RFC 5407 3.1.5)."""
    refusal = _reason_to_refuse_invite(session, usage)
    if refusal:
        _refuse(session, transaction, refusal, now)
        return
    if _refuse_short_interval(session, transaction, now):
        return
    session.remote_invite = transaction
    transaction.consumer = partial(_receive_event, session, usage)
    sdp = session_description(transaction.request)
    if sdp is None:
        session.pending.append(PendingOffer(Carrier.REINVITE, usage, None, transaction=transaction))
        session.emit(OfferReceived(session, None))
        return
    is_repetition = sdp == usage.negotiation.remote and usage.negotiation.local is not None
    usage.negotiation.receive_offer(sdp)
    offer = PendingOffer(Carrier.REINVITE, usage, sdp, transaction=transaction)
    if is_repetition:
        assert usage.negotiation.local is not None
        answer_reinvite(session, offer, usage.negotiation.local, now)
        return
    session.pending.append(offer)
    session.emit(OfferReceived(session, sdp))


def _reason_to_refuse_invite(session: InviteSession, usage: InviteUsage) -> int:
    """The status of the refusal, 0 for none."""
    if session.state is State.DEPARTING:
        return 487
    if session.state not in (State.ACCEPTED, State.ESTABLISHED):
        return 491 if session.is_caller else 500
    if session.modification is not None and session.modification.is_invite_under_way:
        return 491
    if session.remote_invite is not None or usage.negotiation.state is OfferState.REMOTE_OFFER:
        return 500
    return 491 if usage.negotiation.state is OfferState.LOCAL_OFFER else 0


def receive_update(
    session: InviteSession, usage: InviteUsage, transaction: ServerTransaction, *, now: float
) -> None:
    """RFC 3311 5.2. Without an offer it only refreshes target and timer."""
    if session.state is State.DEPARTING:
        _refuse(session, transaction, 487, now)
        return
    if _refuse_short_interval(session, transaction, now):
        return
    sdp = session_description(transaction.request)
    if sdp is None:
        _confirm_update(session, usage, transaction, None, now)
        return
    refusal = _reason_to_refuse_update(session, usage)
    if refusal:
        _refuse(session, transaction, refusal, now)
        return
    usage.negotiation.receive_offer(sdp)
    session.pending.append(PendingOffer(Carrier.UPDATE, usage, sdp, transaction=transaction))
    session.stack.deadlines.arm(now + UPDATE_PATIENCE, partial(_lose_patience, session, transaction))
    session.emit(OfferReceived(session, sdp))


def _reason_to_refuse_update(session: InviteSession, usage: InviteUsage) -> int:
    if session.modification is not None and session.modification.is_invite_under_way:
        return 491
    state = usage.negotiation.state
    if state is OfferState.LOCAL_OFFER:
        return 491
    if state is OfferState.REMOTE_OFFER or session.remote_invite is not None:
        return 500
    return 491 if state is OfferState.NEW else 0


def _lose_patience(session: InviteSession, transaction: ServerTransaction, now: float) -> None:
    offer = next((offer for offer in session.pending if offer.transaction is transaction), None)
    if offer is not None:
        session.pending.remove(offer)
        refuse_update(session, offer, 504, (), now)


# --- what our user says to an offer -------------------------------------------------------------------


def answer_reinvite(session: InviteSession, offer: PendingOffer, sdp: bytes, now: float) -> None:
    """200, repeated until the ACK comes. To a re-INVITE without an offer it carries ours."""
    transaction, usage = offer.transaction, offer.usage
    assert transaction is not None
    has_offer = offer.sdp is None
    if has_offer:
        usage.negotiation.send_offer(sdp)
    else:
        usage.negotiation.send_answer(sdp)
    session.remote_invite = None
    usage.dialog.refresh_target(transaction.request)
    response = answering.success_response(session, transaction.request, sdp)
    answering.send_acceptance(session, transaction, response, now=now, is_initial=False, has_offer=has_offer)


def refuse_reinvite(
    session: InviteSession, offer: PendingOffer, status: int, headers: Headers, now: float
) -> None:
    """The session goes on as before (14.2)."""
    assert offer.transaction is not None
    if offer.sdp is not None:
        offer.usage.negotiation.withdraw()
    session.remote_invite = None
    session.respond(offer.transaction, status, headers=headers, now=now)


def answer_update(session: InviteSession, offer: PendingOffer, sdp: bytes, now: float) -> None:
    """200 with the answer."""
    assert offer.transaction is not None
    offer.usage.negotiation.send_answer(sdp)
    _confirm_update(session, offer.usage, offer.transaction, sdp, now)


def refuse_update(
    session: InviteSession, offer: PendingOffer, status: int, headers: Headers, now: float
) -> None:
    """The session goes on as before."""
    assert offer.transaction is not None
    offer.usage.negotiation.withdraw()
    session.respond(offer.transaction, status, headers=headers, now=now)


def _confirm_update(
    session: InviteSession,
    usage: InviteUsage,
    transaction: ServerTransaction,
    sdp: bytes | None,
    now: float,
) -> None:
    """An early dialog is not refreshed (RFC 4028 9 speaks of the session, which does not exist yet)."""
    is_standing = session.state in (State.ACCEPTED, State.ESTABLISHED)
    timer = session.timer.answer(transaction.request, now=now) if is_standing else []
    session.respond(
        transaction,
        200,
        headers=[("Contact", str(session.contact)), *session.table.capabilities(), *timer],
        body=sdp or b"",
        content_type=None if sdp is None else "application/sdp",
        now=now,
    )


# --- refusals and CANCEL ------------------------------------------------------------------------------


def _refuse(session: InviteSession, transaction: ServerTransaction, status: int, now: float) -> None:
    """500 says when to come again: between 0 and 10 seconds, so that both do not meet again (14.2, 3311
    5.2).
    """
    headers = [("Retry-After", str(session.table.random_number(11)))] if status == 500 else []
    session.respond(transaction, status, headers=headers, now=now)


def _refuse_short_interval(session: InviteSession, transaction: ServerTransaction, now: float) -> bool:
    minimum = session.timer.too_short(transaction.request)
    if minimum is None:
        return False
    session.respond(transaction, 422, headers=[("Min-SE", str(minimum))], now=now)
    return True


def _receive_event(session: InviteSession, usage: InviteUsage, event: Event) -> None:
    """The peer takes its re-INVITE back (9.2); the session goes on as before."""
    transaction = session.remote_invite
    if not isinstance(event, CancelReceived) or transaction is None or event.transaction is not transaction:
        return
    offer = next((offer for offer in session.pending if offer.transaction is transaction), None)
    if offer is not None:
        session.pending.remove(offer)
        refuse_reinvite(session, offer, 487, (), session.stack.now)
