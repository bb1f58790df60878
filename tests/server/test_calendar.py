# SPDX-License-Identifier: Apache-2.0
"""A calendar gives what is due, the earliest first, and nothing else."""

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from ringback.server.calendar import Calendar

entries = st.dictionaries(st.integers(0, 50), st.floats(0, 100), max_size=30)


@given(entries, st.sets(st.integers(0, 50)), st.floats(0, 110))
def test_what_is_due_is_what_was_entered_and_did_not_leave(
    times: dict[int, float], left: set[int], now: float
) -> None:
    calendar = Calendar[int]()
    for item, at in times.items():
        calendar.enter(item, at)
    for item in left & times.keys():
        calendar.leave(item, times[item])
    waiting = {item: at for item, at in times.items() if item not in left}
    due = list(calendar.due(now))
    assert sorted(item for item, _ in due) == sorted(item for item, at in waiting.items() if int(at) <= now)
    assert [second for _, second in due] == sorted(second for _, second in due)
    assert calendar.first() == min(map(int, waiting.values()), default=None)


def test_a_slice_of_what_is_due_may_leave_and_the_rest_stays() -> None:
    calendar = Calendar[str]()
    for item in "abcdef":
        calendar.enter(item, 7.5)
    some = list(islice(calendar.due(8.0), 2))
    for item, second in some:
        calendar.leave(item, second)
    assert len(list(calendar.due(8.0))) == 4
    calendar.leave("never there", 3.0)
    calendar.clear()
    assert calendar.first() is None
