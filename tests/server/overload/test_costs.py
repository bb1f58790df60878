# SPDX-License-Identifier: Apache-2.0
"""Is it learned what a message costs, so that a slice takes the time it should?"""

import pytest

from ringback.server.overload.costs import LEAST_AT_ONCE, MOST_AT_ONCE, Costs


def learned(*, urgent: float, new: float) -> Costs:
    costs = Costs()
    for _ in range(500):
        costs.measure(10 * urgent, urgent=10, new=0)
        costs.measure(4 * urgent + 6 * new, urgent=4, new=6)
    return costs


def test_both_costs_are_learned_from_mixed_slices():
    costs = learned(urgent=0.0001, new=0.001)
    assert costs.urgent == pytest.approx(0.0001, rel=0.01)
    assert costs.new == pytest.approx(0.001, rel=0.01)


def test_a_slice_holds_what_fits_into_its_time():
    costs = learned(urgent=0.0001, new=0.001)
    assert costs.urgent_in(0.00401) == 40
    assert costs.new_in(0.00401, beside=0) == 4
    assert costs.new_in(0.00401, beside=20) == 2
    assert costs.new_in(0.00401, beside=40) == 0


def test_there_is_always_one_however_slow_and_never_too_many_however_quick():
    slow, quick = learned(urgent=1.0, new=10.0), learned(urgent=0.0, new=0.0)
    assert slow.urgent_in(0.004) == LEAST_AT_ONCE
    assert slow.new_in(0.004, beside=0) == 1
    assert slow.new_in(0.004, beside=1) == 0
    assert quick.urgent_in(0.004) == quick.new_in(0.004, beside=0) == MOST_AT_ONCE
    assert quick.new_in(0.004, beside=MOST_AT_ONCE) == 0


def test_a_pause_in_which_others_had_the_processor_says_nothing_about_the_cost():
    costs = learned(urgent=0.0001, new=0.001)
    costs.measure(0.015, urgent=10, new=0)
    assert costs.urgent < 0.00015
