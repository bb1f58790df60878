# SPDX-License-Identifier: Apache-2.0
"""How is something done every 20 ms, for hours, without drifting? By deadlines counted from the start.

A sleep of 20 ms lasts 20 ms and a bit, and the bits add up; `start + n * interval` does not. After a stall (a
busy loop, a sleeping machine) a few ticks are made up for at once; when more were missed, the grid stays
where it is, the rest is left out, and the callback is told how many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

#: Ticks made up for at once after a stall.
MOST_CATCH_UP = 3


class Pacer:
    """Calls `tick(missed)` at start, start + interval, ...; `missed` counts ticks left out before it."""

    __slots__ = ("_handle", "_loop", "_number", "_start", "_tick", "interval")

    def __init__(self, interval: float, tick: Callable[[int], None]) -> None:
        self.interval = interval
        self._tick = tick
        self._loop = asyncio.get_running_loop()
        self._start = 0.0
        self._number = 0
        self._handle: asyncio.TimerHandle | None = None

    @property
    def is_running(self) -> bool:
        return self._handle is not None

    def start(self) -> None:
        """Tick from now on. Does nothing when it runs already."""
        if self._handle is None:
            self._start = self._loop.time()
            self._number = 0
            self._handle = self._loop.call_at(self._start, self._due)

    def stop(self) -> None:
        """No tick after this."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _due(self) -> None:
        """Tick once for each deadline that has passed; the next one is set first, whatever the ticks do."""
        passed = int((self._loop.time() - self._start) / self.interval + 1e-6)
        behind = max(0, passed - self._number)
        missed = max(0, behind - MOST_CATCH_UP)
        ticks = behind - missed + 1
        self._number += missed + ticks
        handle = self._handle = self._loop.call_at(self._start + self._number * self.interval, self._due)
        for _ in range(ticks):
            self._tick(missed)
            if self._handle is not handle:
                return
            missed = 0
