# SPDX-License-Identifier: Apache-2.0
"""One turn of one server at one case: start, register, warm up, measure, stop; and the highest rate without a loss."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bench_accounting import cpu_seconds
from bench_cases import Case
from bench_generator import Load, Measured, Run
from bench_kamailio import Kamailio
from bench_program import wait_until
from bench_ringback import Ringback
from bench_tls import Tunnel, certificate

Server = Ringback | Kamailio

#: After so long every transaction of RFC 3261 is gone: 64*T1 = 32 s, and a little.
CLEAN_AFTER = 36.0


@dataclass(frozen=True, slots=True)
class Setup:
    """Which server, how."""

    server: str = "ringback"
    workers: int = 1
    tuned: bool = True
    kernel: str = ""
    profile: bool = False
    ringback: dict[str, Any] = field(default_factory=dict)


@contextmanager
def running(setup: Setup, case: Case, folder: Path) -> Iterator[Server]:
    users = case.load.users
    if setup.server == "ringback":
        options = {
            "users": users,
            "workers": setup.workers,
            "kernel": setup.kernel,
            "traced": case.traced,
            "profile": setup.profile,
        }
        server: Server = Ringback(folder / "server", **{**options, **setup.ringback})
    else:
        pair = certificate(folder) if case.tls else None
        server = Kamailio(folder / "server", tuned=setup.tuned, workers=setup.workers, digest=case.digest, tcp=case.load.tcp,
                          fork=case.load.scenario == "fork", certificate=pair)  # fmt: skip
    try:
        yield server
    finally:
        server.stop()


def loaded(
    server: Server,
    load: Load,
    folder: Path,
    *,
    tls: bool = False,
    profile: bool = False,
    cleans: bool = False,
) -> Measured:
    """Measure a running server."""
    tunnel = Tunnel(folder / "tunnel", server.tls_address) if tls else None
    try:
        run = Run(load, tunnel.address if tunnel else server.address, server.domain, folder / "generator.log")
        try:
            run.prepared()
            found = run.finish(
                server.pid,
                meanwhile=(lambda: os.kill(server.pid, signal.SIGUSR1)) if profile else (lambda: None),
            )
        finally:
            run.close()
    finally:
        if tunnel:
            tunnel.stop()
    if profile:
        os.kill(server.pid, signal.SIGUSR2)
        wait_until((folder / "server" / "profile").exists, 10, "the profile")
    if cleans:
        before = cpu_seconds(server.pid)
        time.sleep(CLEAN_AFTER)
        found.cleaning_cpu = cpu_seconds(server.pid) - before
    return found


def turn(setup: Setup, case: Case, *, cleans: bool = False, keep_profile: Path | None = None) -> Measured:
    """One fresh server, measured once."""
    with tempfile.TemporaryDirectory(prefix="ringback-bench-") as name:
        folder = Path(name)
        with running(setup, case, folder) as server:
            found = loaded(
                server,
                case.load,
                folder,
                tls=case.tls,
                profile=setup.profile and setup.server == "ringback",
                cleans=cleans,
            )
            found.notes.append(server.label)
        if keep_profile is not None and (folder / "server" / "profile").exists():
            keep_profile.write_bytes((folder / "server" / "profile").read_bytes())
        return found


def highest_rate(
    setup: Setup, case: Case, guess: float, *, seconds: float = 10.0
) -> tuple[float, Measured] | None:
    """The highest rate held for so long without a loss or a retransmission, to about 5 %.

    Starts at 90 % of what saturation gave; one server takes all tries, so that it is warm.
    """
    rate, held, refused = guess * 0.9, None, None
    with tempfile.TemporaryDirectory(prefix="ringback-bench-") as name:
        folder = Path(name)
        with running(setup, case, folder) as server:
            for _ in range(7):
                found = loaded(
                    server,
                    replace(case.load, rate=rate, seconds=seconds, warm_up=2.0, replaces=True),
                    folder,
                    tls=case.tls,
                )
                if found.is_clean and found.counted["completed"] == found.counted["started"]:
                    held = (rate, found)
                else:
                    refused = rate
                    time.sleep(1.0)
                if held and refused and refused / held[0] < 1.06:
                    break
                rate = (held[0] + refused) / 2 if held and refused else (rate * 1.08 if held else rate * 0.8)
    return held


def as_json(found: Measured) -> dict[str, Any]:
    return {
        "us_per_call": round(found.us_per_call, 2),
        "us_of_system_per_call": round(found.system / found.completed * 1e6, 2) if found.completed else None,
        "us_per_message": round(found.us_per_message, 3),
        "rate": round(found.rate, 1),
        "cores": round(found.utilisation, 3),
        "clean": found.is_clean,
        "dropped_datagrams": found.dropped,
        "memory": asdict(found.memory),
        "cleaning_us_per_call": round(found.cleaning_cpu / found.completed * 1e6, 2)
        if found.cleaning_cpu is not None
        else None,
        "counted": found.counted,
    }
