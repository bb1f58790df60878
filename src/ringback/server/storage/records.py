# SPDX-License-Identifier: Apache-2.0
"""Where are the calls that were, and how is one of them found again?

    records = RecordStore.open(directory / FILE_NAME, sealer=sealer)
    records.put(record)                                    # at once: the writer's thread does the rest
    items, total = records.search(text="anna", page=1, size=50)

Reading blocks for as long as a disk does. What is kept has two limits, age and number, and calls that were
refused may fill a tenth of it only: whoever tries all numbers of an office does not drive its calls out.
(S608: conditions are put together of texts of ours, and what people ask for goes into their places.)
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from ringback.server.storage.like import literal
from ringback.server.storage.sqlite_file import SqliteFile

Record = dict[str, Any]

#: Records that may wait for the disk; beyond it the oldest that wait are left out, and counted.
MOST_WAITING = 20_000
MOST_AT_ONCE = 1000
REFUSED_SHARE = 10

CSV_HEADINGS = (
    "began", "answered", "ended", "seconds", "caller", "caller name", "callee", "callee name", "dialled",
    "result", "status", "how it ended", "ended by", "anchored", "recording", "id",
)  # fmt: skip

_COLUMNS = 7
_PUT = "INSERT OR REPLACE INTO records VALUES "


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for. Times are seconds since 1970; "" and 0 ask for nothing."""

    text: str = ""
    since: float = 0.0
    until: float = 0.0
    result: str = ""
    number: str = ""

    def condition(self) -> tuple[str, list[object]]:
        """As SQL, and what belongs into its places."""
        rows: list[tuple[str, object, object]] = [
            ("began_at >= ?", self.since, self.since),
            ("began_at < ?", self.until, self.until),
            ("result = ?", self.result, self.result),
            (r"numbers LIKE ? ESCAPE '\'", self.number, f"% {literal(self.number)} %"),
            *((r"words LIKE ? ESCAPE '\'", word, f"%{literal(word)}%") for word in _words(self.text)),
        ]
        asked = [(sql, value) for sql, is_asked, value in rows if is_asked]
        return " AND ".join(sql for sql, _ in asked) or "1", [value for _, value in asked]


EVERYTHING = Search()


