# SPDX-License-Identifier: Apache-2.0
"""Does the bill come later? CPU until every transaction of a run has ended, for both servers.

Transactions outlive their call, 32 s in RFC 3261 (Kamailio: 5 s), and ending them costs too. A short run
measures calls that begin, and none of the endings; here both are counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bench_cases import BY_NAME
from bench_turn import Setup, as_json, turn


def measure(*, kernel: str, tell: Callable[[str], None]) -> dict[str, Any]:
    case = BY_NAME["call"]
    case = replace(case, load=replace(case.load, seconds=10.0, warm_up=0.0))
    found = {}
    for setup in (Setup("ringback", kernel=kernel), Setup("kamailio")):
        tell(f"cleaning: {setup.server}, ten seconds of calls and 36 seconds after them")
        found[setup.server] = as_json(turn(setup, case, cleans=True))
    return found
