# SPDX-License-Identifier: Apache-2.0
"""What does a call cost, beside Kamailio? The benchmark behind docs/performance.md.

python bench/run.py                      everything: about an hour; writes bench/results.json and the page
python bench/run.py --quick              a form of three minutes: one run, short, nothing written
python bench/run.py --only call --runs 1 one case (may be said several times), nothing written
python bench/run.py --part flatness      one part: cases, workers, flatness, goodput, scanners, sipp, cleaning, media,
                                         tracing
    python bench/run.py --part cases --only call     measure one case again, and put it into the page
python bench/run.py --only call --profile --server ringback
"""

from __future__ import annotations

import argparse
import math
import pstats
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import bench_cleaning
import bench_compare
import bench_flatness
import bench_goodput
import bench_media
import bench_results
import bench_scanners
import bench_sipp
import bench_tracing
import report
from bench_cases import BY_NAME, CASES, Case
from bench_generator import Measured
from bench_program import BenchmarkError
from bench_turn import Setup, turn
from rich.console import Console
from rich.table import Table

PARTS = ("cases", "workers", "cleaning", "flatness", "goodput", "scanners", "sipp", "media", "tracing")
QUICK = ("call", "call-500", "message", "register-md5", "options")
console = Console(highlight=False, width=150)
begun = time.monotonic()


def tell(text: str) -> None:
    minutes, seconds = divmod(int(time.monotonic() - begun), 60)
    console.print(f"[dim]{minutes:3}:{seconds:02} {text}[/dim]", markup=True)


# --- by hand: one case, its figures at once ----------------------------------------------------------


def told(setup: Setup, case: Case, found: Measured) -> str:
    counted = found.counted
    odd = {
        name: counted[name] for name in ("failed", "timed_out", "retransmitted", "repeated") if counted[name]
    }
    answer = counted["answer_us"]
    return (
        f"{setup.server:9} {found.notes[0]:16} {case.name:16} {found.us_per_call:7.1f} us/call ({found.system / max(found.completed, 1) * 1e6:.0f} system) {found.us_per_message:6.2f} us/message "
        f"{found.rate:7.0f}/s cpu {found.utilisation:.2f} p50 {answer['p50'] / 1000:.2f} p99 {answer['p99'] / 1000:.2f} ms "
        f"{found.memory.shared_once >> 20} MB {odd or ''} {counted['statuses'] or ''}"
    )


def print_profile(file: Path, calls: int) -> None:
    print(f"--- profile of {calls} calls (cProfile makes Python functions look dearer than C ones)")
    pstats.Stats(str(file)).sort_stats("tottime").print_stats(50)


def shaped(case: Case, arguments: argparse.Namespace) -> Case:
    """The case with what the command line says about the load."""
    load = case.load
    for name in ("rate", "window", "users", "sources", "talk"):
        if getattr(arguments, name) is not None:
            load = replace(load, **{name: getattr(arguments, name)})
    load = replace(load, seconds=arguments.seconds, warm_up=arguments.warm_up, tcp=load.tcp or arguments.tcp)
    return replace(case, load=load, traced=case.traced or arguments.trace)


