# SPDX-License-Identifier: Apache-2.0
"""Who works here? The users with their devices, in memory, found by number and by name; the store behind it
is asked only when told.

Implements `ringback.server.subscribers.Subscribers`.
"""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from ringback.pbx import operator
from ringback.server.storage.bulk import without_collector
from ringback.server.storage.devices import DeviceRecord
from ringback.server.storage.sealed_digests import wake
from ringback.server.storage.store import StorageError, Store, UserRecord
from ringback.server.subscribers import Subscriber

MAX_DIALLED = 128

Known = TypeVar("Known")


class Revoked(NamedTuple):
    """Whose registrations count no longer: those of a device of the user; "" is the user's own password, None
    the user with everything.
    """

    number: str
    device: str | None


class Directory:
    """The users of one store. A refresh replaces all of them at once; when it fails, the old ones stay."""

    __slots__ = (
        "_asleep",
        "_by_name",
        "_by_number",
        "_devices",
        "_guests",
        "_refreshing",
        "_store",
        "operators",
    )

    def __init__(self, store: Store) -> None:
        self._store = store
        self._refreshing = asyncio.Lock()
        self._by_number: dict[str, Subscriber] = {}
        self._by_name: dict[str, Subscriber | None] = {}
        self._devices: dict[str, DeviceRecord] = {}
        self._guests: dict[str, Subscriber] = {}
        self.operators: tuple[str, ...] = ()
        """Who answers for the office; none means everybody."""
        #: Users whose digests are not read yet, the last ones first.
        self._asleep: list[UserRecord] = []

    def __len__(self) -> int:
        return len(self._by_number)

    def __iter__(self) -> Iterator[Subscriber]:
        return iter(self._by_number.values())

    def find(self, user: str) -> Subscriber | None:
        """The user with this number, the guest of this number, or the only user with this name."""
        found = self._by_number.get(user)
        if found is None and 0 < len(user) <= MAX_DIALLED:
            found = self._guests.get(user) or self._by_name.get(dialled_name(user))
        return found

    def name_of(self, number: str) -> str:
        """The display name of a user; empty for one that does not exist."""
        found = self._by_number.get(number) or self._guests.get(number)
        return found.name if found else ""

    def device(self, device: str) -> DeviceRecord | None:
        """The device with this id."""
        return self._devices.get(device)

    def devices(self) -> Sequence[DeviceRecord]:
        """All of them, those of guests too."""
        return list(self._devices.values())

    def load(self) -> None:
        """Read all users. Blocks for as long as the store does, and raises StorageError.

        Their digests sleep: those of 100 000 users would hold up the start for half a second. `wake` them.
        """
        with without_collector():
            users = self._store.users(asleep=True)
            self._take(users)
            self._asleep = list(reversed(users))
        self._take_devices(self._store.devices())
        self.operators = operator.operators(self._store)

    def wake(self, limit: int) -> bool:
        """Read the digests of so many users that sleep. False when none is left. Raises StorageError."""
        users = self._asleep[: -limit - 1 : -1]
        del self._asleep[-limit:]
        wake([user.ha1s for user in users])
        return bool(self._asleep)

    async def refresh(self) -> frozenset[Revoked]:
        """Read everything again without holding up the loop.

        Returns whose registrations count no longer: who is gone or has a new password.
        """
        async with self._refreshing:
            before, devices_before = self._by_number, self._devices
            users = await _read(self._store.users)
            asleep = [user.ha1s for user in reversed(self._asleep)]
            await _read(lambda: wake(asleep))  # `_revoked` compares them, and each alone would ask the disk
            devices, operators = await _read(self._read_devices)
            self._take(users)
            self._asleep.clear()
            self._take_devices(devices)
            self.operators = operators
            revoked = await _read(lambda: self._revoked(before.values()))
            return revoked | self._revoked_devices(devices_before)

    async def refresh_devices(self) -> frozenset[Revoked]:
        """The same without the users, who may be very many: devices, guests, who answers for the office."""
        async with self._refreshing:
            before = self._devices
            devices, self.operators = await _read(self._read_devices)
            self._take_devices(devices)
            return self._revoked_devices(before)

    def _read_devices(self) -> tuple[Sequence[DeviceRecord], tuple[str, ...]]:
        return self._store.devices(), operator.operators(self._store)

    def _revoked(self, before: Iterable[Subscriber]) -> frozenset[Revoked]:
        now = self._by_number
        return frozenset(
            Revoked(old.number, "" if old.number in now else None)
            for old in before
            if old.number not in now or now[old.number].ha1s != old.ha1s
        )

    def _revoked_devices(self, before: dict[str, DeviceRecord]) -> frozenset[Revoked]:
        now = self._devices
        return frozenset(
            Revoked(old.number, old.id)
            for old in before.values()
            if old.id not in now or now[old.id].ha1s != old.ha1s
        )

    def _take(self, users: Sequence[UserRecord]) -> None:
        by_number = {user.number: Subscriber(user.number, user.name, user.ha1s) for user in users}
        by_name: dict[str, Subscriber | None] = {}
        for subscriber in by_number.values():
            if subscriber.name and (name := dialled_name(subscriber.name)):
                by_name[name] = None if name in by_name else subscriber
        self._by_number, self._by_name = by_number, by_name

    def _take_devices(self, devices: Sequence[DeviceRecord]) -> None:
        for number in {device.number for device in self._devices.values()} & self._by_number.keys():
            self._by_number[number].devices = ()
        self._devices = {device.id: device for device in devices}
        self._guests = {}
        by_number: dict[str, list[DeviceRecord]] = {}
        for device in devices:
            if device.may_call:
                self._guests[device.number] = Subscriber(
                    device.number, device.name, {}, (device,), device.may_call
                )
            else:
                by_number.setdefault(device.number, []).append(device)
        for number, owned in by_number.items():
            if (subscriber := self._by_number.get(number)) is not None:
                subscriber.devices = tuple(owned)


async def _read(read: Callable[[], Known]) -> Known:
    """In another thread: the disk may take its time."""
    try:
        return await asyncio.to_thread(read)
    except StorageError as error:
        raise StorageError(f"the users could not be read again, those known stay: {error}") from error


def dialled_name(text: str) -> str:
    """One spelling for "Anna Karenina", "anna.karenina" and "ANNA_KARENINA"."""
    folded = unicodedata.normalize("NFC", text).casefold()
    return re.sub(r"[\s._\-]+", ".", folded).strip(".")
