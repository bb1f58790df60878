# SPDX-License-Identifier: Apache-2.0
"""How does a call agree with its peer on sound? Offers and answers (RFC 3264), ours and theirs, hold.

Offers of the peer (hold, a moved phone, a new codec) are answered here without anybody being asked. The one
implementation for calls of phones, of applications and of the server itself.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from ringback.sdp.errors import UnacceptableSession
from ringback.sip.errors import InvalidState, PeerError
from ringback.ua.call_sound import CallSound
from ringback.ua.errors import CallError, NotAcceptable

if TYPE_CHECKING:
    from ringback.sip.dialog.invite_session import InviteSession
    from ringback.ua.call_host import CallHost

logger = logging.getLogger("ringback.ua")


class CallOffers(CallSound):
    """The negotiating side of a `Call`."""

    def __init__(self, host: CallHost) -> None:
        super().__init__(host)
        self.is_held = False
        self._session: InviteSession | None = None
        self._fault: CallError | None = None
        #: Done when the two ends agree: the callee's 2xx has come, or the caller's ACK.
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._renegotiation: asyncio.Future[None] | None = None

    @property
    def session(self) -> InviteSession:
        """The signalling below."""
        assert self._session is not None
        return self._session

    async def hold(self) -> None:
        """Tell the other side that we do not listen for a while (RFC 3264 8.4)."""
        await self._set_hold(on=True)

    async def resume(self) -> None:
        """Talk again after `hold`."""
        await self._set_hold(on=False)

    # --- the call's description ------------------------------------------------------------------------

    def _local_description(self, offer: bytes | None) -> bytes:
        """Our answer to the caller's offer, or our own offer when the INVITE had none. 488 when we cannot."""
        assert self._audio is not None
        if offer is None:
            return self._audio.make_offer()
        try:
            answer = self._answer_to(offer)
        except PeerError as error:
            self._refuse_offer_of_call(error)
            raise NotAcceptable(488, error.detail) from error
        self._audio.start()
        return answer

    def _refuse_offer_of_call(self, error: PeerError) -> None:
        headers = (
            [("Warning", error.warning_value(self._host.name))]
            if isinstance(error, UnacceptableSession)
            else []
        )
        status = 488 if error.status == 488 else 400
        self._host.perform(self.session.reject, status, headers=headers)

    def _answer_to(self, offer: bytes) -> bytes:
        assert self._audio is not None
        answer = self._audio.make_answer(offer, signalling_host=self._signalling_host())
        self.sound_agreed()
        return answer

    def _signalling_host(self) -> str | None:
        """Where the peer's SIP comes from: behind a NAT its media may, too."""
        return self.session.flow.remote.host if self.session.flow is not None else None

    def _accept_answer(self, sdp: bytes) -> None:
        """The peer's answer to our offer: of the INVITE, early or not, or of a hold."""
        if self._audio is None:
            return
        try:
            self._audio.accept_answer(sdp, signalling_host=self._signalling_host())
        except PeerError as error:
            self._leave_for(error.detail)
            return
        self.sound_agreed()
        self._audio.start()
        self._settle_renegotiation(None)

    def _leave_for(self, detail: str) -> None:
        """There is nothing this call could be heard by: end it, and remember why."""
        logger.info("peer's answer cannot be used, ending the call: %s", detail)
        self._fault = NotAcceptable(488, detail)
        self._settle_renegotiation(self._fault)
        self._host.perform(self.session.bye)

    def _answer_offer(self, sdp: bytes | None) -> None:
        if self._audio is None:
            self._host.perform(self.session.refuse, 488)
            return
        try:
            answer = self._audio.make_offer() if sdp is None else self._answer_to(sdp)
        except PeerError as error:
            logger.info("peer's offer refused: %s", error.detail)
            self._host.perform(self.session.refuse, 488)
            return
        self._host.perform(self.session.answer, answer)
        self._audio.start()

    # --- hold ------------------------------------------------------------------------------------------

    async def _set_hold(self, *, on: bool) -> None:
        audio = self.living_audio()
        if self._renegotiation is not None:
            raise InvalidState("a hold or resume of this call is still under way")
        self._renegotiation = asyncio.get_running_loop().create_future()
        try:
            await self.while_alive(self._wait_ready())  # no re-INVITE before the ACK (RFC 3261 14.1)
            self._host.perform(self.session.reinvite, audio.hold(on))
            await self.while_alive(self._wait_renegotiation())
            self.is_held = on
        except CallError:
            if not self._over.done():
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
