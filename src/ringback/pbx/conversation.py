# SPDX-License-Identifier: Apache-2.0
"""How does somebody talk with the server itself? A call joined with its sound, for feature codes and
announcements.

A conversation lives in one task: when its conduct ends the call is hung up; when the caller hangs up the
conduct is cancelled. The ports are free afterwards, whatever happened.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ringback.media.errors import NoFreePort
from ringback.media.session import AudioSession
from ringback.sdp.addresses import is_loopback
from ringback.sdp.errors import UnacceptableSession
from ringback.sip.errors import PeerError
from ringback.sip.events import AnswerReceived, Event, OfferReceived, SessionEnded, SessionRequestReceived

if TYPE_CHECKING:
    from ringback.media.ports import PortRange
    from ringback.net.network import Network
    from ringback.server.applications import IncomingCall
    from ringback.server.identity import Identity
    from ringback.server.subscribers import Principal
    from ringback.sip.flow import Address, Flow

logger = logging.getLogger("ringback.pbx")

#: What is answered to requests in the dialog of a conversation; all others get 501.
REQUEST_ANSWERS = {"INFO": 200, "OPTIONS": 200, "REFER": 603, "NOTIFY": 481}


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
            random_bytes=self.random_bytes,
            is_self=self.is_self,
        )
        self._hosts.update((host, audio.local.host))
        self._open = [*(session for session in self._open if not session.is_closed), audio]
        return audio

    def is_self(self, address: Address) -> bool:
        """True for our SIP sockets and those of our calls: nobody's sound belongs there."""
        if address.host not in self._hosts:
            return False
        media = {port for session in self._open for port in (session.local.port, session.local.port + 1)}
        return address.port in media or address.port in self.signalling_ports()


class Conversation:
    """One call with the server. Commands do nothing once the caller has hung up."""

    __slots__ = ("_agent", "_call", "_described", "audio")

    def __init__(self, call: IncomingCall, audio: AudioSession, *, agent: str) -> None:
        self._call = call
        #: Who warns, in a Warning header field.
        self._agent = agent
        self._described = asyncio.Event()
        self.audio = audio

    @property
    def caller(self) -> Principal | None:
        """Who calls; None for a stranger."""
        return self._call.caller

    @property
    def has_offer(self) -> bool:
        """True when the INVITE said where its sound goes."""
        return self._call.session.remote_sdp is not None

    async def accept(self) -> None:
        """Answer the call. Returns when sound can flow."""
        if not self._is_over:
            self._perform(self._call.session.accept, self._description())
            await self._described.wait()
            self.audio.start()

    def preview(self) -> None:
        """Let the caller hear something without answering: early media (RFC 3960)."""
        if not self._is_over:
            self._perform(self._call.session.ring, self._description(), status=183)
            self.audio.start()

    def reject(self, status: int, *, warning: UnacceptableSession | None = None) -> None:
        """Refuse the call."""
        if not self._is_over:
            headers = [("Warning", warning.warning_value(self._agent))] if warning else []
            self._perform(self._call.session.reject, status, headers=headers)

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
            await self.audio.close()
        if not working.cancelled():
            working.result()

    # --- inside ----------------------------------------------------------------------------------------

    @property
    def _is_over(self) -> bool:
        return self._call.session.ended is not None

    def _perform(self, command: Callable[..., None], *arguments: Any, **options: Any) -> None:
        self._call.driver.perform(command, *arguments, **options)

    def _description(self) -> bytes:
        """Our answer, or our offer when the INVITE had none. UnacceptableSession for a bad offer."""
        offer = self._call.session.remote_sdp
        if offer is None:
            return self.audio.make_offer()
        return self._answer_to(offer)

    def _answer_to(self, offer: bytes) -> bytes:
        answer = self.audio.make_answer(offer, signalling_host=self._call.flow.remote.host)
        self._described.set()
        return answer

    async def _listen(self) -> None:
        """Hear of the session until it ends."""
        while True:
            event = await self._call.next_event()
            if isinstance(event, SessionEnded):
                return
            self._receive(event)

    def _receive(self, event: Event) -> None:
        match event:
            case OfferReceived(sdp=sdp):
                self._take_offer(sdp)
            case AnswerReceived(sdp=sdp):
                self._take_answer(sdp)
            case SessionRequestReceived(request=request, transaction=transaction):
                status = REQUEST_ANSWERS.get(request.method, 501)
                self._perform(self._call.session.respond, transaction, status)

    def _take_offer(self, sdp: bytes | None) -> None:
        """Hold, resume, a phone that moved."""
        try:
            answer = self.audio.make_offer() if sdp is None else self._answer_to(sdp)
        except PeerError as error:
            logger.info("peer's offer refused: %s", error.detail)
            self._perform(self._call.session.refuse, 488)
        else:
            self._perform(self._call.session.answer, answer)

    def _take_answer(self, sdp: bytes) -> None:
        try:
            self.audio.accept_answer(sdp, signalling_host=self._call.flow.remote.host)
        except PeerError as error:
            logger.info("peer's answer cannot be used, ending the call: %s", error.detail)
            self._perform(self._call.session.bye)
        else:
            self._described.set()
