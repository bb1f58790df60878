# SPDX-License-Identifier: Apache-2.0
"""What is kept across restarts, and what every place to keep it must offer.

A store is behind the memory of the running server, never in front of it: no call waits for a disk. Changes
to bindings and meta values are queued and written in batches; users are written at once, because a person
waits for the answer. The implementations are `memory.py` and `sqlite.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

from ringback.server.storage.devices import DeviceStore
from ringback.sip.errors import RingbackError

NOTHING: Mapping[str, str] = MappingProxyType({})


class StorageError(RingbackError):
    """The store could not be read or written; the text says why and what to do."""

    #: Then its name is added. What people are refused tells them nothing about where things lie.
    is_about_the_file = True


class NewerStoreError(StorageError):
    """The store is fine, and belongs to a newer version of Ringback."""


@dataclass(slots=True)
class UserRecord:
    """A user. `ha1s` maps the name of a digest algorithm to H(number:realm:password); no password is kept.

    Nobody changes one; it is not frozen because a server reads 100 000 at its start (1 us less for each).
    """

    number: str
    name: str
    realm: str
    ha1s: Mapping[str, str] = field(default_factory=lambda: NOTHING, repr=False)
    made_by: str = ""  # "demo" for the users that --demo made and may give new passwords


@dataclass(slots=True)
class BindingRecord:
    """One registered contact (RFC 3261 10.3), as it survives a restart. Times are seconds since 1970. Nobody
    changes one; it is not frozen because one is made for each REGISTER (0.9 us instead of 3).

    `user` is the number (the user part of the address of record) and `key` tells the contacts of one user
    apart; both are chosen by the registrar. `flow` fields say how the phone was reached; a connection itself
    does not survive a restart, so `connection` is not kept.
    """

    user: str
    key: str
    contact: str
    expires_at: float
    q: float = 1.0
    call_id: str = ""
    cseq: int = 0
    transport: str = "UDP"
    local_host: str = ""
    local_port: int = 0
    remote_host: str = ""
    remote_port: int = 0
    path: tuple[str, ...] = ()
    instance: str = ""
    reg_id: int = 0
    user_agent: str = ""
    registered_at: float = 0.0
    device: str = ""
    """The id of the device whose password it was; "" for the user's own."""
    more: Mapping[str, str] = field(
        default_factory=lambda: NOTHING
    )  # what a newer version wrote: kept, not understood


#: A stored binding that nobody has read yet: user, key, when it expires, and what only the store understands.
StoredRow = tuple[str, str, float, Any]


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """How far the store is behind. `failure` is empty while writing works."""

    pending: int = 0
    dropped: int = 0
    failure: str = ""


class BindingStore(Protocol):
    """Registrations. All but `bindings`, `rows` and `read` return at once and never raise: they are called on
    the event loop.
    """

    def bindings(self, *, now: float) -> Sequence[BindingRecord]: ...
    def rows(self, *, now: float) -> Iterator[StoredRow]:
        """The same in no order and not read yet, for a server that starts: `read` reads one."""
        ...

    def read(self, row: StoredRow) -> BindingRecord | None:
        """The binding; None if it is damaged."""
        ...

    def put_binding(self, binding: BindingRecord) -> None: ...
    def put_binding_later(self, user: str, key: str, record: Callable[[], BindingRecord]) -> None:
        """The same; `record` makes it when it is written, perhaps in another thread."""
        ...

    def remove_binding(self, user: str, key: str) -> None: ...
    def remove_bindings_of(self, user: str, *, device: str | None = None) -> None:
        """All of a user, or those of one device; "" means those made with the user's own password."""
        ...

    def remove_expired(self, *, now: float) -> None: ...


class Store(BindingStore, DeviceStore, Protocol):
    """Users, their devices, bindings and a few named values.

    `put_later` returns at once and never raises, like the changes of bindings. Everything else may block for
    as long as a disk does, and raises `StorageError`.
    """

    def users(self, *, asleep: bool = False, number: str | None = None) -> Sequence[UserRecord]:
        """All of them by number, or the one with this number. With `asleep` their digests are read later:
        by `sealed_digests.wake`, or each when somebody asks for it.
        """
        ...

    def put_user(self, user: UserRecord) -> None: ...
    def remove_user(self, number: str) -> bool:
        """Forget a user with all devices and registrations."""
        ...

    def value(self, name: str) -> str | None: ...
    def put_value(self, name: str, value: str) -> None: ...
    def put_later(self, name: str, value: str) -> None: ...

    def health(self) -> StoreHealth: ...
    def flush(self, *, timeout: float = 5.0) -> bool: ...
    def close(self) -> None: ...
