# SPDX-License-Identifier: Apache-2.0
"""Who is served first, who waits, and who is sent away, when more comes than the server can do?

While the server keeps up this gate is open and nothing here runs. Else each message is glanced at
(`kernel.peek`) and waits in the lane of what is at stake in it (`stakes.py`, `lanes.py`). Emergency calls,
everything that is underway and health checks are always served. New work waits 0.2 s at most, 1 s in a
short burst, and is then refused in a few microseconds (`refusal.py`). Under overload the newest goes first:
its sender still wants it. And a second hand is on the rate at which new work begins (`controller.py`).

A request that is repeated while it waits is dropped; one that is repeated after it was refused is refused
once more, and the ACK to the refusal ends here, as long as the refusal is remembered.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ringback.kernel import peek
from ringback.server.overload.controller import UNLIMITED, Controller
from ringback.server.overload.costs import Costs
from ringback.server.overload.lanes import FIRST_REFUSABLE, Key, Lane, LaneName, Lanes, Waiting
from ringback.server.overload.recent import Recent
from ringback.server.overload.refusal import Refuser
from ringback.server.overload.stakes import Stakes

if TYPE_CHECKING:
    from ringback.net.gate import FlowMessage
    from ringback.sip.flow import Flow

logger = logging.getLogger("ringback.overload")

#: What is worked on in one go takes about so many seconds.
SLICE_TIME = 0.004
#: Messages that may wait in one lane; one source may take half of the room that is left.
MOST_WAITING = 8192
LEAST_ROOM = 64
#: Emergency calls and health checks of one source that go first; more of them is no emergency.
MOST_URGENT = 16
#: How long new work may wait: under overload, and in a burst.
PATIENCE, LONGEST_PATIENCE = 0.2, 1.0
#: It is overload when something always waited longer than this while we worked on so many slices. With a
#: burst, or a machine that gave us no processor for a while, we catch up sooner. Callers repeat after 0.5 s.
TOO_LATE, SLICES_IN_VAIN = 0.4, 16
#: So long nothing may have waited half as long as PATIENCE, before the overload is over.
CALM = 1.0
#: So long refusals are remembered at least, or so many: a repetition that crossed a refusal comes by then.
REFUSED_FOR, MOST_REFUSED = 2.0, 32_768
#: A timer that is served so late says that the loop is behind; the gate watches for so long then.
LATE, WATCHFUL = 0.05, 1.0
#: When no permit is left for what waits, we look again so much later.
PAUSE = 0.005

UNDERWAY = LaneName.UNDERWAY
#: Where more of one source goes than can be urgent.
LESS_URGENT = {LaneName.EMERGENCY: LaneName.CALL, LaneName.HEALTH: LaneName.OTHER}


@dataclass(frozen=True, slots=True)
class OverloadPolicy:
    """What the settings say."""

    emergency_numbers: tuple[str, ...] = ("112", "911")
    trunks: tuple[str, ...] = ()
    retry_after: tuple[int, int] = (5, 30)


@dataclass(slots=True)
class OverloadCounters:
    """What the gate did. All only grow."""

    sorted: int = 0
    """Messages that were glanced at."""
    refused: int = 0
    """Requests answered 503."""
    repeated: int = 0
    """Repetitions of what waits, dropped."""
    absorbed_acks: int = 0
    cancelled: int = 0
    """Calls given up before they were looked at."""
    dropped: int = 0
    """Without an answer: no SIP, or too much of one source in a lane that is never refused."""
    overloads: int = 0
    """How often it began."""


class OverloadGate:
    """The `ringback.net.gate.MessageGate` of a server. `secret` is random, at least 16 bytes."""

    def __init__(self, policy: OverloadPolicy, *, secret: bytes, wall_clock: Callable[[], float]) -> None:
        self.is_open = True
        self.is_overloaded = False
        self.counters = OverloadCounters()
        self._secret = secret
        self._wall_clock = wall_clock
        self._stakes = Stakes()
        self._lanes = Lanes()
        self._controller = Controller()
        #: New work that waits.
        self._waiting: dict[Key, Waiting] = {}
        self._refused: Recent[Key] = Recent(lifetime=REFUSED_FOR, limit=MOST_REFUSED)
        self._answers: list[FlowMessage] = []
        #: What the driver works on.
        self._slice: list[Waiting] = []
        self._urgent_taken = 0
        #: How many were worked on, and how many when nothing waited too long the last time.
        self._slices = self._caught_up = 0
        self._slice_began = 0.0
        self._costs = Costs()
        self._calm_since = self._watchful_until = 0.0
        self._room = MOST_WAITING
        self.change(policy)

    def change(self, policy: OverloadPolicy) -> None:
        """The settings were read."""
        self._stakes.change(emergency_numbers=policy.emergency_numbers, trunks=policy.trunks)
        self._refuser = Refuser(self._secret, retry_after=policy.retry_after, wall_clock=self._wall_clock)

    def status(self) -> dict[str, object]:
        """Counters, and how it stands now."""
        rate = self._controller.rate
        return {
            **asdict(self.counters),
            "waiting": len(self._lanes),
            "is_overloaded": int(self.is_overloaded),
            "new_work_a_second": 0 if rate == UNLIMITED else round(rate),
        }

    # --- MessageGate

    def sort(self, batch: Sequence[FlowMessage], now: float) -> None:
        """Take over what came."""
        self._close(now)
        self._look(now)
        self.counters.sorted += len(batch)
        for message in batch:
            glance = peek(message[0])
            if glance is None:
                self.counters.dropped += 1
            else:
                self._sort(message, glance, now)

    def take(self, now: float) -> list[FlowMessage]:
        """The next slice: all that is urgent, and then what has a permit."""
        self._look(now)
        lanes, taken, costs = self._lanes, self._slice, self._costs
        while len(taken) < costs.urgent_in(SLICE_TIME) and (one := lanes.take_urgent()) is not None:
            taken.append(one)
        self._urgent_taken = len(taken)
        room = costs.new_in(SLICE_TIME, beside=len(taken))
        for _ in range(min(room, sum(lane.waiting for lane in lanes.refusable))):
            if not self._controller.grants(now):
                break
            one = lanes.take_refusable(newest=self.is_overloaded)
            assert one is not None
            self._waiting.pop(one.key, None)
            taken.append(one)
        self._slice_began = now
        if not taken and not len(lanes):
            self.is_open = not self.is_overloaded and now >= self._watchful_until and not len(self._refused)
        return [one.message for one in taken]

    def answers(self) -> list[FlowMessage]:
        """Refusals, each only once."""
        answers, self._answers = self._answers, []
        return answers

    def pause(self) -> float | None:
        """When to `take` again."""
        if not len(self._lanes) and not self._slice:
            return None
        return 0.0 if self._slice else PAUSE

    def late(self, seconds: float, now: float) -> None:
        """The loop is behind: look at everything for a while."""
        if seconds > LATE:
            self._close(now)
            self._watchful_until = now + WATCHFUL

    def trust(self, flow: Flow, now: float) -> None:
        """The peer on this flow proved who it is."""
        self._stakes.trust(flow, now)

    # --- inside

    def _close(self, now: float) -> None:
        if self.is_open:
            self.is_open = False
            self._controller.restart(now)

    def _sort(self, message: FlowMessage, glance: tuple[bytes, bool, bytes], now: float) -> None:
        data, flow = message
        method, has_to_tag, branch = glance
        source = flow.remote.host
        key = (branch, source)
        name = self._stakes.lane_of(data, flow, method, has_to_tag=has_to_tag)
        if name >= FIRST_REFUSABLE:
            self._sort_new_work(message, name, key, now)
        elif method == b"ACK" and key in self._refused:
            self.counters.absorbed_acks += 1
        elif method == b"CANCEL" and key in self._waiting:
            self._cancel(message, key, now)
        else:
            self._sort_urgent(message, name, key, now)

    def _sort_urgent(self, message: FlowMessage, name: LaneName, key: Key, now: float) -> None:
        lane, source = self._lanes[name], key[1]
        waiting = lane.waiting_from(source)
        if name is not UNDERWAY and waiting >= MOST_URGENT:
            self._sort_new_work(message, LESS_URGENT[name], key, now)
        elif waiting >= MOST_WAITING - lane.waiting:
            self.counters.dropped += 1
        else:
            lane.add(Waiting(message, source, now, self._slices, key))

    def _sort_new_work(self, message: FlowMessage, name: LaneName, key: Key, now: float) -> None:
        lane, source = self._lanes[name], key[1]
        if key in self._waiting:
            self.counters.repeated += 1
        elif key in self._refused or not self._has_room(lane, source):
            self._refuse(message, key, now)
        else:
            one = Waiting(message, source, now, self._slices, key)
            lane.add(one)
            if key[0]:  # without a branch, repetitions cannot be told from other requests
                self._waiting[key] = one

    def _has_room(self, lane: Lane, source: str) -> bool:
        """Nobody takes more than half of the room that is left; who has nothing there always has room."""
        waiting = lane.waiting_from(source)
        return waiting < self._room - lane.waiting or (not waiting and lane.waiting < MOST_WAITING)

    def _cancel(self, cancel: FlowMessage, key: Key, now: float) -> None:
        """The call that is given up was not even looked at."""
        one = self._waiting.pop(key)
        next(lane for lane in self._lanes.refusable if lane.remove(one))
        self._refused.add(key, now)
        self._answers += self._refuser.cancel(one.message, cancel, key[0])
        self.counters.cancelled += 1

    def _refuse(self, message: FlowMessage, key: Key, now: float) -> None:
        self._controller.refused += 1
        self._refused.add(key, now)
        is_trunk = self._stakes.is_trunk(message[1])
        answer = self._refuser.refuse(message, key[0], is_trunk=is_trunk, loss=self._controller.loss)
        if answer is None:
            self.counters.dropped += 1
        else:
            self.counters.refused += 1
            self._answers.append(answer)

    def _look(self, now: float) -> None:
        """What was worked on is measured, and what waited too long is refused."""
        if self._slice:
            self._measure(now)
        self._refused.forget(now)
        self._judge(now)
        self._controller.look(now, is_overloaded=self.is_overloaded)
        patience = PATIENCE if self.is_overloaded else LONGEST_PATIENCE
        # What could not begin before its time is over is better refused at once: that costs half as much.
        soon = max(LEAST_ROOM, int(PATIENCE * self._controller.begun_rate))
        self._room = min(soon, MOST_WAITING) if self.is_overloaded else MOST_WAITING
        for lane in self._lanes.refusable:
            while (old := lane.take_older(now - patience)) is not None:
                self._waiting.pop(old.key, None)
                self._refuse(old.message, old.key, now)

    def _measure(self, now: float) -> None:
        """Only of what is urgent does the time say that we are slow: the other lanes are there to wait in."""
        self._slices += 1
        for one in self._slice[: self._urgent_taken]:
            self._controller.worked(self._slices - one.slices)
        urgent = self._urgent_taken
        self._costs.measure(now - self._slice_began, urgent=urgent, new=len(self._slice) - urgent)
        self._slice.clear()

    def _judge(self, now: float) -> None:
        """Overload is a queue that stands (RFC 8289): what waits longest is always too old. Calm ends it."""
        oldest = self._lanes.oldest_refusable()
        age = now - oldest if oldest is not None else 0.0
        if age >= PATIENCE / 2:
            self._calm_since = now
        if age < TOO_LATE:
            self._caught_up = self._slices
        if not self.is_overloaded and self._slices - self._caught_up >= SLICES_IN_VAIN:
            self.is_overloaded = True
            self.counters.overloads += 1
            logger.warning("more comes than we can do: new calls may be refused")
        elif self.is_overloaded and now - self._calm_since >= CALM:
            self.is_overloaded = False
            logger.warning("overload is over: %d requests were refused so far", self.counters.refused)
