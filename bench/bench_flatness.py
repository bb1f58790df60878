# SPDX-License-Identifier: Apache-2.0
"""Does a message cost the same in a big server? With many contacts, with many transactions; and what memory they take."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench_accounting import memory
from bench_cases import BY_NAME
from bench_generator import Load, Run
from bench_ringback import Ringback
from bench_turn import CLEAN_AFTER, as_json, loaded

CONTACTS = (100, 10_000)
MOST = 100_000
RUNS = 3
#: Calls that ring: each has a server and a client transaction.
RINGING = 25_000
CALL = replace(BY_NAME["call"].load, seconds=6.0, warm_up=5.0)


def measure(*, kernel: str, tell: Callable[[str], None], runs: int = RUNS) -> dict[str, Any]:
    contacts = {str(count): [_with_contacts(count, kernel, tell) for _ in range(runs)] for count in CONTACTS}
    most, memory_used = _with_most_contacts(kernel, tell)
    return {
        "contacts": {**contacts, str(MOST): [most]},
        "transactions": [_with_transactions(kernel, tell) for _ in range(runs)],
        "half": [_half(kernel, tell) for _ in range(runs)],
        "memory": memory_used,
        "runs": runs,
    }


def _with_contacts(count: int, kernel: str, tell: Callable[[str], None]) -> dict[str, Any]:
    tell(f"flatness: {count} contacts")
    with tempfile.TemporaryDirectory(prefix="ringback-bench-") as name:
        folder = Path(name)
        server = Ringback(folder / "server", users=count, kernel=kernel)
        try:
            return as_json(loaded(server, replace(CALL, users=count), folder))
        finally:
            server.stop()


def _with_transactions(kernel: str, tell: Callable[[str], None]) -> dict[str, Any]:
    """The same calls without and with 50 000 transactions that wait for somebody to answer."""
    tell(f"flatness: 0 and {2 * RINGING} transactions")
    with tempfile.TemporaryDirectory(prefix="ringback-bench-") as name:
        folder = Path(name)
        server = Ringback(folder / "server", users=2000, kernel=kernel)
        try:
            without = loaded(server, CALL, folder)
            rate = without.rate / 4
            ringing = Load("ringing", first_user=101_000, rate=rate, seconds=RINGING / rate, warm_up=0.0)
            holder = Run(ringing, server.address, server.domain, folder / "ringing.log")
            try:
                holder.prepared()
                held = holder.finish(server.pid, closes=False)
                full = loaded(server, replace(CALL, replaces=True), folder)
            finally:
                holder.close()
        finally:
            server.stop()
    return {"0": as_json(without), str(2 * RINGING): as_json(full), "ringing": held.completed}


def _half(kernel: str, tell: Callable[[str], None]) -> dict[str, Any]:
    """Answer times at half of saturation, and the garbage collector's pauses if the server tells them."""
    with tempfile.TemporaryDirectory(prefix="ringback-bench-") as name:
        folder = Path(name)
        server = Ringback(folder / "server", kernel=kernel)
        try:
            tell("flatness: answer times at half of saturation")
            full = loaded(server, CALL, folder)
            half = loaded(
                server, replace(CALL, rate=full.rate / 2, seconds=20.0, warm_up=3.0, replaces=True), folder
            )
            return {"saturation": full.rate, **as_json(half), "pauses": pauses(server)}
        finally:
            server.stop()


def pauses(server: Ringback) -> Any:
    """What `ringback status --json` says of the collector."""
    words = [sys.executable, "-m", "ringback", "status", "--json", "--data", str(server.data)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
    try:
        status = json.loads(done.stdout)
    except ValueError:
        return None
    return _found(status, ("pauses", "garbage", "collector", "collections"))


def _found(value: Any, names: tuple[str, ...]) -> Any:
    if not isinstance(value, dict):
        return None
    for name, inner in value.items():
        if any(each in name for each in names):
            return inner
    return next((found for inner in value.values() if (found := _found(inner, names)) is not None), None)


def _with_most_contacts(kernel: str, tell: Callable[[str], None]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Cost and memory with 100 000 contacts, and how fast a server with so many stored ones is ready."""
    with tempfile.TemporaryDirectory(prefix="ringback-bench-") as name:
        folder = Path(name)
        tell("flatness: memory of an idle server")
        server = Ringback(folder / "idle", users=100, kernel=kernel)
        time.sleep(2.0)
        idle = memory(server.pid)
        server.stop()
        tell("flatness: 100 000 contacts")
        server = Ringback(folder / "server", users=MOST, kernel=kernel)
        try:
            time.sleep(2.0)
            before, started_empty = memory(server.pid), server.seconds_to_ready
            run = Run(replace(CALL, users=MOST), server.address, server.domain, folder / "generator.log")
            seconds = run.prepared(timeout=600)
            time.sleep(CLEAN_AFTER)  # until the transactions of the REGISTERs have ended
            registered = memory(server.pid)
            cost = as_json(run.finish(server.pid))
        finally:
            server.stop()
        starts = [_restarted(folder, kernel) for _ in range(RUNS)]
    ready, again = sorted(starts)[len(starts) // 2]
    return cost, {
        "idle": idle.resident,
        "idle_shared_once": idle.shared_once,
        "empty_with_accounts": before.resident,
        "registered": registered.resident,
        "bytes_a_contact": (registered.resident - before.resident) / MOST,
        "seconds_to_register": seconds,
        "seconds_to_ready_without_contacts": started_empty,
        "seconds_to_ready": ready,
        "after_restart": again,
    }


def _restarted(folder: Path, kernel: str) -> tuple[float, int]:
    """Seconds until it is ready, and bytes when it has all its contacts in memory."""
    server = Ringback(folder / "server", kernel=kernel, data=folder / "server" / "data")
    try:
        time.sleep(5.0)
        return server.seconds_to_ready, memory(server.pid).resident
    finally:
        server.stop()
