# SPDX-License-Identifier: Apache-2.0
"""How does somebody talk with the server itself? A call answered here, with the verbs every call has.

A conversation lives in one task: when its conduct ends the call is hung up; when the caller hangs up the
conduct is cancelled. The ports are free afterwards, whatever happened.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ringback.media.session import AudioSession
from ringback.media.session_numbers import session_numbers
from ringback.sip.events import SessionEnded
from ringback.sip.message import SipUri
from ringback.ua.account import parse_account
from ringback.ua.call import Call
from ringback.ua.errors import CallError

if TYPE_CHECKING:
    from ringback.media.speech import Voice
    from ringback.pbx.own_media import OwnMedia
    from ringback.server.applications import IncomingCall
    from ringback.server.subscribers import Principal
    from ringback.sip.message import Request, Uri

logger = logging.getLogger("ringback.pbx")

Result = TypeVar("Result")

#: What the server answers in a conversation, for OPTIONS.
CAPABILITIES = [("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, PRACK, UPDATE, NOTIFY")]


class Conversation:
    """One call with the server. Implements `CallHost` for the call in it."""

    __slots__ = ("_audio", "_incoming", "_media", "call", "voice")

    def __init__(self, incoming: IncomingCall, media: OwnMedia, audio: AudioSession) -> None:
        self._incoming = incoming
        self._media = media
        self._audio = audio
        self.voice: Voice | None = None
        self.call = Call(self, is_incoming=True)
        self.call.attach(incoming.session)
        self.call.adopt_audio(audio)
        incoming.sound = partial(session_numbers, audio, incoming.leg)

    @classmethod
    async def open(cls, incoming: IncomingCall, media: OwnMedia) -> Conversation:
        """Take a call. NoFreePort when there is no room for its sound."""
        return cls(incoming, media, await media.open(incoming.flow))

    @property
    def caller(self) -> Principal | None:
        """Who calls, as they proved; None for a stranger."""
        return self._incoming.caller

    @property
    def number(self) -> str:
        """What was dialled."""
        return self._incoming.number

    @property
    def has_offer(self) -> bool:
        """True when the INVITE said where its sound goes."""
        return self._incoming.session.remote_sdp is not None

    async def conduct(self, work: Coroutine[Any, Any, None]) -> None:
        """Do `work` until it is done or the caller hangs up."""
        working = asyncio.ensure_future(work)
        listening = asyncio.ensure_future(self._listen())
        try:
            await asyncio.wait((working, listening), return_when=asyncio.FIRST_COMPLETED)
        finally:
            working.cancel()
            listening.cancel()
            await asyncio.gather(working, listening, return_exceptions=True)
            await self._audio.close()
        if working.cancelled():
            return
        try:
            working.result()
        except CallError as error:  # refused and logged, or the caller was quicker
            logger.info("the call to %s ends: %s", self.number, error)

    # --- what the call asks ------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Monotonic seconds."""
        return self._incoming.driver.now

    @property
    def name(self) -> str:
        """Who warns, in a Warning header field."""
        return self._media.identity.domain

    def perform(self, command: Callable[..., Result], *args: Any, **options: Any) -> Result:
        """Through the driver."""
        return self._incoming.driver.perform(command, *args, **options)

    async def open_audio(self, remote_host: str | None) -> AudioSession:
        """The one that was opened before anybody was asked."""
        return self._audio

    def close_audio(self, audio: AudioSession) -> None:
        """`conduct` does, and waits for it."""

    def resolve(self, target: str, near: Uri | None = None) -> SipUri:
        """Numbers are those of this server."""
        domain = self._media.identity.domain
        account = parse_account(f"sip:ringback@{f'[{domain}]' if ':' in domain else domain}")
        return account.resolve(target)

    def capabilities(self) -> list[tuple[str, str]]:
        """For OPTIONS inside the call."""
        return CAPABILITIES

    def take_message(self, request: Request) -> tuple[int, list[tuple[str, str]]]:
        """Nobody reads here."""
        return 501, []

    def take_transfer(self, call: Call, request: Request) -> int:
        """The server does not call at the wish of whoever called it."""
        return 603

    def call_ended(self, call: Call) -> None:
        """`conduct` has seen it."""

    async def _listen(self) -> None:
        """Hear of the session until it ends."""
        while True:
            event = await self._incoming.next_event()
            self.call.receive_event(event)
            if isinstance(event, SessionEnded):
                return
