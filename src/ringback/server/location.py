# SPDX-License-Identifier: Apache-2.0
"""Where are the phones of a user now? The location service: RFC 3261 section 10.3, step 7 and 8, and
section 16.5.

Everything is in memory; each change is also told to the store, in order, so that a restart forgets
nobody. Expiry runs on the monotonic clock: setting the wall clock moves no registration.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from ringback.server.binding import Binding, from_record, to_record
from ringback.server.flow_token import Restore
from ringback.server.storage import BindingRecord, Store
from ringback.sip.errors import PeerError

logger = logging.getLogger("ringback.location")


class Location:
    """Address of record (a user's number) -> bindings."""

    __slots__ = ("_by_handle", "_by_user", "_restore", "_store", "_wall_clock", "on_bound")

    def __init__(
        self, store: Store, *, wall_clock: Callable[[], float], restore: Restore = lambda flow: flow
    ) -> None:
        self._store = store
        self._wall_clock = wall_clock
        self._restore = restore
        #: Told of each binding that a REGISTER made or refreshed.
        self.on_bound: list[Callable[[Binding], None]] = []
        self._by_user: dict[str, dict[str, Binding]] = {}
        self._by_handle: dict[bytes, tuple[str, str]] = {}

    def __len__(self) -> int:
        return len(self._by_handle)

    def __iter__(self) -> Iterator[Binding]:
        for bindings in self._by_user.values():
            yield from bindings.values()

    def bindings(self, user: str, *, now: float) -> list[Binding]:
        """The live bindings of a user: best q first, and among equals the newest."""
        alive = [binding for binding in self._by_user.get(user, {}).values() if binding.expires_at > now]
        return sorted(alive, key=lambda binding: (-binding.q, -binding.registered_at, binding.key))

    def find(self, handle: bytes, *, now: float) -> Binding | None:
        """The live binding with this handle."""
        user, key = self._by_handle.get(handle, ("", ""))
        binding = self._by_user.get(user, {}).get(key)
        return binding if binding is not None and binding.expires_at > now else None

    def commit(
        self, user: str, *, put: Sequence[Binding] = (), remove: Iterable[str] = (), now: float
    ) -> None:
        """All changes of one REGISTER at once (10.3 step 7)."""
        for key in remove:
            self._forget(user, key)
            self._store.remove_binding(user, key)
        for binding in put:
            self._remember(binding)
            self._store.put_binding(to_record(binding, now=now, wall_now=self._wall_clock()))
            for tell in self.on_bound:
                tell(binding)

    def forget_user(self, user: str) -> None:
        """The user is gone, and so are all bindings."""
        for key in list(self._by_user.get(user, {})):
            self._forget(user, key)
        self._store.remove_bindings_of(user)

    def load(self, *, now: float) -> int:
        """Take over what the store remembers; how many bindings that were."""
        wall_now = self._wall_clock()
        for record in self._store.bindings(now=wall_now):
            try:
                binding = from_record(record, now=now, wall_now=wall_now)
            except (PeerError, ValueError) as error:
                logger.warning("a stored binding of user %s cannot be read: %s", record.user, error)
                continue
            if binding.flow is not None:
                binding = replace(binding, flow=self._restore(binding.flow))
            self._remember(binding)
        return len(self)

    def expire(self, *, now: float) -> int:
        """Drop what has expired; how many bindings that were."""
        dead = [binding for binding in self if binding.expires_at <= now]
        for binding in dead:
            self._forget(binding.user, binding.key)
            self._store.remove_binding(binding.user, binding.key)
        return len(dead)

    def records(self, *, now: float) -> list[BindingRecord]:
        """Everything alive, for people to look at."""
        wall_now = self._wall_clock()
        alive = [
            to_record(binding, now=now, wall_now=wall_now) for binding in self if binding.expires_at > now
        ]
        return sorted(alive, key=lambda record: (record.user, record.key))

    def _remember(self, binding: Binding) -> None:
        self._by_user.setdefault(binding.user, {})[binding.key] = binding
        self._by_handle[binding.handle] = (binding.user, binding.key)

    def _forget(self, user: str, key: str) -> None:
        bindings = self._by_user.get(user, {})
        binding = bindings.pop(key, None)
        if binding is not None:
            self._by_handle.pop(binding.handle, None)
        if not bindings:
            self._by_user.pop(user, None)
