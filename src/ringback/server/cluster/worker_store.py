# SPDX-License-Identifier: Apache-2.0
"""Where does a worker find users and registrations? In what the supervisor told it: only the supervisor has a
disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ringback.server.cluster.shared_binding import expiry_of, unpack_record
from ringback.server.storage.devices import DeviceRecord
from ringback.server.storage.memory import MemoryStore
from ringback.server.storage.store import BindingRecord, StoredRow, UserRecord

if TYPE_CHECKING:
    from ringback.server.cluster.sharing import Sharing


class WorkerStore(MemoryStore):
    """A `Store` for reading. Changes of bindings reach the real one through the feed."""

    __slots__ = ("_sharing",)

    def __init__(self, sharing: Sharing) -> None:
        super().__init__()
        self._sharing = sharing

    def take_users(self, known: Mapping[str, Any]) -> None:
        """These are the users now ("users"), their devices ("devices"), and the named values ("values"); what
        is not said stays.
        """
        if "users" in known:
            self._users = {user["number"]: UserRecord(**user) for user in known["users"]}
        if "devices" in known:
            self._devices = {device["id"]: DeviceRecord(**device) for device in known["devices"]}
        self._values.update(known.get("values", {}))

    def rows(self, *, now: float) -> Iterator[StoredRow]:
        for user, key, value in self._sharing.bindings():
            expires_at = expiry_of(value)
            if expires_at > now:
                yield user, key, expires_at, value

    def read(self, row: StoredRow) -> BindingRecord | None:
        return unpack_record(row[3])

    def put_binding(self, binding: BindingRecord) -> None:
        """The feed has it."""

    def put_binding_later(self, user: str, key: str, record: Callable[[], BindingRecord]) -> None:
        """The feed has it."""

    def remove_binding(self, user: str, key: str) -> None:
        """The feed has it."""

    def remove_bindings_of(self, user: str, *, device: str | None = None) -> None:
        """The supervisor forgets them when it hears of the user."""

    def remove_expired(self, *, now: float) -> None:
        """Each process looks at the clock for itself."""
