# SPDX-License-Identifier: Apache-2.0
"""What does a caller do with the responses to its INVITE? RFC 3261 sections 13.2 and 22.2, RFC 4028 section
7.

`receive_event` takes what the stack reports about the INVITE, finds out which input it is for the session's
machine, and the actions below carry out what the table says.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from ringback.sip.dialog import reliability
from ringback.sip.dialog.acknowledging import acknowledge, repeat_acknowledgement
from ringback.sip.dialog.dialog import Dialog
from ringback.sip.dialog.farewell import say_goodbye
from ringback.sip.dialog.invite_usage import Carrier, InviteUsage, PendingOffer
from ringback.sip.dialog.negotiation import Negotiation, OfferState, session_description
from ringback.sip.dialog.requests import DialogRequests, Trust
from ringback.sip.dialog.session_states import UNDECIDED, Input, Occasion, State, advance
from ringback.sip.events import (
    AnswerReceived,
    Event,
    OfferReceived,
    RequestTimedOut,
    ResponseReceived,
    SessionEstablished,
    SessionProgress,
    TransportFailed,
)
from ringback.sip.message.message import Request, Response
from ringback.sip.transaction.client import State as Transaction

if TYPE_CHECKING:
    from ringback.sip.dialog.invite_session import InviteSession

#: Dialogs one INVITE may create; a fork that answers with more tags is not followed further.
FORK_LIMIT = 32


def start(session: InviteSession, request: Request, *, now: float) -> None:
    """Send the INVITE, or send it again with what a challenge or a 422 asked for."""
    session.invite = request
    session.usages.clear()
    session.dialog = session.usage = None
    session.client_transaction = session.stack.send_request(
        request,
        now=now,
        flow=session.pinned_flow,
        consumer=partial(receive_event, session, request),
        branch_suffix=session.branch_suffix,
    )


def receive_event(session: InviteSession, request: Request, event: Event) -> None:
    """Something came of an INVITE of ours. `request` tells a repeated INVITE from the one before it."""
    now = session.stack.now
    if request is not session.invite:
        return
    if isinstance(event, ResponseReceived):
        _receive_response(session, event, now)
    elif isinstance(event, RequestTimedOut):
        advance(session, Input.TIMEOUT, Occasion(now, status=408, reason="no answer"))
    elif isinstance(event, TransportFailed):
        advance(session, Input.TRANSPORT_ERROR, Occasion(now, status=503, reason=event.detail))


def _receive_response(session: InviteSession, event: ResponseReceived, now: float) -> None:
    response = event.response
    if response.status == 100:
        return
    if session.flow is None:
        session.flow = event.transaction.flow
    if response.status < 200:
        _receive_provisional(session, response, now)
    elif response.status < 300:
        _receive_success(session, event, now)
    else:
        again = _next_attempt(session, event)
        occasion = Occasion(
            now, response=response, request=again, status=response.status, reason=response.reason
        )
        advance(session, Input.FAILURE if again is None else Input.RETRY, occasion)


# --- provisional responses ----------------------------------------------------------------------


def _receive_provisional(session: InviteSession, response: Response, now: float) -> None:
    """13.2.2.1. Reliable ones are taken in order and acknowledged (RFC 3262 section 4)."""
    is_dialog = session.state in UNDECIDED and (response.to.tag is not None or bool(response.body))
    usage = usage_for(session, response) if is_dialog else None
    if usage is None or not reliability.is_reliable(response):
        advance(session, Input.PROVISIONAL, Occasion(now, response=response))
        if usage is not None:
            _preview(session, usage, response)
        return
    if reliability.is_next(usage, response):
        advance(session, Input.PROVISIONAL, Occasion(now, response=response))
        reliability.acknowledge(session, usage, response, session.invite, now=now)
    else:
        reliability.repeat_prack(usage, response, now=now)


def _preview(session: InviteSession, usage: InviteUsage, response: Response) -> None:
    """13.2.1: a description in an unreliable response is good for early media, and may still change."""
    sdp = session_description(response)
    negotiation = usage.negotiation
    if sdp is None or sdp == negotiation.preview or negotiation.state is not OfferState.LOCAL_OFFER:
        return
    negotiation.preview = sdp
    session.emit(AnswerReceived(session, sdp, is_early=True))


def report_progress(session: InviteSession, occasion: Occasion) -> None:
    """Ringing, or something like it."""
    assert occasion.response is not None
    session.emit(SessionProgress(session, occasion.response))


def usage_for(session: InviteSession, response: Response) -> InviteUsage | None:
    """The dialog this response belongs to, made if need be (12.1.2); None if there are too many."""
    tag = response.to.tag or ""
    usage = session.usages.get(tag)
    if usage is None:
        if len(session.usages) >= FORK_LIMIT:
            return None
        usage = _new_usage(session, response)
        session.usages[tag] = usage
        session.stack.register_dialog(usage.dialog.id, session)
    if response.status < 200:
        session.usage, session.dialog = usage, usage.dialog
    usage.learn(response)
    return usage


def _new_usage(session: InviteSession, response: Response) -> InviteUsage:
    flow = session.flow
    dialog = Dialog.from_response(
        session.invite, response, is_secure=flow is not None and flow.transport.is_secure
    )
    return InviteUsage(dialog, _requests(session, dialog), negotiation=session.offered.copy())


def _requests(session: InviteSession, dialog: Dialog) -> DialogRequests:
    client = session.client_transaction
    trust = session.trust if client is None else Trust.earned_by(client, session.credentials)
    return DialogRequests(session.stack, dialog, flow=session.pinned_flow, trust=trust)


# --- success ----------------------------------------------------------------------------------------


def _receive_success(session: InviteSession, event: ResponseReceived, now: float) -> None:
    """13.2.2.4: the first 2xx makes the call, its repetitions get the ACK again, others are released."""
    response = event.response
    number = session.invite.cseq.number
    tag = response.to.tag or ""
    if session.state in UNDECIDED:
        usage = usage_for(session, response)
        if usage is not None:
            _choose(session, usage)
            usage.dialog.confirm(response)
            has_answer = _take_description(session, usage, response)
            what = Input.SUCCESS if has_answer else Input.SUCCESS_WITHOUT_ANSWER
            advance(
                session, what, Occasion(now, response=response, status=488, reason="no answer to the offer")
            )
        return
    if advance(session, Input.SUCCESS, Occasion(now, response=response)):
        return
    winner = session.usage
    is_winner = winner is not None and winner.dialog.remote_tag == tag
    if (
        winner is not None
        and is_winner
        and (session.state is not State.ENDED or number in winner.acknowledgements)
    ):
        repeat_acknowledgement(winner, number, now=now)
    else:
        release_fork(session, response, now=now)


def release_success(session: InviteSession, occasion: Occasion) -> None:
    """The 2xx crossed our CANCEL: acknowledge and leave (RFC 5407 3.1.2)."""
    assert occasion.response is not None
    release_fork(session, occasion.response, now=occasion.now)


def _take_back_the_rest(session: InviteSession, now: float) -> None:
    """The 2xx came from a target that was left for the next one: nobody needs to ring there any more."""
    transaction = session.client_transaction
    if transaction is not None and transaction.state in (Transaction.CALLING, Transaction.PROCEEDING):
        session.stack.cancel(transaction, now=now)


def acknowledge_success(session: InviteSession, occasion: Occasion) -> None:
    """The 2xx has no answer to our offer: it gets its ACK all the same, before the BYE (13.2.2.4)."""
    assert session.usage is not None
    acknowledge(session.usage, session.invite, now=occasion.now)


def _choose(session: InviteSession, winner: InviteUsage) -> None:
    """Other early dialogs are left: what becomes of them is their proxy's business, or `release_fork`'s."""
    for usage in list(session.usages.values()):
        if usage is not winner:
            usage.dialog.terminate()
            session.stack.unregister_dialog(usage.dialog.id)
    session.usages = {winner.dialog.remote_tag: winner}
    session.usage, session.dialog = winner, winner.dialog
    session.pending = deque(offer for offer in session.pending if offer.usage is winner)


def _take_description(session: InviteSession, usage: InviteUsage, response: Response) -> bool:
    """The answer, or the offer, in a 2xx to INVITE. False if our offer remains without an answer."""
    sdp = session_description(response)
    negotiation = usage.negotiation
    if negotiation.state is OfferState.LOCAL_OFFER:
        answer = negotiation.preview if sdp is None else sdp
        if answer is None:
            return False
        negotiation.receive_answer(answer)
        session.emit(AnswerReceived(session, answer, is_early=False))
    elif negotiation.state is OfferState.NEW and sdp is not None:
        negotiation.receive_offer(sdp)
        session.pending.append(PendingOffer(Carrier.SUCCESS, usage, sdp, request=session.invite))
        session.emit(OfferReceived(session, sdp))
    return True


def establish(session: InviteSession, occasion: Occasion) -> None:
    """The ACK goes out at once unless it must carry an answer that our user still owes."""
    assert session.usage is not None
    assert occasion.response is not None
    if session.usage.negotiation.state is not OfferState.REMOTE_OFFER:
        acknowledge(session.usage, session.invite, now=occasion.now)
    _take_back_the_rest(session, occasion.now)
    session.timer.accept_response(occasion.response, now=occasion.now)
    session.emit(SessionEstablished(session, occasion.response))


def release_fork(session: InviteSession, response: Response, *, now: float) -> None:
    """13.2.2.4: a 2xx that makes no call, because another did or because we gave up: ACK, then BYE."""
    tag = response.to.tag or ""
    usage = session.released.get(tag)
    if usage is not None:
        repeat_acknowledgement(usage, session.invite.cseq.number, now=now)
        return
    if len(session.released) >= FORK_LIMIT:
        return
    early = session.usages.pop(tag, None)
    usage = session.released[tag] = _new_usage(session, response)
    if early is not None:
        usage.dialog.local_cseq = early.dialog.local_cseq
    acknowledge(usage, session.invite, now=now)
    say_goodbye(session.table, usage.requests, now=now)


# --- failure ------------------------------------------------------------------------------------------


def _next_attempt(session: InviteSession, event: ResponseReceived) -> Request | None:
    """The INVITE again, if the refusal can be met: credentials for 401 and 407, a longer interval for 422."""
    response = event.response
    if session.state not in UNDECIDED:
        return None
    if response.status in (401, 407) and session.credentials is not None:
        return session.credentials.authorize(
            event.transaction.request, response, cnonce=session.stack.identifiers.cnonce()
        )
    if response.status == 422 and session.timer.lengthen(response):
        again = session.invite.copy()
        again.headers["CSeq"] = f"{session.invite.cseq.number + 1} INVITE"
        session.timer.mark_request(again)
        return again
    return None


def try_again(session: InviteSession, occasion: Occasion) -> None:
    """A new transaction with the next CSeq number; dialogs of the refused attempt are gone."""
    assert occasion.request is not None
    for usage in session.usages.values():
        session.stack.unregister_dialog(usage.dialog.id)
    start(session, occasion.request, now=occasion.now)


def offered_negotiation(sdp: bytes | None) -> Negotiation:
    """What every dialog of an INVITE begins with."""
    negotiation = Negotiation()
    if sdp is not None:
        negotiation.send_offer(sdp)
    return negotiation
