# SPDX-License-Identifier: Apache-2.0
"""What is a bridged call, from its INVITE to its last BYE? Two sessions, joined by one task.

The task reads what both legs say, one thing after the other, and waits for the media plane where it must. Who
floods a call loses it. Whatever ends the task, an error of ours too, both phones are told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ringback.server.b2bua.crossing import Offers
from ringback.server.b2bua.leg import BridgeLeg
from ringback.server.b2bua.record_keeping import (
    drop_sound,
    note_answer,
    note_asked,
    note_end,
    note_leg,
    note_way,
)
from ringback.server.b2bua.requests import pass_request
from ringback.server.b2bua.transfer import begin_transfer
from ringback.server.call_records.book import STOPPED
from ringback.sip.errors import PeerError
from ringback.sip.events import (
    AnswerReceived,
    Event,
    OfferReceived,
    OfferRefused,
    SessionEnded,
    SessionEstablished,
    SessionRequestReceived,
)
from ringback.sip.message.values import Reason

if TYPE_CHECKING:
    from ringback.media.plane import MediaEvent
    from ringback.net.driver import StackDriver
    from ringback.server.anchoring import End
    from ringback.server.b2bua.bridge import Bridge
    from ringback.server.b2bua.media import CallMedia
    from ringback.server.b2bua.search import Search
    from ringback.server.b2bua.transfer import Rearrangement
    from ringback.server.call_records.record import CallRecord
    from ringback.server.decisions import Clause

logger = logging.getLogger("ringback.calls")

#: What may wait for the task of a call. Phones can cause it faster than anybody reads.
EVENT_LIMIT = 64

#: Legs of one call in all its life: forks, other manners, transfers.
LEG_LIMIT = 200

#: How often a call is negotiated anew on our own account.
RENEGOTIATION_LIMIT = 16

#: How long the one who transferred a call may take to hang up, in seconds.
PARTING_PATIENCE = 2.0

Work = Callable[..., Awaitable[None] | None]


class BridgedCall:
    """One call. `pair` are the two who speak, or will."""

    def __init__(self, bridge: Bridge, number: str, driver: StackDriver, media: CallMedia) -> None:
        self.bridge = bridge
        self.number = number
        self.driver = driver
        self.media = media
        self.offers = Offers(self)
        self.caller: BridgeLeg
        self.pair: tuple[BridgeLeg, BridgeLeg] | None = None
        self.search: Search | None = None
        self.transfer: Rearrangement | None = None
        self.legs: list[BridgeLeg] = []
        self.record: CallRecord
        """What is written down of it; there from the moment its first leg is."""
        self.spoke = ("", "")
        """The legs that the record knows as caller and callee."""
        self.names: dict[str, str] = {}
        """Who each leg there ever was is, for people."""
        self.is_over = False
        self.is_flooded = False
        self.is_handed_over = False
        """An application goes on with the call, and with its record."""
        self.is_sampled = False
        """Somebody looks now and then at how its sound is."""
        self.began_at = self.answered_at = driver.now
        self._renegotiations = 0
        self.must_renegotiate = False
        """The caller took an answer before that was not of the one who has the call."""
        self._work: asyncio.Queue[tuple[Work, tuple[Any, ...]]] = asyncio.Queue(EVENT_LIMIT)
        self._timers: list[asyncio.TimerHandle] = []

    @property
    def call_id(self) -> str:
        """The Call-ID of who called: under it the call is explained."""
        return "" if self.caller.is_fresh else self.caller.session.invite.call_id

    def decide(self, clause: Clause, *facts: Any) -> None:
        """Note what was decided."""
        if call_id := self.call_id:
            self.bridge.decisions.note(call_id, self.driver.now, clause, *facts)

    # --- what comes in

    def hear(self, leg: BridgeLeg, event: Event) -> None:
        """An event of a leg: the task will see to it."""
        self.put(self._receive, leg, event)

    def hear_of_media(self, event: MediaEvent) -> None:
        """The plane noticed something."""
        self.put(self._receive_media, event)

    def put(self, work: Work, *arguments: Any) -> None:
        """Something to do, in its turn."""
        if self._work.full():
            self.is_flooded = True
        elif not self.is_over:
            self._work.put_nowait((work, arguments))

    def later(self, seconds: float, work: Work, *arguments: Any) -> None:
        """Something to do in a while, if the call lives."""
        self._timers = [each for each in self._timers if not each.cancelled()]
        loop = asyncio.get_running_loop()
        self._timers.append(loop.call_later(seconds, self.put, work, *arguments))

    async def run(self, first: Work, *arguments: Any) -> None:
        """The life of the call."""
        try:
            await _done(first, arguments)
            while not self.is_over:
                work, arguments = await self._work.get()
                if self.is_flooded:
                    logger.warning("call %s is ended: too much happens in it", self.number)
                    self.record.end(500, by="server", why="too much happened in the call: it was ended")
                    return
                await _done(work, arguments)
        finally:
            self._finish()

    # --- what the legs say

    async def _receive(self, leg: BridgeLeg, event: Event) -> None:
        if leg.call is not self:
            if leg.call is not None:  # it went to another call meanwhile
                leg.call.hear(leg, event)
            return
        search = self._search_of(leg)
        if search is not None and not isinstance(event, SessionRequestReceived):
            await search.receive(leg, event)
        elif isinstance(event, SessionRequestReceived):
            await self._receive_request(leg, event)
        elif isinstance(event, OfferReceived):
            await self.offers.receive_offer(leg, event.sdp)
        elif isinstance(event, AnswerReceived):
            await self.offers.receive_answer(leg, event.sdp)
            await self._joined(leg)
        elif isinstance(event, OfferRefused):
            self.offers.receive_refusal(leg, event)
        elif isinstance(event, SessionEstablished):
            await self._established(leg)
        elif isinstance(event, SessionEnded):
            await self._ended(leg, event)

    async def _receive_request(self, leg: BridgeLeg, event: SessionRequestReceived) -> None:
        try:
            if event.request.method == "REFER":
                await begin_transfer(self, leg, event)
            else:
                pass_request(self, leg, event)
        except PeerError as error:
            leg.command(leg.session.respond, event.transaction, error.status)

    async def _established(self, leg: BridgeLeg) -> None:
        """The ACK of somebody who was answered has come."""
        if self.transfer is not None and await self.transfer.established(leg):
            return
        if self.must_renegotiate and leg is self.caller:
            self.must_renegotiate = False
            await self.renegotiate()

    async def _joined(self, leg: BridgeLeg) -> None:
        if self.transfer is not None:
            await self.transfer.negotiated(leg)

    async def _ended(self, leg: BridgeLeg, event: SessionEnded) -> None:
        """One hung up, or is lost: so does the other, for the same reason."""
        if self.transfer is not None and await self.transfer.lost(leg, event):
            return
        is_the_end = leg is self.caller if self.pair is None else leg in self.pair
        if is_the_end:
            note_end(self, leg, event)
        cause = event.reason if event.by == "remote" else _cause(event)
        if leg is self.caller and self.search is not None:
            self.search.stop(cause)
        if is_the_end:
            for other in self.legs:
                other.end_call(event.status, cause=cause, headers=[])
            self.is_over = True
        else:
            self.forget(leg)

    async def _receive_media(self, event: MediaEvent) -> None:
        """A lost plane knows nothing any more: both ends are asked anew (its calls only)."""
        leg = next((each for each in self.legs if each.name == event.leg), None)
        words = self.media.note(event, "" if leg is None else leg.end.name)
        if words:
            self.record.note(words)
        if event.kind == "recording-ended":
            self.media.lose_recording(event.detail)
        logger.info("call %s: %s %s %s", self.number, event.kind, event.leg, event.detail)
        if event.kind == "lost" and self.media.reason:
            await self.renegotiate()

    # --- the two who speak

    def partner_of(self, leg: BridgeLeg) -> BridgeLeg | None:
        """Who hears this leg, or rings for it alone."""
        if self.pair is not None and leg in self.pair:
            return self.pair[1] if leg is self.pair[0] else self.pair[0]
        search = self.search
        if search is None or self.pair is not None:
            return None
        if leg is not self.caller:
            return self.caller if leg in search.ringing else None
        return next(iter(search.ringing)) if len(search.ringing) == 1 else None

    def _search_of(self, leg: BridgeLeg) -> Search | None:
        """The search that asked this leg and has no answer yet."""
        searches = (self.search, self.transfer.search if self.transfer is not None else None)
        return next((each for each in searches if each is not None and leg in each.ringing), None)

    async def renegotiate(self, first: BridgeLeg | None = None) -> bool:
        """Ask one end for an offer and give it to the other, as if it had wished so (RFC 3725)."""
        if self.pair is None or self._renegotiations >= RENEGOTIATION_LIMIT:
            return False
        self._renegotiations += 1
        one, other = self.pair
        order = (one, other) if first is None or first is one else (other, one)
        return any(self.offers.ask(leg) for leg in order)

    # --- legs

    def new_leg(self, role: str, end: End) -> BridgeLeg:
        """One more phone."""
        if len(self.names) >= LEG_LIMIT:
            raise RuntimeError(f"call {self.number} has too many legs")
        name = f"{role}-{len(self.names)}" if self.names else role
        self.names[name] = end.name
        leg = BridgeLeg(self, name, end, self.driver)
        self.legs.append(leg)
        if len(self.names) > 1:  # the first one is in the record from its beginning
            note_leg(self.record, leg)
        return leg

    def forget(self, leg: BridgeLeg) -> None:
        """It is of no call any more; what ends it is under way."""
        if leg in self.legs:
            self.legs.remove(leg)
            self._drop_sound(leg)
        self.bridge.unlist(leg)
        leg.let_go()
        self.is_over = self.is_over or not self.legs

    def release(self, leg: BridgeLeg) -> None:
        """It goes to another call."""
        self.legs.remove(leg)
        self.pair = None
        self._drop_sound(leg)
        leg.call = leg.crossing = leg.attempt = None

    def _drop_sound(self, leg: BridgeLeg) -> None:
        if self.media.is_open:
            has_spoken = leg.is_settled or leg is self.caller
            self.bridge.in_background(drop_sound(self, leg.name, has_spoken=has_spoken))

    def adopt(self, leg: BridgeLeg) -> None:
        """It comes from another call; what it was told it keeps in mind."""
        leg.call, leg.name = self, f"callee-{len(self.names)}"
        self.names[leg.name] = leg.end.name
        self.legs.append(leg)
        call_id = leg.session.invite.call_id
        note_leg(self.record, leg)
        note_asked(leg, call_id)

    def dissolve(self) -> None:
        """Its other end speaks in another call now."""
        self.record.end(200, by="server", why="the call was transferred")
        for leg in self.legs:
            leg.end_call(200, cause=str(Reason.sip(200, "Call transferred")), headers=[])
        self.is_over = True

    def join(self, callee: BridgeLeg) -> None:
        """The caller and this one have the call."""
        self.pair, self.search, self.answered_at = (self.caller, callee), None, self.driver.now
        self.media.settle(callee)
        note_answer(self)
        for other in [each for each in self.legs if each not in self.pair]:
            self.forget(other)
        if self.bridge.policy.max_duration:
            self.later(self.bridge.policy.max_duration, self._is_too_long)

    def part(self, leg: BridgeLeg) -> None:
        """It has nobody to speak to any more: it hangs up by itself, or we do."""
        self.later(PARTING_PATIENCE, self._send_home, leg)

    def _send_home(self, leg: BridgeLeg) -> None:
        if leg.call is self and (self.pair is None or leg not in self.pair):
            leg.end_call(200, cause=str(Reason.sip(200, "Call transferred")), headers=[])
            self.forget(leg)

    def _is_too_long(self) -> None:
        self.record.end(200, by="server", why="a call may not last longer here: it was ended")
        self.is_over = True

    # --- the end

    def _finish(self) -> None:
        """Nobody is left in a call without the other, and nothing is left of it."""
        self.is_over = True
        if not self.is_handed_over:
            if self.bridge.is_closing:
                self.record.end(0, by="server", why=STOPPED)
            note_way(self)
        for search in (self.search, self.transfer.search if self.transfer is not None else None):
            if search is not None:
                search.stop()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        for leg in list(self.legs):
            try:
                leg.end_call(500, headers=[])
            except Exception:  # the other one must hear of it all the same
                logger.exception("our fault: a half of call %s could not be ended", self.number)
            self.bridge.unlist(leg)
            leg.let_go()
        self.legs.clear()
        self.search = self.transfer = self.pair = None
        while not self._work.empty():
            self._work.get_nowait()
        del self.offers  # the last circle of references
        self.bridge.ended(self)


async def _done(work: Work, arguments: tuple[Any, ...]) -> None:
    waiting = work(*arguments)
    if waiting is not None:
        await waiting


def _cause(event: SessionEnded) -> str:
    """Why the other is hung up on, in a Reason (RFC 3326); a plain hang-up needs none."""
    return "" if event.status == 200 else str(Reason.sip(event.status, event.reason))
