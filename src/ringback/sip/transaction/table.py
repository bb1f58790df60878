# SPDX-License-Identifier: Apache-2.0
"""Where is a transaction found: by its key, and by the connection it depends on?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from ringback.sip.flow import Flow
    from ringback.sip.transaction.keys import Key


class Keyed(Protocol):
    """What stands in the table. `path` is the table's own note of the flow."""

    key: Key
    path: Flow | None


T = TypeVar("T", bound=Keyed)


class TransactionTable(Generic[T]):
    """Both ways cost the same for any number of transactions; only datagram flows are searched one by one."""

    __slots__ = ("_by_connection", "by_key")

    def __init__(self) -> None:
        #: For lookups on the hot path; changed here only.
        self.by_key: dict[Key, T] = {}
        self._by_connection: dict[int, dict[Key, T]] = {}

    def __len__(self) -> int:
        return len(self.by_key)

    def __iter__(self) -> Iterator[T]:
        return iter(list(self.by_key.values()))

    def get(self, key: Key) -> T | None:
        """The transaction with this key."""
        return self.by_key.get(key)

    def add(self, transaction: T, flow: Flow) -> None:
        """Find it by its key and by `flow` from now on; a flow of earlier is forgotten."""
        key = transaction.key
        if key in self.by_key:
            self.remove(key)
        self.by_key[key] = transaction
        transaction.path = flow
        if flow.connection:
            self._by_connection.setdefault(flow.connection, {})[key] = transaction

    def remove(self, key: Key) -> None:
        """Forget it, if it is there."""
        transaction = self.by_key.pop(key, None)
        if transaction is None or transaction.path is None:
            return
        connection = transaction.path.connection
        if connection and (there := self._by_connection.get(connection)) is not None:
            del there[key]
            if not there:
                del self._by_connection[connection]

    def on_flow(self, flow: Flow) -> list[T]:
        """Those that depend on `flow`, oldest first."""
        if flow.connection:
            return list(self._by_connection.get(flow.connection, {}).values())
        return [transaction for transaction in self.by_key.values() if transaction.path == flow]
