# SPDX-License-Identifier: Apache-2.0
"""A store that forgets when the process ends: for tests, and for the library."""

from collections.abc import Sequence
from dataclasses import replace

from ringback.server.storage.memory_devices import MemoryDevices
from ringback.server.storage.store import StoreHealth, UserRecord


class MemoryStore(MemoryDevices):
    """Keeps everything in dictionaries."""

    __slots__ = ("_users", "_values")

    def __init__(self) -> None:
        super().__init__()
        self._users: dict[str, UserRecord] = {}
        self._values: dict[str, str] = {}

    def users(self, *, asleep: bool = False, number: str | None = None) -> Sequence[UserRecord]:
        numbers = sorted(self._users) if number is None else [number] if number in self._users else []
        return [self._users[number] for number in numbers]

    def put_user(self, user: UserRecord) -> None:
        self._users[user.number] = user

    def remove_user(self, number: str) -> bool:
        self.remove_bindings_of(number)
        for device in self.devices(number=number):
            self.remove_device(device.id)
        for page in self.guest_pages():
            if page.number == number:
                self.put_guest_page(replace(page, enabled=False))
        return self._users.pop(number, None) is not None

    def value(self, name: str) -> str | None:
        return self._values.get(name)

    def put_value(self, name: str, value: str) -> None:
        self._values[name] = value

    put_later = put_value

    def health(self) -> StoreHealth:
        return StoreHealth()

    def flush(self, *, timeout: float = 5.0) -> bool:
        return True

    def close(self) -> None:
        """Nothing is held."""
