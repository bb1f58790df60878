# SPDX-License-Identifier: Apache-2.0
"""How is a call placed for somebody (click to dial)? Their own phones ring first; who picks up there is
connected with whom they wanted, in their name.

The first half is a call from nobody: what is offered to the phone has no other end yet. Where the sound can
come through this server the one who waits hears that it rings. When the other one has answered, the two are
joined as after a transfer: one is asked for an offer, and the other gets it (RFC 3725 section 4.4).
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ringback.media.errors import MediaError
from ringback.sdp.security import Security
from ringback.server.anchoring import End
from ringback.server.b2bua.application_transfer import ApplicationTransfer, Extension
from ringback.server.b2bua.commands import CallCommands, CommandRefused, where
from ringback.server.b2bua.invitation import Invitation
from ringback.server.b2bua.leg import BridgeLeg
from ringback.server.b2bua.record_keeping import note_answer, party_of
from ringback.server.b2bua.search import Search
from ringback.server.b2bua.transfer import Transfer
from ringback.server.forwarding import likely_flow
from ringback.server.routing import ToApplication, ToUser
from ringback.server.subscribers import Principal
from ringback.sip.flow import Address, Flow, Transport
from ringback.sip.message.uri import NameAddr, SipUri

if TYPE_CHECKING:
    from ringback.server.b2bua.call import BridgedCall
    from ringback.server.targets import Target
    from ringback.sip.message.message import Response

logger = logging.getLogger("ringback.calls")

#: RFC 863: whatever is sent there before there is somebody to hear it is thrown away.
DISCARD = 9


class Nobody(BridgeLeg):
    """The other end of a phone that is called before there is one: it has no session, and is over for all
    that is done with legs.
    """

    __slots__ = ()

    @property
    def offered_streams(self) -> int:
        """The one of `offer_of_nobody`."""
        return 1


def offer_of_nobody(host: str, session: int) -> bytes:
    """Sound to and from nowhere, in the codecs that every phone knows."""
    family = "IP6" if ":" in host else "IP4"
    lines = (
        "v=0",
        f"o=ringback {session} 1 IN {family} {host}",
        "s=-",
        f"c=IN {family} {host}",
        "t=0 0",
        f"m=audio {DISCARD} RTP/AVP 0 8 101",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
    )
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


class Placing:
    """The `Seeker` of the first half, and a `Report` about the second."""

    is_silent = True

    def __init__(self, call: BridgedCall, caller: str, to: str) -> None:
        """CommandRefused when the user has no phone, or may not call there."""
        bridge = call.bridge
        party = bridge.book.party(caller)
        self._call = call
        self._principal = Principal(caller, party.name)
        self._uri, self._decision = where(call, to, self._principal)
        self._targets = bridge.ways.targets(ToUser(caller), secure=False)
        if not self._targets:
            raise CommandRefused(f"{caller} has no phone that is registered")
        self._flow = _way_to(call, self._targets[0])
        call.caller = Nobody(call, "nobody", End("nobody", security=Security.PLAIN), call.driver)
        call.names["nobody"] = "nobody"
        self._tone: asyncio.Task[Any] | None = None
        self._to = to
        self._policy = call.media.policy

    def open(self, key: str) -> None:
        """Write it down."""
        call, book = self._call, self._call.bridge.book
        callee = book.party(self._uri.user or self._uri.host)
        record = book.open_between(book.party(self._principal.number), callee, mode="bridge", key=key)
        record.commands = CallCommands(call)
        call.record = record

    async def begin(self) -> None:
        """Ring the user's own phones. All that can be carried is: so somebody can be heard."""
        call = self._call
        if call.media.may_be_carried:
            call.media.policy = replace(self._policy, anchor="always")
        domain = call.bridge.domain
        invitation = Invitation(
            call.caller,
            NameAddr(self._uri, f"Call {self._to}"),
            NameAddr(SipUri(self._principal.number, domain), self._principal.name),
            offer_of_nobody(self._flow.local.host, call.driver.stack.identifiers.session_id()),
            max_breadth=call.bridge.forking.max_breadth,
            came=self._flow,
        )
        call.search = Search(call, invitation, self._targets, call.bridge.forking, self)
        await call.search.start()

    # --- a Seeker: of the user's own phones

    async def ringing(self, leg: BridgeLeg, response: Response, sdp: bytes | None) -> None:
        """Nobody hears it."""

    async def offered(self, leg: BridgeLeg, sdp: bytes) -> None:
        """It was offered something itself: what it says now is no offer to us."""

    async def answered(self, leg: BridgeLeg) -> None:
        """They picked up: now the other one."""
        call = self._call
        call.caller, call.search, call.media.policy = leg, None, self._policy
        leg.principal = self._principal
        call.media.settle(leg)
        call.media.reason = ""
        leg.attempt = None
        call.record.caller = party_of(call, leg, call.record.caller)
        call.record.note(f"{leg.end.name} picked up, and {self._to} is called")
        self._tone = call.bridge.in_background(self._ring(leg))
        call.transfer = self._second_half(leg)
        await call.transfer.begin()

    async def refused(self, response: Response) -> None:
        """They do not want to call any more."""
        name = self._principal.number
        self._call.record.end(response.status, by="caller", why=f"{name} did not pick up to call")
        self._call.is_over = True

    # --- a Report: of the one who is called for them

    def say(self, status: int, reason: str = "") -> None:
        call = self._call
        if status in (180, 183):
            call.record.rings()
        if status < 200:
            return
        self._stop_tone()
        if status >= 300:
            call.record.end(status, by="callee", reason=reason)
            call.media.settle(call.caller)
            return
        if call.pair is None:  # a number of this server, which goes on with the record
            call.record.answered()
        else:
            note_answer(call)
            self._let_go_of_nobody()

    # --- inside

    def _second_half(self, leg: BridgeLeg) -> Transfer | ApplicationTransfer:
        call = self._call
        if isinstance(self._decision, ToApplication):
            extension = Extension(self._uri.user or "", self._decision.name)
            return ApplicationTransfer(call, None, leg, self, extension, has_record=True)
        transfer = Transfer(call, None, leg, self)
        transfer.aim(self._uri, self._decision, None)
        return transfer

    async def _ring(self, leg: BridgeLeg) -> None:
        """The tone, until there is somebody else to hear."""
        call = self._call
        try:
            if call.media.is_carried:
                await call.media.play(leg, "tone:ringback")
        except MediaError as error:
            logger.info("call %s: the one who waits hears no tone: %s", call.number, error)

    def _stop_tone(self) -> None:
        if self._tone is not None:
            self._tone.cancel()
            self._tone = None

    def _let_go_of_nobody(self) -> None:
        """Where the two send to each other, the plane has nothing to do any more."""
        call = self._call
        call.names.pop("nobody", None)
        names = ["nobody"] if call.media.reason else ["nobody", call.caller.name]
        for name in names:
            call.bridge.in_background(call.media.drop(name))


def _way_to(call: BridgedCall, target: Target) -> Flow:
    """How that phone is reached: our address on it is what it is told of us."""
    if target.flow is not None:
        return target.flow
    endpoint = call.driver.endpoint_for(Transport.UDP, "127.0.0.1") or call.driver.endpoints[0]
    came = Flow(endpoint.transport, endpoint.local, Address(endpoint.local.host, 0), 0, endpoint.sent_by)
    return likely_flow(call.driver, came, target)
