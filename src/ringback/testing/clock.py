# SPDX-License-Identifier: Apache-2.0
"""How do tests of code with timers run in no time? With an event loop whose clock jumps.

When nothing is ready, a normal loop sleeps until its next timer. This one moves its clock there instead, so
that `await asyncio.sleep(3600)` takes an hour of the loop's time and none of yours. Use it with the in-memory
`ringback.testing.Network`, never with real sockets.

    import asyncio
    from ringback.testing import run

    async def hold_the_line() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    assert run(hold_the_line()) == 3600.0

If everything waits for what can never happen, `run` raises `DeadlockDetected` and says who waits where.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar

Result = TypeVar("Result")

#: A loop may call a timer so many seconds early: sums of times are rounded.
RESOLUTION = 1e-9


class DeadlockDetected(RuntimeError):
    """Nothing is ready and nothing is scheduled: the program would wait forever."""


class JumpingSelector(selectors.DefaultSelector):
    """Never sleeps: the time it would have slept is added to `now`."""

    def __init__(self, *, limit: float, patience: float) -> None:
        super().__init__()
        self.now = 0.0
        self.limit = limit
        self.patience = patience
        self.threads_at_work = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready now; if nothing is, the clock jumps by `timeout`."""
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self.threads_at_work:  # real work in a real thread takes real time: wait for it, keep the clock
            return super().select(0.05)
        if timeout is None:
            ready = super().select(self.patience)
            if not ready:
                raise DeadlockDetected("deadlock: nothing is ready and nothing is scheduled\n" + _who_waits())
            return ready
        self.now += timeout
        if self.now > self.limit:
            raise DeadlockDetected(f"virtual time passed {self.limit} s without an end\n" + _who_waits())
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """An asyncio loop whose time jumps to the next timer. Starts at 0.0.

    limit:
        raise `DeadlockDetected` when virtual time passes it (timers that re-arm themselves never deadlock)
    patience:
        real seconds to wait for a thread of yours before a standstill is called a deadlock
    """

    def __init__(self, *, limit: float = 7 * 86_400.0, patience: float = 0.0) -> None:
        self._jumping = JumpingSelector(limit=limit, patience=patience)
        super().__init__(self._jumping)
        self._clock_resolution = RESOLUTION  # a timer is due when the clock stands on it: no rounding up

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._jumping.now

    def work(self, seconds: float) -> None:
        """The processor is busy for so long: time passes, and what becomes due meanwhile waits."""
        self._jumping.now += seconds

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Any, *args: Any
    ) -> asyncio.Future[Any]:
        """As in asyncio; the clock stands still while the thread works."""
        future = super().run_in_executor(executor, func, *args)
        self._jumping.threads_at_work += 1
        future.add_done_callback(self._thread_done)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """As in asyncio: it waits for threads too, so the clock stands still."""
        self._jumping.threads_at_work += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self._jumping.threads_at_work -= 1

    def _thread_done(self, _future: asyncio.Future[Any]) -> None:
        self._jumping.threads_at_work -= 1


def run(
    main: Coroutine[Any, Any, Result],
    *,
    limit: float = 7 * 86_400.0,
    patience: float = 0.0,
    debug: bool | None = None,
) -> Result:
    """Run a coroutine to its end in virtual time, as `asyncio.run` does in real time."""
    with asyncio.Runner(
        debug=debug, loop_factory=lambda: JumpingLoop(limit=limit, patience=patience)
    ) as runner:
        return runner.run(main)


def _who_waits() -> str:
    """One line for each task: its name and the innermost place it waits at."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return ""
    return "\n".join(sorted(_place(task) for task in asyncio.all_tasks(loop)))


def _place(task: asyncio.Task[Any]) -> str:
    frames = task.get_stack(limit=1)
    where = f"{frames[-1].f_code.co_filename}:{frames[-1].f_lineno}" if frames else "nowhere"
    return f"  {task.get_name()} waits at {where}"
