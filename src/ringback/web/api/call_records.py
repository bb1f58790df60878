# SPDX-License-Identifier: Apache-2.0
"""Where does the API find a call? Among those that are on, else among the records."""

from __future__ import annotations

import asyncio
from typing import Any

from ringback.web.house import House

Record = dict[str, Any]


async def find_record(house: House, key: str) -> Record | None:
    """By id, also while the call is on."""
    record = await asyncio.to_thread(house.records.record, key)
    if record is None:
        answer = await house.server.ask("call", id=key)
        call = answer.get("call")
        record = call if answer.get("found") and isinstance(call, dict) else None
    return record


async def explained(house: House, record: Record) -> Record:
    """With what the server decided and what was wrong, if the record does not say it already."""
    if record.get("decisions") and record.get("verdicts"):
        return record
    answer = await house.server.ask("explain", id=record["id"])
    if not answer.get("found"):
        return record
    return {
        **record,
        "decisions": record.get("decisions") or answer.get("decisions", []),
        "verdicts": record.get("verdicts") or answer.get("verdicts", []),
    }


async def trace_of(house: House, record: Record) -> dict[str, Any]:
    """{"messages": [...], "dropped": n} of all legs of a call; empty when it was too long ago."""
    call_ids = [str(each) for each in record.get("call_ids") or ()]
    if not call_ids:
        return {"messages": [], "dropped": 0}
    answer = await house.server.ask("trace", call_ids=call_ids)
    return {"messages": answer.get("messages", []), "dropped": answer.get("dropped", 0)}
