# SPDX-License-Identifier: Apache-2.0
"""When is something due? T1, T2, T4 and the table of RFC 3261 (appendix A), and the queue of deadlines.

The queue is a calendar: deadlines lie in slots of a sixteenth of a second, unordered, until their slot
begins; then it is sorted by (instant, order of arming). So deadlines of the same instant expire in the
order in which they were armed, on every machine and in every run, and arming (0.5 us) and cancelling
(0.1 us) cost the same for any number of them; what is cancelled takes no room. Nearly every deadline of a
transaction is cancelled long before its slot comes up; what never is (the waits for repetitions) is armed
for good and costs half.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush

SLOTS_PER_SECOND = 16

Expired = Callable[[float], None]


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

    def __post_init__(self) -> None:
        object.__setattr__(self, "transaction_timeout", 64 * self.t1)

    @property
    def non_invite_trying_delay(self) -> float:
        """RFC 4320 4.1: no 100 before the client's Timer E has been reset to T2, and one then."""
        elapsed, interval = 0.0, self.t1
        while 0 < interval < self.t2:
            elapsed += interval
            interval *= 2
        return elapsed


class Deadline:
    """One thing that is due at one instant. Cancelling twice, or after it expired, does nothing."""

    __slots__ = ("_order", "_slot", "at", "call")

    def __init__(self, at: float, call: Expired, order: int) -> None:
        self.at = at
        self.call: Expired | None = call
        self._order = order
        self._slot: dict[Deadline, None] | None = None

    def cancel(self) -> None:
        """It will not be called. What it refers to is let go at once."""
        if self.call is not None:
            self.call = None
            if self._slot is not None:
                del self._slot[self]


#: Instant, order of arming, and what is due: a deadline, or a call that was armed for good.
Entry = tuple[float, int, Deadline | None, Expired | None]


class Deadlines:
    """All deadlines of one stack, 100 000 and more."""

    __slots__ = ("_armed", "_current", "_for_good", "_now", "_numbers", "_opened", "_place", "_slots")

    def __init__(self) -> None:
        self._armed = 0
        self._now = float("-inf")
        self._slots: dict[int, dict[Deadline, None]] = {}
        self._for_good: dict[int, list[Entry]] = {}
        self._numbers: list[int] = []  # a heap of the keys of both
        self._current = -1  # the slot that is opened; what is armed for it or before comes into _opened
        self._opened: list[Entry] = []  # sorted
        self._place = 0  # how much of _opened is done

    def __len__(self) -> int:
        """How many are pending."""
        later = (*self._slots.values(), *self._for_good.values())
        return sum(map(_is_pending, self._opened[self._place :])) + sum(map(len, later))

    def arm(self, at: float, call: Expired) -> Deadline:
        """`call(now)` is called by the first `expire(now)` with `now >= at`."""
        self._armed = order = self._armed + 1
        deadline = Deadline(at, call, order)
        number = int(at * SLOTS_PER_SECOND)
        if number <= self._current:
            insort(self._opened, (at, order, deadline, None), lo=self._place)
            return deadline
        slot = self._slots.get(number)
        if slot is None:
            slot = self._slots[number] = {}
            if number not in self._for_good:
                heappush(self._numbers, number)
        slot[deadline] = None
        deadline._slot = slot
        return deadline

    def arm_for_good(self, at: float, call: Expired) -> None:
        """The same for what nobody ever cancels."""
        self._armed = order = self._armed + 1
        number = int(at * SLOTS_PER_SECOND)
        if number <= self._current:
            insort(self._opened, (at, order, None, call), lo=self._place)
            return
        slot = self._for_good.get(number)
        if slot is None:
            slot = self._for_good[number] = []
            if number not in self._slots:
                heappush(self._numbers, number)
        slot.append((at, order, None, call))

    def next(self) -> float | None:
        """When `expire` is wanted: not after the earliest deadline.

        Slots are opened when they begin; before that nobody need know which of theirs is first.
        """
        while True:
            opened = self._opened
            while self._place < len(opened):
                entry = opened[self._place]
                if _is_pending(entry):
                    return entry[0]
                self._place += 1
            if opened:
                self._opened, self._place = [], 0
            if not self._numbers:
                return None
            number = self._numbers[0]
            if self._slots.get(number) or number in self._for_good:
                begins = number / SLOTS_PER_SECOND
                if begins > self._now:
                    return begins
            self._open_next_slot()

    def expire(self, now: float) -> None:
        """Call what is due, earliest first; also what these calls arm, if it is due as well."""
        self._now = now
        while (at := self.next()) is not None and at <= now:
            _, _, deadline, call = self._opened[self._place]
            self._place += 1
            if deadline is not None:
                call, deadline.call = deadline.call, None
            assert call is not None
            call(now)

    def _open_next_slot(self) -> None:
        """Sorting is cheap: what waits equally long was armed in order."""
        number = heappop(self._numbers)
        entries = self._for_good.pop(number, [])
        for deadline in self._slots.pop(number, ()):
            deadline._slot = None
            entries.append((deadline.at, deadline._order, deadline, None))
        if entries:
            self._current = number
            entries.sort()
            self._opened, self._place = entries, 0


def _is_pending(entry: Entry) -> bool:
    return entry[2] is None or entry[2].call is not None
