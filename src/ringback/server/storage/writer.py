# SPDX-License-Identifier: Apache-2.0
"""Who writes to the disk? One thread, in batches, so that the event loop never waits for it.

A change replaces an older one of the same name that is not written yet, so what waits cannot grow beyond
what there is. When a batch cannot be written (disk full, database locked) it stays in memory, is tried
again ever more slowly, and the log says so once when it begins and once when it ends.

Rows of one kind are written a hundred with one statement: 4 us of CPU a registration instead of 12. And the
thread asks for the interpreter twice a hundred rows; while the event loop is busy each asking takes 5 ms.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial
from itertools import groupby, islice
from typing import Any

from ringback.server.storage.store import StoreHealth

logger = logging.getLogger("ringback.storage")

Statement = Callable[[sqlite3.Connection], object]
#: Writes rows of its kind, all of them or none.
WriteRows = Callable[[sqlite3.Connection, Sequence[Any]], object]

_Changes = dict[Hashable, Statement | tuple[WriteRows, Any]]

MAX_DELAY = 1.0
MAX_BATCH = 5000
ROWS_AT_ONCE = 100
MAX_PENDING = 200_000
RETRY_DELAYS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)

#: Errors of the statement, not of the disk: trying again would fail again.
_OWN_FAULT = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    ValueError,
)


class Writer:
    """Takes statements under a name and runs them in one thread. Any thread may call."""

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        *,
        max_pending: int = MAX_PENDING,
        delay: float = MAX_DELAY,
    ) -> None:
        self._connect = connect
        self._delay = delay
        self._max_pending = max_pending
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._pending: _Changes = {}  # in the order of time
        self._in_flight = 0
        self._dropped = 0
        self._failure = ""
        self._hurry = False
        self._closing = False
        self._thread: threading.Thread | None = None
        self._connection: sqlite3.Connection | None = None  # the thread's

    def put(
        self, name: Hashable, statement: Statement, *, replaces: Callable[[Hashable], bool] | None = None
    ) -> None:
        """Queue a statement. `replaces` tells which other waiting names it makes pointless."""
        with self._lock:
            if replaces is not None:
                for waiting in [waiting for waiting in self._pending if replaces(waiting)]:
                    del self._pending[waiting]
            self._pending.pop(name, None)
            self._pending[name] = statement
            self._tidy()

    def put_row(self, name: Hashable, write: WriteRows, row: object) -> None:
        """Queue a row; `write` is called with many of them. 0.5 us on the event loop."""
        with self._lock:
            pending = self._pending
            pending.pop(name, None)
            pending[name] = (write, row)
            count = len(pending)
            if count == 1 or count >= MAX_BATCH:
                self._tidy()

    def _tidy(self) -> None:
        """Keep the limit, and wake the thread when there is the first change or a whole batch."""
        while len(self._pending) > self._max_pending:
            del self._pending[next(iter(self._pending))]
            self._dropped += 1
        self._start()
        if len(self._pending) in (1, MAX_BATCH):
            self._changed.notify_all()

    def flush(self, *, timeout: float) -> bool:
        """Wait until everything queued before is written. False when it was not, in that time."""
        with self._changed:
            self._hurry = True
            self._changed.notify_all()
            done = self._changed.wait_for(lambda: not self._pending and not self._in_flight, timeout)
            self._hurry = False
            return done

    def health(self) -> StoreHealth:
        with self._changed:
            return StoreHealth(len(self._pending) + self._in_flight, self._dropped, self._failure)

    def close(self, *, timeout: float = 5.0) -> None:
        """Write what waits, then stop. What cannot be written by then is lost, and the log says how much."""
        written = self.flush(timeout=timeout)
        with self._changed:
            if not written and self._pending:
                logger.error(
                    "%d changes could not be stored and are lost: %s", len(self._pending), self._failure
                )
            self._closing = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(timeout)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="ringback-storage", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        failures = 0
        while (batch := self._next_batch(failures)) is not None:
            failure = self._write(batch)
            failures = failures + 1 if failure else 0
            self._settle(batch, failure)
        self._disconnect()

    def _next_batch(self, failures: int) -> _Changes | None:
        """Wait for work, then a moment for more of it; after a failure wait longer. None means stop."""
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self._closing)
            delay = RETRY_DELAYS[min(failures, len(RETRY_DELAYS)) - 1] if failures else self._delay
            until = time.monotonic() + delay
            while not self._closing and (failures or len(self._pending) < MAX_BATCH):
                left = until - time.monotonic()
                if left <= 0 or (self._hurry and not failures):
                    break
                self._changed.wait(min(left, 0.25) if self._hurry else left)
                if self._hurry and failures:
                    failures = 0  # somebody waits for the answer: try now
                    break
            if self._closing:
                return None
            batch, self._pending = self._pending, {}
            self._in_flight = len(batch)
            return batch

    def _write(self, batch: _Changes) -> str:
        """Run a batch as one transaction; the reason when it failed."""
        is_written = False
        try:
            self._write_all(batch)
            is_written = True
        except sqlite3.Error as error:
            return str(error) or type(error).__name__
        finally:
            if not is_written:
                self._disconnect()  # which takes back what was begun
        return ""

    def _write_all(self, batch: _Changes) -> None:
        """By one connection for all batches: the last one to close it cleans up the log, and reads anew."""
        if self._connection is None:
            self._connection = self._connect()
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        for write, changes in _runs(batch):
            if write is None:
                for name, statement in changes:
                    self._run_one(name, statement, connection)
            else:
                self._run_rows(write, changes, connection)
        connection.execute("COMMIT")

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _run_rows(
        self, write: WriteRows, changes: list[tuple[Hashable, Any]], connection: sqlite3.Connection
    ) -> None:
        try:
            write(connection, [row for _, (_, row) in changes])
        except _OWN_FAULT:  # one of them cannot be written: find out which
            for name, (_, row) in changes:
                self._run_one(name, partial(_write_one, write, row), connection)

    def _run_one(self, name: Hashable, statement: Statement, connection: sqlite3.Connection) -> None:
        """A change that can never be written must not hold up the others for ever."""
        try:
            statement(connection)
        except _OWN_FAULT as error:
            logger.warning("a change to %r cannot be stored and is dropped: %s", name, error)
            with self._changed:
                self._dropped += 1

    def _settle(self, batch: _Changes, failure: str) -> None:
        with self._changed:
            self._in_flight = 0
            if failure:
                older = {name: statement for name, statement in batch.items() if name not in self._pending}
                self._pending = {**older, **self._pending}
            if failure and not self._failure:
                logger.error(
                    "the store cannot be written (%s); changes are kept in memory and tried again", failure
                )
            elif self._failure and not failure:
                logger.warning("the store can be written again")
            self._failure = failure
            self._changed.notify_all()


def _runs(batch: _Changes) -> Iterator[tuple[WriteRows | None, list[tuple[Hashable, Any]]]]:
    """The changes in their order, neighbours of one kind together; None for what is written one by one."""
    for write, changes in groupby(batch.items(), key=lambda item: _kind(item[1])):
        while some := list(islice(changes, ROWS_AT_ONCE)):
            yield write, some


def _write_one(write: WriteRows, row: object, connection: sqlite3.Connection) -> None:
    write(connection, [row])


def _kind(change: Statement | tuple[WriteRows, Any]) -> WriteRows | None:
    return change[0] if isinstance(change, tuple) else None
