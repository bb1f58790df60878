# SPDX-License-Identifier: Apache-2.0
"""When is something due? T1, T2, T4 and the table of RFC 3261 (appendix A), and the calendar of deadlines.

The calendar has slots of a sixteenth of a second. What is due in a slot lies there unordered until the slot
begins; then it is sorted by (instant, order of arming). So deadlines of the same instant expire in the order
in which they were armed, on every machine and in every run; to arm and to cancel costs one entry of a
dictionary each, for any number of them; and what is cancelled takes no room.

A transaction stands in the calendar itself, so that its one deadline is no object more. And what only waits
for repetitions (Timers D, I, J, K, L, M: four waits a call) *lingers*: nobody sees when that ends, so all
that end in a slot end together when it is over. That costs an entry in a list, and at 500 calls a second the
process wakes 16 times a second for it instead of 2000 times.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import ceil
from typing import Protocol

SLOTS_PER_SECOND = 16


@dataclass(frozen=True, slots=True)
class Timers:
    """The settable times, in seconds. The letters are those of RFC 3261 table 4 and RFC 6026."""

    t1: float = 0.5
    """Estimate of the round trip."""
    t2: float = 4.0
    """The longest interval between repetitions of a non-INVITE request or of a response to INVITE."""
    t4: float = 5.0
    """How long a message may stay in the network."""
    d: float = 32.0
    """Timer D on UDP: how long repeated failures to our INVITE are acknowledged; at least 32 s."""
    trying_delay: float = 0.2
    """17.2.1: an INVITE that nobody answered for so long is answered 100."""
    failover_delay: float = 1.5
    """With another target at hand, a target that says nothing for so long is left (RFC 3263 4.3)."""

    transaction_timeout: float = field(init=False)
    """64*T1: Timers B, F, H, J, L and M; also how long a cancelled INVITE may take (9.1)."""
    non_invite_trying_delay: float = field(init=False)
    """RFC 4320 4.1: no 100 before the client's Timer E has been reset to T2, and one then."""

    def __post_init__(self) -> None:
        elapsed, interval = 0.0, self.t1
        while 0 < interval < self.t2:
            elapsed += interval
            interval *= 2
        object.__setattr__(self, "transaction_timeout", 64 * self.t1)
        object.__setattr__(self, "non_invite_trying_delay", elapsed)


class Due(Protocol):
    """What can stand in the calendar, once. The calendar writes both notes."""

    due_at: float
    slot: dict[Due, None] | None
    """Where it stands: to delete it there is to cancel it (`disarm`)."""

    def expire(self, now: float) -> None: ...


class Lingering(Protocol):
    """What nobody takes out of the calendar again."""

    def end_wait(self, now: float) -> None: ...


class Deadline:
    """A call that is due at one instant. Cancelling twice, or after it expired, does nothing."""

    __slots__ = ("_call", "due_at", "slot")

    def __init__(self, call: Callable[[float], None]) -> None:
        self._call: Callable[[float], None] | None = call
        self.due_at = 0.0
        self.slot: dict[Due, None] | None = None

    def cancel(self) -> None:
        """It will not be called. What it refers to is let go at once."""
        self._call = None
        disarm(self)

    def expire(self, now: float) -> None:
        """For the calendar: its instant has come."""
        call, self._call = self._call, None
        if call is not None:
            call(now)


def disarm(one: Due, _now: float = 0.0) -> None:
    """Take it out of the calendar, if it stands there. It is an action of machines as well."""
    slot = one.slot
    if slot is not None:
        one.slot = None
        del slot[one]


class Slot:
    """A sixteenth of a second: what is due in it, and what has lingered long enough when it begins."""

    __slots__ = ("due", "over")

    def __init__(self) -> None:
        self.due: dict[Due, None] = {}
        self.over: list[Lingering] = []


class Deadlines:
    """All deadlines of one stack, 100 000 and more."""

    __slots__ = ("_current", "_now", "_numbers", "_opened", "_place", "_slots", "_sorted")

    def __init__(self) -> None:
        self._now = float("-inf")
        self._slots: dict[int, Slot] = {}
        self._numbers: list[int] = []  # a heap of their keys
        self._current = -1  # the slot that is opened; what is armed for it or before comes into it
        self._opened: dict[Due, None] = {}
        self._sorted: list[tuple[float, int, Due]] = []  # its entries; what is cancelled is skipped
        self._place = 0  # how much of _sorted is done

    def __len__(self) -> int:
        """How many are pending."""
        return len(self._opened) + sum(len(slot.due) + len(slot.over) for slot in self._slots.values())

    def arm(self, at: float, call: Callable[[float], None]) -> Deadline:
        """`call(now)` is called by the first `expire(now)` with `now >= at`."""
        deadline = Deadline(call)
        self.enter(at, deadline)
        return deadline

    def enter(self, at: float, one: Due) -> None:
        """The same for what stands in the calendar itself: `one.expire(now)`. It stands nowhere else then."""
        if one.slot is not None:
            disarm(one)
        slot = self._slots.get(int(at * SLOTS_PER_SECOND))
        due = self._due_at(at, one) if slot is None else slot.due
        one.due_at = at
        one.slot = due
        due[one] = None

    def linger(self, until: float, one: Lingering) -> None:
        """`one.end_wait(now)` is called when the slot of that instant is over: not before it."""
        number = ceil(until * SLOTS_PER_SECOND)
        slot = self._slots.get(number)
        if slot is None:
            slot = self._new_slot(number)
        slot.over.append(one)

    def next(self) -> float | None:
        """When `expire` is wanted: not after the earliest deadline.

        Slots are opened when they begin; before that nobody need know which of theirs is first.
        """
        while True:
            if self._sorted:
                while self._place < len(self._sorted):
                    at, _, one = self._sorted[self._place]
                    if one in self._opened and one.due_at == at:
                        return at
                    self._place += 1
                self._sorted, self._place = [], 0
            if not self._numbers:
                return None
            number = self._numbers[0]
            slot = self._slots[number]
            begins = number / SLOTS_PER_SECOND
            if slot.over or (slot.due and begins > self._now):
                return begins
            if slot.due:
                self._open_next_slot()
            else:  # all was cancelled
                del self._slots[heappop(self._numbers)]

    def expire(self, now: float) -> None:
        """Call what is due, earliest first; also what these calls arm, if it is due as well."""
        self._now = now
        while (at := self.next()) is not None and at <= now:
            if self._place < len(self._sorted):
                one = self._sorted[self._place][2]
                self._place += 1
                disarm(one)
                one.expire(now)
            else:
                for lingering in self._open_next_slot():
                    lingering.end_wait(now)

    def _due_at(self, at: float, one: Due) -> dict[Due, None]:
        """For what comes into the slot that is open, or into a new one."""
        number = int(at * SLOTS_PER_SECOND)
        if number > self._current:
            return self._new_slot(number).due
        insort(self._sorted, (at, len(self._sorted), one), lo=self._place)
        return self._opened

    def _new_slot(self, number: int) -> Slot:
        heappush(self._numbers, number)
        slot = self._slots[number] = Slot()
        return slot

    def _open_next_slot(self) -> list[Lingering]:
        """Sorting is cheap: what waits equally long was armed in order. The result: whose wait is over."""
        self._current = heappop(self._numbers)
        slot = self._slots.pop(self._current)
        self._opened, self._place = slot.due, 0
        self._sorted = [(one.due_at, order, one) for order, one in enumerate(slot.due)]
        self._sorted.sort()
        return slot.over
