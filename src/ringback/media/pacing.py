# SPDX-License-Identifier: Apache-2.0
"""How is something done every 20 ms, for hours, without drifting? By deadlines counted from the start.

A sleep of 20 ms lasts 20 ms and a bit, and the bits add up; `start + n * interval` does not. After a stall (a
busy loop, a sleeping machine) a few ticks are made up for at once; when more were missed, the grid stays
where it is, the rest is left out, and the callback is told how many.

Pacers that start at about the same phase share one timer: to wake up costs more than to send a packet, and a
hundred calls would wake up ten thousand times a second. (A room of fifty takes 15 % of a core; with a timer
for each pacer it took 20 %.) A timer serves only so many: those at the end of the row are late.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from weakref import WeakKeyDictionary

#: Ticks made up for at once after a stall.
MOST_CATCH_UP = 3
#: A pacer waits at most so long for the timer it shares, and so many share one.
PHASE = 0.005
MOST_SHARING = 64

Tick = Callable[[int], None]


class Pacer:
    """Calls `tick(missed)` every `interval` seconds from `start` on; `missed` ticks were left out before."""

    __slots__ = ("_grid", "_tick", "interval")

    def __init__(self, interval: float, tick: Tick) -> None:
        self.interval = interval
        self._tick = tick
        self._grid: _Grid | None = None

    @property
    def is_running(self) -> bool:
        return self._grid is not None

    def start(self) -> None:
        """Tick from now on, at the latest in 5 ms. Does nothing when it runs already."""
        if self._grid is None:
            self._grid = _grid_for(self.interval)
            self._grid.pacers.append(self)

    def stop(self) -> None:
        """No tick after this."""
        if self._grid is not None:
            self._grid.leave(self)
            self._grid = None

    def tick(self, grid: _Grid, times: int, missed: int) -> None:
        """The grid's call; a tick may stop the pacer."""
        for _ in range(times):
            if self._grid is not grid:
                return
            self._tick(missed)
            missed = 0


class _Grid:
    """Deadlines `start`, `start + interval`, ...: one timer for all that tick on them."""

    __slots__ = ("_handle", "_loop", "_number", "interval", "pacers", "start")

    def __init__(self, loop: asyncio.AbstractEventLoop, interval: float, start: float) -> None:
        self._loop = loop
        self.interval = interval
        self.start = start
        self.pacers: list[Pacer] = []
        #: Of the next tick.
        self._number = 0
        self._handle = loop.call_at(start, self._due)

    @property
    def next_tick(self) -> float:
        return self.start + self._number * self.interval

    @property
    def has_room(self) -> bool:
        return len(self.pacers) < MOST_SHARING

    def leave(self, pacer: Pacer) -> None:
        self.pacers.remove(pacer)
        if not self.pacers:
            self._handle.cancel()
            _GRIDS[self._loop].remove(self)

    def _due(self) -> None:
        """Tick once for each deadline that has passed; the next one is set first, whatever the ticks do."""
        passed = int((self._loop.time() - self.start) / self.interval + 1e-6)
        behind = max(0, passed - self._number)
        missed = max(0, behind - MOST_CATCH_UP)
        ticks = behind - missed + 1
        self._number += missed + ticks
        self._handle = self._loop.call_at(self.next_tick, self._due)
        for pacer in tuple(self.pacers):
            try:
                pacer.tick(self, ticks, missed)
            except Exception as error:  # noqa: BLE001 - one broken stream must not silence the others
                self._loop.call_exception_handler({"message": "a tick failed", "exception": error})


_GRIDS: WeakKeyDictionary[asyncio.AbstractEventLoop, list[_Grid]] = WeakKeyDictionary()


def _grid_for(interval: float) -> _Grid:
    """The next one with room. They lie 5 ms apart; another one is made where none is, or where it is full."""
    loop = asyncio.get_running_loop()
    grids = _GRIDS.setdefault(loop, [])
    same = [each for each in grids if each.interval == interval]
    now = loop.time()
    first = start = _next_phase(same[0].next_tick, now) if same else now
    while start < first + interval:
        here = [each for each in same if _is_near(each.next_tick - start, interval)]
        free = [each for each in here if each.has_room and each.next_tick < start + PHASE]
        if free:
            return free[0]
        if not here:
            break
        start += PHASE
    else:
        start = first
    grids.append(_Grid(loop, interval, start))
    return grids[-1]


def _next_phase(anchor: float, now: float) -> float:
    """The first moment from now on that is a whole number of phases away from another grid."""
    return anchor + math.ceil((now - anchor) / PHASE - 1e-6) * PHASE


def _is_near(distance: float, interval: float) -> bool:
    """Whether two grids tick at the same moments."""
    return abs(distance - round(distance / interval) * interval) < PHASE / 2
