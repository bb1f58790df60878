# SPDX-License-Identifier: Apache-2.0
"""What did a program use? CPU time and memory of a process and all its descendants, from /proc."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes. `shared_once` (PSS) counts a page that n processes share as 1/n for each."""

    resident: int
    shared_once: int


def family(pid: int) -> list[int]:
    """The process and everything it has started that still runs."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += family(int(child))
    return found


def cpu_times(pid: int) -> tuple[float, float]:
    """User and system seconds of the whole family, and of the children it has already waited for."""
    user = system = 0
    for member in family(pid):
        fields = Path(f"/proc/{member}/stat").read_text().rsplit(")", 1)[1].split()
        user += int(fields[11]) + int(fields[13])
        system += int(fields[12]) + int(fields[14])
    return user / TICKS, system / TICKS


def cpu_seconds(pid: int) -> float:
    """Both together."""
    return sum(cpu_times(pid))


def memory(pid: int) -> Memory:
    resident = shared_once = 0
    for member in family(pid):
        for line in Path(f"/proc/{member}/smaps_rollup").read_text().split("\n"):
            name, _, value = line.partition(":")
            if name == "Rss":
                resident += int(value.split()[0]) * 1024
            elif name == "Pss":
                shared_once += int(value.split()[0]) * 1024
    return Memory(resident, shared_once)


def receive_buffer_errors() -> int:
    """How many datagrams this machine has dropped because a socket's buffer was full."""
    lines = [
        line.split() for line in Path("/proc/net/snmp").read_text().split("\n") if line.startswith("Udp:")
    ]
    return int(dict(zip(lines[0], lines[1], strict=True))["RcvbufErrors"])
