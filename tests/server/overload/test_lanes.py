# SPDX-License-Identifier: Apache-2.0
"""Is each source served in its turn, is nothing lost or served twice, and do shares come out as promised?"""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ringback.server.overload.lanes import FIRST_REFUSABLE, WEIGHTS, Lane, LaneName, Lanes, Waiting
from ringback.sip.flow import Address, Flow, Transport

FLOW = Flow(Transport.UDP, Address("10.0.0.1", 5060), Address("10.0.0.2", 5060))
SOURCES = ("a", "b", "c")


def waiting(source: str, arrived: float = 0.0) -> Waiting:
    return Waiting((b"", FLOW), source, arrived, 0, (b"", source))


def filled(lane: Lane, *sources: str) -> list[Waiting]:
    ones = [waiting(source, float(number)) for number, source in enumerate(sources)]
    for one in ones:
        lane.add(one)
    return ones


def drained(lane: Lane, *, newest: bool = False) -> list[Waiting]:
    taken = []
    while (one := lane.take(newest=newest)) is not None:
        taken.append(one)
    return taken


class Model:
    """What a lane must do, in the slowest way: one list, in the order of arrival."""

    def __init__(self) -> None:
        self.waits: list[Waiting] = []

    def check_taken(self, one: Waiting | None, *, newest: bool) -> None:
        if one is None:
            assert self.waits == []
            return
        own = [other for other in self.waits if other.source == one.source]
        assert one is own[-1 if newest else 0]
        self.waits.remove(one)

    def check_older(self, one: Waiting | None, than: float) -> None:
        due = [other for other in self.waits if other.arrived < than]
        assert one is (due[0] if due else None)
        if one is not None:
            self.waits.remove(one)


steps = st.one_of(
    st.tuples(st.just("add"), st.sampled_from(SOURCES)),
    st.tuples(st.just("take"), st.booleans()),
    st.tuples(st.just("older"), st.integers(0, 40)),
    st.tuples(st.just("remove"), st.integers(0, 40)),
)


@given(st.lists(steps, max_size=60))
def test_whatever_is_done_to_a_lane_nothing_is_lost_and_nothing_comes_twice(done: list[tuple[str, object]]):
    lane, model = Lane(), Model()
    for instant, (step, argument) in enumerate(done):
        if step == "add":
            one = waiting(str(argument), float(instant))
            lane.add(one)
            model.waits.append(one)
        elif step == "take":
            model.check_taken(lane.take(newest=bool(argument)), newest=bool(argument))
        elif step == "older":
            model.check_older(lane.take_older(float(str(argument))), float(str(argument)))
        elif model.waits:
            one = model.waits.pop(int(str(argument)) % len(model.waits))
            assert lane.remove(one)
            assert not lane.remove(one)
        assert lane.waiting == len(model.waits)
        assert lane.oldest() == (model.waits[0].arrived if model.waits else None)
        for source in SOURCES:
            assert lane.waiting_from(source) == sum(one.source == source for one in model.waits)
    assert set(drained(lane)) == set(model.waits)


@given(st.lists(st.sampled_from(SOURCES), min_size=1, max_size=60), st.booleans())
def test_sources_that_have_something_waiting_are_served_equally(sources: list[str], newest: bool):
    lane = Lane()
    filled(lane, *sources)
    left, served = Counter(sources), Counter[str]()
    while (one := lane.take(newest=newest)) is not None:
        served[one.source] += 1
        left[one.source] -= 1
        busy = [source for source in left if left[source] > 0]
        assert all(served[source] >= max(served.values()) - 1 for source in busy)


def test_a_source_is_served_in_its_own_order_or_under_overload_in_the_reverse():
    lane = Lane()
    ones = filled(lane, "a", "a", "a")
    assert drained(lane) == ones
    ones = filled(lane, "a", "a", "a")
    assert drained(lane, newest=True) == ones[::-1]


def test_a_thousand_strangers_whose_time_ran_out_leave_nothing_behind():
    lane = Lane()
    filled(lane, *(f"10.0.0.{number}" for number in range(1000)))
    while lane.take_older(10_000.0) is not None:
        pass
    assert lane.waiting == len(lane._queues) == len(lane._turns) == len(lane._by_age) == 0


def test_what_is_urgent_goes_first_and_in_the_order_of_what_is_at_stake():
    lanes = Lanes()
    for name in reversed(LaneName):
        lanes[name].add(waiting(name.name))
    taken = [lanes.take_urgent() for _ in range(4)]
    assert [one.source for one in taken if one] == ["EMERGENCY", "UNDERWAY", "HEALTH"]
    assert len(lanes) == 4


def test_the_other_lanes_share_by_weight_and_an_empty_lane_gives_its_turns_away():
    lanes = Lanes()
    for name in WEIGHTS:
        filled(lanes[name], *[name.name] * 100)
    rounds = 3 * sum(WEIGHTS.values())
    served = Counter(one.source for _ in range(rounds) if (one := lanes.take_refusable(newest=False)))
    assert served == {name.name: 3 * weight for name, weight in WEIGHTS.items()}
    while lanes[LaneName.REFRESH].take() is not None:
        pass
    served = Counter(one.source for _ in range(rounds) if (one := lanes.take_refusable(newest=False)))
    assert sum(served.values()) == rounds
    assert served["KNOWN_CALL"] > served["CALL"] > served["OTHER"] > 0


def test_every_lane_is_either_urgent_or_has_a_weight():
    assert {name for name in LaneName if name >= FIRST_REFUSABLE} == set(WEIGHTS)
