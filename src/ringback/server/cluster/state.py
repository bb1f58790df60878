# SPDX-License-Identifier: Apache-2.0
"""What do the workers of a server share, and how does it reach each of them? A feed of changes.

Every worker answers from its own memory and never asks for anything on the path of a call. What all must know
(who is registered, whose connection is open) is a value under a key; a change is a new value or none. Changes
are put in order by `Feed` in the supervisor; a worker hears everything that is there, then what comes.

`State` is the seam: another feed, in Redis for several machines, has the same two verbs. Who loses it loses
no call: each worker still has its copy, and its owner says a thing again.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple, Protocol

_HEAD = struct.Struct("!II")

#: The length of a value that is none.
_NONE = 0xFFFF_FFFF

#: What the first part of a key says it is.
BINDING, CONNECTION = "binding", "connection"


class Change(NamedTuple):
    """A new value for a key, or None when there is none any more."""

    key: str
    value: bytes | None


#: Around a snapshot: what was known before and is not in it is void.
RESET, ALL_THERE = Change("", None), Change("", b"")


class Revised(NamedTuple):
    """A change in its place in the order of all, and the worker that made it."""

    revision: int
    origin: int
    change: Change


class State(Protocol):
    """A place for shared values. `changes` begins with a snapshot where `since` is too long ago, or -1.

    The design knows two more verbs, counters for all (`incr`) and jobs for one (`lease`): they come with what
    needs them.
    """

    def apply(self, change: Change, *, origin: int) -> int: ...
    def changes(self, since: int) -> Iterator[Revised]: ...


def binding_key(user: str, key: str) -> str:
    """One contact of one user."""
    return f"{BINDING}\0{user}\0{key}"


def connection_key(number: int) -> str:
    """One connection of one worker."""
    return f"{CONNECTION}\0{number}"


def parts(key: str) -> tuple[str, str, str]:
    """What it is and up to two names."""
    kind, _, rest = key.partition("\0")
    first, _, second = rest.partition("\0")
    return kind, first, second


def encode(change: Change) -> bytes:
    """A change as it travels. Text from the wire may hold octets that are no UTF-8."""
    key = change.key.encode("utf-8", "surrogateescape")
    value = change.value
    if value is None:
        return _HEAD.pack(len(key), _NONE) + key
    return _HEAD.pack(len(key), len(value)) + key + value


def decode(data: bytes) -> Change:
    """What `encode` wrote."""
    length, value_length = _HEAD.unpack_from(data)
    at = _HEAD.size + length
    key = data[_HEAD.size : at].decode("utf-8", "surrogateescape")
    return Change(key, None if value_length == _NONE else data[at:])
