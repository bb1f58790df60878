# SPDX-License-Identifier: Apache-2.0
"""How do we change a session that stands? Our re-INVITE (RFC 3261 section 14.1) and UPDATE (RFC 3311
section 5.1).

One change at a time. 491 means that the peer's change crossed ours: each side waits a time that the other
cannot choose, too, and tries again. Any other refusal leaves the session as it was (RFC 6141); only 408 and
481 say that the peer does not know the session any more (12.2.1.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING

from ringback.sip.dialog import reliability
from ringback.sip.dialog.acknowledging import acknowledge, repeat_acknowledgement
from ringback.sip.dialog.invite_usage import Carrier, InviteUsage, PendingOffer
from ringback.sip.dialog.negotiation import OfferInput, OfferState, session_description
from ringback.sip.dialog.session_states import Input, Occasion, State, advance
from ringback.sip.errors import InvalidState, PeerError
from ringback.sip.events import (
    AnswerReceived,
    Event,
    OfferReceived,
    OfferRefused,
    RequestTimedOut,
    ResponseReceived,
    TransportFailed,
)

if TYPE_CHECKING:
    from ringback.sip.dialog.invite_session import InviteSession
    from ringback.sip.events import Consumer
    from ringback.sip.message.message import Request, Response
    from ringback.sip.transaction.client import ClientTransaction
    from ringback.sip.transaction.timers import Deadline

#: 491s in a row that are met by trying again.
GLARE_LIMIT = 8

#: A Retry-After of more seconds is not waited for.
PATIENCE = 10

#: 12.2.1.2, RFC 5057 5.1: after these the peer has no such dialog.
DIALOG_GONE = (408, 481)


class Phase(IntEnum):
    """WAITING: refused for now; DONE: a repeated 2xx may still come."""

    SENT = 0
    WAITING = 1
    DONE = 2


@dataclass(slots=True, eq=False)
class Modification:
    """One change of ours, over all its attempts."""

    session: InviteSession
    usage: InviteUsage
    method: str
    sdp: bytes | None
    is_refresh: bool
    headers: tuple[tuple[str, str], ...] = ()
    is_retried: bool = True
    phase: Phase = Phase.SENT
    attempts: int = 0
    request: Request | None = None
    deadline: Deadline | None = None
    transaction: ClientTransaction | None = None

    @property
    def is_invite_under_way(self) -> bool:
        """True while our INVITE waits for its final response (14.1, 14.2)."""
        return self.method == "INVITE" and self.phase is Phase.SENT

    def stop(self, now: float) -> None:
        """The session is over: an INVITE that is under way is taken back, so that it does not wait for
        ever.
        """
        if self.is_invite_under_way and self.transaction is not None:
            self.session.stack.cancel(self.transaction, now=now)
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None


def begin(
    session: InviteSession,
    method: str,
    sdp: bytes | None,
    *,
    now: float,
    is_refresh: bool = False,
    headers: Iterable[tuple[str, str]] = (),
    is_retried: bool = True,
) -> None:
    """Start a change; InvalidState if this is not the moment for one."""
    usage = session.usage
    if usage is None or session.modification is not None or not _is_possible(session, usage, method, sdp):
        raise InvalidState(f"no {method} now: another change of the session is not finished")
    change = Modification(session, usage, method, sdp, is_refresh, tuple(headers), is_retried)
    session.modification = change
    _send(change, now)


def refresh(session: InviteSession, *, now: float) -> bool:
    """RFC 4028 7.4: UPDATE without an offer if the peer allows it, else a re-INVITE with what stands."""
    if session.state is not State.ESTABLISHED or session.usage is None:
        return False
    is_update = session.usage.allows("UPDATE")
    sdp = None if is_update else session.usage.negotiation.local
    try:
        begin(session, "UPDATE" if is_update else "INVITE", sdp, now=now, is_refresh=True)
    except InvalidState:
        return False
    return True


def watched(
    session: InviteSession, consumer: Consumer | None, *, is_vital: bool = True
) -> Callable[[Event], None]:
    """What comes of another request in the dialog: our user hears it, and the session learns if it is
    dead, unless the request was of another usage.
    """

    def receive(event: Event) -> None:
        if consumer is not None:
            consumer(event)
        if not is_vital:
            return
        if isinstance(event, RequestTimedOut):
            _lose(session, 408, session.stack.now)
        elif isinstance(event, ResponseReceived) and event.response.status in DIALOG_GONE:
            _lose(session, event.response.status, session.stack.now)

    return receive


def _is_possible(session: InviteSession, usage: InviteUsage, method: str, sdp: bytes | None) -> bool:
    """14.1: no INVITE while one is under way either way; one offer at a time."""
    if method == "INVITE":
        is_stable = usage.negotiation.state in (OfferState.STABLE, OfferState.NEW)
        return is_stable and session.remote_invite is None and not session.pending
    return sdp is None or usage.negotiation.is_allowed(OfferInput.OFFER_SENT)


def _send(change: Modification, now: float) -> None:
    session, usage = change.session, change.usage
    if change.sdp is not None:
        usage.negotiation.send_offer(change.sdp)
    request = usage.dialog.make_request(
        change.method,
        headers=[*session.table.capabilities(), *change.headers],
        body=change.sdp or b"",
        content_type=None if change.sdp is None else "application/sdp",
    )
    if session.state is State.ESTABLISHED:
        session.timer.mark_request(request)
    change.phase, change.request = Phase.SENT, request
    change.transaction = usage.requests.send(request, partial(_concluded, change, request), now=now)


def _concluded(change: Modification, request: Request, event: Event) -> None:
    """Something came of one attempt."""
    now = change.session.stack.now
    if isinstance(event, ResponseReceived):
        if change.phase is Phase.SENT:
            change.transaction = event.transaction
        _receive_response(change, request, event, now)
    elif change.request is request and change.phase is Phase.SENT:
        _settle(change)
        if isinstance(event, RequestTimedOut):
            _lose(change.session, 408, now)
        elif isinstance(event, TransportFailed):
            _refuse(change, 503, event.detail, now)


def _receive_response(change: Modification, request: Request, event: ResponseReceived, now: float) -> None:
    response, invite = event.response, event.transaction.request
    if 200 <= response.status < 300 and (change.phase is not Phase.SENT or change.request is not request):
        _repeat(change, invite, now)
    elif change.phase is not Phase.SENT or change.request is not request:
        return
    elif response.status < 200:
        _receive_provisional(change, response, invite, now)
    elif response.status < 300:
        _succeed(change, response, invite, now)
    else:
        _fail(change, response, now)


def _repeat(change: Modification, invite: Request, now: float) -> None:
    if change.method == "INVITE":
        repeat_acknowledgement(change.usage, invite.cseq.number, now=now)


def _receive_provisional(change: Modification, response: Response, invite: Request, now: float) -> None:
    is_wanted = change.method == "INVITE" and change.session.state is State.ESTABLISHED
    if not is_wanted or not reliability.is_reliable(response):
        return
    if reliability.is_next(change.usage, response):
        reliability.acknowledge(change.session, change.usage, response, invite, now=now)
    else:
        reliability.repeat_prack(change.usage, response, now=now)


def _succeed(change: Modification, response: Response, invite: Request, now: float) -> None:
    """The change is made: the 2xx may move the target, restart the timer and bring answer or offer."""
    session, usage = change.session, change.usage
    change.phase, change.transaction = Phase.DONE, None
    usage.dialog.refresh_target(response)
    if session.state is State.ENDED:
        if change.method == "INVITE":
            acknowledge(usage, invite, now=now)
        return
    session.modification = None
    usage.learn(response)
    if session.state is State.ESTABLISHED:
        session.timer.accept_response(response, now=now)
    is_offer = _take_description(change, response, invite)
    if change.method == "INVITE" and not is_offer:
        acknowledge(usage, invite, now=now)


def _take_description(change: Modification, response: Response, invite: Request) -> bool:
    """True if the 2xx to our INVITE without a description brought an offer: its ACK waits for the answer."""
    session, negotiation = change.session, change.usage.negotiation
    sdp = session_description(response)
    if change.sdp is not None and negotiation.state is OfferState.LOCAL_OFFER:
        is_news = not change.is_refresh or sdp != negotiation.remote
        if sdp is None:
            negotiation.withdraw()
        else:
            negotiation.receive_answer(sdp)
            if is_news:
                session.emit(AnswerReceived(session, sdp, is_early=False))
        return False
    if sdp is None or change.method != "INVITE" or change.sdp is not None:
        return False
    if not negotiation.is_allowed(OfferInput.OFFER_RECEIVED):
        return False
    negotiation.receive_offer(sdp)
    session.pending.append(PendingOffer(Carrier.SUCCESS, change.usage, sdp, request=invite))
    session.emit(OfferReceived(session, sdp))
    return True


# --- refusals -----------------------------------------------------------------------------------------


def _fail(change: Modification, response: Response, now: float) -> None:
    session = change.session
    _settle(change)
    if session.state is State.ENDED:
        return
    if response.status in DIALOG_GONE:
        _lose(session, response.status, now)
        return
    delay = _delay_before_next(change, response)
    if delay is None:
        if response.status in (405, 501):
            change.usage.allowed -= {change.method}
        _refuse(change, response.status, response.reason, now, response)
        return
    change.attempts += 1
    change.phase = Phase.WAITING
    session.modification = change
    change.deadline = session.stack.deadlines.arm(now + delay, partial(_try_again, change))


def _delay_before_next(change: Modification, response: Response) -> float | None:
    """When to try again after this refusal; None for never."""
    session = change.session
    if change.attempts >= GLARE_LIMIT:
        return None
    if response.status == 422 and session.timer.lengthen(response):
        return 0.0
    if not change.is_retried:
        return None
    if response.status == 491:
        return _glare_delay(session)
    if response.status in (500, 503):
        seconds = _retry_after(response)
        return None if seconds is None or seconds > PATIENCE else float(seconds)
    return None


def _try_again(change: Modification, now: float) -> None:
    """The peer's own change may have come in between; then wait once more."""
    session = change.session
    change.deadline = None
    if session.state is State.ENDED:
        return
    if _is_possible(session, change.usage, change.method, change.sdp):
        _send(change, now)
    elif change.attempts < GLARE_LIMIT:
        change.attempts += 1
        change.deadline = session.stack.deadlines.arm(
            now + _glare_delay(session), partial(_try_again, change)
        )
    else:
        _settle(change)
        _refuse(change, 491, "another change of the session does not end", now)


