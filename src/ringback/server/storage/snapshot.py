# SPDX-License-Identifier: Apache-2.0
"""What if the database cannot be opened when the server starts? Then the users are known from a snapshot.

A server writes one (sealed, beside the database) whenever it has read its users. Started from it, the users
can register and call; what changes is kept in memory only, and the status says so.
"""

from __future__ import annotations

import hashlib
import json
import logging
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ringback.server.secret import write_private
from ringback.server.storage.memory import MemoryStore
from ringback.server.storage.sealed_digests import SealedDigests
from ringback.server.storage.sealing import Sealer
from ringback.server.storage.store import StorageError, StoreHealth, UserRecord

logger = logging.getLogger("ringback.storage")

FILE_NAME = "users.snapshot"
PURPOSE = "snapshot of users"


class SnapshotStore(MemoryStore):
    """A store in memory, filled from a snapshot because the real one cannot be used."""

    __slots__ = ("_reason",)

    def __init__(self, reason: str) -> None:
        super().__init__()
        self._reason = reason

    def health(self) -> StoreHealth:
        return StoreHealth(
            failure=f"{self._reason}; users are those of the last snapshot, changes are not kept"
        )


class Snapshot:
    """The snapshot file of one data directory."""

    __slots__ = ("_file", "_last", "_sealer")

    def __init__(self, directory: Path, sealer: Sealer) -> None:
        self._file = directory / FILE_NAME
        self._sealer = sealer
        self._last = b""

    def write(self, users: Sequence[UserRecord], values: Mapping[str, str]) -> None:
        """Write it if anything changed. That it cannot be written is worth a log line, no more."""
        text = json.dumps({"users": [_user_to_json(user) for user in users], "values": dict(values)})
        last = hashlib.sha256(text.encode()).digest()
        if last == self._last:
            return
        try:
            write_private(self._file, self._sealer.seal(text, PURPOSE))
        except StorageError as error:
            logger.warning("the snapshot of the users is old now: %s", error)
            return
        self._last = last

    def open(self, reason: str) -> SnapshotStore | None:
        """A store with what the snapshot holds; None when there is no snapshot that can be read."""
        try:
            sealed = self._file.read_bytes()
        except OSError:
            return None
        text = self._sealer.open(sealed, PURPOSE)
        if text is None:
            return None
        content: dict[str, Any] = json.loads(text)
        store = SnapshotStore(reason)
        for user in content["users"]:
            store.put_user(_user_from_json(user, self._sealer))
        for name, value in content["values"].items():
            store.put_value(name, value)
        return store


def _user_to_json(user: UserRecord) -> dict[str, Any]:
    """Digests that are sealed stay so: opening those of very many users would take seconds."""
    known: dict[str, Any] = {
        "number": user.number,
        "name": user.name,
        "realm": user.realm,
        "made_by": user.made_by,
    }
    if isinstance(user.ha1s, SealedDigests):
        return known | {"sealed": {name: b64encode(seal).decode() for name, seal in user.ha1s.sealed}}
    return known | {"ha1s": dict(user.ha1s)}


def _user_from_json(user: dict[str, Any], sealer: Sealer) -> UserRecord:
    sealed = user.pop("sealed", None)
    if sealed is not None:
        seals = tuple((name, b64decode(seal)) for name, seal in sealed.items())
        user["ha1s"] = SealedDigests(sealer, user["number"], user["realm"], seals)
    return UserRecord(**user)
