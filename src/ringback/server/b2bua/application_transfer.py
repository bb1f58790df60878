# SPDX-License-Identifier: Apache-2.0
"""How is a call handed to a number that this server answers itself? A feature code, a room: the leg of the
one who stays is taken out of the call and given to the application.

The application decides as for any caller. Until it has taken the leg, and if it does not, the old call goes
on: what the leg offered the application is offered to its old partner instead.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringback.server.applications import IncomingCall
from ringback.server.asserted_identity import FIELD, identity
from ringback.server.b2bua.crossing import Crossing
from ringback.server.standing_session import StandingSession, as_session
from ringback.sip.message.values import Reason

if TYPE_CHECKING:
    from ringback.server.b2bua.call import BridgedCall
    from ringback.server.b2bua.header_fields import Fields
    from ringback.server.b2bua.leg import BridgeLeg
    from ringback.server.b2bua.search import Search
    from ringback.server.b2bua.transfer import Report
    from ringback.sip.events import SessionEnded

logger = logging.getLogger("ringback.calls")

#: How long it may take until the one who stays can be asked for an offer, in steps: a hold may be under way.
STEP = 0.25
STEPS = 120

#: How long the one who stays may owe an offer or an answer: the longest transactions take, and then some.
PATIENCE = 70.0

NOT_NOW = 480


@dataclass(slots=True)
class Extension:
    """A number of this server, and the application that answers it."""

    number: str
    application: str


class ApplicationTransfer:
    """One REFER to an application, from 202 to the last report. A `Rearrangement`, and a `Keeper`."""

    def __init__(
        self,
        call: BridgedCall,
        referrer: BridgeLeg | None,
        staying: BridgeLeg,
        report: Report,
        extension: Extension,
        *,
        has_record: bool = False,
    ) -> None:
        """With `has_record` the application's part is in the record of the call, not in one of its own."""
        self.search: Search | None = None
        self.report = report
        self._call = call
        self._referrer = referrer
        self._staying = staying
        self._extension = extension
        self._standing: StandingSession | None = None
        self._steps = 0
        self._has_record = has_record

    async def begin(self) -> None:
        """Ask the one who stays for an offer, as soon as nothing else is under way with it."""
        self.report.say(100)
        self._ask()

    def _ask(self) -> None:
        call, staying = self._call, self._staying
        if call.transfer is not self:
            return
        if staying.is_quiet:
            standing = StandingSession(staying.session, self)
            if staying.command(standing.ask, headers=self._named()):
                self._standing = standing
                staying.is_rejoined = True  # should it be given back, it hears of its old partner again
                staying.crossing = Crossing(None)  # nothing else is negotiated with it
                call.later(PATIENCE, self._lose_patience, standing)
                return
        self._steps += 1
        if self._steps > STEPS:
            self._fail(NOT_NOW)
        else:
            call.later(STEP, self._ask)

    def _named(self) -> Fields:
        """Our own users' phones show what they speak with now (RFC 3325 9.1)."""
        if self._staying.principal is None:
            return []
        return [(FIELD, identity(self._extension.number, "", self._call.bridge.domain))]

    def _lose_patience(self, standing: StandingSession) -> None:
        """A 2xx without a description is no answer."""
        if self._standing is standing and standing.is_waiting:
            self._staying.driver.perform(standing.bye)

    # --- a Keeper: in the middle of events and commands, so that the rest is left to the call's task

    def continued(self, sdp: bytes, *, is_offer: bool) -> bytes:
        staying = self._staying
        if is_offer:
            return staying.told.offer(sdp)
        return staying.told.answer(sdp, streams=staying.offered_streams)

    def ready(self) -> None:
        staying, standing = self._staying, self._standing
        flow = staying.session.flow
        assert standing is not None, "it was asked"
        assert flow is not None, "by some way"
        incoming = IncomingCall(self._extension.number, staying.principal, staying.driver, flow)
        incoming.session = as_session(standing)
        if self._has_record:
            incoming.record, incoming.leg = self._call.record, staying.name
        standing.hear = incoming.receive
        refusal = self._call.bridge.run_application(self._extension.application, incoming)
        if refusal:
            staying.driver.perform(standing.reject, refusal)

    def taken(self) -> None:
        self._call.put(self._settle)

    def given_back(self, status: int, reason: str) -> None:
        self._staying.session.consumer = self._staying.receive
        self._call.put(self._resume, status, reason)

    def gone(self, event: SessionEnded) -> None:
        self._staying.receive(event)

    # --- how it went

    def _settle(self) -> None:
        """The application has the leg: the bridge is over."""
        call, staying = self._call, self._staying
        logger.info("call %s: %s now speaks with %s", call.number, staying.end.name, self._extension.number)
        self.report.say(200)
        words = f"{staying.end.name} now speaks with {self._extension.number}"
        if self._has_record:
            call.is_handed_over = True
            call.record.note(words)
        else:
            call.record.end(200, by="server", why=words)
        call.release(staying)
        call.bridge.unlist(staying)
        if self._referrer is None:
            call.is_over = True
        else:
            call.part(self._referrer)
        self._let_go()

    async def _resume(self, status: int, reason: str) -> None:
        """The two speak again. What the one who stays has offered or agreed on meanwhile was for another."""
        call, staying, standing = self._call, self._staying, self._standing
        staying.crossing = None
        is_left = self._referrer is None
        self._fail(status, reason)
        if is_left or standing is None or staying.is_over:
            return
        offer = standing.unanswered_offer
        if offer is not None:
            staying.crossing = Crossing(None, is_request=True)
            await call.offers.receive_offer(staying, offer)
        elif standing.is_described:
            await call.renegotiate(staying)

    def _fail(self, status: int, reason: str = "") -> None:
        """If the referrer is gone, there is nobody left to speak with."""
        self.report.say(status, reason)
        if self._referrer is None:
            self._staying.end_call(status, cause=str(Reason.sip(status, reason)), headers=[])
            self._call.is_over = True
        self._let_go()

    def _let_go(self) -> None:
        self._standing = self._referrer = None
        if self._call.transfer is self:
            self._call.transfer = None

    # --- a Rearrangement

    async def established(self, leg: BridgeLeg) -> bool:
        return False

    async def negotiated(self, leg: BridgeLeg) -> None:
        """The two who part have nothing to negotiate."""

    def refused_to_join(self, leg: BridgeLeg, status: int) -> None:
        """Nobody of the call is asked to join anybody."""

    async def lost(self, leg: BridgeLeg, event: SessionEnded) -> bool:
        if leg is not self._referrer:
            return False
        self._referrer = None
        self._call.forget(leg)
        return True
