# SPDX-License-Identifier: Apache-2.0
"""What is a call, and what can its owner do with it?

A call joins one `InviteSession` (RFC 3261 section 13, the signalling) with one `AudioSession` (the sound).
It is made by `Phone.dial`, handed to `@phone.on_call` and `@app.call`, or answered by the server itself.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ringback.sip.errors import InvalidState, PeerError
from ringback.sip.message import NameAddr
from ringback.ua import transfer
from ringback.ua.bridging import bridge
from ringback.ua.call_requests import session_request
from ringback.ua.call_signalling import CallSignalling, CallState
from ringback.ua.call_tasks import CallTasks
from ringback.ua.errors import CallEnded, NotAcceptable, error_for
from ringback.ua.party import Party, addressee_of, sender_of

if TYPE_CHECKING:
    from ringback.sip.events import SessionEnded
    from ringback.sip.message import Request


class Call(CallSignalling):
    """One call. `invite` is the request that began it, with all its header fields.

    `caller` and `called` say who; `state`, `duration`, `ended` and `stats` say how it goes.
    """

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

    # --- for the callee --------------------------------------------------------------------------------

    async def ring(self) -> None:
        """Tell the caller that somebody is being called (180)."""
        self._check_unanswered()
        self._host.perform(self.session.ring)

    async def answer(self, *, video: bool = False) -> None:
        """Pick up. Afterwards both can be heard; with `video` also seen, in rooms (see `mix`)."""
        self._check_unanswered()
        audio = self._audio or await self.open_audio()
        if video:
            await audio.take_video(self.session.remote_sdp)
        self._check_unanswered()  # the caller may have given up meanwhile
        offer = self.session.remote_sdp
        # After early media the answer is given already.
        answer = None if self._is_previewed else self._local_description(offer)
        self._host.perform(self.session.accept, answer)
        self._now_answered()
        if offer is None:  # the answer to our offer comes in the ACK (RFC 3261 13.2.1)
            await self.while_alive(self._wait_ready())

    async def preview(self) -> None:
        """Let the caller hear something without answering: early media (183, RFC 3960), which costs nothing.

        Follow it with `play` or `say`, then `answer` or `reject`. The caller's INVITE must hold an offer.
        """
        self._check_unanswered()
        offer = self.session.remote_sdp
        if offer is None:
            raise InvalidState("the caller did not say where to it listens")
        if self._audio is None:
            await self.open_audio()
            self._check_unanswered()
        try:
            answer = self._answer_to(offer)
        except PeerError as error:
            raise NotAcceptable(488, error.detail) from error
        self._host.perform(self.session.ring, answer, status=183)
        self._is_previewed = True
        assert self._audio is not None
        self._audio.start()

    async def reject(self, status: int = 603, reason: str | None = None) -> None:
        """Refuse the call: 486 is busy, 480 is not now, 603 is no."""
        if not 400 <= status <= 699:
            raise ValueError(f"{status} refuses nothing: use 400 to 699")
        self._check_unanswered()
        self.is_leaving = True
        self._host.perform(self.session.reject, status, reason)

    async def redirect(self, *targets: str, status: int = 302) -> None:
        """Send the caller somewhere else, best target first."""
        if not targets or not 300 <= status <= 399:
            raise ValueError("a redirection needs a target and a status from 300 to 399")
        self._check_unanswered()
        contacts = [str(NameAddr(self._host.resolve(target, self.invite.to.uri))) for target in targets]
        headers = [("Contact", contact) for contact in contacts]
        self.is_leaving = True
        self._host.perform(self.session.reject, status, headers=headers)

    # --- for both --------------------------------------------------------------------------------------

    async def hangup(self) -> None:
        """End the call, however far it is. Does nothing when it is over."""
        if self.is_over or self.is_leaving:
            return
        self.is_leaving = True
        if self._answered_at is not None:
            self._host.perform(self.session.bye)
        elif self.is_incoming:
            self._host.perform(self.session.reject, 603)
        else:
            self._host.perform(self.session.cancel)

    async def wait_ended(self) -> SessionEnded:
        """Wait until somebody hangs up; says who and why."""
        return await asyncio.shield(self._over)

    async def send_info(self, body: str | bytes, *, content_type: str) -> None:
        """Send an INFO (RFC 6086) inside the call. Raises when it is refused."""
        self.living_audio()
        data = body.encode() if isinstance(body, str) else body
        _number, response = await self.while_alive(
            session_request(self._host, self.session, "INFO", body=data, content_type=content_type)
        )
        if response.status >= 300:
            raise error_for(response.status, response.reason, response=response)

    async def transfer(
        self, target: str | Call, *, fallback: str | None = None, timeout: float = transfer.LONGEST_TRANSFER
    ) -> None:
        """Ask the other side to talk with somebody else instead of us, and hang up when they do.

        `target` is a number, an address, or another answered call of ours: then the two talk with each other.
        Raises what became of it (`Busy`, `NoAnswer`, ...) when `fallback` does not answer either; this call
        then goes on.
        """
        self.living_audio()
        await transfer.transfer(self._host, self, target, fallback=fallback, timeout=timeout)

    async def bridge(self, other: Call, *, keys: bool = True) -> None:
        """Let this call and another one of ours hear each other, until one of them ends or we are cancelled.
        Keys that are pressed in one are pressed in the other unless `keys` is False.
        """
        await bridge(self, other, keys=keys)

    def tasks(self) -> CallTasks:
        """Do several things at once for as long as the call lives: `async with call.tasks() as t`."""
        return CallTasks(self)

    # --- inside ----------------------------------------------------------------------------------------

    def _check_unanswered(self) -> None:
        if self.is_over:
            raise self._ended_error()
        if not self.is_incoming or self._answered_at is not None:
            raise InvalidState("only a call that rings here can be answered or refused")


__all__ = ["Call", "CallEnded", "CallState"]
