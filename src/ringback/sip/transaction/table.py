# SPDX-License-Identifier: Apache-2.0
"""Where is a transaction found: by its key, and by the connection it depends on?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from ringback.sip.flow import Flow
    from ringback.sip.transaction.keys import Key


class Keyed(Protocol):
    """What stands in the table."""

    key: Key


T = TypeVar("T", bound=Keyed)


class TransactionTable(Generic[T]):
    """Both ways cost the same for any number of transactions; only datagram flows are searched one by one."""

    __slots__ = ("_by_connection", "_by_key", "_flows")

    def __init__(self) -> None:
        self._by_key: dict[Key, T] = {}
        self._flows: dict[Key, Flow] = {}
        self._by_connection: dict[int, dict[Key, T]] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[T]:
        return iter(list(self._by_key.values()))

    def get(self, key: Key) -> T | None:
        """The transaction with this key."""
        return self._by_key.get(key)

    def add(self, transaction: T, flow: Flow) -> None:
        """Find it by its key and by `flow` from now on; a flow of earlier is forgotten."""
        self.remove(transaction.key)
        self._by_key[transaction.key] = transaction
        self._flows[transaction.key] = flow
        if flow.connection:
            self._by_connection.setdefault(flow.connection, {})[transaction.key] = transaction

    def remove(self, key: Key) -> None:
        """Forget it, if it is there."""
        if self._by_key.pop(key, None) is None:
            return
        connection = self._flows.pop(key).connection
        if connection and (there := self._by_connection.get(connection)) is not None:
            del there[key]
            if not there:
                del self._by_connection[connection]

    def on_flow(self, flow: Flow) -> list[T]:
        """Those that depend on `flow`, oldest first."""
        if flow.connection:
            return list(self._by_connection.get(flow.connection, {}).values())
        return [self._by_key[key] for key, used in self._flows.items() if used == flow]
