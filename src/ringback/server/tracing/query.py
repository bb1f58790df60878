# SPDX-License-Identifier: Apache-2.0
"""Which messages were asked for? A query over what is in memory, and for older ones over the files.

A Call-ID is looked for by its octets in a chunk of 100 messages at a time, without an index that every
message would have to pay for. Other queries look at every message; between chunks the loop does other things.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ringback.server.tracing.chunk import Chunk, Kept
from ringback.server.tracing.files import read_messages
from ringback.server.tracing.message import Message, message_dict, user_of
from ringback.server.tracing.place import Place
from ringback.server.tracing.ring import Ring
from ringback.server.tracing.selection import call_id_of
from ringback.sip.errors import RingbackError

LIMIT = 1_000
MOST = 10_000
#: Octets of messages in one answer.
LARGEST = 16_000_000
MOST_CALL_IDS = 100
FOREVER = float("inf")
#: Messages that are looked at in one turn of the loop: 1 ms of work.
SLICE = 20


class BadQuery(RingbackError):
    """The query has an argument that makes no sense."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is wanted. Empty: everything."""

    call_ids: tuple[bytes, ...] = ()
    caller: str = ""
    callee: str = ""
    since: float = 0.0
    until: float = FOREVER
    limit: int = LIMIT

    def wants(self, kept: Kept) -> bool:
        """All but who calls whom."""
        if not self.since <= kept.at <= self.until:
            return False
        return not self.call_ids or call_id_of(kept.data) in self.call_ids

    def octets(self) -> tuple[bytes, ...]:
        """What every message that fits has one of; empty when that is not known."""
        if self.call_ids:
            return self.call_ids
        name = (self.caller or self.callee).removesuffix("*").encode("utf-8", "replace")
        return (name,) if name else ()

    def fits(self, message: Message) -> bool:
        """Who calls whom: a number, a user name, or a whole address. A `*` at the end stands for the rest."""
        return names(self.caller, message["from"]) and names(self.callee, message["to"])


def query_of(arguments: Mapping[str, Any]) -> Query:
    """The query that a verb was given. Raises `BadQuery`."""
    call_ids = arguments.get("call_ids") or ([arguments["call_id"]] if arguments.get("call_id") else [])
    if not isinstance(call_ids, list | tuple) or len(call_ids) > MOST_CALL_IDS:
        raise BadQuery(f"call_ids is a list of {MOST_CALL_IDS} at most")
    return Query(
        tuple(str(each).encode("utf-8", "replace") for each in call_ids),
        str(arguments.get("from") or ""),
        str(arguments.get("to") or ""),
        _number(arguments, "since", 0.0),
        _number(arguments, "until", FOREVER),
        limit_of(arguments),
    )


def limit_of(arguments: Mapping[str, Any]) -> int:
    """How many are wanted."""
    return int(min(MOST, max(1.0, _number(arguments, "limit", LIMIT))))


async def find(query: Query, ring: Ring, place: Place | None) -> tuple[list[Message], int]:
    """The newest that fit, oldest first; and how many were left out, or not even looked at."""
    found = _Newest(query)
    for chunk in reversed(ring.chunks):
        if chunk.last_at < query.since:
            break
        if found.is_full and not query.call_ids:
            found.left_out += len(chunk)
            continue
        for count, kept in enumerate(_candidates(chunk, query)):
            found.add(kept)
            if count % SLICE == SLICE - 1:
                await asyncio.sleep(0)
        await asyncio.sleep(0)
    if place is not None and (ring.oldest_at is None or query.since < ring.oldest_at) and not found.is_full:
        before = ring.oldest_at if ring.oldest_at is not None else FOREVER
        for older in reversed(await asyncio.to_thread(_from_files, query, place, before)):
            found.add(older)
    return found.messages[::-1], found.left_out


class _Newest:
    """The messages that fit, newest first, as far as they have room in an answer."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self._size = 0
        self.messages: list[Message] = []
        self.is_full = False
        self.left_out = 0

    def add(self, kept: Kept) -> None:
        """One that may fit, older than all before."""
        if not self._query.wants(kept):
            return
        if self.is_full:
            self.left_out += 1
            return
        message = message_dict(kept)
        if self._query.fits(message):
            self.messages.append(message)
            self._size += message["size"]
            self.is_full = len(self.messages) >= self._query.limit or self._size >= LARGEST


def _candidates(chunk: Chunk, query: Query) -> Iterable[Kept]:
    """Those that have the right octets anywhere in them, the newest first."""
    texts = query.octets()
    indexes: Iterable[int] = range(len(chunk))
    if texts:
        indexes = {index for text in texts for index in chunk.having(text)}
    return (chunk.message(index) for index in sorted(indexes, reverse=True))


def _from_files(query: Query, place: Place, before: float) -> list[Kept]:
    """In a thread. Rounding in the file must not make a message of the memory appear twice."""
    found: deque[Kept] = deque(maxlen=query.limit)
    for changed, path in place.files():
        if changed >= query.since:
            found += (
                kept
                for kept in read_messages(path, query.octets())
                if kept.at < before - 2e-6 and query.wants(kept)
            )
    return list(found)


def names(wanted: str, uri: str) -> bool:
    """True if that is whom the URI names; nobody in particular is everybody."""
    if not wanted:
        return True
    address = uri.partition(":")[2] or uri
    shown = (user_of(uri), address.partition(";")[0], uri)
    if wanted.endswith("*"):
        return any(each.startswith(wanted[:-1]) for each in shown)
    return wanted in shown


def _number(arguments: Mapping[str, Any], name: str, default: float) -> float:
    value = arguments.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise BadQuery(f"{name} is a number")
    return float(value)


def by_time(lists: Iterable[Iterable[Message]]) -> Iterator[Message]:
    """Messages of several processes in the order they happened."""
    return iter(sorted((message for each in lists for message in each), key=lambda message: message["at"]))