def _settle(change: Modification) -> None:
    """This attempt is over, and what it offered is off the table."""
    was_waiting = change.phase is Phase.WAITING
    change.phase, change.transaction = Phase.DONE, None
    if change.session.modification is change:
        change.session.modification = None
    if (
        change.sdp is not None
        and not was_waiting
        and change.usage.negotiation.state is OfferState.LOCAL_OFFER
    ):
        change.usage.negotiation.withdraw()


def _refuse(
    change: Modification, status: int, reason: str, now: float, response: Response | None = None
) -> None:
    session = change.session
    if change.is_refresh:
        session.timer.try_again(now=now)
    else:
        session.emit(OfferRefused(session, status, reason, response))


def _lose(session: InviteSession, status: int, now: float) -> None:
    """12.2.1.2: no answer at all, or one that says there is no such dialog."""
    reason = "the peer says nothing any more" if status == 408 else "the peer has no such dialog"
    occasion = Occasion(now, status=status, reason=reason, cause=f"SIP;cause={status}")
    advance(session, Input.DIALOG_LOST, occasion)


def _glare_delay(session: InviteSession) -> float:
    """14.1: 2.1 to 4 seconds for the end that made the Call-ID, 0 to 2 for the other, in steps of 10 ms."""
    if session.is_caller:
        return 2.1 + session.table.random_number(191) / 100
    return session.table.random_number(201) / 100


def _retry_after(response: Response) -> int | None:
    try:
        value = response.retry_after
    except PeerError:
        return None
    return None if value is None else value.seconds
