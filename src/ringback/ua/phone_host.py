# SPDX-License-Identifier: Apache-2.0
"""What do the calls of a phone get from it? Implements `CallHost` over a `UserAgent`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from ringback.media.session import AudioSession
    from ringback.media.speech import Voice
    from ringback.sip.message import Request, SipUri, Uri
    from ringback.ua.agent import UserAgent
    from ringback.ua.call import Call

Result = TypeVar("Result")


class PhoneHost:
    """One for all calls of the phone."""

    __slots__ = ("_agent", "voice")

    def __init__(self, agent: UserAgent, voice: Voice | None) -> None:
        self._agent = agent
        self.voice = voice

    @property
    def now(self) -> float:
        """Monotonic seconds."""
        return self._agent.now

    @property
    def name(self) -> str:
        """Who warns (RFC 3261 20.43): our domain, or where we listen."""
        account = self._agent.account
        return self._agent.driver.endpoints[0].local.host if account.is_anonymous else account.uri.host

    def perform(self, command: Callable[..., Result], *args: Any, **options: Any) -> Result:
        """Through the driver."""
        return self._agent.perform(command, *args, **options)

    async def open_audio(self, remote_host: str | None) -> AudioSession:
        """Sockets for sound."""
        return await self._agent.audio.open(remote_host)

    def close_audio(self, audio: AudioSession) -> None:
        """Free them, without waiting."""
        self._agent.audio.close_later(audio)

    def resolve(self, target: str, near: Uri | None = None) -> SipUri:
        """Whom a typed number or address means."""
        return self._agent.account.resolve(target, near)

    def capabilities(self) -> list[tuple[str, str]]:
        """What we can."""
        return self._agent.incoming.capabilities()

    def take_message(self, request: Request) -> tuple[int, list[tuple[str, str]]]:
        """A text message inside a call."""
        return self._agent.incoming.take_message(request)

    def take_transfer(self, call: Call, request: Request) -> int:
        """A REFER inside a call."""
        return self._agent.transfers.take(call, request)

    def call_ended(self, call: Call) -> None:
        """A call tells that it is over."""
        self._agent.call_ended(call)
