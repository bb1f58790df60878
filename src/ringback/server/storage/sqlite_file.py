# SPDX-License-Identifier: Apache-2.0
"""How is the SQLite file opened, read and written? With short connections that may block, and a `Writer`.

Several processes may have the file open: the server, and a `ringback user add` beside it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import ClassVar, Self

from ringback.server.storage.schema import migrate
from ringback.server.storage.sealing import Sealer
from ringback.server.storage.store import StorageError, StoreHealth
from ringback.server.storage.writer import MAX_DELAY, Writer

BUSY_TIMEOUT = 5.0


class SqliteFile:
    """The file without what is in it."""

    __slots__ = ("_file", "_sealer", "_writer")
    #: Seconds that a queued change may wait for others to be written with it.
    DELAY: ClassVar[float] = MAX_DELAY

    def __init__(self, file: Path, sealer: Sealer) -> None:
        self._file = file
        self._sealer = sealer
        self._writer = Writer(self._connect, delay=self.DELAY)

    @classmethod
    def open(cls, file: Path, *, sealer: Sealer) -> Self:
        """Open the file; make or migrate it where needed. It is readable by its owner only."""
        store = cls(file, sealer)
        with store._translated("opened"):
            _make(file)
            with closing(store._connect()) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                migrate(connection)
        return store

    def health(self) -> StoreHealth:
        return self._writer.health()

    def flush(self, *, timeout: float = 5.0) -> bool:
        return self._writer.flush(timeout=timeout)

    def close(self) -> None:
        self._writer.close()

    def _connect(self) -> sqlite3.Connection:
        """A connection in autocommit mode: transactions are said in SQL, where they can be seen."""
        connection = sqlite3.connect(self._file, timeout=BUSY_TIMEOUT, isolation_level=None)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._translated("read"), closing(self._connect()) as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._translated("written"), closing(self._connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        try:
            yield
        except StorageError as error:
            if not error.is_about_the_file:
                raise
            raise type(error)(f"{self._file}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise StorageError(f"{self._file} cannot be {what}: {_advice(str(error))}") from error
        except OSError as error:
            raise StorageError(f"{self._file} cannot be {what}: {error.strerror or error}") from error


def _make(file: Path) -> None:
    """An empty file for its owner only, where there is none.

    One that is there is left to SQLite: a process that closes a file gives up all its locks on it, those of
    other connections too, and then the next program that goes away takes the log from under them ("How To
    Corrupt An SQLite Database File", 2.2).
    """
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _advice(reason: str) -> str:
    """SQLite's reason, and what its owner can do about it."""
    if "malformed" in reason or "not a database" in reason:
        return f"it is damaged ({reason}). Restore a backup, or move the file away to start with an empty one"
    if "locked" in reason:
        return f"another program holds it ({reason})"
    if "full" in reason:
        return f"the disk is full ({reason})"
    return reason
