# SPDX-License-Identifier: Apache-2.0
"""Who takes the call? Targets of one q ring together, q after q (RFC 3261 section 16.6), each as a session of
its own. Who answers first has the call; the others hear that it was answered elsewhere (RFC 3326).

Failures are collected, and the best is the outcome (16.7 step 6). A phone that refuses the description (488)
is asked again in another manner, one that cannot be reached by its other connection (RFC 5626 section 7).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from ringback.media.errors import MediaError
from ringback.sdp.errors import UnacceptableSession
from ringback.server import clauses
from ringback.server.anchoring import End, attempts
from ringback.server.b2bua.crossing import warning_of
from ringback.server.best_response import best_response
from ringback.server.forking import ANSWERED_ELSEWHERE, DECLINED_EVERYWHERE
from ringback.server.targets import Target, is_same_target, serial_groups
from ringback.sip.dialog.invite_usage import Carrier
from ringback.sip.dialog.negotiation import session_description
from ringback.sip.events import (
    AnswerReceived,
    Event,
    OfferReceived,
    SessionEnded,
    SessionEstablished,
    SessionProgress,
)
from ringback.sip.message.message import Response
from ringback.sip.message.uri import SipUri

if TYPE_CHECKING:
    from ringback.server.anchoring import Attempt
    from ringback.server.b2bua.call import BridgedCall
    from ringback.server.b2bua.invitation import Invitation
    from ringback.server.b2bua.leg import BridgeLeg
    from ringback.server.branch import ForkingPolicy

logger = logging.getLogger("ringback.calls")

#: Refusals of a description: another manner may suit.
DESCRIPTION_REFUSED = (415, 488, 606)


class Seeker(Protocol):
    """Whoever wants somebody to take a call."""

    async def ringing(self, leg: BridgeLeg, response: Response, sdp: bytes | None) -> None:
        """A provisional response, and the answer in it as the caller is to get it."""

    async def offered(self, leg: BridgeLeg, sdp: bytes) -> None:
        """An offer in a reliable provisional response: the call had none."""

    async def answered(self, leg: BridgeLeg) -> None:
        """Somebody took the call."""

    async def refused(self, response: Response) -> None:
        """Nobody does."""


@dataclass(slots=True)
class _Heard:
    """The last answer of a phone, as it came."""

    sdp: bytes = b""


class Search:
    """One call on its way to whoever takes it."""

    def __init__(
        self,
        call: BridgedCall,
        invitation: Invitation,
        targets: Sequence[Target],
        policy: ForkingPolicy,
        seeker: Seeker,
    ) -> None:
        self.invitation = invitation
        self.ringing: dict[BridgeLeg, _Heard] = {}
        self.is_over = False
        self._call = call
        self._policy = policy
        self._seeker: Seeker | None = seeker
        self._groups = serial_groups(targets)
        self._tried: list[Target] = []
        self._failures: list[Response] = []
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def is_forked(self) -> bool:
        """More than one phone may answer: their early sound is not mixed (RFC 3960)."""
        return len(self._tried) + sum(map(len, self._groups)) > 1

    async def start(self) -> None:
        """Ask the first."""
        await self._go_on()

    def stop(self, reason: str = "") -> None:
        """Nobody is asked any more; what rings is told to stop."""
        self.is_over = True
        self._seeker = None
        self._groups.clear()
        self._failures.clear()
        self._silence(reason)
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    async def receive(self, leg: BridgeLeg, event: Event) -> None:
        """Something came of one that was asked."""
        if isinstance(event, SessionProgress):
            await self._progress(leg, event.response)
        elif isinstance(event, AnswerReceived):
            await self._answer(leg, event)
        elif isinstance(event, OfferReceived) and event.sdp is not None:
            await self._offer(leg, event.sdp)
        elif isinstance(event, SessionEstablished):
            await self._succeed(leg)
        elif isinstance(event, SessionEnded):
            response = _response_of(event, leg)
            self._note_failure(leg, response, was_heard=event.response is response)
            await self._fail(leg, response)

    # --- what those who are asked say

    async def _progress(self, leg: BridgeLeg, response: Response) -> None:
        if self._seeker is None or leg.session.pending:
            return  # with an offer in it the response is told as an offer
        sdp = None if self.is_forked or self.invitation.offer is None else session_description(response)
        answer = await self._translated(leg, sdp) if sdp is not None else None
        if self._seeker is not None and leg in self.ringing:
            await self._seeker.ringing(leg, response, answer)

    async def _answer(self, leg: BridgeLeg, event: AnswerReceived) -> None:
        """An early one came with its response already."""
        if leg.crossing is not None:
            await self._call.offers.receive_answer(leg, event.sdp)
        elif not event.is_early:
            await self._translated(leg, event.sdp)

    async def _offer(self, leg: BridgeLeg, sdp: bytes) -> None:
        """An UPDATE crosses; the offer of a 2xx waits for the 2xx to be told."""
        carrier = leg.session.pending[0].carrier if leg.session.pending else None
        if carrier is Carrier.UPDATE:
            await self._call.offers.receive_offer(leg, sdp)
        elif carrier is Carrier.RELIABLE_PROVISIONAL and self._seeker is not None:
            await self._seeker.offered(leg, sdp)

    async def _translated(self, leg: BridgeLeg, sdp: bytes) -> bytes | None:
        """The answer as the caller gets it. One that cannot be taken ends this attempt."""
        heard = self.ringing.get(leg)
        if heard is None:
            return None
        if heard.sdp != sdp:
            try:
                leg.early = await self._call.media.answer(leg, self.invitation.caller, sdp)
            except (UnacceptableSession, MediaError) as error:
                logger.info("the answer of %s cannot be taken: %s", leg.end.name, error)
                await self._drop(leg, error)
                return None
            heard.sdp = sdp
        return leg.early

    async def _succeed(self, leg: BridgeLeg) -> None:
        """16.7 step 10: the others are told who took it."""
        seeker = self._seeker
        if leg not in self.ringing or seeker is None:
            return
        del self.ringing[leg]
        self.stop(ANSWERED_ELSEWHERE)
        self._call.decide(clauses.LEG_ANSWERED, leg.end.name)
        await seeker.answered(leg)

    async def _drop(self, leg: BridgeLeg, error: Exception) -> None:
        """What it says is of no use: it is sent home, and the search goes on."""
        refusal = Response(488 if isinstance(error, UnacceptableSession) else 503)
        for name, value in warning_of(error):
            refusal.headers.add(name, value)
        self._call.decide(clauses.LEG_UNUSABLE, leg.end.name, str(error))
        leg.end_call(488, cause="SIP;cause=488", headers=[])
        await self._fail(leg, refusal)

    def _note_failure(self, leg: BridgeLeg, response: Response, *, was_heard: bool) -> None:
        if leg in self.ringing and was_heard:
            warning = response.reading.get("Warning") or ""
            self._call.decide(clauses.LEG_REFUSED, leg.end.name, response.status, response.reason, warning)
        elif leg in self.ringing:
            self._call.decide(clauses.LEG_SILENT, leg.end.name, response.status)

    async def _fail(self, leg: BridgeLeg, response: Response) -> None:
        """16.7 steps 4 to 6: another way to the same phone, other phones, or one failure more."""
        if self.ringing.pop(leg, None) is None or self.is_over:
            return
        target = leg.target
        assert target is not None, "who is asked has a target"
        later = list(leg.attempts)
        if leg.record is not None:
            leg.record.status = response.status
        self._call.forget(leg)
        if response.status in DESCRIPTION_REFUSED and later:
            await self._launch(target, leg.breadth, later)
        elif response.status == 430 and target.alternates:
            first, *others = target.alternates
            await self._launch(replace(first, alternates=tuple(others)), leg.breadth)
        elif response.status < 400 and (
            further := self._call.bridge.ways.redirected(self.invitation, response)
        ):
            await self._launch_all(further)
        else:
            self._failures.append(response)
            if response.status >= 600:
                self._groups.clear()
                self._silence(DECLINED_EVERYWHERE)
        await self._go_on()

    # --- targets

    async def _go_on(self) -> None:
        """Next targets if nobody rings, the outcome if there are none."""
        while not self.ringing and not self.is_over:
            if not self._groups:
                seeker, outcome = self._seeker, self._outcome()
                self.stop()
                if seeker is not None:
                    await seeker.refused(outcome)
                return
            await self._launch_all(self._groups.pop(0))

    async def _launch_all(self, targets: Sequence[Target]) -> None:
        """Within what RFC 5393 and our own limit leave."""
        room = self._policy.max_branches - len(self._tried)
        fresh = [each for each in targets if not self._was_tried(each)][: max(0, room)]
        budget = max(0, self.invitation.max_breadth - sum(leg.breadth for leg in self.ringing))
        if len(fresh) > budget > 0:
            self._groups.insert(0, fresh[budget:])
            del fresh[budget:]
        self._ring_for(self._policy.ring_time)
        for index, target in enumerate(fresh if budget else []):
            if not self.is_over:
                self._tried.append(target)
                share = budget // len(fresh) + (1 if index < budget % len(fresh) else 0)
                await self._launch(target, share)

    def _was_tried(self, target: Target) -> bool:
        """16.5: no URI is tried twice."""
        return any(is_same_target(target.uri, tried.uri) for tried in self._tried)

    async def _launch(self, target: Target, breadth: int, later: list[Attempt] | None = None) -> None:
        while target.is_gone and target.alternates:
            first, *others = target.alternates
            target = replace(first, alternates=tuple(others))
        if target.is_gone:
            self._failures.append(Response(430))
            self._call.decide(clauses.LEG_SILENT, target.text, 430)
            return
        leg = self._leg_for(target, breadth)
        if later is not None:
            leg.attempts = later
        await self._ask(leg, target)

    def _leg_for(self, target: Target, breadth: int) -> BridgeLeg:
        uri = target.uri
        name = (uri.user or uri.host) if isinstance(uri, SipUri) else target.text
        contact_host = uri.host if isinstance(uri, SipUri) and target.is_registered else ""
        end = End.reached_by(name, target.flow, contact_host=contact_host)
        owner = self._call.bridge.ways.owner_of(target.handle) if target.is_registered else None
        if owner is not None:
            end = replace(end, name=owner.number, wish=self._call.bridge.security_of(owner))
        leg = self._call.new_leg("callee", end)
        leg.target, leg.breadth, leg.handle, leg.principal = target, breadth, target.handle, owner
        policy = self._call.media.policy
        if self.invitation.offer is not None:
            leg.attempts = attempts(self.invitation.caller.end, leg.end, policy)
        return leg

    async def _ask(self, leg: BridgeLeg, target: Target) -> None:
        """Send the INVITE, in the first manner that is left."""
        offer = self.invitation.offer
        leg.attempt = leg.attempts.pop(0) if leg.attempts else None
        self.ringing[leg] = _Heard()
        if leg.attempt is not None:
            self._call.decide(clauses.OFFERED, leg.end.name, leg.attempt, tuple(leg.attempts))
        if offer is not None:
            try:
                offer = await self._call.media.first_offer(self.invitation.caller, leg, offer)
            except (UnacceptableSession, MediaError) as error:
                logger.info("nothing can be offered to %s: %s", leg.end.name, error)
                await self._drop(leg, error)
                return
        if not self.is_over and leg in self.ringing:
            self._call.bridge.invite(self._call, self.invitation, leg, target, offer)

    # --- endings

    def _ring_for(self, seconds: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = asyncio.get_running_loop().call_later(seconds, self._call.put, self._ring_time_is_over)

    async def _ring_time_is_over(self) -> None:
        """Nobody answered: the next group's turn. Who answers all the same is too late."""
        if not self.is_over:
            self._call.decide(clauses.NOBODY_ANSWERED, self._policy.ring_time)
            self._silence("")
            await self._go_on()

    def _silence(self, reason: str) -> None:
        for leg in list(self.ringing):
            del self.ringing[leg]
            leg.end_call(480, cause=reason, headers=[])
            self._call.forget(leg)

    def _outcome(self) -> Response:
        """The best failure, in words that mean the same one hop further up."""
        if not self._failures:
            return Response(480)
        best = best_response(self._failures)
        if best.status == 503:
            return Response(500)
        return Response(480) if best.status == 430 else best


def _response_of(event: SessionEnded, leg: BridgeLeg) -> Response:
    """The refusal, or one that says what happened instead."""
    if event.response is not None and event.response.status >= 300:
        return event.response
    if event.by == "transport":
        return Response(430 if leg.target is not None and leg.target.is_registered else 503)
    return Response(event.status if event.status >= 300 else 480)
