# SPDX-License-Identifier: Apache-2.0
"""How is the trace of several processes? Numbers are added, what was set is the same in all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Status = dict[str, Any]

ADDED = ("messages", "seen", "bytes", "memory", "dropped")


def together(statuses: Sequence[Status]) -> Status:
    """The statuses of all workers as one."""
    oldest = [status["oldest_at"] for status in statuses if status["oldest_at"] is not None]
    names = dict.fromkeys(name for status in statuses for name in status["sinks"])
    return {
        **statuses[0],
        **{name: sum(status[name] for status in statuses) for name in ADDED},
        "oldest_at": min(oldest, default=None),
        "sinks": {
            name: _sinks([status["sinks"][name] for status in statuses if name in status["sinks"]])
            for name in names
        },
    }


def _sinks(statuses: Sequence[Status]) -> Status:
    failures = [status["failure"] for status in statuses if status["failure"]]
    return {
        **statuses[0],
        **{name: sum(status[name] for status in statuses) for name in ("written", "dropped")},
        "failure": failures[0] if failures else "",
        "is_paused": any(status["is_paused"] for status in statuses),
    }
