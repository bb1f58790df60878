# SPDX-License-Identifier: Apache-2.0
"""When may Python look for garbage? Not while calls are set up: at 100 000 contacts one look takes 0.1 s.

What a call leaves behind is freed at once, since nothing in it refers to itself in a circle. So the collector
looks at young objects only, a few milliseconds at most; what was there at the start is never looked at again
(`gc.freeze`). All of it is looked through in a quiet moment, and at the latest after an hour. Each pause is
counted: `ringback status --json` shows them. Threads are left as they are: a switch interval of 0.5 ms
instead of 5 made a call dearer by half.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import Callable
from typing import Any

#: Net new objects until the youngest are looked at (1 ms: they lie in cold memory; 10 000 took 5 to 20). What
#: survives, transactions mostly, is not looked at again by itself: a second look would cost 2 % of a call, a
#: third pauses of 50 ms and more.
THRESHOLDS = (2_000, 1_000_000, 1_000_000)

#: Upper ends of the classes of pauses, in milliseconds.
CLASSES = (0.1, 0.5, 1.0, 5.0, 20.0, 100.0)

#: How often a quiet moment is looked for, in seconds; how long one is, and how many messages it has.
INTERVAL = 60.0
MOMENT = 1.0
QUIET = 20
#: So often one is looked for, then it is done at any moment.
PATIENCE = 60


class Collector:
    """The garbage collector of this process. `received` counts messages, so that quiet moments are known."""

    def __init__(self, received: Callable[[], int]) -> None:
        self._received = received
        self._begun = 0.0
        self._pauses = [0] * (len(CLASSES) + 1)
        self._longest = 0.0
        self._thresholds: tuple[int, int, int] | None = None
        self._looking: asyncio.Task[None] | None = None
        gc.collect()  # what the imports left; later, with 100 000 users in memory, it would take 0.1 s

    def start(self) -> None:
        """Everything is made that stays: from now on it is left alone."""
        self._thresholds = gc.get_threshold()
        gc.set_threshold(*THRESHOLDS)
        gc.freeze()
        gc.callbacks.append(self._count)
        self._looking = asyncio.create_task(self._look())

    async def close(self) -> None:
        """As it was before."""
        if self._looking is None or self._thresholds is None:
            return
        self._looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._looking
        gc.callbacks.remove(self._count)
        gc.set_threshold(*self._thresholds)
        gc.unfreeze()
        self._looking = None

    def status(self) -> dict[str, Any]:
        """The pauses since the start."""
        names = [*(f"under {limit:g} ms" for limit in CLASSES), f"over {CLASSES[-1]:g} ms"]
        return {**dict(zip(names, self._pauses, strict=True)), "longest_ms": round(self._longest, 2)}

    def _count(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._begun = time.perf_counter()
            return
        pause = (time.perf_counter() - self._begun) * 1000
        self._longest = max(self._longest, pause)
        self._pauses[sum(pause >= limit for limit in CLASSES)] += 1

    async def _look(self) -> None:
        tries = 0
        while True:
            await asyncio.sleep(INTERVAL)
            before = self._received()
            await asyncio.sleep(MOMENT)
            tries += 1
            if self._received() - before <= QUIET or tries >= PATIENCE:
                gc.unfreeze()
                gc.collect()
                gc.freeze()
                tries = 0
