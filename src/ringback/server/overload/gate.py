# SPDX-License-Identifier: Apache-2.0
"""Who is served first, who waits, and who is sent away, when more comes than the server can do?

While the server keeps up this gate is open and nothing here runs. Else each message is glanced at and waits
in the lane of what is at stake in it (`stakes.py`, `lanes.py`). Emergency calls, everything that is underway
and health checks are always served. New work waits 0.2 s at most, 1 s in a short burst, and is then refused
in a few microseconds. Under overload the newest goes first: its sender still wants it. And a second hand is
on the rate at which new work begins (`controller.py`).

A request that is repeated while it waits is dropped; one that is repeated after it was refused is refused
once more, and the ACK to the refusal ends here, as long as the refusal is remembered.

All of that is decided here and done by `kernel.Door`, many messages a call: it glances, knows what waits and
what was refused, and writes the refusals. For which sources there is no room it is told (`_place`), until
somebody leaves; so a flood is sent away where it is read from the socket, without an object for a message.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from ringback.kernel import Door, peek
from ringback.server.overload.controller import UNLIMITED, Controller
from ringback.server.overload.costs import Costs
from ringback.server.overload.lanes import FIRST_REFUSABLE, NO_KEY, Key, LaneName, Lanes, Waiting
from ringback.server.overload.recent import Recent
from ringback.server.overload.refusal import END, Refuser
from ringback.server.overload.stakes import LANES_OF_NEW_WORK, Stakes

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


@dataclass(slots=True)
class Slice:
    """What the driver works on."""

    urgent: int = 0
    ages: list[tuple[int, int]] = field(default_factory=list)
    """Of the urgent ones: slices of work that were done when they came, and how many came then."""
    began: float = 0.0
    size: int = 0


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
        self._refused: Recent[Key] = Recent(lifetime=REFUSED_FOR, limit=MOST_REFUSED)
        self.door = Door(secret, self._refused.sets, self._stakes.known.sets, MOST_REFUSED, len(LaneName))
        #: New work that waits.
        self._waiting: dict[Key, Waiting] = self.door.waiting  # type: ignore[assignment]
        #: What the door had counted when we looked last.
        self._counted = (0, 0, 0, 0, 0)
        self._known_room = 0
        self._answers: list[FlowMessage] = []
        self._slice = Slice()
        #: How many were worked on, and how many when nothing waited too long the last time.
        self._slices = self._caught_up = 0
        self._costs = Costs()
        self._now = self._calm_since = self._watchful_until = 0.0
        self._room = MOST_WAITING
        self.change(policy)

    def change(self, policy: OverloadPolicy) -> None:
        """The settings were read."""
        stakes = self._stakes
        stakes.change(emergency_numbers=policy.emergency_numbers, trunks=policy.trunks)
        self._refuser = Refuser(self._secret, retry_after=policy.retry_after, wall_clock=self._wall_clock)
        self.door.rule(
            lanes=LANES_OF_NEW_WORK,
            numbers=stakes.emergency,
            trunks=stakes.trunks,
            ends=self._refuser.ends,
            last_end=END,
        )

    def status(self) -> dict[str, object]:
        """Counters, and how it stands now."""
        self._count()
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
        self._now = now
        underway, answers = self.door.sort(batch, self._place, self._sort_other, self._refuse_odd)
        self._answers += answers
        if underway:
            self._sort_underway(underway)
        self._count()

    def take(self, now: float) -> list[FlowMessage]:
        """The next slice: all that is urgent, and then what has a permit."""
        self._look(now)
        lanes, costs = self._lanes, self._costs
        taken, ages = lanes.take_all_urgent(costs.urgent_in(SLICE_TIME))
        self._slice = Slice(len(taken), ages, now)
        room = costs.new_in(SLICE_TIME, beside=len(taken))
        for _ in range(min(room, sum(lane.waiting for lane in lanes.refusable))):
            if not self._controller.grants(now):
                break
            one = lanes.take_refusable(newest=self.is_overloaded)
            assert one is not None
            self._waiting.pop(one.key, None)
            taken.append(one.message)
        self._slice.size = len(taken)
        self._make_room()
        if not taken and not len(lanes):
            self.is_open = not self.is_overloaded and now >= self._watchful_until and not len(self._refused)
        return taken

    def answers(self) -> list[FlowMessage]:
        """Refusals, each only once."""
        answers, self._answers = self._answers, []
        return answers

    def pause(self) -> float | None:
        """When to `take` again."""
        if not len(self._lanes) and not self._slice.size:
            return None
        return 0.0 if self._slice.size else PAUSE

    def late(self, seconds: float, now: float) -> None:
        """The loop is behind: look at everything for a while."""
        if seconds > LATE:
            self._close(now)
            self._watchful_until = now + WATCHFUL

    def trust(self, flow: Flow, now: float) -> None:
        """The peer on this flow proved who it is."""
        self._stakes.trust(flow, now)

    # --- inside: what came

    def _close(self, now: float) -> None:
        if self.is_open:
            self.is_open = False
            self._controller.restart(now)

    def _place(self, message: FlowMessage, name: int, key: Key) -> bool:
        """New work waits. False: nobody takes more than half of the room that is left; who has nothing there
        always has room.
        """
        lane, source = self._lanes[name], message[1].remote.host
        waiting = lane.waiting_from(source)
        if waiting >= self._room - lane.waiting and (waiting or lane.waiting >= MOST_WAITING):
            return False
        one = Waiting(message, source, self._now, self._slices, key)
        lane.add(one)
        if key:  # without a branch, repetitions cannot be told from other requests
            self._waiting[key] = one
        return True

    def _sort_underway(self, messages: list[FlowMessage]) -> None:
        lanes, lane = self._lanes, self._lanes[UNDERWAY]
        if lanes.add_in_order(messages, self._slices):
            return
        for message in messages:
            source = message[1].remote.host
            if lane.waiting_from(source) >= MOST_WAITING - lane.waiting:
                self.counters.dropped += 1
            else:
                lane.add(Waiting(message, source, self._now, self._slices, NO_KEY))

    def _sort_other(self, message: FlowMessage, key: Key) -> None:
        """What the door leaves to us: calls for help, health checks, and who gives up what waits."""
        data, flow = message
        glance = peek(data)
        assert glance is not None
        method, has_to_tag, branch = glance
        if method == b"CANCEL":
            self._cancel(message, key, branch)
            return
        name = self._stakes.lane_of(data, flow, method, has_to_tag=has_to_tag)
        lane = self._lanes[name]
        if name < FIRST_REFUSABLE and lane.waiting_from(flow.remote.host) < MOST_URGENT:
            lane.add(Waiting(message, flow.remote.host, self._now, self._slices, key))
        else:
            self._sort_new_work(message, LESS_URGENT.get(name, name), key)

    def _sort_new_work(self, message: FlowMessage, name: LaneName, key: Key) -> None:
        if key in self._waiting:
            self.counters.repeated += 1
        elif key in self._refused or not self._place(message, name, key):
            self._answers += self.door.refuse([message], self._refuse_odd)

    def _cancel(self, cancel: FlowMessage, key: Key, branch: bytes) -> None:
        """The call that is given up was not even looked at."""
        one = self._waiting.pop(key)
        next(lane for lane in self._lanes.refusable if lane.remove(one))
        self._refused.add(key, self._now)
        self._answers += self._refuser.cancel(one.message, cancel, branch)
        self.counters.cancelled += 1

    def _refuse_odd(self, message: FlowMessage) -> None:
        """What the door cannot write."""
        glance = peek(message[0])
        is_trunk = self._stakes.is_trunk(message[1])
        branch = glance[2] if glance is not None else b""
        answer = self._refuser.refuse(message, branch, is_trunk=is_trunk, loss=self._controller.loss)
        self._controller.refused += 1
        if answer is None:
            self.counters.dropped += 1
        else:
            self.counters.refused += 1
            self._answers.append(answer)

    # --- inside: how it goes

    def _look(self, now: float) -> None:
        """What was worked on is measured, and what waited too long is refused."""
        if self._slice.size:
            self._measure(now)
        self._count()
        self._refused.forget(now)
        self._judge(now)
        self._controller.look(now, is_overloaded=self.is_overloaded)
        patience = PATIENCE if self.is_overloaded else LONGEST_PATIENCE
        # What could not begin before its time is over is better refused at once: that costs half as much.
        soon = max(LEAST_ROOM, int(PATIENCE * self._controller.begun_rate))
        self._room = min(soon, MOST_WAITING) if self.is_overloaded else MOST_WAITING
        refusable = [lane for lane in self._lanes.refusable if lane.waiting]
        late = [one for lane in refusable for one in lane.take_all_older(now - patience)]
        if late:
            for one in late:
                self._waiting.pop(one.key, None)
            self._answers += self.door.refuse([one.message for one in late], self._refuse_odd)
            self._count()
        self._make_room()

    def _make_room(self) -> None:
        """When somebody left, or more may wait: those for whom there was no room may try again."""
        room = self._lanes.left + self._room
        if room != self._known_room:
            self._known_room = room
            for hosts in self.door.full:
                hosts.clear()

    def _count(self) -> None:
        """What the door did since we looked."""
        door, was, counters = self.door, self._counted, self.counters
        seen = (door.seen, door.refusals, door.repeated, door.absorbed, door.unreadable)
        if seen == was:
            return
        self._counted = seen
        counters.sorted += seen[0] - was[0]
        counters.refused += seen[1] - was[1]
        self._controller.refused += seen[1] - was[1]
        counters.repeated += seen[2] - was[2]
        counters.absorbed_acks += seen[3] - was[3]
        counters.dropped += seen[4] - was[4]

    def _measure(self, now: float) -> None:
        """Only of what is urgent does the time say that we are slow: the other lanes are there to wait in."""
        self._slices += 1
        done, self._slice = self._slice, Slice()
        for slices, count in done.ages:
            self._controller.worked(self._slices - slices, count)
        self._costs.measure(now - done.began, urgent=done.urgent, new=done.size - done.urgent)

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
