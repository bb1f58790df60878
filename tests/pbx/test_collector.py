# SPDX-License-Identifier: Apache-2.0
"""The garbage collector of a server: left alone while calls are set up, counted, and as before in the end."""

import asyncio
import gc
import weakref

import pytest

from ringback.pbx import collector
from ringback.pbx.collector import Collector


class Node:
    """Refers to itself, so that only the collector finds it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "INTERVAL", 0.001)
    monkeypatch.setattr(collector, "MOMENT", 0.001)


async def collected(node: "weakref.ref[Node]") -> None:
    async with asyncio.timeout(10):
        while node() is not None:
            await asyncio.sleep(0.001)


async def test_it_is_set_at_the_start_and_set_back_at_the_end() -> None:
    before = gc.get_threshold(), list(gc.callbacks), gc.get_freeze_count()
    server = Collector(lambda: 0)
    server.start()
    assert gc.get_threshold() == collector.THRESHOLDS
    assert gc.get_freeze_count() > 1000
    gc.collect(0)
    gc.collect(2)
    pauses = server.status()
    assert sum(count for name, count in pauses.items() if name != "longest_ms") == 2
    await server.close()
    await server.close()
    assert (gc.get_threshold(), list(gc.callbacks), gc.get_freeze_count()) == before


async def test_what_is_old_is_looked_through_in_a_quiet_moment(quick: None) -> None:
    server = Collector(lambda: 0)
    server.start()
    node = weakref.ref(Node())
    await collected(node)
    await server.close()


async def test_it_is_looked_through_after_a_while_also_when_there_is_none(
    quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "PATIENCE", 5)
    messages = iter(range(0, 10**9, 1000))
    server = Collector(lambda: next(messages))
    server.start()
    await collected(weakref.ref(Node()))
    assert next(messages) >= 10_000  # asked twice in each of five moments
    await server.close()
