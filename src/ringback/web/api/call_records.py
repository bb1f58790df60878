# SPDX-License-Identifier: Apache-2.0
"""Where does the API find a call? Among those that are on, else among the records."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from ringback.web.house import House
from ringback.web.problems import ServerAway

Record = dict[str, Any]

MOST_CALL_IDS, MOST_MESSAGES = 100, 2000
#: What belongs to a call may stand so long before its beginning.
BEFORE = 2.0


async def find_record(house: House, key: str) -> Record | None:
    """By id or by the Call-ID of a leg, also while the call is on."""
    record = await asyncio.to_thread(house.records.record, key)
    if record is None:
        record = await asyncio.to_thread(house.records.record_of_call, key)
    if record is None:
        answer = await house.server.ask("call", id=key)
        call = answer.get("call")
        record = call if answer.get("found") and isinstance(call, dict) else None
    return record


async def explanation_of(house: House, record: Record) -> Record:
    """What the server decided about a call, what was wrong with it, and the messages that say so. A call of
    long ago, or a server that is away, leaves what was written down at its end.
    """
    call_ids = [str(each) for each in record.get("call_ids") or ()]
    written = {name: record.get(name) or [] for name in ("decisions", "verdicts")}
    kept = {**written, "call_ids": call_ids, "messages": []}
    if not call_ids:
        return kept
    try:
        answer = await house.server.ask("explain", call_id=call_ids[0], record=record)
    except ServerAway:
        return kept
    if not answer.get("found") or not answer["messages"]:
        return kept
    return answer


async def trace_of(house: House, record: Record) -> Record:
    """The messages of all legs and processes, what was decided, and the verdicts with their evidence."""
    explanation = await explanation_of(house, record)
    decisions = explanation["decisions"]
    if not explanation["call_ids"]:
        return {"messages": [], "decisions": decisions, "verdicts": explanation["verdicts"]}
    since = max(0.0, float(record.get("began_at") or 0.0) - BEFORE)
    call_ids = explanation["call_ids"][:MOST_CALL_IDS]
    answer = await house.server.ask("trace", call_ids=call_ids, since=since, limit=MOST_MESSAGES)
    places = {_name(message): index for index, message in enumerate(answer["messages"])}
    judged = explanation["messages"]
    verdicts = [
        {**each, "evidence": _moved(each.get("evidence") or (), judged, places)}
        for each in explanation["verdicts"]
    ]
    return {**answer, "decisions": decisions, "verdicts": verdicts}


def _moved(
    evidence: Sequence[int], judged: Sequence[Record], places: Mapping[tuple[object, ...], int]
) -> list[int]:
    """With several signalling processes the one that judged saw only its own messages."""
    names = [_name(judged[index]) for index in evidence if index < len(judged)]
    return [places[name] for name in names if name in places]


def _name(message: Record) -> tuple[object, ...]:
    return message["at"], message["direction"], message["text"]
