# SPDX-License-Identifier: Apache-2.0
"""What was wrong with a call that has just ended? It is judged while its messages are still in memory.

A moment after "call.ended" follows "call.judged" with its verdicts, if there are any, so that the record has
them for good. Off the path of every call: one at a time, a few a second; under load the rest is judged when
somebody looks at it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ringback.server.bulletin import Bulletin

logger = logging.getLogger("ringback.verdicts")

#: For what comes last: the answer to a BYE, a repetition.
DELAY = 1.0
#: Calls that may wait, and the pause behind each: at most 5 a second, and never more than a hundredth of the
#: time (10 ms of work each with a full trace; five of those a second were the p99 of everybody's answers).
WAITING = 50
PAUSE, SHARE = 0.2, 0.01

Record = dict[str, Any]
#: The verdicts on a call of which this is the record.
Verdicts = Callable[[Record], Awaitable[list[dict[str, Any]]]]


class Judge:
    """Listens to the bulletin of one process."""

    def __init__(self, bulletin: Bulletin, verdicts: Verdicts) -> None:
        self._bulletin = bulletin
        self._verdicts = verdicts
        self._waiting: asyncio.Queue[tuple[float, Record]] = asyncio.Queue(WAITING)
        self._stop: Callable[[], None] | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """From now on."""
        self._stop = self._bulletin.listen(self._hear, only=("call.ended",))
        self._task = asyncio.get_running_loop().create_task(self._run(), name="judge of calls")

    async def close(self) -> None:
        """What waits is not judged any more."""
        if self._stop is not None:
            self._stop()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _hear(self, event: dict[str, Any]) -> None:
        if not self._waiting.full():
            self._waiting.put_nowait((asyncio.get_running_loop().time() + DELAY, event["call"]))

    async def _run(self) -> None:
        loop, pause = asyncio.get_running_loop(), PAUSE
        while True:
            due, record = await self._waiting.get()
            await asyncio.sleep(max(pause, due - loop.time()))
            begun = loop.time()
            try:
                verdicts = await self._verdicts(record)
            except Exception:
                logger.exception("our fault: a call could not be judged")
                continue
            pause = max(PAUSE, (loop.time() - begun) / SHARE)
            if verdicts:
                self._bulletin.post("call.judged", id=record["id"], verdicts=verdicts)
