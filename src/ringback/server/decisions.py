# SPDX-License-Identifier: Apache-2.0
"""What was decided about a call, by whom and why? Every service notes what it decided, as data.

    exchange.decide(clauses.WRONG_PASSWORD, account, detail)      # in a service
    decisions.of(call_id)                                         # when somebody asks

A note is a clause (a row of `clauses.py`) and its facts; nothing is put into words until somebody asks. A
note costs 0.2 us, the first of a call 0.5: 1.3 us of the 170 of a proxied call.

Kept by Call-ID, in three tables, so that neither scanners nor phones that register push out calls. Each is
bounded, and forgets after an hour.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from ringback.server.pipeline import Exchange

#: Call-IDs that are remembered, and items of each, three a note. 20 000 calls are about 20 MB.
CALLS, OTHERS, STRANGERS = 20_000, 4_000, 2_000
NOTES = 3 * 100
AGE = 3600.0

Facts = tuple[Any, ...]


class Words(NamedTuple):
    """A note, put into words."""

    saw: str
    chose: str
    rejected: Sequence[str] = ()
    source: str = ""


class Clause(NamedTuple):
    """One way in which a service decides.

    `saw` and `chose` are texts with places for the facts; where that does not do, `words` makes them.
    `source` is where the rule stands: a setting, a file, a section of an RFC.
    """

    service: str
    rule: str
    verdict: str
    saw: str = ""
    chose: str = ""
    source: str = ""
    words: Callable[..., Words] | None = None

    def decision(self, at: float, facts: Facts) -> dict[str, Any]:
        """The note as it is shown: JSON."""
        words = self._in_words(facts)
        return {
            "at": at,
            "service": self.service,
            "rule": self.rule,
            "verdict": self.verdict,
            "saw": words.saw,
            "chose": words.chose,
            "rejected": list(words.rejected),
            "source": words.source or self.source,
        }

    def _in_words(self, facts: Facts) -> Words:
        if self.words is not None:
            return self.words(*facts)
        return Words(self.saw.format(*facts), self.chose.format(*facts))


#: What the notes of a leg begin with that another call's story tells.
OTHER_HALF = Clause("bridge", "other half", "noted", "a leg of the call {0}")


class _Shelf:
    """Lists of notes by Call-ID: (time, clause, facts), one behind the other without tuples around them, so
    that there is one object per call for the garbage collector to look at.
    """

    __slots__ = ("_limit", "_order", "notes")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._order: deque[str] = deque()
        self.notes: dict[str, list[Any]] = {}

    def begin(self, call_id: str, now: float) -> list[Any]:
        """A new Call-ID; the oldest makes room, and so does one that is too old."""
        notes, order = self.notes, self._order
        if order and (len(notes) >= self._limit or _began(notes[order[0]]) < now - AGE):
            del notes[order.popleft()]
        found: list[Any] = []
        notes[call_id] = found
        order.append(call_id)
        return found


class Decisions:
    """The notes of one process."""

    __slots__ = ("_calls", "_clock", "_others", "_strangers", "_wall_clock")

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        calls: int = CALLS,
        others: int = OTHERS,
        strangers: int = STRANGERS,
    ) -> None:
        self._clock = clock
        self._wall_clock = wall_clock
        self._calls, self._others, self._strangers = _Shelf(calls), _Shelf(others), _Shelf(strangers)

    def __len__(self) -> int:
        return sum(len(shelf.notes) for shelf in self._shelves())

    def notes_of(self, exchange: Exchange) -> list[Any]:
        """Where the notes about this request go. Whoever proved nothing shares a small table."""
        request, transaction = exchange.request, exchange.transaction
        is_known = exchange.principal is not None or transaction is None or transaction.is_kept
        if not is_known:
            shelf = self._strangers
        elif request.method == "REGISTER":
            shelf = self._others
        else:
            shelf = self._calls
        call_id = request.call_id
        found = shelf.notes.get(call_id)
        return shelf.begin(call_id, exchange.stack.now) if found is None else found

    def note(self, call_id: str, now: float, clause: Clause, *facts: Any) -> None:
        """One more decision about a call that is on."""
        notes = self._calls.notes.get(call_id)
        if notes is None:
            notes = self._calls.begin(call_id, now)
        if len(notes) < NOTES:
            notes += (now, clause, facts)

    def link(self, leg: str, call_id: str, now: float) -> None:
        """The Call-ID of a leg leads to the call it belongs to."""
        if leg != call_id and leg not in self._calls.notes:
            self._calls.begin(leg, now).extend((now, OTHER_HALF, (call_id,)))

    def main(self, call_id: str) -> str:
        """The Call-ID under which the call is told that this one is a leg of; itself if it is none."""
        notes = self._calls.notes.get(call_id)
        return str(notes[2][0]) if notes and notes[1] is OTHER_HALF else call_id

    def legs_of(self, call_id: str) -> list[str]:
        """The Call-IDs of the other legs. Looks at all calls: for people only."""
        of_others = [OTHER_HALF, (call_id,)]
        return [leg for leg, notes in self._calls.notes.items() if notes[1:3] == of_others]

    def knows(self, call_id: str) -> bool:
        """True if anything was decided about it."""
        return any(call_id in shelf.notes for shelf in self._shelves())

    def of(self, call_id: str) -> list[dict[str, Any]]:
        """All that was decided about a call, in order, in words."""
        call_id = self.main(call_id)
        lists = [notes for shelf in self._shelves()[::-1] if (notes := shelf.notes.get(call_id))]
        rows = sorted((row for notes in lists for row in _rows(notes)), key=lambda row: row[0])
        ahead = self._wall_clock() - self._clock()
        return [clause.decision(round(now + ahead, 3), facts) for now, clause, facts in rows]

    def beginning_with(self, beginning: str, *, limit: int = 10) -> list[str]:
        """Call-IDs that begin so, the newest first; for people, who do not type them whole."""
        found = (
            call_id
            for shelf in self._shelves()
            for call_id in reversed(shelf.notes)
            if call_id.startswith(beginning)
        )
        return list(dict.fromkeys(islice(found, limit)))

    def _shelves(self) -> tuple[_Shelf, _Shelf, _Shelf]:
        return self._calls, self._others, self._strangers


def _rows(notes: list[Any]) -> list[tuple[float, Clause, Facts]]:
    return list(zip(notes[::3], notes[1::3], notes[2::3], strict=True))


def _began(notes: list[Any]) -> float:
    return float(notes[0]) if notes else float("-inf")
