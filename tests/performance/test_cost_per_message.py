# SPDX-License-Identifier: Apache-2.0
"""No message may have become more than a fifth dearer than the figure kept in bench/baseline.json.

When it became dearer for a good reason, or cheaper: `python tests/performance/cost.py --keep`, and say why in the commit.
"""

import json

import pytest
from cost import AMOUNTS, BASELINE, has_callgrind, in_instructions, in_seconds, in_yards, key

GROWTH = 1.2
#: CPU time is what a busy machine makes of it.
GROWTH_OF_TIME = 2.0

WORK = [kind for kind in AMOUNTS if kind != "yardstick"]


@pytest.fixture(scope="module")
def measured() -> tuple[str, dict[str, float], float]:
    if has_callgrind():
        return key("instructions"), in_yards(in_instructions()), GROWTH
    return key("seconds"), in_yards(in_seconds()), GROWTH_OF_TIME


@pytest.mark.timeout(180)
@pytest.mark.parametrize("kind", WORK)
def test_no_message_became_a_fifth_dearer(measured: tuple[str, dict[str, float], float], kind: str) -> None:
    name, costs, growth = measured
    kept = json.loads(BASELINE.read_text())
    if name not in kept:
        pytest.skip(f"no figure is kept for {name}")
    assert costs[kind] <= kept[name][kind] * growth, (
        f"one of the {kind} costs {costs[kind]} yards, kept is {kept[name][kind]} ({name})"
    )
