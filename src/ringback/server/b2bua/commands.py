# SPDX-License-Identifier: Apache-2.0
"""What can be done with a call that is on, by somebody who is not in it? Hang up, transfer, record, play.

A command looks whether it can be done, and the task of the call does it in its turn. What needs the sound of
a call whose ends send to each other brings that sound here first (a renegotiation, RFC 3725).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ringback.media.errors import MediaError
from ringback.server.b2bua.application_transfer import ApplicationTransfer, Extension
from ringback.server.b2bua.transfer import Transfer, identity_of
from ringback.server.routing import Refusal, ToApplication, ToUri
from ringback.sip.errors import PeerError, RingbackError
from ringback.sip.message.sip_uri import SipUri
from ringback.sip.message.values import Reason

if TYPE_CHECKING:
    from ringback.server.b2bua.call import BridgedCall
    from ringback.server.b2bua.leg import BridgeLeg
    from ringback.server.routing import Decision
    from ringback.server.subscribers import Principal

#: How long it may take until the sound of a call comes through here, in steps: a hold may be under way.
STEP = 0.25
STEPS = 120

HUNG_UP = "the call was ended by command"
RECORDED, PLAYED = "it is recorded", "something is played to it"


class CommandRefused(RingbackError):
    """It cannot be done with this call, or not now; the text says why."""


class CallCommands:
    """The commands of one bridged call."""

    __slots__ = ("_call",)

    def __init__(self, call: BridgedCall) -> None:
        self._call = call

    def hang_up(self) -> None:
        """End it, ringing or not."""
        self._call.put(self._hang_up)

    async def transfer(self, to: str, *, side: str = "") -> None:
        """Let the one on this side ("caller" if nothing is said) speak with somebody else; the other one is
        released when that stands, and not before.
        """
        call = self._call
        staying = self._leg(side or "caller")
        leaving = call.partner_of(staying)
        if leaving is None or call.transfer is not None or not staying.is_established:
            raise CommandRefused("this call cannot be transferred just now")
        uri, decision = where(call, to, leaving.principal or staying.principal)
        report = TransferReport(call, leaving.end.name)
        transfer: Transfer | ApplicationTransfer
        if isinstance(decision, ToApplication):
            extension = Extension(uri.user or "", decision.name)
            transfer = ApplicationTransfer(call, leaving, staying, report, extension)
        else:
            transfer = Transfer(call, leaving, staying, report, referred_by=identity_of(leaving))
            transfer.aim(uri, decision, None)
        call.transfer = transfer
        call.put(transfer.begin)

    async def record(self, path: str) -> None:
        """Record both ends into a stereo WAV file."""
        self._must_be_possible()
        if self._call.media.recording:
            raise CommandRefused("this call is being recorded")
        await self._call.media.record(path, self._recording_lost)
        self._call.put(self._bring_here, RECORDED, 0)

    async def stop_recording(self) -> None:
        """Finish the file; the sound goes on coming through here."""
        if not self._call.media.recording:
            raise CommandRefused("this call is not being recorded")
        await self._call.media.stop_recording()
        self._call.record.note("the recording was stopped")

    async def play(self, path: str, *, side: str = "") -> None:
        """Let one side hear a file in place of the other."""
        self._must_be_possible()
        leg = self._leg(side or "callee")
        self._call.put(self._bring_here, PLAYED, 0)
        self._call.bridge.in_background(self._play(leg, path))

    # --- inside

    def _leg(self, side: str) -> BridgeLeg:
        """One of the two who speak: by its side, its name or its number."""
        pair = self._call.pair
        if pair is None:
            raise CommandRefused("nobody has answered this call yet")
        for leg, name in zip(pair, ("caller", "callee"), strict=True):
            if side in (name, leg.name, leg.end.name):
                return leg
        raise CommandRefused(f"{side!r} is not in this call")

    def _must_be_possible(self) -> None:
        if not self._call.media.may_be_carried:
            raise CommandRefused("the sound of calls never comes through this server (media.anchor)")

    def _hang_up(self) -> None:
        call = self._call
        call.record.end(200, by="server", why=HUNG_UP)
        for leg in call.legs:
            leg.end_call(480, cause=str(Reason.sip(200, "Ended by command")), headers=[])
        call.is_over = True

    async def _bring_here(self, reason: str, steps: int) -> None:
        """As soon as nothing else is being negotiated."""
        call = self._call
        if call.media.reason or steps > STEPS:
            return
        pair = call.pair
        if pair is not None and call.transfer is None and all(leg.is_quiet for leg in pair):
            call.media.reason = reason
            if await call.renegotiate():
                return
            call.media.reason = ""
        call.later(STEP, self._bring_here, reason, steps + 1)

    def _recording_lost(self, why: str) -> None:
        self._call.record.note(f"the recording ended: {why}")

    async def _play(self, leg: BridgeLeg, path: str) -> None:
        call = self._call
        for _ in range(STEPS):
            if call.media.is_carried or call.is_over:
                break
            await asyncio.sleep(STEP)
        if call.is_over:
            return
        call.record.note(f"something is played to {leg.end.name}")
        try:
            await call.media.play(leg, path)
        except MediaError as error:
            call.record.note(f"it could not be played: {error}")


class TransferReport:
    """A `Report` for the record."""

    is_silent = True

    def __init__(self, call: BridgedCall, leaving: str) -> None:
        self._call = call
        self._leaving = leaving

    def say(self, status: int, reason: str = "") -> None:
        if status >= 300:
            self._call.record.note(f"the transfer failed ({status} {reason}); the call goes on")
        elif status >= 200:
            self._call.record.note(f"{self._leaving} was transferred away by command")


def where(call: BridgedCall, to: str, principal: Principal | None) -> tuple[SipUri, Decision]:
    """What `to` means, a number or an address, to somebody with these rights."""
    bridge = call.bridge
    try:
        uri = SipUri.parse(to) if ":" in to else SipUri(to, bridge.domain)
    except (PeerError, ValueError):
        raise CommandRefused(f"{to!r} is no number and no address") from None
    decision = bridge.ways.decide(principal, uri)
    if isinstance(decision, Refusal):
        raise CommandRefused(f"{to} cannot be called ({decision.status})")
    if isinstance(decision, ToUri) and not bridge.ways.may_call(principal, uri):
        raise CommandRefused(f"{to} may not be called from here")
    return uri, decision
