# SPDX-License-Identifier: Apache-2.0
"""What does the trace cost? CPU of a proxied call without it, with it in memory, and with it in memory and on disk.

In one process at 1 000 calls a second (`bench_tracing_calls.py`); and how long a ring of 64 MB takes to answer.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench_program import BenchmarkError

PROGRAM = Path(__file__).with_name("bench_tracing_calls.py")
#: Calls that arrive together: alone, as in a quiet office, and as many as a read brings under load.
TOGETHER = (1, 8)


def measure(*, kernel: str, tell: Callable[[str], None], rounds: int = 12) -> dict[str, Any]:
    found: dict[str, Any] = {"rate": 1000, "rounds": rounds, "together": {}}
    for together in TOGETHER:
        tell(f"tracing: 1 000 calls/s, {together} together, off, memory and files in turns")
        raw = run(together, rounds, kernel)
        found["together"][str(together)] = {
            "us_per_call": {name: statistics.mean(values) for name, values in raw["us_per_call"].items()},
            "percent": shares(raw["us_per_call"]),
        }
        found["query_ms"] = raw["query_ms"]
        found["messages"] = raw["status"]["messages"]
    return found


def run(together: int, rounds: int, kernel: str) -> dict[str, Any]:
    environment = {**os.environ, **({"RINGBACK_KERNEL": kernel} if kernel else {})}
    words = [sys.executable, str(PROGRAM), str(together), str(rounds)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment, timeout=600)
    if done.returncode:
        raise BenchmarkError(f"{PROGRAM.name} failed: {done.stderr.strip().splitlines()[-1:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def shares(costs: dict[str, list[float]]) -> dict[str, float]:
    """What each costs more than no trace, in percent: over all rounds, since files are written now and then."""
    return {
        name: (sum(values) / sum(costs["off"]) - 1) * 100 for name, values in costs.items() if name != "off"
    }
