# SPDX-License-Identifier: Apache-2.0
"""Who writes to the disk? One thread, in batches, so that the event loop never waits for it.

A change replaces an older one of the same name that is not written yet, so what waits cannot grow beyond
what there is. When a batch cannot be written (disk full, database locked) it stays in memory, is tried
again ever more slowly, and the log says so once when it begins and once when it ends.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Hashable
from contextlib import closing

from ringback.server.storage.store import StoreHealth

logger = logging.getLogger("ringback.storage")

Statement = Callable[[sqlite3.Connection], object]

MAX_DELAY = 0.2
MAX_BATCH = 500
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

    def __init__(self, connect: Callable[[], sqlite3.Connection], *, max_pending: int = MAX_PENDING) -> None:
        self._connect = connect
        self._max_pending = max_pending
        self._changed = threading.Condition()
        self._pending: dict[Hashable, Statement] = {}  # in the order of time
        self._in_flight = 0
        self._dropped = 0
        self._failure = ""
        self._hurry = False
        self._closing = False
        self._thread: threading.Thread | None = None

    def put(
        self, name: Hashable, statement: Statement, *, replaces: Callable[[Hashable], bool] | None = None
    ) -> None:
        """Queue a statement. `replaces` tells which other waiting names it makes pointless."""
        with self._changed:
            if replaces is not None:
                for waiting in [waiting for waiting in self._pending if replaces(waiting)]:
                    del self._pending[waiting]
            self._pending.pop(name, None)
            self._pending[name] = statement
            while len(self._pending) > self._max_pending:
                del self._pending[next(iter(self._pending))]
                self._dropped += 1
            self._start()
            if len(self._pending) == 1 or len(self._pending) >= MAX_BATCH:
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

    def _next_batch(self, failures: int) -> dict[Hashable, Statement] | None:
        """Wait for work, then a moment for more of it; after a failure wait longer. None means stop."""
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self._closing)
            delay = RETRY_DELAYS[min(failures, len(RETRY_DELAYS)) - 1] if failures else MAX_DELAY
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

    def _write(self, batch: dict[Hashable, Statement]) -> str:
        """Run a batch as one transaction; the reason when it failed."""
        try:
            with closing(self._connect()) as connection:
                connection.execute("BEGIN IMMEDIATE")
                for name, statement in batch.items():
                    self._run_one(connection, name, statement)
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            return str(error) or type(error).__name__
        return ""

    def _run_one(self, connection: sqlite3.Connection, name: Hashable, statement: Statement) -> None:
        """A change that can never be written must not hold up the others for ever."""
        try:
            statement(connection)
        except _OWN_FAULT as error:
            logger.warning("a change to %r cannot be stored and is dropped: %s", name, error)
            with self._changed:
                self._dropped += 1

    def _settle(self, batch: dict[Hashable, Statement], failure: str) -> None:
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
