# SPDX-License-Identifier: Apache-2.0
"""How does a callee answer an INVITE? RFC 3261 section 13.3: ring, accept, and what becomes of the ACK.

The actions here are rows of the session's table; `receive_ack` and `receive_event` turn what comes into its
inputs.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ringback.sip.dialog.acceptance import Acceptance
from ringback.sip.dialog.ending import reason_given
from ringback.sip.dialog.negotiation import OfferState, session_description
from ringback.sip.dialog.session_states import Input, Occasion, State, advance
from ringback.sip.events import (
    AnswerReceived,
    CancelReceived,
    Event,
    ServerTransactionFailed,
    SessionEstablished,
)

if TYPE_CHECKING:
    from ringback.sip.dialog.invite_session import InviteSession
    from ringback.sip.message.message import Request, Response
    from ringback.sip.transaction.server import ServerTransaction

#: 13.3.1.1: proxies on the way forget an INVITE after three minutes without a provisional response.
RINGING_REPEATED_AFTER = 60.0

SDP = "application/sdp"


def receive_event(session: InviteSession, event: Event) -> None:
    """What the stack reports about the INVITE we are answering."""
    now = session.stack.now
    if isinstance(event, CancelReceived):
        occasion = Occasion(now, request=event.request, status=487, reason=reason_given(event.request))
        advance(session, Input.CANCEL_RECEIVED, occasion)
    elif isinstance(event, ServerTransactionFailed):
        advance(session, Input.TRANSPORT_ERROR, Occasion(now, status=503, reason=event.detail))


def limit_ringing(session: InviteSession, *, now: float) -> None:
    """13.3.1: an INVITE whose Expires is over before its final response gets 487."""
    expires = session.invite.expires
    if expires is not None:
        session.expiry = session.stack.deadlines.arm(now + expires, partial(_expire, session))


def _expire(session: InviteSession, now: float) -> None:
    advance(session, Input.REJECT, Occasion(now, status=487, reason="the INVITE has expired"))


# --- provisional responses ----------------------------------------------------------------------------


def send_provisional(session: InviteSession, occasion: Occasion) -> None:
    """13.3.1.1. With 100rel when the caller requires it or our user wants it and the caller can."""
    response = _dialog_response(session, occasion.status, occasion.reason or None, occasion.sdp)
    for name, value in occasion.headers:
        response.headers.add(name, value)
    if is_to_be_reliable(session, occasion.is_reliable):
        if occasion.sdp is not None:
            _describe(session, occasion.sdp)
        session.reliable.send(response, has_description=occasion.sdp is not None, now=occasion.now)
    else:
        session.previewed = occasion.sdp or session.previewed
        assert session.transaction is not None
        session.stack.respond(session.transaction, response, now=occasion.now)
    _keep_ringing(session, response, occasion.now)


def is_to_be_reliable(session: InviteSession, wanted: bool | None) -> bool:
    """RFC 3262 3: must when required, may when supported."""
    if "100rel" in session.invite.require:
        return True
    return bool(wanted) and "100rel" in session.invite.supported


def _describe(session: InviteSession, sdp: bytes) -> None:
    """Our answer, or our offer when the INVITE had none, in a message that is delivered for certain."""
    assert session.usage is not None
    negotiation = session.usage.negotiation
    if negotiation.state is OfferState.REMOTE_OFFER:
        negotiation.send_answer(sdp)
    else:
        negotiation.send_offer(sdp)


def _keep_ringing(session: InviteSession, response: Response, now: float) -> None:
    if session.ringing is not None:
        session.ringing.cancel()
    session.ringing = session.stack.deadlines.arm(
        now + RINGING_REPEATED_AFTER, partial(_ring_again, session, response)
    )


def _ring_again(session: InviteSession, response: Response, now: float) -> None:
    """A reliable response is repeated as a new one, without the description that was acknowledged (RFC 3262
    3).
    """
    if session.state is not State.RINGING:
        return
    if response.rseq is None:
        assert session.transaction is not None
        session.stack.respond(session.transaction, response, now=now)
    elif session.reliable.is_idle:
        again = _dialog_response(session, response.status, response.reason, None)
        session.reliable.send(again, has_description=False, now=now)
    _keep_ringing(session, response, now)


def stop_ringing(session: InviteSession) -> None:
    """The provisional response is not repeated any more, and the INVITE does not expire."""
    for deadline in (session.ringing, session.expiry):
        if deadline is not None:
            deadline.cancel()
    session.ringing = session.expiry = None


# --- success --------------------------------------------------------------------------------------------


def send_success(session: InviteSession, occasion: Occasion) -> None:
    """13.3.1.4: 200, repeated until the ACK comes."""
    transaction, usage = session.transaction, session.usage
    assert transaction is not None
    assert usage is not None
    stop_ringing(session)
    session.reliable.stop()
    sdp, has_offer = _final_description(session, occasion.sdp)
    usage.dialog.answered()
    try:
        response = success_response(session, session.invite, sdp)
        for name, value in occasion.headers:
            response.headers.add(name, value)
    except BaseException:
        session.state = State.RINGING  # nothing was said: the call can still be refused
        raise
    send_acceptance(session, transaction, response, now=occasion.now, is_initial=True, has_offer=has_offer)


def _final_description(session: InviteSession, sdp: bytes | None) -> tuple[bytes | None, bool]:
    """What the 2xx carries, and whether it is an offer. Nothing when a reliable 1xx said it all (RFC 6337
    2.2).
    """
    assert session.usage is not None
    negotiation = session.usage.negotiation
    if negotiation.state is OfferState.REMOTE_OFFER:
        sdp = session.previewed if sdp is None else sdp
        if sdp is not None:
            negotiation.send_answer(sdp)
        return sdp, False
    if negotiation.state is OfferState.NEW and sdp is not None:
        negotiation.send_offer(sdp)
        return sdp, True
    return None, False


def can_describe(session: InviteSession) -> bool:
    """RFC 6337 2.2: the answer to the INVITE, or an offer if it had none, and only once."""
    assert session.usage is not None
    return session.usage.negotiation.local is None and session.usage.negotiation.state in (
        OfferState.NEW,
        OfferState.REMOTE_OFFER,
    )


def can_accept(session: InviteSession, sdp: bytes | None) -> bool:
    """True if a 2xx with this description would answer what was offered."""
    assert session.usage is not None
    negotiation = session.usage.negotiation
    is_answer_owed = negotiation.state is OfferState.REMOTE_OFFER and negotiation.local is None
    return not is_answer_owed or sdp is not None or session.previewed is not None


def success_response(session: InviteSession, request: Request, sdp: bytes | None) -> Response:
    """A 2xx to an INVITE or re-INVITE: Contact (12.1.1), what we can do (13.3.1.4), the session timer
    (4028).
    """
    response = _dialog_response(session, 200, None, sdp, request)
    for name, value in session.timer.answer(request, now=session.stack.now):
        response.headers.add(name, value)
    return response


def send_acceptance(
    session: InviteSession,
    transaction: ServerTransaction,
    response: Response,
    *,
    now: float,
    is_initial: bool,
    has_offer: bool,
) -> None:
    """Send a 2xx and see it acknowledged."""
    number = transaction.request.cseq.number
    session.unanswered.pop(transaction, None)
    given_up = partial(_give_up, session, number)
    acceptance = Acceptance(session.stack, transaction, response, given_up, is_initial, has_offer)
    session.acceptances[number] = acceptance
    acceptance.start(now)


def _give_up(session: InviteSession, number: int, now: float) -> None:
    """13.3.1.4: no ACK in 64*T1: the dialog stands, the session does not, so BYE."""
    session.acceptances.pop(number, None)
    advance(session, Input.NO_ACK, Occasion(now, status=408, reason="no ACK came", cause=NO_ACK_CAUSE))


NO_ACK_CAUSE = 'SIP;cause=408;text="No ACK"'


def _dialog_response(
    session: InviteSession, status: int, reason: str | None, sdp: bytes | None, request: Request | None = None
) -> Response:
    headers = [("Contact", str(session.contact)), *session.table.capabilities()]
    return session.stack.make_response(
        request or session.invite,
        status,
        reason,
        to_tag=session.local_tag,
        headers=headers,
        body=sdp or b"",
        content_type=None if sdp is None else SDP,
    )


# --- the ACK ----------------------------------------------------------------------------------------------


def receive_ack(session: InviteSession, request: Request, *, now: float) -> None:
    """The ACK of one of our 2xx. One that comes twice, or after the end, finds nothing that waits for it."""
    acceptance = session.acceptances.pop(request.cseq.number, None)
    if acceptance is None or session.usage is None:
        return
    acceptance.stop()
    has_answer = not acceptance.has_offer or _take_answer(session, request)
    if acceptance.is_initial:
        occasion = Occasion(now, response=acceptance.response, status=488, reason="no answer to the offer")
        advance(session, Input.ACK if has_answer else Input.ACK_WITHOUT_ANSWER, occasion)


def _take_answer(session: InviteSession, request: Request) -> bool:
    assert session.usage is not None
    negotiation = session.usage.negotiation
    sdp = session_description(request)
    if sdp is None or negotiation.state is not OfferState.LOCAL_OFFER:
        negotiation.withdraw()
        return False
    negotiation.receive_answer(sdp)
    session.emit(AnswerReceived(session, sdp, is_early=False))
    return True


def report_established(session: InviteSession, occasion: Occasion) -> None:
    """The ACK is here: both ends know."""
    assert occasion.response is not None
    session.emit(SessionEstablished(session, occasion.response))