class RecordStore(SqliteFile):
    """The records in the file of the store. Make it with `RecordStore.open`."""

    __slots__ = ()
    #: Pages read the list anew 0.7 s after a call has ended: by then it must be in it.
    DELAY = 0.2

    def put(self, record: Record) -> bool:
        """Keep a record: queued, written by a thread. False when too many wait already."""
        if self._writer.health().pending >= MOST_WAITING:
            return False
        self._writer.put_row(("record", record["id"]), _write_records, record)
        return True

    def judge(self, key: str, verdicts: list[dict[str, Any]]) -> None:
        """What was found out about a call when it was over. Queued, like `put`."""

        def statement(connection: sqlite3.Connection) -> None:
            row = connection.execute("SELECT record FROM records WHERE id = ?", (key,)).fetchone()
            if row is not None:
                record = {**_read(row[0]), "verdicts": verdicts}
                connection.execute("UPDATE records SET record = ? WHERE id = ?", (_written(record), key))

        if self._writer.health().pending < MOST_WAITING:
            self._writer.put(("verdicts", key), statement)

    def trim(self, *, before: float, most: int) -> None:
        """Forget what began before that time, and what is too much. Queued, like `put`."""

        def statement(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM records WHERE began_at < ?", (before,))
            _keep(connection, "result = 'refused'", max(1, most // REFUSED_SHARE))
            _keep(connection, "1", most)

        self._writer.put(("trim",), statement)

    def search(
        self, asked: Search = EVERYTHING, *, page: int = 1, size: int = 50
    ) -> tuple[list[Record], int]:
        """A page of what was found, the newest first, and how many were found in all."""
        condition, values = asked.condition()
        size = min(max(size, 1), MOST_AT_ONCE)
        with self._reading() as connection:
            total = connection.execute(f"SELECT count(*) FROM records WHERE {condition}", values).fetchone()  # noqa: S608
            rows = connection.execute(
                f"SELECT record FROM records WHERE {condition} ORDER BY began_at DESC, id LIMIT ? OFFSET ?",  # noqa: S608
                [*values, size, (max(page, 1) - 1) * size],
            ).fetchall()
        return [_read(row[0]) for row in rows], int(total[0])

    def record(self, key: str) -> Record | None:
        """The record with this id."""
        with self._reading() as connection:
            row = connection.execute("SELECT record FROM records WHERE id = ?", (key,)).fetchone()
        return None if row is None else _read(row[0])

    def record_of_call(self, call_id: str) -> Record | None:
        """The newest record one leg of which has this Call-ID."""
        with self._reading() as connection:
            row = connection.execute(
                r"SELECT record FROM records WHERE words LIKE ? ESCAPE '\' ORDER BY began_at DESC LIMIT 1",
                (f"% {literal(call_id.lower())} %",),
            ).fetchone()
        return None if row is None else _read(row[0])

    def has_calls_of(self, number: str) -> bool:
        """True if this number has a past here."""
        with self._reading() as connection:
            row = connection.execute(
                r"SELECT 1 FROM records WHERE numbers LIKE ? ESCAPE '\' LIMIT 1", (f"% {literal(number)} %",)
            ).fetchone()
        return row is not None

    def csv_rows(self, asked: Search = EVERYTHING, *, most: int = 100_000) -> Iterator[Sequence[str]]:
        """For a spreadsheet, the headings first. What one would take for a formula begins with a quote."""
        condition, values = asked.condition()
        yield CSV_HEADINGS
        with self._reading() as connection:
            found = connection.execute(
                f"SELECT record FROM records WHERE {condition} ORDER BY began_at DESC, id LIMIT ?",  # noqa: S608
                [*values, most],
            )
            for (data,) in found:
                yield [_harmless(cell) for cell in _csv_cells(_read(data))]


def _write_records(connection: sqlite3.Connection, records: Sequence[Record]) -> None:
    """A hundred with one statement, like the registrations."""
    rows = [_row(record) for record in records]
    one = f"({', '.join('?' * _COLUMNS)})"
    connection.execute(_PUT + ", ".join([one] * len(rows)), list(chain(*rows)))


def _row(record: Record) -> tuple[object, ...]:
    numbers = dict.fromkeys(
        [record["caller"]["number"], record["callee"]["number"], record["dialled"]]
        + [leg["number"] for leg in record["legs"]]
    )
    names = [record["caller"]["name"], record["callee"]["name"], record["dialled"]]
    words = " ".join(["", *numbers, *names, *record["call_ids"], record["recording"], ""]).lower()
    return (
        record["id"],
        record["began_at"],
        record["ended_at"],
        record["result"],
        f" {' '.join(numbers)} ",
        words,
        _written(record),
    )


def _written(record: Record) -> bytes:
    return zlib.compress(json.dumps(record, separators=(",", ":")).encode("ascii"), 1)


def _read(data: bytes) -> Record:
    record: Record = json.loads(zlib.decompress(data))
    return record


def _keep(connection: sqlite3.Connection, which: str, most: int) -> None:
    """The newest of a kind."""
    oldest = f"SELECT began_at FROM records WHERE {which} ORDER BY began_at DESC LIMIT 1 OFFSET ?"  # noqa: S608
    row = connection.execute(oldest, (most,)).fetchone()
    if row is not None:
        connection.execute(f"DELETE FROM records WHERE {which} AND began_at <= ?", row)  # noqa: S608


def _words(text: str) -> list[str]:
    """At most so many words: each costs a look at every record."""
    return text.lower().split()[:8]


def _csv_cells(record: Mapping[str, Any]) -> list[str]:
    answered, ended = record["answered_at"], record["ended_at"]
    return [
        _time(record["began_at"]),
        _time(answered),
        _time(ended),
        str(round(ended - answered)) if answered and ended else "0",
        record["caller"]["number"],
        record["caller"]["name"],
        record["callee"]["number"],
        record["callee"]["name"],
        record["dialled"],
        record["result"],
        str(record["status"]),
        record["how_ended"],
        record["ended_by"],
        record["anchored"],
        record["recording"],
        record["id"],
    ]


def _time(seconds: float | None) -> str:
    """In UTC, as spreadsheets read it."""
    if not seconds:
        return ""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _harmless(cell: str) -> str:
    """A phone chose its name: `=HYPERLINK(...)` must stay text in the office's spreadsheet."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
