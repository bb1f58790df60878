# SPDX-License-Identifier: Apache-2.0
"""Which calls are on, and who is told what happens to them? The book of one process.

Bridge, applications and pipeline open a record for each call; everybody who wants to know hears of it by the
bulletin. What ends leaves the book: whoever keeps records listens for "call.ended".

Of a call that is only passed on, the path of its messages keeps what they said and when (3 us for all of
it; a record is 20). Its record is made when somebody asks, or when it has ended, behind what came with
its end.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict, deque
from itertools import islice
from typing import TYPE_CHECKING, Any

from ringback.server.call_records.parties import LONGEST_CALL_ID, Invitation, PassedCall, clean
from ringback.server.call_records.quality import Sampler
from ringback.server.call_records.record import CallRecord, LegRecord, Party
from ringback.server.call_records.words import ended_in_words
from ringback.server.routing import ToUser
from ringback.server.subscribers import Principal
from ringback.sip.message.names import reason_phrase

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringback.server.binding import Binding
    from ringback.server.bulletin import Bulletin
    from ringback.server.pipeline import Exchange
    from ringback.server.subscribers import Subscriber, Subscribers
    from ringback.sip.message.message import Request

logger = logging.getLogger("ringback.records")

#: Records that are open: every bridged and answered call has one, of those only passed on the oldest go.
MOST_PASSED_ON = 10_000

#: Live events a second, and how many at once after a quiet time: more than a person can look at.
LIVE_RATE, LIVE_BURST = 50.0, 200.0
#: Refusals of people without an account here that are written down, a second and at once.
STRANGERS_RATE, STRANGERS_BURST = 2.0, 50.0
#: And of those who have one.
REFUSALS_RATE, REFUSALS_BURST = 20.0, 200.0
#: Records that say why the call went where it went: to put that into words takes 50 us.
EXPLAINED_RATE, EXPLAINED_BURST = 50.0, 500.0

STOPPED = "this server was stopped"
UNSEEN = "its end was not seen here"

SHORTEST_CALL_ID = 4
#: Who is asked for a password has not been refused yet.
CHALLENGES = (401, 407)


class Budget:
    """So many a second, and so many at once after a quiet time."""

    __slots__ = ("_burst", "_left", "_rate", "_since")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._left, self._since = burst, 0.0

    def take(self, now: float) -> bool:
        """True while there is one left."""
        self._left = min(self._burst, self._left + (now - self._since) * self._rate)
        self._since = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class CallBook:
    """The records of the calls that are on."""

    def __init__(
        self,
        bulletin: Bulletin,
        *,
        subscribers: Subscribers,
        make_id: Callable[[], int],
        decisions_of: Callable[[str], list[dict[str, Any]]] = lambda call_id: [],
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.bulletin = bulletin
        self.sampler = Sampler()
        self._decisions_of = decisions_of
        self._open: dict[str, CallRecord] = {}
        """By id, the oldest first."""
        self._subscribers = subscribers
        self._make_id = make_id
        self._wall_clock = wall_clock
        self._passed_on: OrderedDict[str, PassedCall] = OrderedDict()
        """By Call-ID, the oldest first."""
        self._passed_by: deque[PassedCall] = deque()
        """Those that have ended, and of which nobody has been told yet."""
        self._live_events = Budget(LIVE_RATE, LIVE_BURST)
        self._strangers = Budget(STRANGERS_RATE, STRANGERS_BURST)
        self._refusals = Budget(REFUSALS_RATE, REFUSALS_BURST)
        self._explained = Budget(EXPLAINED_RATE, EXPLAINED_BURST)

    @property
    def now(self) -> float:
        """Seconds since 1970."""
        return self._wall_clock()

    @property
    def count(self) -> int:
        """How many calls are on."""
        return len(self._open) + len(self._passed_on)

    @property
    def live(self) -> dict[str, CallRecord]:
        """All of them by id, the oldest first."""
        return {record.id: record for record in reversed(self.newest(self.count))}

    def newest(self, most: int) -> list[CallRecord]:
        """The calls that began last, the newest first."""
        calls: list[CallRecord | PassedCall] = [*islice(reversed(self._open.values()), most)]
        calls += islice(reversed(self._passed_on.values()), most)
        calls.sort(key=_beginning, reverse=True)
        return [
            self._record_of_passed(call) if isinstance(call, PassedCall) else call for call in calls[:most]
        ]

    def find(self, key: str) -> CallRecord | None:
        """The call with this id, or with a leg that has this Call-ID."""
        record = self._open.get(key)
        if record is not None or len(key) < SHORTEST_CALL_ID:
            return record
        passed_on = self._passed_on
        call = passed_on.get(key) or next((each for each in passed_on.values() if each.is_called(key)), None)
        if call is not None:
            return self._record_of_passed(call)
        return next((each for each in self._open.values() if key in each.call_ids), None)

    # --- calls that begin

    def open(self, exchange: Exchange, *, mode: str, key: str = "") -> CallRecord:
        """Somebody calls."""
        exchange.record = record = self._record_of(Invitation(exchange, self.now), mode, key)
        return self._opened(record)

    def open_between(self, caller: Party, callee: Party, *, mode: str, key: str = "") -> CallRecord:
        """A call that nobody's INVITE began."""
        return self._opened(self._new(caller, callee, callee.number, mode, key))

    def refused(self, exchange: Exchange) -> None:
        """A call that this server refused at once. Of those who have no account here only some are written
        down: they could ask a thousand times a second.
        """
        if exchange.status in CHALLENGES or exchange.record is not None:
            return
        budget = self._strangers if exchange.principal is None else self._refusals
        if not budget.take(self.now):
            return
        exchange.record = record = self._record_of(Invitation(exchange, self.now), "")
        record.is_refused_here = True
        record.end(exchange.status, by="server", reason=reason_phrase(exchange.status))
        self._tell(record)

    # --- calls that are passed on

    def pass_on(self, exchange: Exchange) -> None:
        """The proxy has sent it further."""
        call, passed_on = PassedCall(exchange, self._wall_clock()), self._passed_on
        known = passed_on.get(call.call_id)
        if known is not None:
            if known.from_tag == call.from_tag:
                return  # the same call, which comes by once more
            self._ended(passed_on.pop(call.call_id), 0, by="", why=UNSEEN)
        exchange.record = passed_on[call.call_id] = call
        if len(passed_on) > MOST_PASSED_ON:
            self._ended(passed_on.popitem(last=False)[1], 0, by="", why=UNSEEN)
        self._show(call, "call.began")

    def passed_final(self, exchange: Exchange) -> None:
        """It has its final response."""
        call = exchange.record
        if not isinstance(call, PassedCall) or call.ended_at:
            return
        if 200 <= exchange.status < 300:
            call.answered_at = call.answered_at or self._wall_clock()
            if call.record is not None:
                call.record.answered_at = call.answered_at
            self._show(call, "call.answered")
            return
        self._passed_on.pop(call.call_id, None)
        status = exchange.status if exchange.status >= 300 else 500
        self._ended(call, status, by="caller" if status == 487 else "callee")

    def passed_bye(self, request: Request) -> None:
        """A BYE goes through here: perhaps of a call that is in the book."""
        call = self._passed_on.pop(request.call_id[:LONGEST_CALL_ID], None)
        if call is not None:
            self._ended(call, 200, by="caller" if request.from_tag == call.from_tag else "callee")

    # --- who they are

    def party(self, number: str, *, principal: Principal | None = None, user_agent: str = "") -> Party:
        """A user here, or whoever has that number."""
        known = self._subscribers.find(number) if number else None
        if known is None:
            return Party(clean(number), "", "", user_agent)
        device = principal.device if principal is not None else ""
        return Party(clean(number), known.name, _name_of(known, device), user_agent)

    def party_of(self, binding: Binding) -> Party:
        """The owner of a registered phone."""
        owner = Principal(binding.user, device=binding.device)
        return self.party(binding.user, principal=owner, user_agent=clean(binding.user_agent))

    def close(self) -> None:
        """The server ends: nobody will see the end of what is still open."""
        self.sampler.close()
        for record in list(self._open.values()):
            record.end(0, by="server", why=STOPPED)
            self.closed(record)
        while self._passed_on:
            self._ended(self._passed_on.popitem(last=False)[1], 0, by="server", why=STOPPED)
        self._tell_of_passed()

    # --- a Listener of records

    def closed(self, record: CallRecord) -> None:
        """All is known of it: say so, once."""
        if self._open.pop(record.id, None) is not None:
            record.end(500, by="server", why="this server made a mistake, and ended the call")
            record.commands = None
            self._tell(record)

    def changed(self, record: CallRecord, kind: str) -> None:
        """People who look at their console see it. 0.2 us when nobody looks."""
        if record.ended_at or not self.bulletin.wants(kind):
            return
        if self._live_events.take(self.now):
            self.bulletin.post(kind, call=record.described())

    # --- inside

    def _tell(self, record: CallRecord) -> None:
        record.how_ended = ended_in_words(record)
        if self.bulletin.wants("call.ended"):
            if record.legs and self._explained.take(self.now):
                record.decisions = self._decisions_of(record.legs[0].call_id)
            self.bulletin.post("call.ended", call=record.described())

    def _opened(self, record: CallRecord) -> CallRecord:
        self._open[record.id] = record
        self.changed(record, "call.began")
        return record

    def _show(self, call: PassedCall, kind: str) -> None:
        if self.bulletin.wants(kind) and self._live_events.take(self.now):
            self.bulletin.post(kind, call=self._record_of_passed(call).described())

    def _ended(self, call: PassedCall, status: int, *, by: str, why: str = "") -> None:
        call.end(self._wall_clock(), status, by, why)
        if call.record is not None or self.bulletin.wants("call.ended"):
            if not self._passed_by:
                asyncio.get_running_loop().call_soon(self._tell_of_passed)
            self._passed_by.append(call)

    def _tell_of_passed(self) -> None:
        while self._passed_by:
            try:
                self._tell(self._record_of_passed(self._passed_by.popleft()))
            except Exception:
                logger.exception("our fault: there is no record of a call")

    def _record_of_passed(self, call: PassedCall) -> CallRecord:
        """Its record as it is now, made the first time."""
        record = call.record
        if record is None:
            record = call.record = self._record_of(call, "proxy")
            record.answered_at = call.answered_at
        if call.ended_at:
            record.ended_at, record.status = call.ended_at, call.status
            record.ended_by, record.why = call.ended_by, call.why
        return record

    def _new(self, caller: Party, callee: Party, dialled: str, mode: str, key: str) -> CallRecord:
        key = key or f"{self._make_id():016x}"
        return CallRecord(key, self, caller, callee, dialled, mode, self.now)

    def _record_of(self, call: Invitation, mode: str, key: str = "") -> CallRecord:
        principal, decision, number = call.principal, call.decision, call.dialled
        if principal is not None:
            caller = self.party(principal.number, principal=principal, user_agent=call.user_agent)
        else:
            caller = Party(*call.claimed, "", call.user_agent)
        callee = self.party(decision.number if isinstance(decision, ToUser) else number)
        record = self._new(caller, callee, number, mode, key)
        record.began_at = call.began_at
        record.add_leg(
            LegRecord("caller", caller.number, call.flow, clean(call.call_id, LONGEST_CALL_ID), caller.name)
        )
        return record


def _beginning(call: CallRecord | PassedCall) -> float:
    return call.began_at


def _name_of(user: Subscriber, device: str) -> str:
    """What the device is called; its id once it is forgotten, "" for the user's own password."""
    return device and next((each.name for each in user.devices if each.id == device and each.name), device)
