# SPDX-License-Identifier: Apache-2.0
"""How does a session end? CANCEL (RFC 3261 section 9), BYE (section 15), Reason (RFC 3326), and what is
still owed.

Every way out passes `conclude`, which emits the one `SessionEnded`, answers what the peer still waits for
(15.1.2), and lets go of deadlines and dialogs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from ringback.sip.dialog.acknowledging import acknowledge
from ringback.sip.dialog.dialog import DialogState
from ringback.sip.dialog.farewell import say_goodbye
from ringback.sip.dialog.invite_usage import Carrier
from ringback.sip.dialog.requests import Trust
from ringback.sip.dialog.session_states import UNDECIDED, Input, Occasion, State, advance
from ringback.sip.events import SessionEnded
from ringback.sip.message.message import Request
from ringback.sip.message.names import reason_phrase

if TYPE_CHECKING:
    from ringback.sip.dialog.invite_session import InviteSession
    from ringback.sip.transaction.server import ServerTransaction


# --- actions of the caller ---------------------------------------------------------------------------


def send_cancel(session: InviteSession, occasion: Occasion) -> None:
    """9.1: the stack holds it back until a provisional response has come."""
    assert session.client_transaction is not None
    session.stack.cancel(session.client_transaction, now=occasion.now, reason=occasion.cause or None)


def end_refused(session: InviteSession, occasion: Occasion) -> None:
    """A final response said no."""
    response = occasion.response
    assert response is not None
    conclude(session, occasion, SessionEnded(session, response.status, response.reason, "remote", response))


def end_cancelled(session: InviteSession, occasion: Occasion) -> None:
    """We gave up, and the end of the INVITE has come, whatever it was."""
    response = occasion.response
    if response is not None and response.status >= 300 and response.status != 487:
        end_refused(session, occasion)
        return
    conclude(session, occasion, SessionEnded(session, 487, reason_phrase(487), "local", response))


def end_timed_out(session: InviteSession, occasion: Occasion) -> None:
    """Nobody answered in time."""
    conclude(session, occasion, SessionEnded(session, occasion.status or 408, occasion.reason, "timeout"))


def end_lost(session: InviteSession, occasion: Occasion) -> None:
    """The peer said that it has no such dialog (481), or says nothing any more (408)."""
    by = "timeout" if occasion.status == 408 else "remote"
    conclude(session, occasion, SessionEnded(session, occasion.status, occasion.reason, by))


def end_transport(session: InviteSession, occasion: Occasion) -> None:
    """There is no way to the peer."""
    conclude(session, occasion, SessionEnded(session, 503, occasion.reason, "transport"))


# --- actions of both ----------------------------------------------------------------------------------


def send_bye(session: InviteSession, occasion: Occasion) -> None:
    """15.1.1. A 2xx whose ACK waits for our answer gets one without it first."""
    usage = session.usage
    assert usage is not None
    for offer in session.pending:
        if offer.carrier is Carrier.SUCCESS and offer.usage is usage and offer.request is not None:
            acknowledge(usage, offer.request, now=occasion.now)
    say_goodbye(session.table, usage.requests, now=occasion.now, reason=occasion.cause)


def confirm_bye(session: InviteSession, occasion: Occasion) -> None:
    """15.1.2: 200, also when no ACK has come yet."""
    assert occasion.transaction is not None
    session.respond(occasion.transaction, 200, now=occasion.now)


def refuse_invite(session: InviteSession, occasion: Occasion) -> None:
    """The final response to the INVITE we have not accepted."""
    assert session.transaction is not None
    session.respond(
        session.transaction,
        occasion.status,
        occasion.reason or None,
        headers=occasion.headers,
        now=occasion.now,
    )


def refuse_terminated(session: InviteSession, occasion: Occasion) -> None:
    """9.2, 15.1.2: the INVITE that was cancelled, or whose dialog got a BYE, is answered 487."""
    assert session.transaction is not None
    session.respond(session.transaction, 487, now=occasion.now)


def end_local(session: InviteSession, occasion: Occasion) -> None:
    """We hung up."""
    conclude(session, occasion, SessionEnded(session, 200, occasion.reason, "local"))


def end_rejected(session: InviteSession, occasion: Occasion) -> None:
    """We did not take the call."""
    reason = occasion.reason or reason_phrase(occasion.status)
    conclude(session, occasion, SessionEnded(session, occasion.status, reason, "local"))


def end_remote(session: InviteSession, occasion: Occasion) -> None:
    """The peer hung up, or cancelled."""
    conclude(session, occasion, SessionEnded(session, occasion.status, occasion.reason, "remote"))


def end_failed(session: InviteSession, occasion: Occasion) -> None:
    """We left because the peer broke a rule."""
    conclude(session, occasion, SessionEnded(session, occasion.status, occasion.reason, "local"))


def conclude(session: InviteSession, occasion: Occasion, ended: SessionEnded) -> None:
    """Emit the end once, and let go of everything once the machine has stopped."""
    if session.ended is None:
        session.emit(ended)
        # What is kept names no session, so that no circle of references is left.
        session.ended = replace(ended, session=cast("InviteSession", None))
    if session.state is State.ENDED:
        _let_go(session, occasion.now)


def _let_go(session: InviteSession, now: float) -> None:
    _stop_waiting(session, now)
    for usage in session.usages.values():
        if usage.dialog.state is not DialogState.TERMINATED:
            usage.dialog.terminate()
            session.stack.unregister_dialog(usage.dialog.id)
    session.table.forget(session)
    try:
        for transaction in list(session.unanswered):
            session.respond(transaction, 487, now=now)
    finally:
        _break_circles(session)


def _break_circles(session: InviteSession) -> None:
    """Calls that are over make no work for the garbage collector. A late 2xx still finds what it needs."""
    client, server = session.client_transaction, session.transaction
    if client is not None:
        session.trust = Trust.earned_by(client, session.credentials)
    if server is not None:
        server.consumer = None
    session.client_transaction = session.transaction = session.modification = None
    del session.reliable.session, session.timer.session


def _stop_waiting(session: InviteSession, now: float) -> None:
    """No deadline is left but those of the BYE."""
    session.timer.stop()
    session.reliable.stop()
    for deadline in (session.ringing, session.expiry):
        if deadline is not None:
            deadline.cancel()
    if session.modification is not None:
        session.modification.stop(now)
    for acceptance in session.acceptances.values():
        acceptance.stop()
    session.acceptances.clear()
    session.pending.clear()
    session.remote_invite = None


def reason_given(request: Request) -> str:
    """The Reason header field of a BYE or CANCEL, as it stands; "" if there is none."""
    return request.headers.get("Reason") or ""


def receive_bye(session: InviteSession, transaction: ServerTransaction, *, now: float) -> None:
    """15.1.2. In an early dialog that is one of several, only that one ends."""
    request = transaction.request
    tag = request.from_.tag or ""
    if session.is_caller and session.state in UNDECIDED and len(session.usages) > 1:
        usage = session.usages.pop(tag)
        usage.dialog.terminate()
        session.stack.unregister_dialog(usage.dialog.id)
        session.respond(transaction, 200, now=now)
        return
    occasion = Occasion(
        now, request=request, transaction=transaction, status=200, reason=reason_given(request)
    )
    if not advance(session, Input.BYE_RECEIVED, occasion):
        session.respond(transaction, 481, now=now)
