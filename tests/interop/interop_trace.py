# SPDX-License-Identifier: Apache-2.0
"""What did the servers say and hear during a test? Ladders of its calls, for the report of a test that failed."""

from collections.abc import Iterator
from pathlib import Path

from ringback.server.trace_calls import Exchange, exchanges
from ringback.server.trace_file import TraceError, read_trace

WIDTH = 120
#: A load test makes thousands of calls: those that were not answered are shown first.
MOST = 5


def ladders(traces: list[Path], *, since: float) -> Iterator[tuple[str, str]]:
    """A heading and a text for each trace with messages since then (wall clock, seconds since 1970)."""
    for trace in traces:
        try:
            found = exchanges(one for one in read_trace(trace).records if one.time >= since)
        except TraceError as error:
            yield f"no ladder of {trace}", str(error)
            continue
        if found:
            yield f"what the server said and heard: ringback ladder {trace}", _text(found)


def _text(found: list[Exchange]) -> str:
    calls = [one for one in found if one.is_call] or found
    chosen = sorted(calls, key=lambda one: one.is_success)[:MOST]
    chosen.sort(key=lambda one: one.records[0].offset)
    parts = [_drawn(one) for one in chosen]
    if left_out := len(calls) - len(chosen):
        parts.append(f"and {left_out} more that are not drawn")
    others = [_line(one) for one in found if one not in calls]
    if others:
        parts.append("\n".join(["besides:", *others[:20], *(["..."] if len(others) > 20 else [])]))
    return "\n\n".join(parts)


def _drawn(one: Exchange) -> str:
    return f"{_line(one)}\n{one.ladder().text(width=WIDTH)}"


def _line(one: Exchange) -> str:
    return f"{one.method} from {one.caller} to {one.callee}: {one.result()} (Call-ID {one.call_id})"
