# SPDX-License-Identifier: Apache-2.0
"""A store that forgets when the process ends: for tests, and for the library."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ringback.server.storage.memory_devices import MemoryDevices
from ringback.server.storage.store import BindingRecord, StoredRow, StoreHealth, UserRecord


class MemoryStore(MemoryDevices):
    """Keeps everything in dictionaries."""

    __slots__ = ("_bindings", "_users", "_values")

    def __init__(self) -> None:
        super().__init__()
        self._users: dict[str, UserRecord] = {}
        self._bindings: dict[tuple[str, str], BindingRecord] = {}
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
        return self._users.pop(number, None) is not None

    def bindings(self, *, now: float) -> Sequence[BindingRecord]:
        alive = [binding for binding in self._bindings.values() if binding.expires_at > now]
        return sorted(alive, key=lambda binding: (binding.user, binding.key))

    def rows(self, *, now: float) -> Iterator[StoredRow]:
        for (user, key), binding in self._bindings.items():
            if binding.expires_at > now:
                yield user, key, binding.expires_at, binding

    def read(self, row: StoredRow) -> BindingRecord | None:
        binding: BindingRecord = row[3]
        return binding

    def put_binding(self, binding: BindingRecord) -> None:
        self._bindings[binding.user, binding.key] = binding

    def remove_binding(self, user: str, key: str) -> None:
        self._bindings.pop((user, key), None)

    def remove_bindings_of(self, user: str, *, device: str | None = None) -> None:
        for name, binding in list(self._bindings.items()):
            if name[0] == user and device in (None, binding.device):
                del self._bindings[name]

    def see_devices(self) -> None:
        for binding in self._bindings.values():
            known = self._devices.get(binding.device)
            if known is not None and known.last_seen < binding.registered_at:
                self._devices[known.id] = replace(known, last_seen=binding.registered_at)

    def remove_device(self, device: str) -> bool:
        for each in self.devices():
            if each.id == device:
                self.remove_bindings_of(each.number, device=device)
        return super().remove_device(device)

    def remove_expired(self, *, now: float) -> None:
        for name in [name for name, binding in self._bindings.items() if binding.expires_at <= now]:
            del self._bindings[name]

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
