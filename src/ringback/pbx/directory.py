# SPDX-License-Identifier: Apache-2.0
"""Who works here? The users, in memory, found by number and by name; the store behind it is asked only when
told.

Implements `ringback.server.subscribers.Subscribers`.
"""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import Iterator, Sequence

from ringback.server.storage.bulk import without_collector
from ringback.server.storage.sealed_digests import wake
from ringback.server.storage.store import StorageError, Store, UserRecord
from ringback.server.subscribers import Subscriber

MAX_DIALLED = 128


class Directory:
    """The users of one store. A refresh replaces all of them at once; when it fails, the old ones stay."""

    __slots__ = ("_asleep", "_by_name", "_by_number", "_refreshing", "_store")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._refreshing = asyncio.Lock()
        self._by_number: dict[str, Subscriber] = {}
        self._by_name: dict[str, Subscriber | None] = {}
        #: Users whose digests are not read yet, the last ones first.
        self._asleep: list[UserRecord] = []

    def __len__(self) -> int:
        return len(self._by_number)

    def __iter__(self) -> Iterator[Subscriber]:
        return iter(self._by_number.values())

    def find(self, user: str) -> Subscriber | None:
        """The user with this number, or the only one with this name."""
        found = self._by_number.get(user)
        if found is None and 0 < len(user) <= MAX_DIALLED:
            found = self._by_name.get(dialled_name(user))
        return found

    def name_of(self, number: str) -> str:
        """The display name of a user; empty for one that does not exist."""
        found = self._by_number.get(number)
        return found.name if found else ""

    def load(self) -> None:
        """Read all users. Blocks for as long as the store does, and raises StorageError.

        Their digests sleep: those of 100 000 users would hold up the start for half a second. `wake` them.
        """
        with without_collector():
            users = self._store.users(asleep=True)
            self._take(users)
            self._asleep = list(reversed(users))

    def wake(self, limit: int) -> bool:
        """Read the digests of so many users that sleep. False when none is left. Raises StorageError."""
        users = self._asleep[: -limit - 1 : -1]
        del self._asleep[-limit:]
        wake([user.ha1s for user in users])
        return bool(self._asleep)

    async def refresh(self) -> frozenset[str]:
        """Read all users again without holding up the loop.

        Returns the numbers whose registrations count no longer: the user is gone or has a new password.
        """
        async with self._refreshing:
            before = self._by_number
            try:
                users = await asyncio.to_thread(self._store.users)
            except StorageError as error:
                raise StorageError(f"the users could not be read again, those known stay: {error}") from error
            self._take(users)
            self._asleep.clear()
            return frozenset(number for number, old in before.items() if not self._has_digests_of(old))

    def _has_digests_of(self, old: Subscriber) -> bool:
        new = self._by_number.get(old.number)
        return new is not None and new.ha1s == old.ha1s

    def _take(self, users: Sequence[UserRecord]) -> None:
        by_number = {user.number: Subscriber(user.number, user.name, user.ha1s) for user in users}
        by_name: dict[str, Subscriber | None] = {}
        for subscriber in by_number.values():
            if subscriber.name and (name := dialled_name(subscriber.name)):
                by_name[name] = None if name in by_name else subscriber
        self._by_number, self._by_name = by_number, by_name


def dialled_name(text: str) -> str:
    """One spelling for "Anna Karenina", "anna.karenina" and "ANNA_KARENINA"."""
    folded = unicodedata.normalize("NFC", text).casefold()
    return re.sub(r"[\s._\-]+", ".", folded).strip(".")
