# SPDX-License-Identifier: Apache-2.0
"""How does a program do several things in one call, and leave none of them behind?

async with call.tasks() as t:
    @t.start
    async def listen(): ...

    @t.start
    async def speak(): ...

The block ends when all of them have. When one fails, or the call ends, the others are cancelled first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from ringback.ua.errors import CallEnded

if TYPE_CHECKING:
    from ringback.ua.call import Call

Result = TypeVar("Result")


class CallTasks:
    """Tasks that live inside one `async with` block and inside one call."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._group = asyncio.TaskGroup()
        self._watch: asyncio.Task[None] | None = None
        self._running = 0
        self._is_left = False

    def start(self, work: Callable[[], Coroutine[Any, Any, Result]]) -> asyncio.Task[Result]:
        """Do `work` beside the rest. A decorator that gives the task."""
        task = self._group.create_task(work())
        self._running += 1
        task.add_done_callback(self._finished)
        return task

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._watch = self._group.create_task(self._until_the_end())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_left = True
        self._stop_watching()
        try:
            await self._group.__aexit__(kind, error, trace)
        except BaseExceptionGroup as group:
            raise _most_telling(group) from None

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._running -= 1
        self._stop_watching()

    def _stop_watching(self) -> None:
        """The end of the call matters only while there is something to cancel."""
        if self._is_left and not self._running and self._watch is not None:
            self._watch.cancel()

    async def _until_the_end(self) -> None:
        ended = await self._call.wait_ended()
        raise CallEnded(ended.status, ended.reason, response=ended.response)


def _most_telling(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first exception that is not merely the end of the call."""
    errors = group.exceptions
    return next((error for error in errors if not isinstance(error, CallEnded)), errors[0])
