# SPDX-License-Identifier: Apache-2.0
"""What does a call hear of its signalling, and what becomes of it? From ringing to the end, and on to another
peer.

This side of a `Call` is for the program around it; what its owner does with it is in `call.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING, cast

from ringback.sip.events import (
    AnswerReceived,
    Event,
    OfferReceived,
    OfferRefused,
    SessionEnded,
    SessionEstablished,
    SessionEvent,
    SessionProgress,
    SessionRequestReceived,
)
from ringback.ua.call_offers import CallOffers
from ringback.ua.call_requests import answer_request
from ringback.ua.errors import CallError, Unreachable, error_for

if TYPE_CHECKING:
    from ringback.media.session import AudioSession
    from ringback.sip.dialog.invite_session import InviteSession
    from ringback.sip.message import Request, Response
    from ringback.ua.call import Call
    from ringback.ua.call_host import CallHost
    from ringback.ua.transfer import Transfer


class CallState(IntEnum):
    """How far a call is."""

    CALLING = 0  # our INVITE is on its way
    RINGING = 1  # the callee's phone rings
    ANSWERED = 2  # the two can talk
    ENDED = 3


class CallSignalling(CallOffers):
    """The life of a `Call`."""

    def __init__(self, host: CallHost, *, is_incoming: bool) -> None:
        super().__init__(host)
        self.is_incoming = is_incoming
        self.state = CallState.RINGING if is_incoming else CallState.CALLING
        #: The last response to our INVITE, for an outgoing call.
        self.response: Response | None = None
        #: Called with each provisional response to an outgoing call.
        self.on_progress: Callable[[Response], None] | None = None
        self._ended_at = 0.0
        #: True when our owner hung up or refused; what happens after is no news to them.
        self.is_leaving = False
        #: The REFER that is on its way.
        self.outgoing_transfer: Transfer | None = None
        #: True while the other side's REFER is being obeyed.
        self.is_moving = False

    @property
    def duration(self) -> float:
        """Seconds since the call was answered, until now or its end."""
        if self._answered_at is None:
            return 0.0
        return (self._ended_at if self.is_over else self._host.now) - self._answered_at

    @property
    def ended(self) -> SessionEnded | None:
        """Why the call ended: `status`, `reason`, `by`; None while it lives."""
        return self._over.result() if self.is_over else None

    @property
    def is_answered(self) -> bool:
        """True from the moment the callee picked up."""
        return self._answered_at is not None

    @property
    def is_over(self) -> bool:
        """True when nothing can be done with this call any more."""
        return self._over.done()

    # --- for the host ----------------------------------------------------------------------------------

    def attach(self, session: InviteSession) -> None:
        """Give the call its signalling; a redirected call gets another one."""
        self._session = session

    async def open_audio(self) -> AudioSession:
        """Open the sockets for sound, towards where the call comes from or goes to."""
        flow = self._session.flow if self._session is not None else None
        return self.adopt_audio(await self._host.open_audio(flow.remote.host if flow is not None else None))

    def move(self, session: InviteSession, sdp: bytes | None) -> InviteSession:
        """Go on with another peer (RFC 3891, RFC 5589): the session there is established or accepted, `sdp`
        answers our offer in it. The session that it replaces is returned, and nothing is heard of it any
        more.
        """
        old = self.session
        if sdp is not None:
            assert self._audio is not None
            host = session.flow.remote.host if session.flow is not None else None
            self._audio.accept_answer(sdp, signalling_host=host)
        old.consumer = _ignore
        self._session = session
        session.consumer = self.receive_event
        self.sound_agreed()
        self.is_held = False
        return old

    async def wait_ready(self) -> None:
        """Wait until the dialog is confirmed: the ACK of an incoming call has come."""
        await self._wait_ready()

    def transfer_notified(self, request: Request) -> int:
        """The answer to a NOTIFY: about our REFER, or 481 (RFC 6665 4.1.3)."""
        return self.outgoing_transfer.notified(request) if self.outgoing_transfer is not None else 481

    async def wait_answered(self) -> None:
        """Wait until the callee picks up; raises what it answered when it does not."""
        await asyncio.wait((self._ready, self._over), return_when=asyncio.FIRST_COMPLETED)
        if not self._ready.done():
            raise self.failure()

    def failure(self) -> CallError:
        """Why an outgoing call came to nothing, as an exception."""
        if self._fault is not None:
            return self._fault
        ended = self._over.result()
        if ended.response is None and ended.by in ("timeout", "transport"):
            return Unreachable(ended.status, ended.reason)
        return error_for(ended.status, ended.reason, response=ended.response)

    def receive_event(self, event: Event) -> None:
        """What the session says. One that was replaced has no say any more."""
        if isinstance(event, SessionEvent) and self._session not in (None, event.session):
            return
        match event:
            case SessionProgress(response=response):
                self._progressed(response)
            case AnswerReceived(sdp=sdp):
                self._accept_answer(sdp)
            case SessionEstablished(response=response):
                self.response = response
                self._established()
            case OfferReceived(sdp=sdp):
                self._answer_offer(sdp)
            case OfferRefused(status=status, reason=reason):
                self._settle_renegotiation(error_for(status, reason))
            case SessionRequestReceived(request=request, transaction=transaction):
                answer_request(self._call, self._host, request, transaction)
            case SessionEnded():
                self._finished(event)

    # --- inside ----------------------------------------------------------------------------------------

    @property
    def _call(self) -> Call:
        """Ourselves, with all that is a `Call`: nothing else is ever made of this class."""
        return cast("Call", self)

    def _now_answered(self) -> None:
        if self._answered_at is None:
            self._answered_at = self._host.now
            self.state = CallState.ANSWERED

    def _progressed(self, response: Response) -> None:
        self.response = response
        if response.status >= 180 and self.state is CallState.CALLING:
            self.state = CallState.RINGING
        if self.on_progress is not None:
            self.on_progress(response)

    def _established(self) -> None:
        if self._fault is None and self._audio is not None and self._audio.negotiated is None:
            self._leave_for("the other side wants no audio")
        if self._fault is None:
            self._now_answered()
            if not self._ready.done():
                self._ready.set_result(None)

    def _finished(self, event: SessionEnded) -> None:
        if self.is_over:
            return
        self.state = CallState.ENDED
        self._ended_at = self._host.now
        self._over.set_result(event)
        if self._audio is not None:
            self._host.close_audio(self._audio)
        self._host.call_ended(self._call)


def _ignore(event: Event) -> None:
    """Nothing is heard of a session that was replaced."""
