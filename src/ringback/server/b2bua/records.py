# SPDX-License-Identifier: Apache-2.0
"""How is a call that is on shown to people? Who speaks with whom, since when, and where the sound flows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringback.media.plane import BridgeStatistics, LegStatistics
    from ringback.server.b2bua.call import BridgedCall


def described_call(call: BridgedCall, *, now: float) -> dict[str, object]:
    """One call, in words and numbers."""
    caller, callee = call.pair if call.pair is not None else (call.caller, None)
    ringing = [] if call.search is None else [leg.end.name for leg in call.search.ringing]
    return {
        "caller": caller.end.name,
        "callee": callee.end.name if callee is not None else ", ".join(ringing),
        "state": "ringing" if callee is None else "talking",
        "seconds": round(now - (call.began_at if callee is None else call.answered_at)),
        "anchored": call.media.reason,
        "verdicts": list(call.media.verdicts),
        "legs": _legs(call.media.numbers, call.names),
    }


def ended_in_words(statistics: BridgeStatistics, *, reason: str, names: dict[str, str]) -> str:
    """How the sound of a call was that came through us, for the log."""
    legs = "; ".join(_legs(statistics, names))
    translated = ", translated" if statistics.is_transcoded else ""
    verdicts = "".join(f"; {verdict}" for verdict in statistics.verdicts)
    return f"anchored because: {reason or 'it was tried'}{translated}; {legs}{verdicts}"


def _legs(statistics: BridgeStatistics | None, names: dict[str, str]) -> list[str]:
    legs = statistics.legs if statistics is not None else ()
    return [_leg_in_words(leg, names.get(leg.name, leg.name)) for leg in legs]


def _leg_in_words(leg: LegStatistics, name: str) -> str:
    streams = ", ".join(
        f"{each.kind} {each.codec or '-'} {each.packets_received} in {each.packets_sent} out {each.lost} lost"
        f" {each.jitter_ms:.0f} ms jitter{'' if each.mos is None else f' MOS {each.mos:.1f}'}"
        for each in leg.streams
    )
    return f"{name} at {leg.address or 'nowhere'} ({leg.suite or leg.security}): {streams or 'no streams'}"
