# SPDX-License-Identifier: Apache-2.0
"""Where do log lines go? To standard error, from a thread of their own: a terminal that stands still stops
no call.

What strangers wrote is escaped, so that one message is one line and no line steers the terminal.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections import deque
from typing import TextIO

from ringback.cli.text import printable

FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
MAX_WAITING = 10_000


class BackgroundWriter(logging.Handler):
    """Writes from a thread. When the reader is too slow the oldest lines are dropped, and counted."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._waiting: deque[str] = deque()
        self._changed = threading.Condition()
        self._is_writing = False
        self._dropped = 0
        threading.Thread(target=self._run, name="ringback-log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        with self._changed:
            if len(self._waiting) >= MAX_WAITING:
                self._waiting.popleft()
                self._dropped += 1
            self._waiting.append(text)
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait a moment for what was logged to be written; called when the program ends."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting and not self._is_writing, 1.0)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._is_writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: bool(self._waiting))
                lines, dropped = list(self._waiting), self._dropped
                self._waiting.clear()
                self._dropped, self._is_writing = 0, True
            if dropped:
                lines.append(f"({dropped} older lines were dropped: nobody read them in time)")
            with contextlib.suppress(OSError, ValueError):
                self._stream.write("".join(f"{line}\n" for line in lines))
                self._stream.flush()


class OneLine(logging.Formatter):
    """Escapes what cannot be seen. A traceback keeps its lines: it is ours."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the name is that of logging)
        record.message = printable(record.message)
        return super().formatMessage(record)


def log_to_terminal(level: str) -> None:
    """Log everything of ours at this level, and what others in this process warn of."""
    handler = BackgroundWriter(sys.stderr)
    handler.setFormatter(OneLine(FORMAT))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("ringback").setLevel(level.upper())
