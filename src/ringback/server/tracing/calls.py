# SPDX-License-Identifier: Apache-2.0
"""Which calls are in the trace? A line for each Call-ID: who, when, what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from ringback.server.tracing.chunk import Chunk, Kept
from ringback.server.tracing.message import Message, described, method_of
from ringback.server.tracing.query import Query
from ringback.server.tracing.ring import Ring
from ringback.server.tracing.selection import call_id_of

Call = dict[str, Any]

#: Octets of a message in which the fields stand that are shown.
HEAD = 4096


async def calls_in(ring: Ring, query: Query, *, limit: int) -> list[Call]:
    """The calls of which the newest messages are, the newest call first. Looks at no more than it needs."""
    found: dict[bytes, Call] = {}
    for chunk in reversed(ring.chunks):
        if chunk.last_at < query.since or len(found) >= 2 * limit:
            break
        _count(found, chunk, query, limit)
        await asyncio.sleep(0)
    calls = [call for call in found.values() if query.fits(call)]
    return sorted(calls, key=lambda call: call["began_at"], reverse=True)[:limit]


def _count(found: dict[bytes, Call], chunk: Chunk, query: Query, limit: int) -> None:
    """From the last message to the first, since most are asked for the newest."""
    for index in reversed(range(len(chunk))):
        kept = chunk.message(index)
        call_id = call_id_of(kept.data)
        if not call_id or not query.wants(kept):
            continue
        call = found.get(call_id)
        if call is None:
            if len(found) >= 4 * limit:
                continue
            call = found[call_id] = _call(kept)
        elif not _is_known(call, kept):
            _refine(call, kept)
        call["messages"] += 1
        call["began_at"] = kept.at


def _is_known(call: Call, kept: Kept) -> bool:
    """True for what cannot change the line: provisional responses, later requests of a call. 1 us, not 20."""
    return kept.data.startswith((b"SIP/2.0 1", b"ACK ", b"BYE "))


def _call(kept: Kept) -> Call:
    message = _described(kept)
    return {
        "call_id": message["call_id"],
        "method": method_of(message),
        "from": message["from"],
        "to": message["to"],
        "remote": str(kept.flow.remote),
        "began_at": kept.at,
        "last_at": kept.at,
        "messages": 0,
        "status": message.get("status", 0),
    }


def _refine(call: Call, kept: Kept) -> None:
    """What is nearer to the beginning says better who asked whom for what."""
    message = _described(kept)
    method = method_of(message)
    if "status" not in message:
        call.update({"from": message["from"], "to": message["to"], "remote": str(kept.flow.remote)})
    if method not in ("ACK", "BYE", "CANCEL") or call["method"] == "":
        if call["method"] != method:
            call["status"] = 0
        call["method"] = method
        if message.get("status", 0) >= 200 and not 200 <= call["status"] < 700:
            call["status"] = message["status"]


def _described(kept: Kept) -> Message:
    return described(kept.data[:HEAD].decode("utf-8", "replace"))


def newest_first(lists: Iterable[Sequence[Call]]) -> list[Call]:
    """The calls of several processes; one that several know of is one."""
    found: dict[str, Call] = {}
    for call in (call for calls in lists for call in calls):
        known = found.setdefault(call["call_id"], call)
        if known is not call:
            first, other = sorted((known, call), key=lambda each: each["began_at"])
            found[call["call_id"]] = {
                **first,
                "messages": first["messages"] + other["messages"],
                "last_at": max(first["last_at"], other["last_at"]),
                "status": first["status"] or other["status"],
            }
    return sorted(found.values(), key=lambda call: call["began_at"], reverse=True)
