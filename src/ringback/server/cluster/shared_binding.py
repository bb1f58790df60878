# SPDX-License-Identifier: Apache-2.0
"""How does a registration travel between workers? As it is stored, with what the store does not keep: the
number of the connection it came by.
"""

from __future__ import annotations

import struct

from ringback.server.storage.binding_record import decode, encode
from ringback.server.storage.store import BindingRecord, StoredRow

_HEAD = struct.Struct("!dQ")


def pack_binding(record: BindingRecord, connection: int) -> bytes:
    """The value of a binding in the feed."""
    return _HEAD.pack(record.expires_at, connection) + encode(record).encode("ascii")


def pack_row(row: StoredRow) -> bytes:
    """The value of a binding that the store has written down."""
    content = row[3]
    return _HEAD.pack(row[2], 0) + (content if isinstance(content, str) else encode(content)).encode("ascii")


def expiry_of(value: bytes) -> float:
    """When it expires, in seconds since 1970."""
    return float(_HEAD.unpack_from(value)[0])


def connection_of(value: bytes) -> int:
    """The connection the phone registered by; 0 for datagrams."""
    return int(_HEAD.unpack_from(value)[1])


def unpack_record(value: bytes) -> BindingRecord | None:
    """The record in it."""
    return decode(value[_HEAD.size :].decode("ascii"))
