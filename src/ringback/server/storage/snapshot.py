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
from dataclasses import fields
from pathlib import Path
from typing import Any

from ringback.server.secret import write_private
from ringback.server.storage.devices import DeviceRecord
from ringback.server.storage.memory import MemoryStore
from ringback.server.storage.sealed_digests import SealedDigests
from ringback.server.storage.sealing import Sealer
from ringback.server.storage.sqlite_devices import seal_name
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

    def write(
        self, users: Sequence[UserRecord], values: Mapping[str, str], devices: Sequence[DeviceRecord] = ()
    ) -> None:
        """Write it if anything changed. That it cannot be written is worth a log line, no more. Guests are
        not in it: they are gone in an hour.
        """
        text = json.dumps(
            {
                "users": [_user_to_json(user) for user in users],
                "values": dict(values),
                "devices": [_device_to_json(device) for device in devices if not device.may_call],
            }
        )
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
        for device in content.get("devices", ()):
            store.put_device(_device_from_json(device, self._sealer))
        return store


def _user_to_json(user: UserRecord) -> dict[str, Any]:
    """Digests that are sealed stay so: opening those of very many users would take seconds."""
    known: dict[str, Any] = {
        "number": user.number,
        "name": user.name,
        "realm": user.realm,
        "made_by": user.made_by,
    }
    return known | _digests_to_json(user.ha1s)


def _user_from_json(user: dict[str, Any], sealer: Sealer) -> UserRecord:
    _open_digests(user, sealer, user["number"])
    return UserRecord(**user)


def _device_to_json(device: DeviceRecord) -> dict[str, Any]:
    """When it was last seen changes all the time, and is no reason for another snapshot."""
    left_out = ("ha1s", "last_seen")
    known = {each.name: getattr(device, each.name) for each in fields(device) if each.name not in left_out}
    return known | _digests_to_json(device.ha1s)


def _device_from_json(device: dict[str, Any], sealer: Sealer) -> DeviceRecord:
    _open_digests(device, sealer, seal_name(device["id"]))
    return DeviceRecord(**device)


def _digests_to_json(ha1s: Mapping[str, str]) -> dict[str, Any]:
    if isinstance(ha1s, SealedDigests):
        return {"sealed": {name: b64encode(seal).decode() for name, seal in ha1s.sealed}}
    return {"ha1s": dict(ha1s)}


def _open_digests(record: dict[str, Any], sealer: Sealer, name: str) -> None:
    sealed = record.pop("sealed", None)
    if sealed is not None:
        seals = tuple((algorithm, b64decode(seal)) for algorithm, seal in sealed.items())
        record["ha1s"] = SealedDigests(sealer, name, record["realm"], seals)
