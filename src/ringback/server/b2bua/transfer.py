# SPDX-License-Identifier: Apache-2.0
"""How does one phone hand its call to another? REFER: RFC 3515, RFC 5589, RFC 7647, RFC 4488.

We do what a REFER asks ourselves, whatever the phone at the other end can do: call the new one with the
rights of the referrer, and join it with the one who stays. The referrer hears how it goes (NOTIFY with a
fragment, RFC 3420). Until the new call stands, and if it never does, the old one goes on.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from ringback.server import clauses
from ringback.server.b2bua.application_transfer import ApplicationTransfer, Extension
from ringback.server.b2bua.descriptions import without_hold
from ringback.server.b2bua.invitation import Invitation
from ringback.server.b2bua.record_keeping import note_moved
from ringback.server.b2bua.referral_report import ReferralReport
from ringback.server.b2bua.search import Search
from ringback.server.routing import Refusal, ToApplication
from ringback.sip.errors import PeerError
from ringback.sip.message.message import Response
from ringback.sip.message.uri import NameAddr
from ringback.sip.message.values import Reason
from ringback.sip.transfer_fields import refer_target

if TYPE_CHECKING:
    from ringback.server.b2bua.call import BridgedCall
    from ringback.server.b2bua.leg import BridgeLeg
    from ringback.server.routing import Decision
    from ringback.sip.events import SessionEnded, SessionRequestReceived
    from ringback.sip.message.message import Request
    from ringback.sip.message.sip_uri import SipUri
    from ringback.sip.message.values import DialogReference

logger = logging.getLogger("ringback.calls")

#: How long it may take until both ends can be joined, in steps: a hold may be under way, the other phone may
#: still ring.
STEP = 0.25
STEPS = 480


class Report(Protocol):
    """Who hears how a transfer goes."""

    is_silent: bool

    def say(self, status: int, reason: str = "") -> None:
        """One report for each news."""


class Rearrangement(Protocol):
    """What changes who speaks with whom. The call asks it first."""

    search: Search | None

    async def established(self, leg: BridgeLeg) -> bool:
        """An ACK came. True if that was all there is to do about it."""

    async def negotiated(self, leg: BridgeLeg) -> None:
        """An answer crossed."""

    async def lost(self, leg: BridgeLeg, event: SessionEnded) -> bool:
        """A leg ended. True if that does not end the call."""

    def refused_to_join(self, leg: BridgeLeg, status: int) -> None:
        """Whoever was asked for an offer makes none."""


async def begin_transfer(call: BridgedCall, leg: BridgeLeg, event: SessionRequestReceived) -> None:
    """A REFER: refused at once, or accepted and reported about."""
    request = event.request
    try:
        status, transfer = _judge(call, leg, request)
    except PeerError as error:
        status, transfer = error.status, None
    clause = clauses.TRANSFER_REFUSED if transfer is None else clauses.TRANSFER
    call.decide(clause, leg.end.name, request.reading.get("Refer-To"), status)
    if transfer is None:
        leg.command(leg.session.respond, event.transaction, status)
        return
    headers = [("Contact", str(leg.session.contact))]
    if transfer.report.is_silent:
        headers.append(("Refer-Sub", "false"))
    leg.command(leg.session.respond, event.transaction, 202, headers=headers)
    call.transfer = transfer
    await transfer.begin()


def _judge(
    call: BridgedCall, leg: BridgeLeg, request: Request
) -> tuple[int, Transfer | ApplicationTransfer | None]:
    """What is asked, and whether the one who asks may: PeerError for a REFER that makes no sense."""
    named = request.parsed("Refer-To")
    if not isinstance(named, NameAddr) or len(request.headers.get_all("Refer-To")) != 1:
        return 400, None
    target = refer_target(named)
    staying = call.partner_of(leg)
    if call.pair is None or staying is None or call.transfer is not None or not leg.is_established:
        return 491, None
    report = ReferralReport(leg, request)
    referred_by = request.headers.get("Referred-By") or identity_of(leg)
    transfer = Transfer(call, leg, staying, report, referred_by=referred_by)
    if target.replaces is not None:
        found = call.bridge.leg_named(target.replaces)
        if found is not None:
            transfer.other = found
            return (202, transfer) if _is_of_one_hand(leg, found) and found.call is not call else (403, None)
    if not call.bridge.ways.may_call(leg.principal, target.uri):
        return 403, None
    decision = call.bridge.ways.decide(leg.principal, target.uri)
    if isinstance(decision, ToApplication):  # a call there that it replaces is the referrer's to hang up
        extension = Extension(target.uri.user or "", decision.name)
        return 202, ApplicationTransfer(call, leg, staying, report, extension)
    transfer.aim(target.uri, decision, target.replaces)
    return 202, transfer


def _is_of_one_hand(leg: BridgeLeg, other: BridgeLeg) -> bool:
    """RFC 3891 5: only who is in a call may have it replaced."""
    if leg.principal is not None and other.principal is not None:
        return leg.principal.number == other.principal.number
    return leg.principal is other.principal and bool(leg.end.host) and leg.end.host == other.end.host


class Transfer:
    """One REFER, from 202 to the last report; or a command to do the same. Without a `referrer` nobody speaks
    with the one who stays meanwhile.
    """

    def __init__(
        self,
        call: BridgedCall,
        referrer: BridgeLeg | None,
        staying: BridgeLeg,
        report: Report,
        *,
        referred_by: str = "",
    ) -> None:
        self.report = report
        self.search: Search | None = None
        self.other: BridgeLeg | None = None
        """The leg of another call that the new call replaces: its partner is who is called."""
        self._call = call
        self._referrer = referrer
        self._staying = staying
        self._joining: BridgeLeg | None = None
        self._before = call.pair
        self._reason_before = call.media.reason
        self._steps = 0
        self._has_asked_both = False
        self._referred_by = referred_by
        self._invitation: Invitation | None = None
        self._decision: Decision | None = None

    # --- before it begins

    def aim(self, uri: SipUri, decision: Decision, replaces: DialogReference | None) -> None:
        """Call this address, by this way."""
        staying = self._staying
        dialog, sdp = staying.session.dialog, staying.session.remote_sdp
        fields = [("Referred-By", self._referred_by)] if self._referred_by else []
        if replaces is not None:
            fields.append(("Replaces", str(replaces)))
        self._decision = decision
        self._invitation = Invitation(
            staying,
            dialog.remote_uri if dialog is not None else staying.session.invite.from_,
            NameAddr(uri),
            None if sdp is None else without_hold(sdp),
            staying.principal,
            is_unnamed=staying.is_unnamed,
            fields=fields,
            is_secure=uri.secure,
        )

    async def begin(self) -> None:
        """Call the new one; or wait until the other call can be taken."""
        self.report.say(100)
        if self.other is not None:
            await self._take_other()
            return
        if isinstance(self._decision, Refusal):  # some phones hang up when the REFER itself is refused
            self._fail(self._decision.status)
            return
        assert self._invitation is not None, "it was aimed"
        bridge = self._call.bridge
        targets = bridge.ways.targets(self._decision, secure=self._invitation.is_secure)
        self.search = Search(self._call, self._invitation, targets, bridge.forking, self)
        await self.search.start()

    # --- a Seeker

    async def ringing(self, leg: BridgeLeg, response: Response, sdp: bytes | None) -> None:
        self.report.say(response.status, response.reason)

    async def offered(self, leg: BridgeLeg, sdp: bytes) -> None:
        """It was offered something itself: what it says now is no offer to us."""

    async def answered(self, leg: BridgeLeg) -> None:
        self.search = None
        self._call.pair = self._rearranged(leg)
        self._call.media.settle(leg)
        await self._join(leg)

    async def refused(self, response: Response) -> None:
        self._fail(response.status, response.reason)

    # --- the other call

    async def _take_other(self) -> None:
        """Take its partner, as soon as both ends of that call stand and nothing is under way in it."""
        other = self.other
        theirs = None if other is None else other.call
        wanted = None if theirs is None or other is None else theirs.partner_of(other)
        if other is None or other.is_over or theirs is None or theirs.transfer is not None:
            self._fail(480)
            return
        if wanted is None or not wanted.is_quiet or not other.is_quiet:
            self.report.say(180)
            self._try_later(self._take_other)
            return
        theirs.release(wanted)
        self._call.adopt(wanted)
        self._call.pair = self._rearranged(wanted)
        self._call.media.reason = ""
        await self._join(wanted)

    def _give_back(self, leg: BridgeLeg) -> None:
        """The other call goes on, if its other end is still there."""
        other = self.other
        theirs = None if other is None else other.call
        if other is None or other.is_over or theirs is None or theirs.is_over:
            leg.end_call(480, headers=[])
            self._call.forget(leg)
            return
        self._call.release(leg)
        theirs.adopt(leg)
        theirs.pair = (other, leg)

    # --- joining

    async def _join(self, leg: BridgeLeg) -> None:
        self._joining = leg
        if self._steps >= STEPS:
            self._fail(480)
        elif not self._staying.is_quiet or not await self._call.renegotiate(self._staying):
            self._try_later(self._join, leg)

    def _try_later(self, work: object, *arguments: object) -> None:
        self._steps += 1
        if self._steps > STEPS:
            self._fail(480)
        else:
            self._call.later(STEP, self._again, work, *arguments)

    async def _again(self, work: object, *arguments: object) -> None:
        if self._call.transfer is self:
            await work(*arguments)  # type: ignore[operator]

    def _rearranged(self, leg: BridgeLeg) -> tuple[BridgeLeg, BridgeLeg]:
        """Who stays keeps its place."""
        pair = self._before
        return (self._staying, leg) if pair is None or pair[0] is self._staying else (leg, self._staying)

    async def established(self, leg: BridgeLeg) -> bool:
        return False

    async def negotiated(self, leg: BridgeLeg) -> None:
        """Both ends have agreed: done."""
        pair = self._call.pair
        if self._joining is None or pair is None or any(each.crossing is not None for each in pair):
            return
        logger.info(
            "call %s: %s now speaks with %s",
            self._call.number,
            self._staying.end.name,
            self._joining.end.name,
        )
        staying, joining = self._staying.end.name, self._joining.end.name
        note_moved(self._call, f"{staying} now speaks with {joining}")
        self.report.say(200)
        if self._referrer is not None:
            self._call.part(self._referrer)
        if self.other is not None and self.other.call is not None:
            self.other.call.put(self.other.call.dissolve)
        self._let_go()

    def refused_to_join(self, leg: BridgeLeg, status: int) -> None:
        """Perhaps the other end offers, if this one does not."""
        pair = self._call.pair
        if self._joining is not None and pair is not None and not self._has_asked_both:
            self._has_asked_both = True
            other = pair[0] if leg is pair[1] else pair[1]
            if self._call.offers.ask(other):
                return
        self._fail(status)

    async def lost(self, leg: BridgeLeg, event: SessionEnded) -> bool:
        if leg is self._referrer:
            self._referrer = None
            self._call.forget(leg)
            return True
        if leg is self._joining:
            self._joining = None
            self._call.forget(leg)
            self._fail(event.status if event.status >= 300 else 480)
            return True
        return False

    # --- how it went

    def _fail(self, status: int, reason: str = "") -> None:
        """All is as before; if the referrer is gone, there is nobody left to speak with."""
        call, joining = self._call, self._joining
        self.report.say(status, reason)
        if joining is not None:
            if self.other is not None:
                self._give_back(joining)
            else:
                joining.end_call(status, cause=str(Reason.sip(status)), headers=[])
                call.forget(joining)
        call.pair, call.media.reason = self._before, self._reason_before
        if self._referrer is None:
            self._staying.end_call(status, cause=str(Reason.sip(status, reason)), headers=[])
            call.is_over = True
        self._let_go()

    def _let_go(self) -> None:
        if self.search is not None:
            self.search.stop()
        self.search = self.other = self._joining = self._before = self._invitation = None
        if self._call.transfer is self:
            self._call.transfer = None


def identity_of(leg: BridgeLeg) -> str:
    """For a Referred-By."""
    dialog = leg.session.dialog
    return "" if dialog is None else str(NameAddr(dialog.remote_uri.uri))
