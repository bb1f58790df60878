# SPDX-License-Identifier: Apache-2.0
"""How do messages get to a disk or a collector without a call waiting? By a thread and a bounded queue.

When the sink is slower than the calls, or does not work, the oldest messages in the queue are dropped and
counted; the sink tells of the gap when it works again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import Any, Protocol

from ringback.server.tracing.chunk import Chunk

logger = logging.getLogger("ringback.trace")

#: Octets that may wait; the ring holds them anyway, so the queue refers to them only.
MAX_WAITING = 8_388_608
#: Seconds between attempts after one that failed.
RETRY = 1.0
PATIENCE_AT_CLOSE = 1.0

#: What may be used at once after a quiet time, in seconds of a processor: some 6 500 messages.
BURST = 0.01
#: Who used more than its share takes no messages for so many seconds, which costs nothing: at 1 000 calls a
#: second to try again costs 0.2 % of a processor, and to wake the thread for each chunk would cost 0.5 %.
PAUSE = 10.0


class Sink(Protocol):
    """Takes messages out of the process. Its methods run in the thread, and may block."""

    def write(self, chunk: Chunk, missing: int) -> int:
        """Take these messages, behind a gap of so many. How many were taken. Raises OSError."""
        ...

    def close(self) -> None: ...

    def status(self) -> dict[str, Any]:
        """What it can say about itself, from any thread."""
        ...


class Background:
    """One sink and its thread. The methods belong to the event loop."""

    def __init__(self, sink: Sink, *, name: str, share: float = 1.0) -> None:
        """`share`: which part of a processor the thread may use."""
        self._sink = sink
        self._name = name
        self._changed = threading.Condition()
        self._waiting: deque[Chunk] = deque()
        self._waiting_size = 0
        self._is_closed = False
        self._written = 0
        self._dropped = 0
        #: Dropped ones that the sink has not been told of.
        self._untold = 0
        self._failure = ""
        self._share = share
        self._allowance = BURST
        self._allowed_at = time.monotonic()
        self._paused_until = 0.0
        self._thread = threading.Thread(target=self._run, name=f"ringback-trace-{name}", daemon=True)
        self._thread.start()

    def put(self, chunk: Chunk) -> None:
        """Hand over; never blocks for longer than the thread needs to take a reference."""
        with self._changed:
            if self._paused_until and self._is_paused():
                self._drop(len(chunk))
                return
            self._waiting.append(chunk)
            self._waiting_size += chunk.size
            while self._waiting_size > MAX_WAITING and len(self._waiting) > 1:
                oldest = self._waiting.popleft()
                self._waiting_size -= oldest.size
                self._drop(len(oldest))
            self._changed.notify()

    def status(self) -> dict[str, Any]:
        """For people."""
        with self._changed:
            counted = {"written": self._written, "dropped": self._dropped, "failure": self._failure}
            counted["is_paused"] = self._is_paused()
        return {**self._sink.status(), **counted}

    def close(self, *, patience: float = PATIENCE_AT_CLOSE) -> None:
        """Write what waits, but wait for a slow disk a moment only."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join(patience)
        if patience and self._thread.is_alive():
            logger.warning("the trace (%s) could not be written to its end: it takes too long", self._name)

    # --- in the thread

    def _run(self) -> None:
        while (chunk := self._next_chunk()) is not None:
            missing, begun = self._untold, time.thread_time()
            try:
                written = self._sink.write(chunk, missing)
            except OSError as error:
                self._failed(error.strerror or str(error), len(chunk))
                continue
            except Exception:
                logger.exception("our fault: the trace (%s) failed", self._name)
                self._failed("our fault, see the log", len(chunk))
                continue
            self._succeeded(written, missing)
            self._account(time.thread_time() - begun)
        self._sink.close()

    def _next_chunk(self) -> Chunk | None:
        """None when there will be no more."""
        with self._changed:
            if self._failure:
                self._changed.wait_for(lambda: self._is_closed, RETRY)
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            if not self._waiting:
                return None
            chunk = self._waiting.popleft()
            self._waiting_size -= chunk.size
            return chunk

    def _account(self, used: float) -> None:
        now = time.monotonic()
        self._allowance = min(BURST, self._allowance + (now - self._allowed_at) * self._share) - used
        self._allowed_at = now
        if self._allowance < 0.0 and self._share < 1.0:
            self._allowance, self._paused_until = BURST, now + PAUSE

    def _is_paused(self) -> bool:
        return time.monotonic() < self._paused_until

    def _drop(self, count: int) -> None:
        self._dropped += count
        self._untold += count

    def _failed(self, reason: str, lost: int) -> None:
        if not self._failure:
            logger.warning("the trace (%s) cannot be written: %s; messages are dropped", self._name, reason)
        with self._changed:
            self._failure = reason
            self._drop(lost)

    def _succeeded(self, written: int, told: int) -> None:
        with self._changed:
            self._written += written
            self._untold -= told
            recovered, self._failure = bool(self._failure), ""
        if recovered:
            logger.warning(
                "the trace (%s) is written again; %d messages are missing", self._name, self._dropped
            )
