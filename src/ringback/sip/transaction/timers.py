# SPDX-License-Identifier: Apache-2.0
"""When is something due? T1, T2, T4 and the table of RFC 3261 (appendix A), and the queue of deadlines.

The queue is a heap of (instant, order of arming): deadlines of the same instant expire in the order in
which they were armed, on every machine and in every run. Cancelling only marks an entry; marked entries
leave when they come to the top, or all at once when they are more than half of the heap. So arming is a
heap push, cancelling is constant, and `next()` looks at one entry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

#: Below this many cancelled entries sweeping the heap is not worth its time.
SWEEP_FLOOR = 64

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

    @property
    def transaction_timeout(self) -> float:
        """Timers B, F, H, J, L and M; also how long a cancelled INVITE may take (9.1)."""
        return 64 * self.t1

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

    __slots__ = ("_queue", "at", "call")

    def __init__(self, at: float, call: Expired, queue: Deadlines) -> None:
        self.at = at
        self.call: Expired | None = call
        self._queue = queue

    def cancel(self) -> None:
        """It will not be called. What it refers to is let go at once."""
        if self.call is not None:
            self.call = None
            self._queue._cancelled_one()


class Deadlines:
    """All deadlines of one stack, 100 000 and more."""

    __slots__ = ("_cancelled", "_heap", "_order")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Deadline]] = []
        self._order = 0
        self._cancelled = 0

    def __len__(self) -> int:
        """How many are pending."""
        return len(self._heap) - self._cancelled

    def arm(self, at: float, call: Expired) -> Deadline:
        """`call(now)` is called by the first `expire(now)` with `now >= at`."""
        deadline = Deadline(at, call, self)
        self._order += 1
        heappush(self._heap, (at, self._order, deadline))
        return deadline

    def next(self) -> float | None:
        """The instant of the earliest deadline."""
        heap = self._heap
        while heap and heap[0][2].call is None:
            heappop(heap)
            self._cancelled -= 1
        return heap[0][0] if heap else None

    def expire(self, now: float) -> None:
        """Call what is due, earliest first; also what these calls arm, if it is due as well."""
        while (at := self.next()) is not None and at <= now:
            deadline = heappop(self._heap)[2]
            call, deadline.call = deadline.call, None
            assert call is not None
            call(now)

    def _cancelled_one(self) -> None:
        self._cancelled += 1
        if self._cancelled > SWEEP_FLOOR and 2 * self._cancelled > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].call is not None]
            heapify(self._heap)
            self._cancelled = 0
