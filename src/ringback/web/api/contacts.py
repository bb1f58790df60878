# SPDX-License-Identifier: Apache-2.0
"""Who can be called now, and how does one of two parties remember a call?"""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from ringback.web.api.people_shapes import Contact, HistoryEntry
from ringback.web.house import House

State = Literal["online", "offline", "busy", "ringing"]


async def contacts_of(house: House) -> list[Contact]:
    """Everybody, by name."""
    registrations = (await house.server.ask("registrations"))["registrations"]
    online = {str(each["user"]) for each in registrations}
    states = _states((await house.server.ask("calls", limit=1000))["calls"])
    users = await asyncio.to_thread(house.store.users, asleep=True)
    found = [
        Contact(
            number=user.number,
            name=user.name,
            state=states.get(user.number) or ("online" if user.number in online else "offline"),
        )
        for user in users
    ]
    return sorted(found, key=lambda each: (each.name.casefold(), len(each.number), each.number))


def remembered(record: dict[str, Any], number: str) -> HistoryEntry:
    """A call as `number` remembers it: the other side, and how long they spoke."""
    caller, callee = record.get("caller") or {}, record.get("callee") or {}
    is_outgoing = caller.get("number") == number
    other = callee if is_outgoing else caller
    answered, ended = record.get("answered_at"), record.get("ended_at")
    return HistoryEntry(
        id=record["id"],
        at=record["began_at"],
        direction="out" if is_outgoing else "in",
        number=other.get("number") or (record.get("dialled", "") if is_outgoing else ""),
        name=other.get("name", ""),
        result=record.get("result", ""),
        seconds=max(0.0, ended - answered) if answered and ended else 0.0,
    )


def _states(calls: list[dict[str, Any]]) -> dict[str, State]:
    """By number. Who speaks is busy, whatever else rings."""
    states: dict[str, State] = {}
    for call in calls:
        is_ringing = call.get("state") == "ringing"
        for side in ("caller", "callee"):
            number = str((call.get(side) or {}).get("number", ""))
            state: State = "ringing" if is_ringing and side == "callee" else "busy"
            if state == "busy" or number not in states:
                states[number] = state
    return states
