# SPDX-License-Identifier: Apache-2.0
"""What can be asked about messages? The verbs of the trace.

trace         {call_id | call_ids, from, to, since, until, limit} -> {messages, left_out, dropped}
trace-calls   {from, to, since, until, limit} -> {calls}, the newest first
trace-since   {cursor, limit} -> {messages, cursor}; without a cursor: from now on
trace-switch  {enabled, sampling, domains, users, devices}, each if it shall change, until the next restart
trace-status  {}
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ringback.pbx.verbs import Answer, Verb
from ringback.server.tracing.calls import calls_in, newest_first
from ringback.server.tracing.message import Message, message_dict
from ringback.server.tracing.query import SLICE, BadQuery, by_time, find, limit_of, query_of
from ringback.server.tracing.settings import TraceSettings
from ringback.server.tracing.status import together

if TYPE_CHECKING:
    from ringback.pbx.app import PhoneSystem

SWITCHABLE = ("enabled", "sampling", "domains", "users", "devices")


async def _trace(system: PhoneSystem, arguments: Mapping[str, Any]) -> Answer:
    recorder = system.recorder
    recorder.flush()
    query = query_of(arguments)
    messages, left_out = await find(query, recorder.ring, recorder.place)
    return {
        "messages": messages,
        "left_out": left_out,
        "dropped": recorder.ring.dropped,
        "limit": query.limit,
    }


def _all_messages(answers: Sequence[Answer]) -> Answer:
    messages = list(by_time(answer["messages"] for answer in answers))
    limit = answers[0]["limit"]
    too_many = max(0, len(messages) - limit)
    return {
        "messages": messages[too_many:],
        "left_out": too_many + sum(answer["left_out"] for answer in answers),
        "dropped": sum(answer["dropped"] for answer in answers),
        "limit": limit,
    }


async def _calls(system: PhoneSystem, arguments: Mapping[str, Any]) -> Answer:
    recorder = system.recorder
    recorder.flush()
    limit = limit_of(arguments)
    return {"calls": await calls_in(recorder.ring, query_of(arguments), limit=limit), "limit": limit}


def _all_calls(answers: Sequence[Answer]) -> Answer:
    limit = answers[0]["limit"]
    return {"calls": newest_first([answer["calls"] for answer in answers])[:limit], "limit": limit}


async def _since(system: PhoneSystem, arguments: Mapping[str, Any]) -> Answer:
    """A cursor has a place for each process: one that began anew tells everything it has."""
    recorder = system.recorder
    recorder.flush()
    cursor = arguments.get("cursor")
    limit = limit_of(arguments)
    if not isinstance(cursor, Mapping | None):
        raise BadQuery("cursor is what the last answer gave")
    if not cursor:
        return {"messages": [], "cursor": {recorder.name: recorder.next_number}, "limit": limit}
    place = cursor.get(recorder.name, 0)
    if isinstance(place, bool) or not isinstance(place, int):
        raise BadQuery("cursor is what the last answer gave")
    messages: list[Message] = []
    following = max(place, 0)
    for number, kept in recorder.ring.since(place, limit):
        messages.append(message_dict(kept))
        following = number + 1
        if len(messages) % SLICE == 0:
            await asyncio.sleep(0)
    return {
        "messages": messages,
        "cursor": {recorder.name: following},
        "limit": limit,
    }


def _all_since(answers: Sequence[Answer]) -> Answer:
    cursor = {name: place for answer in answers for name, place in answer["cursor"].items()}
    return {
        "messages": list(by_time(answer["messages"] for answer in answers)),
        "cursor": cursor,
        "limit": answers[0]["limit"],
    }


async def _switch(system: PhoneSystem, arguments: Mapping[str, Any]) -> Answer:
    recorder = system.recorder
    wanted = {name: arguments[name] for name in SWITCHABLE if arguments.get(name) is not None}
    try:
        settings = TraceSettings.model_validate({**recorder.settings.model_dump(), **wanted})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise BadQuery(f"{name}: {first['msg'].removeprefix('Value error, ')}") from None
    recorder.switch(settings)
    return recorder.status()


async def _status(system: PhoneSystem, _: Mapping[str, Any]) -> Answer:
    return system.recorder.status()


ROWS: dict[str, Verb] = {
    "trace": Verb(_trace, _all_messages),
    "trace-calls": Verb(_calls, _all_calls),
    "trace-since": Verb(_since, _all_since),
    "trace-switch": Verb(_switch, together),
    "trace-status": Verb(_status, together),
}
