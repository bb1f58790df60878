# SPDX-License-Identifier: Apache-2.0
"""How are devices and guest pages kept in the SQLite file? The half of `SqliteStore` that implements
`DeviceStore`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from ringback.server.storage.devices import DeviceRecord, GuestPage, Kind
from ringback.server.storage.sealed_digests import Sealed, SealedDigests
from ringback.server.storage.sqlite_file import SqliteFile

_COLUMNS = (
    "id", "number", "name", "kind", "realm", "created_at", "expires_at", "made_by", "security", "may_call",
    "last_seen",
)  # fmt: skip
#: What stays as it was when a device is changed.
_LASTING = ("id", "created_at", "last_seen")
_PUT_DEVICE = (
    f"INSERT INTO devices ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))}) "  # noqa: S608
    "ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name not in _LASTING)
)
#: The device of a stored registration; "" for one made with the password of the user itself.
DEVICE_OF_BINDING = (
    "CASE WHEN json_valid(record) THEN coalesce(json_extract(record, '$.device'), '') ELSE '' END"
)
#: 10 us for each device, in the thread that writes.
_SEE_DEVICES = (
    "UPDATE devices SET last_seen = seen.at FROM (SELECT devices.id AS id, max(json_extract(record, "  # noqa: S608
    "'$.registered_at')) AS at FROM devices JOIN bindings ON bindings.user = devices.number "
    f"WHERE {DEVICE_OF_BINDING} = devices.id GROUP BY devices.id) AS seen "
    "WHERE seen.id = devices.id AND seen.at > devices.last_seen"
)


class SqliteDevices(SqliteFile):
    """Devices in the file of the store."""

    __slots__ = ()

    def devices(self, *, number: str | None = None, kind: Kind | None = None) -> Sequence[DeviceRecord]:
        wanted = {"number": number, "kind": kind}
        values = {name: value for name, value in wanted.items() if value is not None}
        chosen = " AND ".join(f"{name} = :{name}" for name in values) or "true"
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT {', '.join(_COLUMNS)} FROM devices WHERE {chosen} ORDER BY created_at, id",  # noqa: S608
                values,
            ).fetchall()
            found: dict[str, list[tuple[str, bytes]]] = {row[0]: [] for row in rows}
            for device, algorithm, sealed in connection.execute(
                "SELECT device, algorithm, sealed FROM device_digests "  # noqa: S608
                f"WHERE device IN (SELECT id FROM devices WHERE {chosen})",
                values,
            ):
                found.setdefault(device, []).append((algorithm, sealed))
        return [self._device(row, tuple(found[row[0]])) for row in rows]

    def put_device(self, device: DeviceRecord) -> None:
        if isinstance(device.ha1s, SealedDigests):  # the same password stays the same seals: `Directory`
            sealed = device.ha1s.sealed  # compares them
        else:
            sealed = tuple(
                (algorithm, self._sealer.seal(ha1, seal_name(device.id), device.realm, algorithm))
                for algorithm, ha1 in device.ha1s.items()
            )
        with self._writing() as connection:
            connection.execute(_PUT_DEVICE, [getattr(device, name) for name in _COLUMNS])
            connection.execute("DELETE FROM device_digests WHERE device = ?", (device.id,))
            connection.executemany(
                "INSERT INTO device_digests (device, algorithm, sealed) VALUES (?, ?, ?)",
                [(device.id, *each) for each in sealed],
            )

    def remove_device(self, device: str) -> bool:
        with self._writing() as connection:
            return _remove(connection, device)

    def see_devices(self) -> None:
        self._writer.put(("devices seen",), lambda connection: connection.execute(_SEE_DEVICES))

    def guest_pages(self) -> Sequence[GuestPage]:
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT name, number, title, enabled, created_at FROM guest_pages ORDER BY name"
            )
            return [
                GuestPage(name, number, title, bool(enabled), created_at)
                for name, number, title, enabled, created_at in rows
            ]

    def put_guest_page(self, page: GuestPage) -> None:
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO guest_pages (name, number, title, enabled, created_at) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (name) DO UPDATE SET number = excluded.number, title = excluded.title, "
                "enabled = excluded.enabled",
                (page.name, page.number, page.title, int(page.enabled), page.created_at),
            )

    def remove_guest_page(self, name: str) -> bool:
        with self._writing() as connection:
            return connection.execute("DELETE FROM guest_pages WHERE name = ?", (name,)).rowcount > 0

    def _device(self, row: tuple[object, ...], sealed: Sealed) -> DeviceRecord:
        device = DeviceRecord(*row)  # type: ignore[arg-type]  # as the columns of the table are
        device.ha1s = SealedDigests(self._sealer, seal_name(device.id), device.realm, sealed)
        return device


def seal_name(device: str) -> str:
    """What its digests are sealed for: no user has such a number."""
    return f"device {device}"


def _remove(connection: sqlite3.Connection, device: str) -> bool:
    found = connection.execute("SELECT number FROM devices WHERE id = ?", (device,)).fetchone()
    if found is None:
        return False
    connection.execute(
        f"DELETE FROM bindings WHERE user = ? AND {DEVICE_OF_BINDING} = ?",  # noqa: S608
        (found[0], device),
    )
    connection.execute("DELETE FROM devices WHERE id = ?", (device,))
    return True
