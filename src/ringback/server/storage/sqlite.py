# SPDX-License-Identifier: Apache-2.0
"""The store in one SQLite file (WAL): the default, with no other program needed.

Reading and users use short connections of their own and may block; bindings and late values go through the
`Writer`.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import chain

from ringback.server.storage.binding_record import decode, encode
from ringback.server.storage.bulk import without_collector
from ringback.server.storage.sealed_digests import Reader, Sealed, SealedDigests
from ringback.server.storage.sqlite_devices import DEVICE_OF_BINDING, SqliteDevices
from ringback.server.storage.store import BindingRecord, StoredRow, UserRecord

logger = logging.getLogger("ringback.storage")

FILE_NAME = "ringback.db"


class SqliteStore(SqliteDevices):
    """A `Store` in a file. Make it with `SqliteStore.open`."""

    __slots__ = ()

    # --- users ---------------------------------------------------------------------------------------

    def users(self, *, asleep: bool = False, number: str | None = None) -> Sequence[UserRecord]:
        chosen, values = ("", ()) if number is None else (" WHERE number = ?", (number,))
        with without_collector(), self._reading() as connection:
            rows = connection.execute(
                f"SELECT number, name, realm, made_by FROM users{chosen} ORDER BY number",  # noqa: S608
                values,
            ).fetchall()
            if asleep or number is not None:
                return [
                    UserRecord(
                        number,
                        name,
                        realm,
                        SealedDigests(self._sealer, number, realm, self._sealed_between),
                        made_by,
                    )
                    for number, name, realm, made_by in rows
                ]
            found = _grouped(connection.execute("SELECT number, algorithm, sealed FROM digests"))
            return [self._user(row, found.get(row[0], ())) for row in rows]

    def put_user(self, user: UserRecord) -> None:
        sealed = [
            (user.number, algorithm, self._sealer.seal(ha1, user.number, user.realm, algorithm))
            for algorithm, ha1 in user.ha1s.items()
        ]
        with self._writing() as connection:
            connection.execute("DELETE FROM digests WHERE number = ?", (user.number,))
            connection.execute(
                "INSERT INTO users (number, name, realm, made_by) VALUES (?, ?, ?, ?) ON CONFLICT (number) "
                "DO UPDATE SET name = excluded.name, realm = excluded.realm, made_by = excluded.made_by",
                (user.number, user.name, user.realm, user.made_by),
            )
            connection.executemany("INSERT INTO digests (number, algorithm, sealed) VALUES (?, ?, ?)", sealed)

    def remove_user(self, number: str) -> bool:
        self.remove_bindings_of(number)
        with self._writing() as connection:
            connection.execute("DELETE FROM bindings WHERE user = ?", (number,))
            connection.execute("DELETE FROM devices WHERE number = ?", (number,))
            # whoever gets the number next has not asked for visitors
            connection.execute("UPDATE guest_pages SET enabled = 0 WHERE number = ?", (number,))
            return connection.execute("DELETE FROM users WHERE number = ?", (number,)).rowcount > 0

    # --- bindings ------------------------------------------------------------------------------------

    def bindings(self, *, now: float) -> Sequence[BindingRecord]:
        found = [self.read(row) for row in sorted(self.rows(now=now), key=lambda row: row[:2])]
        whole = [binding for binding in found if binding is not None]
        if len(whole) < len(found):
            logger.error("%d stored registrations are damaged and left out", len(found) - len(whole))
        return whole

    def rows(self, *, now: float) -> Iterator[StoredRow]:
        with self._reading() as connection:
            found = connection.execute(
                "SELECT user, key, expires_at, record FROM bindings WHERE expires_at > ?", (now,)
            )
            while rows := found.fetchmany(1000):
                yield from rows

    def read(self, row: StoredRow) -> BindingRecord | None:
        binding = decode(row[3])
        return binding if binding is not None and _columns(binding) == row[:2] else None

    def put_binding(self, binding: BindingRecord) -> None:
        self.put_binding_later(binding.user, binding.key, lambda: binding)

    def put_binding_later(self, user: str, key: str, record: Callable[[], BindingRecord]) -> None:
        self._writer.put_row(("binding", user, key), _write_bindings, record)

    def remove_binding(self, user: str, key: str) -> None:
        self._writer.put_row(("binding", user, key), _remove_bindings, (_storable(user), _storable(key)))

    def remove_bindings_of(self, user: str, *, device: str | None = None) -> None:
        if device is not None:
            statement = _statement(_REMOVE_BINDINGS_OF_DEVICE, _storable(user), device)
            self._writer.put(("bindings of device", user, device), statement)
            return

        def is_older(name: Hashable) -> bool:
            return isinstance(name, tuple) and name[:2] == ("binding", user)

        statement = _statement("DELETE FROM bindings WHERE user = ?", _storable(user))
        self._writer.put(("bindings", user), statement, replaces=is_older)

    def remove_expired(self, *, now: float) -> None:
        self._writer.put(("expired",), _statement("DELETE FROM bindings WHERE expires_at <= ?", now))

    def _user(self, row: tuple[str, str, str, str], sealed: Sealed | Reader) -> UserRecord:
        number, name, realm, made_by = row
        return UserRecord(number, name, realm, SealedDigests(self._sealer, number, realm, sealed), made_by)

    def _sealed_between(self, first: str, last: str) -> dict[str, Sealed]:
        with self._reading() as connection:
            return _grouped(
                connection.execute(
                    "SELECT number, algorithm, sealed FROM digests WHERE number BETWEEN ? AND ?",
                    (first, last),
                )
            )

    # --- named values --------------------------------------------------------------------------------

    def value(self, name: str) -> str | None:
        with self._reading() as connection:
            row = connection.execute("SELECT value FROM named_values WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def put_value(self, name: str, value: str) -> None:
        with self._writing() as connection:
            connection.execute(_PUT_VALUE, (name, value))

    def put_later(self, name: str, value: str) -> None:
        self._writer.put(("value", name), _statement(_PUT_VALUE, name, _storable(value)))


_REMOVE_BINDINGS_OF_DEVICE = f"DELETE FROM bindings WHERE user = ? AND {DEVICE_OF_BINDING} = ?"  # noqa: S608
_PUT_VALUE = (
    "INSERT INTO named_values (name, value) VALUES (?, ?) "
    "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)


_PUT_BINDINGS = (
    "INSERT INTO bindings (user, key, expires_at, record) VALUES {} "
    "ON CONFLICT (user, key) DO UPDATE SET expires_at = excluded.expires_at, record = excluded.record"
)
_PUT_ONE = _PUT_BINDINGS.format("(?, ?, ?, ?)")
#: So many rows in one statement cost half of what they cost one by one.
AT_ONCE = 50
_PUT_MANY = _PUT_BINDINGS.format(", ".join(["(?, ?, ?, ?)"] * AT_ONCE))


def _statement(sql: str, *values: object) -> Callable[[sqlite3.Connection], object]:
    return lambda connection: connection.execute(sql, values)


def _write_bindings(connection: sqlite3.Connection, records: Sequence[Callable[[], BindingRecord]]) -> None:
    """In the order of the table: neighbours share its pages."""
    bindings = [record() for record in records]
    rows = sorted((*_columns(binding), binding.expires_at, encode(binding)) for binding in bindings)
    whole = len(rows) - len(rows) % AT_ONCE
    for start in range(0, whole, AT_ONCE):
        connection.execute(_PUT_MANY, list(chain(*rows[start : start + AT_ONCE])))
    connection.executemany(_PUT_ONE, rows[whole:])


def _remove_bindings(connection: sqlite3.Connection, names: Sequence[tuple[str, str]]) -> None:
    connection.executemany("DELETE FROM bindings WHERE user = ? AND key = ?", names)


def _grouped(rows: Iterable[tuple[str, str, bytes]]) -> dict[str, Sealed]:
    """(algorithm, seal) by number."""
    found: dict[str, list[tuple[str, bytes]]] = {}
    for number, algorithm, seal in rows:
        found.setdefault(number, []).append((algorithm, seal))
    return {number: tuple(sealed) for number, sealed in found.items()}


def _columns(binding: BindingRecord) -> tuple[str, str]:
    return _storable(binding.user), _storable(binding.key)


def _storable(text: str) -> str:
    """Text from the wire may hold bytes that are no UTF-8 (as surrogates), which SQLite does not take."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()
