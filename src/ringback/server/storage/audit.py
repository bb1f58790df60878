# SPDX-License-Identifier: Apache-2.0
"""Who changed what in the console, and when? One row for each change, never changed afterwards."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ringback.server.storage.like import literal
from ringback.server.storage.sqlite_file import SqliteFile

#: So many changes are remembered; each holds at most so many characters of what was and what is.
MAX_ROWS, MAX_TEXT = 100_000, 10_000


@dataclass(frozen=True, slots=True)
class Change:
    """What somebody did. `before` and `after` are JSON values without secrets, or None."""

    id: int
    at: float
    person: str
    name: str
    address: str
    action: str
    subject: str
    before: Any
    after: Any


class AuditStore(SqliteFile):
    """The audit log."""

    __slots__ = ()

    def add(
        self,
        *,
        at: float,
        person: str,
        name: str,
        address: str,
        action: str,
        subject: str,
        before: object = None,
        after: object = None,
    ) -> None:
        """Write down one change; the oldest of too many go."""
        values = (at, person, name, address, action, subject[:200], _text(before), _text(after))
        with self._writing() as connection:
            done = connection.execute(
                "INSERT INTO audit (at, person, name, address, action, subject, before, after) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
            connection.execute("DELETE FROM audit WHERE id <= ?", ((done.lastrowid or 0) - MAX_ROWS,))

    def search(self, text: str = "", *, page: int = 1, size: int = 50) -> tuple[Sequence[Change], int]:
        """The latest first, and how many there are. `text` is looked for in name, action and subject."""
        pattern = f"%{literal(text)}%"
        where = "name LIKE ?1 ESCAPE '\\' OR action LIKE ?1 ESCAPE '\\' OR subject LIKE ?1 ESCAPE '\\'"
        with self._reading() as connection:
            total = connection.execute(
                f"SELECT count(*) FROM audit WHERE {where}",  # noqa: S608 (ours)
                (pattern,),
            ).fetchone()[0]
            rows = connection.execute(
                "SELECT id, at, person, name, address, action, subject, before, after "  # noqa: S608 (ours)
                f"FROM audit WHERE {where} ORDER BY id DESC LIMIT ?2 OFFSET ?3",
                (pattern, size, (page - 1) * size),
            ).fetchall()
        return [_change(row) for row in rows], int(total)


def _change(row: tuple[int, float, str, str, str, str, str, str, str]) -> Change:
    number, at, person, name, address, action, subject, before, after = row
    was, is_now = json.loads(before), json.loads(after)
    return Change(number, at, person, name, address, action, subject, was, is_now)


def _text(value: object) -> str:
    """JSON, cut to nothing when it is too long to be read by anybody."""
    text = json.dumps(value, default=str)
    return text if len(text) <= MAX_TEXT else json.dumps("(too long to be kept)")
