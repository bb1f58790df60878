# SPDX-License-Identifier: Apache-2.0
"""What did the server say and hear? Every message of a driver, written to a file, secrets hidden.

No call waits for the disk: the event loop puts a message into a ring and goes on, a thread hides, formats and
writes. When the disk is slower than the calls, or full, the oldest messages in the ring are dropped, counted,
and the gap is written down. Without a trace nothing is called at all.

    tracing = Tracing()
    await tracing.switch(Path("calls.trace"))
    tracing.watch(driver)
    ...
    await tracing.close()
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import stat
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ringback.net.driver import StackDriver
from ringback.server.trace_file import FIRST_BYTES, Missing, TraceError, TraceRecord
from ringback.sip.flow import Flow
from ringback.sip.message.secrets import without_secrets

logger = logging.getLogger("ringback.trace")

#: A file that is fuller is moved to FILE.1, over the one before.
MAX_FILE = 10_000_000
#: What may wait for the disk, in messages and in bytes; the thread has as much again in its hands at most.
MAX_WAITING = 10_000
MAX_WAITING_BYTES = 8_388_608
#: Seconds between attempts to write after one that failed.
RETRY = 1.0
PATIENCE_AT_CLOSE = 1.0

#: In the place of a descriptor, which the system may give to somebody else.
CLOSED = -1


class TraceFile:
    """The file: readable by its owner only, never much longer than MAX_FILE. Its methods may block."""

    __slots__ = ("_descriptor", "_is_torn", "_size", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = CLOSED
        self._size = 0
        #: The last line is not whole: its rest had no room.
        self._is_torn = False
        self._open()

    def write(self, line: bytes) -> None:
        """Append one line. Raises OSError."""
        if not self._is_in_place():
            self.close()
            self._open()
        if self._size and self._size + len(line) > MAX_FILE:
            os.replace(self.path, self.path.with_name(f"{self.path.name}.1"))
            self.close()
            self._open()
        if self._is_torn:
            line = b"\n" + line
        written = os.write(self._descriptor, line)
        self._size += written
        self._is_torn = written < len(line)
        if self._is_torn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        """Let go of the file."""
        descriptor, self._descriptor = self._descriptor, CLOSED
        if descriptor != CLOSED:
            os.close(descriptor)

    def _open(self) -> None:
        """Open the file, make it if it is not there."""
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        self._descriptor = os.open(self.path, flags, 0o600)
        try:
            self._take()
        except OSError:
            self.close()
            raise

    def _take(self) -> None:
        """Make the file ours. What is no trace is left alone."""
        found = os.fstat(self._descriptor)
        if not stat.S_ISREG(found.st_mode) or not FIRST_BYTES.startswith(
            os.pread(self._descriptor, len(FIRST_BYTES), 0)
        ):
            raise OSError(errno.EEXIST, "it is there and is no trace")
        if stat.S_IMODE(found.st_mode) & 0o077:
            os.fchmod(self._descriptor, 0o600)
        self._size = found.st_size
        self._is_torn = self._size > 0 and os.pread(self._descriptor, 1, self._size - 1) != b"\n"

    def _is_in_place(self) -> bool:
        """False when somebody removed or moved the file, or it could not be opened again."""
        if self._descriptor == CLOSED:
            return False
        ours = os.fstat(self._descriptor)
        self._size = ours.st_size  # other workers of this server write to it, too
        try:
            return os.path.samestat(os.stat(self.path), ours)
        except FileNotFoundError:
            return False


class _Message(NamedTuple):
    """A message in the ring, as the driver showed it."""

    time: float
    now: float
    sent: bool
    flow: Flow
    data: bytes


class Trace:
    """Writes messages to a file from a thread of its own. Make it with `Trace.open`."""

    def __init__(self, file: TraceFile, *, wall_clock: Callable[[], float] = time.time) -> None:
        self.path = file.path
        self._file = file
        self._wall_clock = wall_clock
        self._changed = threading.Condition()
        self._waiting: deque[_Message] = deque()
        self._waiting_bytes = 0
        self._is_closed = False
        #: When the first message that was written came.
        self._start: float | None = None
        #: Messages dropped, and those of them that the file does not know of yet.
        self._dropped = 0
        self._untold = 0
        self._written = 0
        self._failure = ""
        self._thread = threading.Thread(target=self._run, name="ringback-trace", daemon=True)
        self._thread.start()

    @classmethod
    def open(cls, path: Path) -> Trace:
        """Open the file and start the thread; may block. TraceError if the file cannot be used."""
        try:
            return cls(TraceFile(path))
        except OSError as error:
            reason = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror or error
            raise TraceError(f"the trace {path} cannot be written: {reason}") from error

    def record(self, sent: bool, data: bytes, flow: Flow, now: float) -> None:
        """Take one message; never blocks. Give this method to `StackDriver.watch`."""
        if not data.strip(b"\r\n"):
            return  # a keep-alive (RFC 5626 3.5.1)
        message = _Message(self._wall_clock(), now, sent, flow, data)
        with self._changed:
            self._waiting.append(message)
            self._waiting_bytes += len(data)
            while len(self._waiting) > MAX_WAITING or self._waiting_bytes > MAX_WAITING_BYTES:
                self._waiting_bytes -= len(self._waiting.popleft().data)
                self._drop(1)
            self._changed.notify()

    def status(self) -> dict[str, object]:
        """For `ringback status`."""
        with self._changed:
            return {
                "file": str(self.path),
                "written": self._written,
                "dropped": self._dropped,
                "failure": self._failure,
            }

    def close(self) -> None:
        """Write what waits, but wait for a slow disk a moment only."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join(PATIENCE_AT_CLOSE)
        if self._thread.is_alive():
            logger.warning("the trace %s could not be written to its end: the disk is too slow", self.path)

    # --- in the thread ---

    def _run(self) -> None:
        while batch := self._next_batch():
            for index, message in enumerate(batch):
                try:
                    self._write(message)
                except OSError as error:
                    self._failed(error, lost=len(batch) - index)
                    break
                self._succeeded()
        self._file.close()

    def _next_batch(self) -> list[_Message]:
        """All that waits; empty when there will be no more."""
        with self._changed:
            if self._failure:
                self._changed.wait_for(lambda: self._is_closed, RETRY)
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            batch = list(self._waiting)
            self._waiting.clear()
            self._waiting_bytes = 0
            return batch

    def _write(self, message: _Message) -> None:
        if untold := self._untold:
            self._file.write(Missing(message.time, untold).line())
            with self._changed:
                self._untold -= untold
        if self._start is None:
            self._start = message.now
        offset = message.now - self._start
        data = without_secrets(message.data)
        self._file.write(TraceRecord(message.time, offset, message.sent, message.flow, data).line())

    def _drop(self, count: int) -> None:
        self._dropped += count
        self._untold += count

    def _failed(self, error: OSError, *, lost: int) -> None:
        reason = error.strerror or str(error)
        if not self._failure:
            logger.warning("the trace %s cannot be written: %s; messages are dropped", self.path, reason)
        with self._changed:
            self._failure = reason
            self._drop(lost)

    def _succeeded(self) -> None:
        with self._changed:
            self._written += 1
            recovered, self._failure = bool(self._failure), ""
        if recovered:
            logger.warning("the trace %s is written again; %d messages are missing", self.path, self._dropped)


class Tracing:
    """The trace of one driver: switched on, off, or to another file."""

    def __init__(self) -> None:
        self._driver: StackDriver | None = None
        self._trace: Trace | None = None
        self._stop: Callable[[], None] | None = None

    def watch(self, driver: StackDriver) -> None:
        """Trace this driver whenever there is a trace."""
        self._driver = driver
        self._use(self._trace)

    def status(self) -> dict[str, object] | None:
        """Of the trace; None when it is off."""
        return self._trace.status() if self._trace is not None else None

    async def switch(self, path: Path | None) -> None:
        """Trace to this file from now on, or not at all. TraceError, and no change, if it cannot be used."""
        before = self._trace
        if path == (before.path if before is not None else None):
            return
        self._use(await asyncio.to_thread(Trace.open, path) if path is not None else None)
        if before is not None:
            await asyncio.to_thread(before.close)

    async def close(self) -> None:
        """Switch off; waits for the disk a moment."""
        await self.switch(None)

    def _use(self, trace: Trace | None) -> None:
        if self._stop is not None:
            self._stop()
        self._trace, self._stop = trace, None
        if trace is not None and self._driver is not None:
            self._stop = self._driver.watch(trace.record)
