# SPDX-License-Identifier: Apache-2.0
"""Ticks on a grid, with few timers: nobody drifts, nobody is forgotten, nobody suffers from another."""

import asyncio
from itertools import pairwise

import pytest

from ringback.media.pacing import MOST_CATCH_UP, MOST_SHARING, PHASE, Pacer
from ringback.testing import run


def started(interval: float, times: list[float]) -> Pacer:
    loop = asyncio.get_running_loop()
    pacer = Pacer(interval, lambda missed: times.append(loop.time()))
    pacer.start()
    return pacer


def timers() -> int:
    return sum(not handle.cancelled() for handle in asyncio.get_running_loop()._scheduled)


def test_ticks_come_on_the_grid_for_an_hour():
    async def main():
        times: list[float] = []
        pacer = started(0.020, times)
        pacer.start()
        await asyncio.sleep(3_600)
        pacer.stop()
        assert len(times) == pytest.approx(180_000, abs=1)
        assert max(abs(at - times[0] - n * 0.020) for n, at in enumerate(times)) < 1e-6

    run(main())


def test_calls_that_come_one_after_the_other_share_a_few_timers():
    async def main():
        every: list[list[float]] = [[] for _ in range(100)]
        before, pacers, begun = timers(), [], []
        for times in every:
            begun.append(asyncio.get_running_loop().time())
            pacers.append(started(0.020, times))
            await asyncio.sleep(0.0137)
        assert timers() - before <= 5
        await asyncio.sleep(1)
        for start, times in zip(begun, every, strict=True):
            assert 0 <= times[0] - start <= PHASE + 1e-6
            assert all(b - a == pytest.approx(0.020, abs=1e-9) for a, b in pairwise(times))
        for pacer in pacers:
            pacer.stop()
        counts = [len(times) for times in every]
        await asyncio.sleep(1)
        assert [len(times) for times in every] == counts

    run(main())


def test_many_that_come_at_once_are_spread_over_the_interval():
    async def main():
        every: list[list[float]] = [[] for _ in range(3 * MOST_SHARING)]
        pacers = [started(0.020, times) for times in every]
        await asyncio.sleep(0.1)
        moments = {round(times[0], 6) for times in every}
        assert moments == {0.0, PHASE, 2 * PHASE}
        for pacer in pacers:
            pacer.stop()

    run(main())


def test_other_intervals_have_timers_of_their_own():
    async def main():
        fast: list[float] = []
        slow: list[float] = []
        pacers = [started(0.010, fast), started(0.060, slow)]
        await asyncio.sleep(0.6)
        assert len(fast) == pytest.approx(60, abs=1)
        assert len(slow) == pytest.approx(10, abs=1)
        for pacer in pacers:
            pacer.stop()

    run(main())


def test_a_stall_is_made_up_for_a_little_and_told():
    async def main():
        told: list[int] = []
        loop = asyncio.get_running_loop()
        pacer = Pacer(0.020, told.append)
        pacer.start()
        await asyncio.sleep(0.1)
        told.clear()
        loop._jumping.now += 1.0
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert sum(told) == pytest.approx(50 - MOST_CATCH_UP, abs=2)
        assert len(told) == pytest.approx(MOST_CATCH_UP + 1, abs=1)
        await asyncio.sleep(0.1)
        assert sum(told) + len(told) == pytest.approx(55, abs=1)
        pacer.stop()

    run(main())


def test_a_tick_may_stop_itself_and_its_neighbours():
    async def main():
        ticks: list[str] = []

        def first(missed: int) -> None:
            ticks.append("first")
            one.stop()
            other.stop()

        one, other = Pacer(0.020, first), Pacer(0.020, lambda missed: ticks.append("other"))
        one.start()
        other.start()
        await asyncio.sleep(0.1)
        assert ticks == ["first"]
        assert not one.is_running
        other.stop()
        one.start()
        await asyncio.sleep(0.1)
        assert ticks == ["first", "first"]

    run(main())


def test_a_tick_that_fails_harms_nobody_else():
    async def main():
        times: list[float] = []
        failures: list[str] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: failures.append(repr(context["exception"])))

        def broken(missed: int) -> None:
            raise ValueError("broken")

        pacers = [Pacer(0.020, broken), started(0.020, times)]
        pacers[0].start()
        await asyncio.sleep(0.1)
        assert len(times) == pytest.approx(5, abs=1)
        assert set(failures) == {"ValueError('broken')"}
        for pacer in pacers:
            pacer.stop()

    run(main())
