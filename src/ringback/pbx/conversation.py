# SPDX-License-Identifier: Apache-2.0
"""How does somebody talk with the server itself? A call answered here, with the verbs every call has.

A conversation lives in one task: when its conduct ends the call is hung up; when the caller hangs up the
conduct is cancelled. The ports are free afterwards, whatever happened.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ringback.media.errors import NoFreePort
from ringback.media.session import AudioSession
from ringback.media.session_numbers import session_numbers
from ringback.sdp.addresses import is_loopback
from ringback.sip.events import SessionEnded
from ringback.sip.message import SipUri
from ringback.ua.account import parse_account
from ringback.ua.call import Call
from ringback.ua.errors import CallError

if TYPE_CHECKING:
    from ringback.media.ports import PortRange
    from ringback.media.speech import Voice
    from ringback.net.network import Network
    from ringback.server.applications import IncomingCall
    from ringback.server.identity import Identity
    from ringback.server.subscribers import Principal
    from ringback.sip.flow import Address, Flow
    from ringback.sip.message import Request, Uri

logger = logging.getLogger("ringback.pbx")

Result = TypeVar("Result")

#: What the server speaks itself, where the caller has no preference; what is not installed is left out.
CODECS = ("opus", "G722", "PCMU", "PCMA")

#: What the server answers in a conversation, for OPTIONS.
CAPABILITIES = [("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, PRACK, UPDATE, NOTIFY")]


@dataclass(slots=True)
class OwnMedia:
    """Where the server's own calls get their sockets from."""

    network: Network
    identity: Identity
    ports: PortRange | None = None
    random_bytes: Callable[[int], bytes] = os.urandom
    #: The ports the server listens on for SIP.
    signalling_ports: Callable[[], Iterable[int]] = tuple
    _hosts: set[str] = field(default_factory=set)
    _open: list[AudioSession] = field(default_factory=list)

    async def open(self, flow: Flow) -> AudioSession:
        """Sound towards whoever is at the other end of `flow`. NoFreePort when there is no room."""
        try:
            host = await self.network.source_address(flow.remote.host)
        except OSError as error:
            raise NoFreePort(f"no way to {flow.remote.host}: {error}") from error
        advertise = host if is_loopback(host) else self.identity.advertised_for(host)
        audio = await AudioSession.open(
            self.network,
            host=host,
            advertise=advertise,
            ports=self.ports,
            codecs=CODECS,
            random_bytes=self.random_bytes,
            is_self=self.is_self,
            accepts_any_security=True,
        )
        self._hosts.update((host, audio.local.host))
        self._open = [*(session for session in self._open if not session.is_closed), audio]
        return audio

    def is_self(self, address: Address) -> bool:
        """True for our SIP sockets and those of our calls: nobody's sound belongs there."""
        if address.host not in self._hosts:
            return False
        media = {port for session in self._open for port in session.ports}
        return address.port in media or address.port in self.signalling_ports()


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