def by_hand(arguments: argparse.Namespace) -> None:
    for name in arguments.only:
        case = shaped(BY_NAME[name], arguments)
        costs: dict[str, list[float]] = {}
        for _ in range(arguments.runs):
            for server in ("ringback", "kamailio"):
                if arguments.server not in (None, server) or case.only not in ("", server):
                    continue
                setup = Setup(
                    server,
                    workers=arguments.workers,
                    tuned=not arguments.untuned,
                    kernel=arguments.kernel,
                    profile=arguments.profile,
                )
                with tempfile.TemporaryDirectory() as folder:
                    file = Path(folder) / "profile"
                    found = turn(setup, case, cleans=arguments.clean, keep_profile=file)
                    print(told(setup, case, found), flush=True)
                    if found.cleaning_cpu is not None:
                        print(
                            f"          and {found.cleaning_cpu / found.completed * 1e6:.1f} us/call later, when transactions end (also the warm-up's)"
                        )
                    if file.exists():
                        print_profile(file, found.completed)
                costs.setdefault(server, []).append(found.us_per_call)
        if len(costs) == 2:
            mine, theirs = (
                sorted(costs[server])[len(costs[server]) // 2] for server in ("ringback", "kamailio")
            )
            print(f"== {name}: ratio {mine / theirs:.2f}", flush=True)


# --- the whole ------------------------------------------------------------------------------------------


def table_of(rows: dict[str, Any]) -> Table:
    table = Table("scenario", "Ringback us/call", "/message", "Kamailio us/call", "/message", "ratio", "must", "aim", "p50/p99 ms", "Kamailio",
                  "highest/s", "Kamailio", "MB", "Kamailio", box=None, pad_edge=False)  # fmt: skip
    for row in rows.values():
        cells = [row["title"]]
        for server in ("ringback", "kamailio"):
            cells += [_number(row, server, "us_per_call"), _number(row, server, "us_per_message")]
        cells += [_plain(bench_compare.ratio(row), 2), _plain(row["must"], 2), _plain(row["aim"], 2)]
        cells += [f"{_number(row, server, 'counted', 'answer_us', 'p50', scale=1e-3)}/{_number(row, server, 'counted', 'answer_us', 'p99', scale=1e-3)}"
                  for server in ("ringback", "kamailio")]  # fmt: skip
        cells += [
            str(row["highest"][server]["rate"]) if server in row["highest"] else ""
            for server in ("ringback", "kamailio")
        ]
        cells += [
            _number(row, server, "memory", "shared_once", scale=2**-20, digits=0)
            for server in ("ringback", "kamailio")
        ]
        table.add_row(*cells)
    return table


def _number(row: dict[str, Any], server: str, *path: str, scale: float = 1.0, digits: int = 1) -> str:
    return (
        f"{bench_results.median(row['runs'][server], *path) * scale:.{digits}f}"
        if server in row["runs"]
        else ""
    )


def _plain(value: float | None, digits: int) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def cases(arguments: argparse.Namespace) -> dict[str, Any]:
    quick = arguments.quick
    rows: dict[str, Any] = bench_results.read().get("cases", {}) if arguments.only else {}
    wanted = arguments.only or (QUICK if quick else list(BY_NAME))
    for case in CASES:
        if case.name not in wanted:
            continue
        sized = (
            case.for_seconds(3.0, 2.0) if quick else case.for_seconds(arguments.seconds, arguments.warm_up)
        )
        rows[case.name] = bench_compare.compare(
            sized, runs=arguments.runs, kernel=arguments.kernel, tell=tell, finds_limit=not quick
        )
        if not quick:
            bench_results.keep("cases", rows, kernel_wanted=arguments.kernel)
    rows = {name: rows[name] for name in BY_NAME if name in rows}
    console.print(table_of(rows))
    return rows


def part(name: str, arguments: argparse.Namespace) -> Any:
    """The figures of one part."""
    kernel = arguments.kernel
    if name == "cases":
        return cases(arguments)
    if name == "workers":
        case = BY_NAME["call"].for_seconds(arguments.seconds, arguments.warm_up)
        return bench_compare.two_workers(case, runs=arguments.runs, kernel=kernel, tell=tell)
    if name == "scanners":
        return bench_scanners.measure(tell=tell)
    if name == "flatness":
        return bench_flatness.measure(kernel=kernel, tell=tell, runs=arguments.runs)
    parts = {
        "cleaning": bench_cleaning.measure,
        "goodput": bench_goodput.measure,
        "sipp": bench_sipp.measure,
        "media": bench_media.measure,
        "tracing": bench_tracing.measure,
    }
    return parts[name](kernel=kernel, tell=tell)


def everything(arguments: argparse.Namespace) -> None:
    failures = []
    for name in [arguments.part] if arguments.part else PARTS[:1] if arguments.quick else PARTS:
        try:
            value = part(name, arguments)
        except BenchmarkError as error:
            failures.append(f"{name}: {error}")
            tell(f"{name} could not be measured: {error}")
            continue
        if not arguments.quick:
            bench_results.keep(name, value, kernel_wanted=arguments.kernel)
    if not arguments.quick:
        report.main()
    if failures:
        sys.exit("\n".join(failures))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", action="append", choices=list(BY_NAME), help="this case, printed as it comes"
    )
    parser.add_argument("--part", choices=PARTS)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--server", choices=("ringback", "kamailio"), help="with --only: this server alone")
    parser.add_argument("--runs", type=int, default=None, help="3, or 1 with --quick")
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument(
        "--warm-up",
        type=float,
        default=7.0,
        help="Kamailio keeps transactions for 5 s; until then its memory is new",
    )
    parser.add_argument("--rate", type=float, help="calls a second; 0 is saturation")
    parser.add_argument("--window", type=int)
    parser.add_argument("--users", type=int)
    parser.add_argument("--talk", type=float, help="seconds between ACK and BYE")
    parser.add_argument("--sources", type=int, help="sockets of the generator on each side")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--kernel", default="", help="RINGBACK_KERNEL: python or compiled")
    parser.add_argument("--tcp", action="store_true")
    parser.add_argument("--trace", action="store_true", help="Ringback writes its trace")
    parser.add_argument(
        "--clean", action="store_true", help="wait until all transactions have ended, and count that too"
    )
    parser.add_argument(
        "--untuned", action="store_true", help="Kamailio with Debian's default memory manager"
    )
    parser.add_argument("--profile", action="store_true", help="Ringback under cProfile while it is loaded")
    arguments = parser.parse_args()
    arguments.runs = arguments.runs or (1 if arguments.quick else 3)
    if arguments.only and not arguments.part:
        by_hand(arguments)
    else:
        everything(arguments)


if __name__ == "__main__":
    main()
