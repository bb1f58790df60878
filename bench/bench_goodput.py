# SPDX-License-Identifier: Apache-2.0
"""What is left of the good work when far too much comes? Goodput from half to ten times capacity, and the way back.

Open loop: calls arrive at random (Poisson) whatever happens to them; callers retransmit as RFC 3261 says and give up after
four seconds. Capacity is what the same server did at saturation a moment before. A second generator asks for OPTIONS ten
times a second, as a health check would.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench_cases import BY_NAME
from bench_generator import Load, Measured, Run
from bench_turn import Server, Setup, as_json, loaded, running

FACTORS = (0.5, 0.8, 1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0)
#: The least goodput, in percent of capacity (and of what is offered, below it).
FLOORS = {1.2: 90, 2.0: 85, 5.0: 70, 10.0: 50}
SECONDS, WARM_UP, PATIENCE = 8.0, 2.0, 4.0
CASE = BY_NAME["call"]
LOAD = replace(CASE.load, sources=16)


def measure(*, kernel: str, tell: Callable[[str], None]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for setup in (Setup("ringback", kernel=kernel, ringback={"users": 3000}), Setup("kamailio")):
        with tempfile.TemporaryDirectory(prefix="ringback-bench-") as name:
            folder = Path(name)
            with running(setup, CASE, folder) as server:
                found[setup.server] = _curve(server, folder, tell)
                if setup.server == "ringback":
                    found["recovery"] = _recovery(server, found["ringback"]["capacity"], folder, tell)
    return found


def _curve(server: Server, folder: Path, tell: Callable[[str], None]) -> dict[str, Any]:
    tell(f"goodput: {server.name}, capacity")
    full = loaded(server, replace(LOAD, seconds=6.0, warm_up=7.0), folder)
    points = []
    for factor in FACTORS:
        tell(f"goodput: {server.name}, {factor:g} times {full.rate:.0f} calls/s")
        points.append(_point(server, factor, full, folder))
    return {"capacity": full.rate, "us_per_call": full.us_per_call, "points": points}


def _point(server: Server, factor: float, full: Measured, folder: Path) -> dict[str, Any]:
    health = Run(
        Load("options", rate=10, seconds=SECONDS, warm_up=WARM_UP),
        server.address,
        server.domain,
        folder / "health.log",
    )
    load = replace(
        LOAD,
        rate=factor * full.rate,
        seconds=SECONDS,
        warm_up=WARM_UP,
        patience=PATIENCE,
        poisson=True,
        replaces=True,
    )
    run = Run(load, server.address, server.domain, folder / "generator.log")
    try:
        run.prepared()
        health.begin()
        found = run.finish(server.pid)
        probes = health.result(server.pid)
    finally:
        run.close()
        health.close()
    return {"factor": factor, **_figures(found, full, factor), "health": as_json(probes)["counted"]}


def _figures(found: Measured, full: Measured, factor: float) -> dict[str, Any]:
    counted = found.counted
    offered = counted["started"] / counted["seconds"]
    answered = counted["answer_us"]["count"]
    refused = sum(counted["statuses"].get(status, 0) for status in ("500", "503"))
    spent = found.cpu * 1e6 - found.completed * full.us_per_call
    best = min(offered, full.rate)
    seconds = counted["per_second"][1:-1] or counted["per_second"]
    return {
        "offered": offered,
        "goodput": found.rate,
        "percent": 100 * found.rate / best if best else 0.0,
        "percent_of_capacity": 100 * found.rate / full.rate,
        "in_dialog": 100 * found.completed / answered if answered else 0.0,
        "refused": refused,
        "us_per_refusal": spent / refused if refused > found.completed / 2 else None,
        "swing": 100 * max(abs(count - found.rate) for count in seconds) / found.rate
        if found.rate and factor > 1
        else None,
        **as_json(found),
    }


def _recovery(server: Server, capacity: float, folder: Path, tell: Callable[[str], None]) -> dict[str, Any]:
    """Half of capacity all the time; for 20 seconds five times as much comes on top. When are calls fine again?"""
    tell("goodput: recovery after 20 s of five times too much")
    steady = Load(
        "call",
        users=1000,
        rate=capacity / 2,
        seconds=40.0,
        warm_up=0.0,
        patience=PATIENCE,
        poisson=True,
        replaces=True,
    )
    flood = Load(
        "call",
        users=1000,
        first_user=101_000,
        rate=capacity * 5,
        seconds=20.0,
        warm_up=10.0,
        patience=PATIENCE,
        poisson=True,
        replaces=True,
    )
    runs = [
        Run(load, server.address, server.domain, folder / f"{load.first_user}.log")
        for load in (steady, replace(flood, warm_up=0.0))
    ]
    try:
        for run in runs:
            run.prepared()
        runs[0].begin()
        found = runs[0].result(server.pid, meanwhile=lambda: _flood(runs[1], server.pid))
    finally:
        for run in runs:
            run.close()
    seconds = found.counted["per_second"][:-2]
    bad = [second for second, count in enumerate(seconds) if count < 0.85 * capacity / 2]
    return {
        "per_second": seconds,
        "rate": capacity / 2,
        "flood_from": 5,
        "flood_until": 25,
        "last_bad_second": max(bad, default=None),
    }


def _flood(run: Run, server: int) -> None:
    time.sleep(5.0)
    run.finish(server)
