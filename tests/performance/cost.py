# SPDX-License-Identifier: Apache-2.0
"""What does the fixed workload cost here? In instructions where callgrind is, else in CPU time; in yards either way.

    python tests/performance/cost.py            prints the costs
    python tests/performance/cost.py --keep     and keeps them in bench/baseline.json, as the figures to compare with

A yard is what a piece of plain Python costs that never changes (`workload.yardstick`): so the figures hold for another
build of the interpreter, and nearly so for another machine.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
BASELINE = HERE.parents[1] / "bench" / "baseline.json"

#: How many of each are counted.
AMOUNTS = {"calls": 96, "registers": 100, "yardstick": 100}
#: CPU time needs more of them to mean anything.
TIMES = 8


def workload(prefix: list[str], times: int) -> subprocess.Popen[str]:
    words = [
        *prefix,
        sys.executable,
        str(HERE / "workload.py"),
        *(f"{kind}={count * times}" for kind, count in AMOUNTS.items()),
    ]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                            env={**os.environ, "PYTHONHASHSEED": "0"})  # fmt: skip


def said(process: subprocess.Popen[str], word: str) -> list[str]:
    assert process.stdout is not None
    words = process.stdout.readline().split()
    assert words[:1] == [word], f"the workload said {words} and not {word!r}"
    return words[1:]


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def in_instructions() -> dict[str, float]:
    """Instructions for one of each, counted by callgrind, which is told to look only while the work is done."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        process = workload(
            ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}"], 1
        )
        costs = {}
        try:
            for number, kind in enumerate(AMOUNTS, 1):
                said(process, "ready")
                control(process.pid, "--instr=on")
                go_on(process)
                done = int(said(process, "done")[0])
                control(process.pid, "--instr=off", f"--dump={kind}")
                totals = re.search(r"^totals: (\d+)", Path(f"{out}.{number}").read_text(), re.MULTILINE)
                assert totals is not None, "callgrind counted nothing"
                costs[kind] = int(totals[1]) / done
                go_on(process)
        finally:
            process.kill()
            process.communicate()
        return costs


def control(pid: int, *words: str) -> None:
    for word in words:
        subprocess.run(["callgrind_control", word, str(pid)], capture_output=True, check=True, timeout=60)


def in_seconds() -> dict[str, float]:
    """CPU seconds for one of each: the least of three tries."""
    tries = []
    for _ in range(3):
        process, costs = workload([], TIMES), {}
        try:
            for kind in AMOUNTS:
                said(process, "ready")
                go_on(process)
                done, seconds = said(process, "done")
                costs[kind] = float(seconds) / int(done)
                go_on(process)
        finally:
            process.kill()
            process.communicate()
        tries.append(costs)
    return {kind: min(costs[kind] for costs in tries) for kind in AMOUNTS}


def has_callgrind() -> bool:
    return all(shutil.which(program) for program in ("valgrind", "callgrind_control"))


def in_yards(costs: dict[str, float]) -> dict[str, float]:
    return {kind: round(cost / costs["yardstick"], 3) for kind, cost in costs.items() if kind != "yardstick"}


def key(way: str) -> str:
    """What figures can be compared with each other."""
    from ringback import kernel

    return f"{way}, Python {sys.version_info.major}.{sys.version_info.minor}, kernel {kernel.IMPLEMENTATION}"


def main() -> None:
    ways = [("seconds", in_seconds())] + ([("instructions", in_instructions())] if has_callgrind() else [])
    kept = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    for way, costs in ways:
        print(key(way), {kind: f"{cost:.3g}" for kind, cost in costs.items()}, in_yards(costs))
        kept[key(way)] = in_yards(costs)
    if "--keep" in sys.argv:
        BASELINE.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
