# SPDX-License-Identifier: Apache-2.0
"""Which calls are on, and who is told what happens to them? The book of one process.

Bridge, applications, proxy and pipeline open a record for each call; everybody who wants to know hears of it
by the bulletin. What ends leaves the book: whoever keeps records listens for "call.ended".
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from ringback.server.call_records.parties import LONGEST_CALL_ID, claimed, clean, dialled, user_agent
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
        self.live: dict[str, CallRecord] = {}
        """By id, the oldest first."""
        self._subscribers = subscribers
        self._make_id = make_id
        self._wall_clock = wall_clock
        self._passed_on: OrderedDict[str, tuple[CallRecord, str | None]] = OrderedDict()
        self._live_events = Budget(LIVE_RATE, LIVE_BURST)
        self._strangers = Budget(STRANGERS_RATE, STRANGERS_BURST)
        self._refusals = Budget(REFUSALS_RATE, REFUSALS_BURST)
        self._explained = Budget(EXPLAINED_RATE, EXPLAINED_BURST)

    @property
    def now(self) -> float:
        """Seconds since 1970."""
        return self._wall_clock()

    def find(self, key: str) -> CallRecord | None:
        """The call with this id, or with a leg that has this Call-ID."""
        record = self.live.get(key)
        if record is not None or len(key) < SHORTEST_CALL_ID:
            return record
        return next((each for each in self.live.values() if key in each.call_ids), None)

    # --- calls that begin

    def open(self, exchange: Exchange, *, mode: str, key: str = "") -> CallRecord:
        """Somebody calls."""
        record = self._record_of(exchange, mode, key)
        record.add_leg(_leg_of_caller(exchange, record.caller))
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
        record = self._record_of(exchange, "")
        record.add_leg(_leg_of_caller(exchange, record.caller))
        record.is_refused_here = True
        record.end(exchange.status, by="server", reason=reason_phrase(exchange.status))
        self._tell(record)

    # --- calls that are passed on

    def pass_on(self, exchange: Exchange) -> CallRecord:
        """The proxy has sent it further."""
        record = self.open(exchange, mode="proxy")
        self._passed_on[record.legs[0].call_id] = record, exchange.request.from_tag
        if len(self._passed_on) > MOST_PASSED_ON:
            _, (oldest, _) = self._passed_on.popitem(last=False)
            oldest.end(0, by="", why="its end was not seen here")
            self.closed(oldest)
        return record

    def passed_final(self, exchange: Exchange) -> None:
        """It has its final response."""
        record = exchange.record
        if record is None or record.ended_at:
            return
        if 200 <= exchange.status < 300:
            record.answered()
            return
        self._passed_on.pop(record.legs[0].call_id, None)
        status = exchange.status if exchange.status >= 300 else 500
        record.end(status, by="caller" if status == 487 else "callee")
        self.closed(record)

    def passed_bye(self, request: Request) -> None:
        """A BYE goes through here: perhaps of a call that is in the book."""
        record, caller_tag = self._passed_on.pop(clean(request.call_id, LONGEST_CALL_ID), (None, None))
        if record is not None:
            record.end(200, by="caller" if request.from_tag == caller_tag else "callee")
            self.closed(record)

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
        for record in list(self.live.values()):
            record.end(0, by="server", why=STOPPED)
            self.closed(record)

    # --- a Listener of records

    def closed(self, record: CallRecord) -> None:
        """All is known of it: say so, once."""
        if self.live.pop(record.id, None) is not None:
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
        self.live[record.id] = record
        self.changed(record, "call.began")
        return record

    def _new(self, caller: Party, callee: Party, dialled: str, mode: str, key: str) -> CallRecord:
        key = key or f"{self._make_id():016x}"
        return CallRecord(key, self, caller, callee, dialled, mode, self.now)

    def _record_of(self, exchange: Exchange, mode: str, key: str = "") -> CallRecord:
        request, principal = exchange.request, exchange.principal
        agent = user_agent(exchange)
        if principal is not None:
            caller = self.party(principal.number, principal=principal, user_agent=agent)
        else:
            number, name = claimed(request)
            caller = Party(number, name, "", agent)
        number, decision = dialled(request), exchange.decision
        callee = self.party(decision.number if isinstance(decision, ToUser) else number)
        record = self._new(caller, callee, number, mode, key)
        exchange.record = record
        return record


def _name_of(user: Subscriber, device: str) -> str:
    """What the device is called; its id once it is forgotten, "" for the user's own password."""
    return device and next((each.name for each in user.devices if each.id == device and each.name), device)


def _leg_of_caller(exchange: Exchange, caller: Party) -> LegRecord:
    call_id = clean(exchange.request.call_id, LONGEST_CALL_ID)
    return LegRecord("caller", caller.number, exchange.flow, call_id, caller.name)
