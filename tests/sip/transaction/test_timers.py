# SPDX-License-Identifier: Apache-2.0
from dataclasses import dataclass, field
from time import process_time

from hypothesis import given
from hypothesis import strategies as st

from ringback.sip.transaction.timers import Deadlines, Due, Timers, disarm


def test_derived_times_follow_t1() -> None:
    assert Timers().transaction_timeout == 32.0
    assert Timers().non_invite_trying_delay == 3.5
    assert Timers(t1=1.0).transaction_timeout == 64.0
    assert Timers(t1=1.0).non_invite_trying_delay == 3.0


def test_a_deadline_expires_once_and_not_before_its_instant() -> None:
    deadlines, calls = Deadlines(), []
    deadlines.arm(2.0, calls.append)
    deadlines.expire(1.999)
    assert calls == []
    assert deadlines.next() == 2.0
    deadlines.expire(2.0)
    deadlines.expire(3.0)
    assert calls == [2.0]
    assert deadlines.next() is None


@dataclass(eq=False)
class Stay:
    """Something that stands in the calendar itself."""

    deadlines: Deadlines
    log: list[tuple[str, float]] = field(default_factory=list)
    due_at: float = 0.0
    slot: "dict[Due, None] | None" = None

    def expire(self, now: float) -> None:
        self.log.append(("expire", now))

    def end_wait(self, now: float) -> None:
        self.log.append(("end", now))


def test_what_stands_in_the_calendar_itself_keeps_its_place_among_the_others() -> None:
    deadlines, order = Deadlines(), []
    deadlines.arm(1.0, lambda now: order.append("first"))
    stay = Stay(deadlines, order)  # type: ignore[arg-type]
    deadlines.enter(1.0, stay)
    deadlines.arm(1.0, lambda now: order.append("last"))
    assert len(deadlines) == 3
    deadlines.expire(1.0)
    assert order == ["first", ("expire", 1.0), "last"]
    assert stay.slot is None


def test_what_is_entered_again_expires_once_at_its_new_instant() -> None:
    deadlines = Deadlines()
    stay = Stay(deadlines)
    deadlines.enter(9.0, stay)
    deadlines.enter(1.01, stay)
    deadlines.expire(1.0)  # its slot is open now
    for instant in (1.02, 1.01, 1.04):
        deadlines.enter(instant, stay)
    assert len(deadlines) == 1
    assert deadlines.next() == 1.04
    deadlines.expire(2.0)
    disarm(stay)
    assert stay.log == [("expire", 2.0)]
    assert deadlines.next() is None


def test_what_lingers_ends_with_its_slot_and_never_early() -> None:
    deadlines = Deadlines()
    stay = Stay(deadlines)
    for until in (1.0, 1.001, 1.0625):
        deadlines.linger(until, stay)
    assert len(deadlines) == 3
    assert deadlines.next() == 1.0
    deadlines.expire(1.0)
    assert stay.log == [("end", 1.0)]
    assert deadlines.next() == 1.0625
    deadlines.expire(1.0625)
    assert stay.log[1:] == [("end", 1.0625)] * 2
    assert deadlines.next() is None


@given(st.lists(st.floats(0, 50), max_size=100))
def test_all_that_lingers_ends_within_a_sixteenth_of_a_second(plan: list[float]) -> None:
    deadlines, ended = Deadlines(), []
    for until in plan:
        stay = Stay(deadlines)
        stay.end_wait = lambda now, until=until: ended.append(now - until)  # type: ignore[method-assign]
        deadlines.linger(until, stay)
    while (at := deadlines.next()) is not None:
        deadlines.expire(at)
    assert len(ended) == len(plan)
    assert all(0 <= late <= 0.0625 for late in ended)


def test_a_cancelled_deadline_never_expires_and_may_be_cancelled_again() -> None:
    deadlines, calls = Deadlines(), []
    deadline = deadlines.arm(1.0, calls.append)
    deadline.cancel()
    deadline.cancel()
    deadlines.expire(5.0)
    assert calls == []
    assert len(deadlines) == 0


def test_cancelling_after_the_end_changes_nothing() -> None:
    deadlines, calls = Deadlines(), []
    deadline = deadlines.arm(1.0, calls.append)
    deadlines.arm(9.0, calls.append)
    deadlines.expire(1.0)
    deadline.cancel()
    assert len(deadlines) == 1
    assert deadlines.next() == 9.0


def test_equal_instants_expire_in_the_order_of_arming() -> None:
    deadlines, order = Deadlines(), []
    for number in range(10):
        deadlines.arm(1.0, lambda now, number=number: order.append(number))  # type: ignore[misc]
    deadlines.expire(1.0)
    assert order == list(range(10))


def test_what_a_call_arms_for_now_is_called_as_well() -> None:
    deadlines, calls = Deadlines(), []
    deadlines.arm(1.0, lambda now: deadlines.arm(now, calls.append) and None)
    deadlines.expire(1.5)
    assert calls == [1.5]


def test_a_call_may_cancel_another_that_is_due() -> None:
    deadlines, calls = Deadlines(), []
    deadlines.arm(1.0, lambda now: second.cancel())
    second = deadlines.arm(1.0, calls.append)
    deadlines.expire(1.0)
    assert calls == []


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), max_size=300))
def test_any_mix_of_arming_and_cancelling_keeps_order_and_count(plan: list[tuple[int, bool]]) -> None:
    deadlines, calls = Deadlines(), []
    armed = [
        (at, number, deadlines.arm(at, lambda now, number=number: calls.append(number)), keep)  # type: ignore[misc]
        for number, (at, keep) in enumerate(plan)
    ]
    for _, _, deadline, keep in armed:
        if not keep:
            deadline.cancel()
    kept = sorted((at, number) for at, number, _, keep in armed if keep)
    assert len(deadlines) == len(kept)
    assert deadlines.next() == (kept[0][0] if kept else None)
    deadlines.expire(50)
    assert calls == [number for _, number in kept]


def test_a_hundred_thousand_pending_cost_microseconds_each() -> None:
    deadlines = Deadlines()
    started = process_time()
    pending = [deadlines.arm(float(number % 997), lambda now: None) for number in range(100_000)]
    for deadline in pending[::2]:
        deadline.cancel()
    for _ in range(1000):
        assert deadlines.next() == 0.0
    deadlines.expire(1000.0)
    assert len(deadlines) == 0
    assert process_time() - started < 5.0


def test_cancelled_deadlines_do_not_pile_up() -> None:
    deadlines = Deadlines()
    deadlines.arm(1e9, lambda now: None)
    for number in range(10_000):
        deadlines.arm(1e6 + number, lambda now: None).cancel()
        deadlines.next()
    assert len(deadlines._sorted) < 1000
    assert len(deadlines._slots) == 1
