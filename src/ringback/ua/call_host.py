# SPDX-License-Identifier: Apache-2.0
"""What does a call need of the program it lives in?

`UserAgent` offers it to the calls of a `Phone` or an `App`, `pbx.conversation` to those of the server's own
numbers: so a call has the same verbs wherever it is answered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from ringback.media.session import AudioSession
    from ringback.media.speech import Voice
    from ringback.sip.message import Request, SipUri, Uri
    from ringback.ua.call import Call

Result = TypeVar("Result")
Fields = list[tuple[str, str]]


class CallHost(Protocol):
    """The program around a call."""

    @property
    def now(self) -> float:
        """Monotonic seconds."""
        ...

    @property
    def name(self) -> str:
        """How we are called where we warn (RFC 3261 20.43): a host name."""
        ...

    @property
    def voice(self) -> Voice | None:
        """What speaks; None: the voice installed on this machine."""
        ...

    def perform(self, command: Callable[..., Result], *args: Any, **options: Any) -> Result:
        """Give a command to a session, and send what comes of it."""
        ...

    async def open_audio(self, remote_host: str | None) -> AudioSession:
        """Sockets for sound towards a host."""
        ...

    def close_audio(self, audio: AudioSession) -> None:
        """Close them, without anybody waiting."""
        ...

    def resolve(self, target: str, near: Uri | None = None) -> SipUri:
        """Whom a typed number or address means; without a domain of our own, in the domain of `near`."""
        ...

    def capabilities(self) -> Fields:
        """What we can, for answers to OPTIONS."""
        ...

    def take_message(self, request: Request) -> tuple[int, Fields]:
        """The answer to a text message inside a call."""
        ...

    def take_transfer(self, call: Call, request: Request) -> int:
        """The answer to a REFER inside a call; 202 means that it is being obeyed."""
        ...

    def call_ended(self, call: Call) -> None:
        """A call tells that it is over."""
        ...
