# SPDX-License-Identifier: Apache-2.0
"""Where do the figures go? Into one JSON file, part by part, with the conditions they were taken under."""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import subprocess
from pathlib import Path
from typing import Any

from bench_kamailio import version as kamailio_version
from bench_program import ROOT, path_of

from ringback import kernel
from ringback.version import VERSION

FILE = ROOT / "bench" / "results.json"


def conditions(kernel_wanted: str) -> dict[str, Any]:
    """What makes the figures honest."""
    return {
        "cores": os.cpu_count(),
        "linux": ".".join(platform.release().split(".")[:2]),
        "python": platform.python_version(),
        "ringback": _commit(),
        "ringback_kernel": kernel_wanted or kernel.IMPLEMENTATION,
        "kamailio": " ".join(re.findall(r"kamailio ([\d.]+)", kamailio_version())),
        "kamailio_memory": "tlsf (-x tlsf -X tlsf); qm is Debian's default",
        "sipp": _sipp_version(),
        "socket_buffer_limit": int(Path("/proc/sys/net/core/rmem_max").read_text()),
        "socket_buffer_default": int(Path("/proc/sys/net/core/rmem_default").read_text()),
        "network": "loopback; the load generator runs on the same machine",
        "pinned": "nothing",
    }


def _commit() -> str:
    words = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        return str(VERSION)
    changed = ["git", "-C", str(ROOT), "status", "--porcelain", "src"]
    is_changed = subprocess.run(changed, capture_output=True, text=True, check=False).stdout.strip()
    return done.stdout.strip() + (" with changes that are not committed" if is_changed else "")


def _sipp_version() -> str:
    program = path_of("sipp")
    if program is None:
        return "not installed"
    said = subprocess.run([program, "-v"], capture_output=True, text=True, check=False).stdout
    return " ".join(re.findall(r"SIPp (v[\d.]+)", said)[:1])


def read() -> dict[str, Any]:
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def keep(part: str, value: object, *, kernel_wanted: str = "") -> None:
    """Put one part's figures into the file; the others stay."""
    results = read()
    results["conditions"] = conditions(kernel_wanted)
    results[part] = value
    results.setdefault("measured_with", {})[part] = _commit()
    FILE.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")


def median(rows: list[dict[str, Any]], *path: str) -> float:
    """The median over runs of a figure somewhere in each."""
    values = []
    for row in rows:
        value: Any = row
        for name in path:
            value = value[name]
        values.append(float(value))
    return statistics.median(values)
