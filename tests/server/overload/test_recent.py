# SPDX-License-Identifier: Apache-2.0
"""Is what was seen lately known, what is old forgotten, and is there an end to what is kept?"""

from hypothesis import given
from hypothesis import strategies as st

from ringback.server.overload.recent import Recent


@given(st.lists(st.floats(0.0, 3.0), max_size=50))
def test_everything_is_known_for_its_lifetime_and_nothing_much_longer(pauses: list[float]):
    seen: Recent[int] = Recent(lifetime=1.0, limit=1000)
    now, when = 100.0, []
    for number, pause in enumerate(pauses):
        now += pause
        seen.forget(now)
        for other, at in enumerate(when):
            assert other in seen or now - at >= 1.0
            assert other not in seen or now - at < 2.0 + 2 * max(pauses)
        seen.add(number, now)
        when.append(now)


def test_a_flood_shortens_the_time_and_not_the_memory():
    seen: Recent[int] = Recent(lifetime=1.0, limit=100)
    for number in range(10_000):
        seen.add(number, 0.0)
    assert len(seen) <= 200
    assert all(number in seen for number in range(9_900, 10_000))
