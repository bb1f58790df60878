# SPDX-License-Identifier: Apache-2.0
"""What does a call cost, beside Kamailio? See docs/performance.md.

    python bench/run.py [--only SCENARIO] [--quick] [--runs 3] [--profile]
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import sys
import tempfile
from pathlib import Path

from bench_generator import Load, Measured, Run
from bench_kamailio import Kamailio
from bench_program import wait_until
from bench_ringback import Ringback

SCENARIOS = ("options", "register-digest", "register-sha256", "call", "call-digest", "message", "refused", "fork")


def load_of(scenario: str, arguments: argparse.Namespace) -> Load:
    name = "register-digest" if scenario == "register-sha256" else scenario
    return Load(name, users=arguments.users, rate=arguments.rate, window=arguments.window, seconds=arguments.seconds, warm_up=arguments.warm_up,
                sources=arguments.sources, sha256=scenario == "register-sha256", tcp=arguments.tcp)


def measure(server: Ringback | Kamailio, load: Load, folder: Path, *, profile: bool = False) -> Measured:
    run = Run(load, server.address, server.domain, folder / "generator.log")
    run.prepared()
    if not profile:
        return run.finish(server.pid)
    found = run.finish(server.pid, meanwhile=lambda: os.kill(server.pid, signal.SIGUSR1))
    os.kill(server.pid, signal.SIGUSR2)
    wait_until((folder / "server" / "profile").exists, 10, "the profile")
    return found


def told(server: Ringback | Kamailio, scenario: str, found: Measured) -> str:
    counted = found.counted
    odd = {name: counted[name] for name in ("failed", "timed_out", "retransmitted", "repeated") if counted[name]}
    return (f"{server.name:9} {server.label:18} {scenario:16} {found.us_per_call:7.1f} us/call {found.us_per_message:6.2f} us/message "
            f"{found.rate:8.0f}/s  cpu {found.utilisation:.2f}  p50 {counted['answer_us']['p50'] / 1000:.2f} ms  "
            f"p99 {counted['answer_us']['p99'] / 1000:.2f} ms  {found.memory.resident >> 20} MB  {odd or ''} {counted['statuses'] or ''}")


def one_turn(which: str, scenario: str, arguments: argparse.Namespace) -> Measured:
    digest = {"register-digest": "MD5", "register-sha256": "SHA-256", "call-digest": "MD5"}.get(scenario, "")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if which == "ringback":
            server: Ringback | Kamailio = Ringback(folder / "server", users=arguments.users, workers=arguments.workers, kernel=arguments.kernel,
                                                   traced=arguments.trace, profile=arguments.profile)
        else:
            digest = digest or ("MD5" if scenario == "refused" else "")
            server = Kamailio(folder / "server", tuned=not arguments.untuned, workers=arguments.workers, digest=digest, tcp=arguments.tcp, fork=scenario == "fork")
        try:
            found = measure(server, load_of(scenario, arguments), folder, profile=arguments.profile and which == "ringback")
        finally:
            server.stop()
        print(told(server, scenario, found), flush=True)
        if arguments.profile and which == "ringback":
            print_profile(folder / "server" / "profile", found.completed)
        return found


def print_profile(file: Path, calls: int) -> None:
    import pstats

    table = pstats.Stats(str(file))
    print(f"--- profile of {calls} calls (cProfile makes Python functions look dearer than C ones)")
    table.sort_stats("tottime").print_stats(45)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=SCENARIOS, help="this scenario (may be said several times)")
    parser.add_argument("--server", choices=("ringback", "kamailio"), help="only this server")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--warm-up", type=float, default=7.0, help="Kamailio keeps transactions for 5 s: its memory is new until then")
    parser.add_argument("--rate", type=float, default=0.0, help="calls a second; 0 is saturation")
    parser.add_argument("--window", type=int, default=64)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--sources", type=int, default=1, help="sockets of the generator on each side")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--kernel", default="", help="RINGBACK_KERNEL: python or compiled")
    parser.add_argument("--tcp", action="store_true")
    parser.add_argument("--trace", action="store_true", help="Ringback writes its trace")
    parser.add_argument("--untuned", action="store_true", help="Kamailio with Debian's default memory manager")
    parser.add_argument("--profile", action="store_true", help="run Ringback under cProfile and print where time goes")
    arguments = parser.parse_args()
    for scenario in arguments.only or SCENARIOS:
        costs: dict[str, list[float]] = {}
        for _ in range(arguments.runs):
            for which in ("ringback", "kamailio"):
                if arguments.server in (None, which):
                    costs.setdefault(which, []).append(one_turn(which, scenario, arguments).us_per_call)
        medians = {which: statistics.median(values) for which, values in costs.items()}
        if len(medians) == 2:
            print(f"== {scenario}: ratio {medians['ringback'] / medians['kamailio']:.2f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
