# SPDX-License-Identifier: Apache-2.0
"""Ringback and Kamailio in turns, case by case: A B A B, the median of the runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import bench_results
from bench_cases import Case
from bench_program import BenchmarkError
from bench_turn import Setup, as_json, highest_rate, turn

Tell = Callable[[str], None]

#: Besides the tuned Kamailio, these cases are measured with the one Debian ships.
ALSO_DEFAULT = ("call", "call-500", "options", "register-md5")


def setups_of(case: Case, kernel: str) -> dict[str, Setup]:
    setups = {"ringback": Setup("ringback", kernel=kernel), "kamailio": Setup("kamailio")}
    if case.name in ALSO_DEFAULT:
        setups["kamailio_default"] = Setup("kamailio", tuned=False)
    return {name: setup for name, setup in setups.items() if case.only in ("", setup.server)}


def compare(case: Case, *, runs: int, kernel: str, tell: Tell, finds_limit: bool) -> dict[str, Any]:
    rows: dict[str, list[dict[str, Any]]] = {}
    limits: dict[str, dict[str, Any]] = {}
    setups, runs = setups_of(case, kernel), 1 if case.once else runs
    for number in range(runs):
        for name, setup in setups.items():
            tell(f"{case.title}: {name}, run {number + 1} of {runs}")
            rows.setdefault(name, []).append(_kept_turn(setup, case, tell))
    if finds_limit and case.finds_limit:
        for name, setup in setups.items():
            if name == "kamailio_default":
                continue
            tell(f"{case.title}: {name}, highest rate without a loss")
            found = highest_rate(setup, case, bench_results.median(rows[name], "rate"))
            if found is not None:
                limits[name] = {"rate": round(found[0]), **as_json(found[1])}
    return {"title": case.title, "must": case.must, "aim": case.aim, "runs": rows, "highest": limits}


def _kept_turn(setup: Setup, case: Case, tell: Tell) -> dict[str, Any]:
    """One turn; a server that fails once is tried once more, and the failure is told."""
    try:
        return as_json(turn(setup, case))
    except BenchmarkError as error:
        tell(f"once more, because: {str(error)[-300:]}")
        return as_json(turn(setup, case))


def cost(row: dict[str, Any], server: str) -> float:
    return bench_results.median(row["runs"][server], "us_per_call") if server in row["runs"] else float("nan")


def ratio(row: dict[str, Any]) -> float:
    return cost(row, "ringback") / cost(row, "kamailio")


def two_workers(
    case: Case, *, runs: int, kernel: str, tell: Tell, workers: Sequence[int] = (1, 2)
) -> dict[str, Any]:
    """Calls a second with one and with two workers, for both, from 64 source sockets on each side."""
    wide = replace(case, load=replace(case.load, sources=64, window=128))
    rows: dict[str, list[dict[str, Any]]] = {}
    for number in range(runs):
        for server in ("ringback", "kamailio"):
            for count in workers:
                tell(f"workers: {server} with {count}, run {number + 1} of {runs}")
                rows.setdefault(f"{server}-{count}", []).append(
                    _kept_turn(
                        Setup(server, workers=count, kernel=kernel if server == "ringback" else ""),
                        wide,
                        tell,
                    )
                )
    return {"runs": rows, "gain": {server: bench_results.median(rows[f"{server}-2"], "rate") / bench_results.median(rows[f"{server}-1"], "rate")
                                   for server in ("ringback", "kamailio")}}  # fmt: skip
