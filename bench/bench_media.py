# SPDX-License-Identifier: Apache-2.0
"""What do sound and its processes cost? The relay beside rtpengine, and what the programs about rooms, transcoding and
punctuality print.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import relay
from bench_media_load import Sound
from bench_program import BenchmarkError

#: Calls of two streams each.
CALLS = 100
SECONDS = 8.0
#: One after the other; each compares what it measures with its target.
PROGRAMS = ("room_cost.py", "transcode_cost.py", "late_frames.py")
PATIENCE = 300


def measure(*, kernel: str, tell: Callable[[str], None], runs: int = 3) -> dict[str, Any]:
    relayed = {}
    for kind in ("plain", "srtp"):
        tell(f"media: the relay, {kind}, {2 * CALLS} streams")
        sound = Sound(CALLS, is_secured=kind == "srtp", seconds=SECONDS)
        relayed[kind] = relay.measure(sound, relay.ENGINES, runs, tell)
    return {"relay": relayed, "runs": runs, "streams": 2 * CALLS, "programs": _printed(tell)}


def _printed(tell: Callable[[str], None]) -> dict[str, list[str]]:
    found = {}
    for name in PROGRAMS:
        tell(f"media: {name}")
        words = [sys.executable, str(Path(__file__).with_name(name))]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=PATIENCE)
        if done.returncode:
            raise BenchmarkError(f"{name}: {done.stderr[-300:]}")
        found[name] = done.stdout.strip().splitlines()
    return found
