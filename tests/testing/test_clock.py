# SPDX-License-Identifier: Apache-2.0
"""Does virtual time pass as real time would, only faster, and is a standstill noticed?"""

import asyncio
import time

import pytest

from ringback.testing import DeadlockDetected, JumpingLoop, run


async def now_after(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return asyncio.get_running_loop().time()


def test_an_hour_passes_in_no_time():
    started = time.perf_counter()
    assert run(now_after(3600)) == 3600.0
    assert time.perf_counter() - started < 1


def test_timers_run_in_the_order_of_their_times():
    async def main() -> list[str]:
        order: list[str] = []
        loop = asyncio.get_running_loop()
        for when, name in ((3.0, "c"), (1.0, "a"), (2.0, "b")):
            loop.call_later(when, order.append, name)
        await asyncio.sleep(4)
        return order

    assert run(main()) == ["a", "b", "c"]


def test_a_timeout_strikes_at_its_time():
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(32):
                await asyncio.sleep(64)
        return asyncio.get_running_loop().time()

    assert run(main()) == 32.0


def test_waiting_for_what_never_comes_is_a_deadlock_that_names_who_waits():
    async def waits_forever() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        await asyncio.create_task(waits_forever(), name="the sleeper")

    with pytest.raises(DeadlockDetected, match="the sleeper"):
        run(main())


def test_timers_that_rearm_forever_end_at_the_limit():
    async def main() -> None:
        while True:
            await asyncio.sleep(60)

    with pytest.raises(DeadlockDetected, match="without an end"):
        run(main(), limit=3600)


def test_the_clock_stands_still_while_a_thread_works():
    async def main() -> float:
        await asyncio.to_thread(time.sleep, 0.05)
        return asyncio.get_running_loop().time()

    assert run(main()) == 0.0


def test_a_thread_of_ones_own_is_waited_for_with_patience():
    async def main() -> str:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str] = loop.create_future()
        import threading

        threading.Thread(target=lambda: loop.call_soon_threadsafe(future.set_result, "done")).start()
        return await future

    assert run(main(), patience=5.0) == "done"


def test_exceptions_come_out_as_they_are():
    async def main() -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        run(main())


def test_the_loop_is_an_asyncio_loop_for_a_runner():
    with asyncio.Runner(loop_factory=JumpingLoop, debug=True) as runner:
        assert runner.run(now_after(10)) == 10.0
