# SPDX-License-Identifier: Apache-2.0
"""Does the rate of new work fall while we are slow, rise when we are quick, and not matter without overload?"""

import pytest

from ringback.server.overload.controller import (
    LEAST_RATE,
    SMALLEST_BUCKET,
    STEP,
    TARGET,
    UNLIMITED,
    Controller,
)


def worked(
    controller: Controller, *, steps: int, offered: float, start: float = 0.0, latency: int
) -> tuple[float, int]:
    """So many steps in which so much was offered, a second, and messages took so long."""
    now, granted, due = start, 0, 0.0
    for _ in range(steps * 100):
        now += STEP / 100
        due += offered * STEP / 100
        while due >= 1.0:
            due -= 1.0
            granted += controller.grants(now)
        controller.worked(latency)
        controller.look(now, is_overloaded=True)
    return now, granted


SLOW, QUICK = 2 * TARGET, 1


def test_slow_work_means_less_new_work_but_never_none():
    controller = Controller()
    worked(controller, steps=10, offered=1000, latency=SLOW)
    assert 300 < controller.rate < 500
    worked(controller, steps=100, offered=1000, start=1.0, latency=SLOW)
    assert controller.rate == LEAST_RATE


def test_quick_work_means_more_as_long_as_it_is_used():
    controller = Controller()
    now, _ = worked(controller, steps=20, offered=1000, latency=SLOW)
    low = controller.rate
    now, _ = worked(controller, steps=10, offered=1000, start=now, latency=QUICK)
    assert controller.rate > 1.5 * low
    held = controller.rate
    worked(controller, steps=10, offered=held / 10, start=now, latency=QUICK)
    assert controller.rate <= 1.11 * held, "the first of these steps still saw some of those before"


def test_the_rate_is_held():
    controller = Controller()
    now, _ = worked(controller, steps=30, offered=1000, latency=SLOW)
    _, granted = worked(controller, steps=1, offered=10_000, start=now, latency=QUICK)
    assert granted <= SMALLEST_BUCKET + 2
    assert not controller.grants(now + STEP)


def test_a_hundred_at_once_are_no_reason_to_refuse():
    controller = Controller()
    worked(controller, steps=100, offered=1000, latency=SLOW)
    assert sum(controller.grants(100.0) for _ in range(200)) == SMALLEST_BUCKET


def test_without_overload_there_is_no_limit():
    controller = Controller()
    now, _ = worked(controller, steps=10, offered=1000, latency=SLOW)
    controller.look(now + STEP, is_overloaded=False)
    assert controller.rate == UNLIMITED
    assert all(controller.grants(now) for _ in range(10_000))


@pytest.mark.parametrize(("refused", "begun", "loss"), [(0, 10, 0.0), (10, 0, 0.5), (10, 10, 0.25)])
def test_the_share_that_is_refused_follows_what_is_refused(refused: int, begun: int, loss: float):
    controller = Controller()
    controller.refused = refused
    for _ in range(begun):
        controller.grants(0.0)
    controller.look(STEP, is_overloaded=True)
    assert controller.loss == loss
