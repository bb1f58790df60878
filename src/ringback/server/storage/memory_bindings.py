# SPDX-License-Identifier: Apache-2.0
"""How does a store that forgets keep registrations? Here is `BindingStore` for `MemoryStore`."""

from collections.abc import Callable, Iterator, Sequence

from ringback.server.storage.store import BindingRecord, StoredRow


class MemoryBindings:
    """Registrations in a dictionary."""

    __slots__ = ("_bindings",)

    def __init__(self) -> None:
        self._bindings: dict[tuple[str, str], BindingRecord] = {}

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

    def put_binding_later(self, user: str, key: str, record: Callable[[], BindingRecord]) -> None:
        self._bindings[user, key] = record()

    def remove_binding(self, user: str, key: str) -> None:
        self._bindings.pop((user, key), None)

    def remove_bindings_of(self, user: str, *, device: str | None = None) -> None:
        for name, binding in list(self._bindings.items()):
            if name[0] == user and device in (None, binding.device):
                del self._bindings[name]

    def remove_expired(self, *, now: float) -> None:
        for name in [name for name, binding in self._bindings.items() if binding.expires_at <= now]:
            del self._bindings[name]
