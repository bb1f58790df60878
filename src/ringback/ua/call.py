# SPDX-License-Identifier: Apache-2.0
"""What is a call, and what can its owner do with it?

A call joins one `InviteSession` (RFC 3261 section 13, the signalling) with one `AudioSession` (the sound).
It is made by `Phone.dial` or handed to `@phone.on_call`. Offers of the peer (hold, a moved phone, a new
codec) are answered here without anybody being asked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING

from ringback.sip.errors import InvalidState, PeerError
from ringback.sip.events import (
    AnswerReceived,
    Event,
    OfferReceived,
    OfferRefused,
    SessionEnded,
    SessionEstablished,
    SessionProgress,
    SessionRequestReceived,
)
from ringback.sip.message import NameAddr
from ringback.ua.call_requests import answer_request
from ringback.ua.call_sound import CallSound
from ringback.ua.errors import CallEnded, CallError, NotAcceptable, Unreachable, error_for
from ringback.ua.party import Party, addressee_of, sender_of

if TYPE_CHECKING:
    from ringback.media.session import AudioSession
    from ringback.sip.dialog.invite_session import InviteSession
    from ringback.sip.message import Request, Response
    from ringback.ua.agent import UserAgent

logger = logging.getLogger("ringback.ua")


class CallState(IntEnum):
    """How far a call is."""

    CALLING = 0  # our INVITE is on its way
    RINGING = 1  # the callee's phone rings
    ANSWERED = 2  # the two can talk
    ENDED = 3


class Call(CallSound):
    """One call. `invite` is the request that began it, with all its header fields.

    `caller` and `called` say who; `state`, `duration`, `ended` and `stats` say how it goes.
    """

    def __init__(self, agent: UserAgent, *, is_incoming: bool) -> None:
        super().__init__()
        self.is_incoming = is_incoming
        self.state = CallState.RINGING if is_incoming else CallState.CALLING
        self.is_held = False
        #: The last response to our INVITE, for an outgoing call.
        self.response: Response | None = None
        #: Called with each provisional response to an outgoing call.
        self.on_progress: Callable[[Response], None] | None = None
        self._agent = agent
        self._session: InviteSession | None = None
        self._ended_at = 0.0
        self._fault: CallError | None = None
        #: True when our owner hung up or refused; what happens after is no news to them.
        self.is_leaving = False
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._renegotiation: asyncio.Future[None] | None = None

    # --- who and how -----------------------------------------------------------------------------------

    @property
    def invite(self) -> Request:
        """The INVITE as it was sent or received."""
        return self.session.invite

    @property
    def caller(self) -> Party:
        """Who calls, as they say themselves."""
        return sender_of(self.invite)

    @property
    def called(self) -> Party:
        """Who is called."""
        return addressee_of(self.invite)

    @property
    def duration(self) -> float:
        """Seconds since the call was answered, until now or its end."""
        if self._answered_at is None:
            return 0.0
        return (self._ended_at if self.is_over else self._agent.now) - self._answered_at

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

    @property
    def session(self) -> InviteSession:
        """The signalling below."""
        assert self._session is not None
        return self._session

    # --- for the callee --------------------------------------------------------------------------------

    async def ring(self) -> None:
        """Tell the caller that somebody is being called (180)."""
        self._check_unanswered()
        self._agent.perform(self.session.ring)

    async def answer(self) -> None:
        """Pick up. Afterwards both can be heard."""
        self._check_unanswered()
        if self._audio is None:
            await self.open_audio()
            self._check_unanswered()  # the caller may have given up meanwhile
        offer = self.session.remote_sdp
        self._agent.perform(self.session.accept, self._local_description(offer))
        self._now_answered()
        if offer is None:  # the answer to our offer comes in the ACK (RFC 3261 13.2.1)
            await self.while_alive(self._wait_ready())

    async def reject(self, status: int = 603, reason: str | None = None) -> None:
        """Refuse the call: 486 is busy, 480 is not now, 603 is no."""
        if not 400 <= status <= 699:
            raise ValueError(f"{status} refuses nothing: use 400 to 699")
        self._check_unanswered()
        self.is_leaving = True
        self._agent.perform(self.session.reject, status, reason)

    async def redirect(self, *targets: str, status: int = 302) -> None:
        """Send the caller somewhere else, best target first."""
        if not targets or not 300 <= status <= 399:
            raise ValueError("a redirection needs a target and a status from 300 to 399")
        self._check_unanswered()
        contacts = [str(NameAddr(self._agent.account.resolve(target))) for target in targets]
        headers = [("Contact", contact) for contact in contacts]
        self.is_leaving = True
        self._agent.perform(self.session.reject, status, headers=headers)

    # --- for both --------------------------------------------------------------------------------------

    async def hangup(self) -> None:
        """End the call, however far it is. Does nothing when it is over."""
        if self.is_over or self.is_leaving:
            return
        self.is_leaving = True
        if self._answered_at is not None:
            self._agent.perform(self.session.bye)
        elif self.is_incoming:
            self._agent.perform(self.session.reject, 603)
        else:
            self._agent.perform(self.session.cancel)

    async def hold(self) -> None:
        """Tell the other side that we do not listen for a while (RFC 3264 8.4)."""
        await self._set_hold(on=True)

    async def resume(self) -> None:
        """Talk again after `hold`."""
        await self._set_hold(on=False)

    async def wait_ended(self) -> SessionEnded:
        """Wait until somebody hangs up; says who and why."""
        return await asyncio.shield(self._over)

    async def send_info(self, body: str | bytes, *, content_type: str) -> None:
        """Send an INFO (RFC 6086) inside the call. Raises when it is refused."""
        self._living_audio()
        data = body.encode() if isinstance(body, str) else body
        response = await self.while_alive(
            self._agent.session_request(self.session, "INFO", body=data, content_type=content_type)
        )
        if response.status >= 300:
            raise error_for(response.status, response.reason, response=response)

    # --- for the agent ---------------------------------------------------------------------------------

    def attach(self, session: InviteSession) -> None:
        """Give the call its signalling; a redirected call gets another one."""
        self._session = session

    async def open_audio(self) -> AudioSession:
        """Open the sockets for sound, towards where the call comes from or goes to."""
        flow = self._session.flow if self._session is not None else None
        audio = await self._agent.audio.open(flow.remote.host if flow is not None else None)
        return self.adopt_audio(audio)

    def adopt_audio(self, audio: AudioSession) -> AudioSession:
        """Take sound that was opened before the call was placed."""
        self._audio = audio
        audio.on_digit.append(self.digit_received)
        if self.is_over:
            self._agent.audio.close_later(audio)
        return audio

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
        """What the session says."""
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
                answer_request(self, self._agent, request, transaction)
            case SessionEnded():
                self._finished(event)

    # --- inside ----------------------------------------------------------------------------------------

    def _check_unanswered(self) -> None:
        if self.is_over:
            raise self._ended_error()
        if not self.is_incoming or self._answered_at is not None:
            raise InvalidState("only a call that rings here can be answered or refused")

    def _local_description(self, offer: bytes | None) -> bytes:
        """Our answer to the caller's offer, or our own offer when the INVITE had none. 488 when we cannot."""
        assert self._audio is not None
        if offer is None:
            return self._audio.make_offer()
        try:
            answer = self._answer_to(offer)
        except PeerError as error:
            self._agent.perform(self.session.reject, 488 if error.status == 488 else 400)
            raise NotAcceptable(488, error.detail) from error
        self._audio.start()
        return answer

    def _answer_to(self, offer: bytes) -> bytes:
        assert self._audio is not None
        return self._audio.make_answer(offer, signalling_host=self._signalling_host())

    def _signalling_host(self) -> str | None:
        """Where the peer's SIP comes from: behind a NAT its media may, too."""
        return self.session.flow.remote.host if self.session.flow is not None else None

    def _now_answered(self) -> None:
        if self._answered_at is None:
            self._answered_at = self._agent.now
            self.state = CallState.ANSWERED

    def _progressed(self, response: Response) -> None:
        self.response = response
        if response.status >= 180 and self.state is CallState.CALLING:
            self.state = CallState.RINGING
        if self.on_progress is not None:
            self.on_progress(response)

    def _accept_answer(self, sdp: bytes) -> None:
        """The peer's answer to our offer: of the INVITE, early or not, or of a hold."""
        if self._audio is None:
            return
        try:
            self._audio.accept_answer(sdp, signalling_host=self._signalling_host())
        except PeerError as error:
            self._leave_for(error.detail)
            return
        self._audio.start()
        self._settle_renegotiation(None)

    def _leave_for(self, detail: str) -> None:
        """There is nothing this call could be heard by: end it, and remember why."""
        logger.info("peer's answer cannot be used, ending the call: %s", detail)
        self._fault = NotAcceptable(488, detail)
        self._settle_renegotiation(self._fault)
        self._agent.perform(self.session.bye)

    def _established(self) -> None:
        if self._fault is None and self._audio is not None and self._audio.negotiated is None:
            self._leave_for("the other side wants no audio")
        if self._fault is None:
            self._now_answered()
            if not self._ready.done():
                self._ready.set_result(None)

    def _answer_offer(self, sdp: bytes | None) -> None:
        if self._audio is None:
            self._agent.perform(self.session.refuse, 488)
            return
        try:
            answer = self._audio.make_offer() if sdp is None else self._answer_to(sdp)
        except PeerError as error:
            logger.info("peer's offer refused: %s", error.detail)
            self._agent.perform(self.session.refuse, 488)
            return
        self._agent.perform(self.session.answer, answer)
        self._audio.start()

    async def _set_hold(self, *, on: bool) -> None:
        audio = self._living_audio()
        if self._renegotiation is not None:
            raise InvalidState("a hold or resume of this call is still under way")
        self._renegotiation = asyncio.get_running_loop().create_future()
        try:
            await self.while_alive(self._wait_ready())  # no re-INVITE before the ACK (RFC 3261 14.1)
            self._agent.perform(self.session.reinvite, audio.hold(on))
            await self.while_alive(self._wait_renegotiation())
            self.is_held = on
        except CallError:
            if not self.is_over:
                audio.hold(not on)
            raise
        finally:
            self._renegotiation = None

    async def _wait_renegotiation(self) -> None:
        assert self._renegotiation is not None
        await self._renegotiation

    async def _wait_ready(self) -> None:
        await self._ready

    def _settle_renegotiation(self, error: CallError | None) -> None:
        waiting = self._renegotiation
        if waiting is None or waiting.done():
            return
        if error is None:
            waiting.set_result(None)
        else:
            waiting.set_exception(error)

    def _finished(self, event: SessionEnded) -> None:
        if self.is_over:
            return
        self.state = CallState.ENDED
        self._ended_at = self._agent.now
        self._over.set_result(event)
        if self._audio is not None:
            self._agent.audio.close_later(self._audio)
        self._agent.call_ended(self)


__all__ = ["Call", "CallEnded", "CallState"]
