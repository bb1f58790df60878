# SPDX-License-Identifier: Apache-2.0
"""Are ready streams read in one turn, and what they wrote sent behind it in one piece? With epoll and without."""

import asyncio
import select
import socket
from collections.abc import Callable, Iterator

import pytest

from ringback.net.poller import READ, WRITE, Poller, PortableSelector

SELECTORS = [PortableSelector, *([select.epoll] if hasattr(select, "epoll") else [])]
Note = tuple[str, object]


class Watcher:
    """Writes down what it is told; `reaction` is what it does when it is ready."""

    def __init__(self, poller: Poller, notes: list[Note], name: str) -> None:
        self.near, self.far = socket.socketpair()
        self.near.setblocking(False)
        self.name = name
        self.reaction: Callable[[], object] = lambda: None
        self.share = 0
        self._poller = poller
        self._notes = notes
        poller.watch(self.near.fileno(), self, READ)

    def ready(self, events: int, share: int) -> None:
        self.share = share
        if events & READ:
            self._notes.append((self.name, self.near.recv(share)))
        else:
            self._notes.append((self.name, events))
        self.reaction()

    def flush(self) -> None:
        self._notes.append((self.name, "sends"))

    def abort(self) -> None:
        self._notes.append((self.name, "aborted"))
        self.close()

    def close(self) -> None:
        if self.near.fileno() >= 0:
            self._poller.forget(self.near.fileno())
        self.near.close()
        self.far.close()


class Bench:
    """One poller and its watchers."""

    def __init__(self, make_selector: Callable[[], object]) -> None:
        self.poller = Poller(make_selector)  # type: ignore[arg-type]
        self.notes: list[Note] = []
        self.watchers: list[Watcher] = []

    def watcher(self, name: str) -> Watcher:
        self.watchers.append(Watcher(self.poller, self.notes, name))
        return self.watchers[-1]

    async def heard(self, count: int) -> list[Note]:
        async with asyncio.timeout(5):
            while len(self.notes) < count:
                await asyncio.sleep(0)
        await asyncio.sleep(0)
        return self.notes


@pytest.fixture(params=SELECTORS, ids=lambda one: one.__name__)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = Bench(request.param)
    yield made
    assert len(made.poller) == len([one for one in made.watchers if one.near.fileno() >= 0])
    assert made.poller._selector is None or len(made.poller) > 0


async def test_all_that_are_ready_are_read_before_anything_is_sent(bench: Bench) -> None:
    one, other = bench.watcher("one"), bench.watcher("other")
    for watcher in (one, other):
        watcher.reaction = lambda: (bench.poller.note_written(one), bench.poller.note_written(other))
        watcher.far.send(watcher.name.encode())
    notes = await bench.heard(6)
    assert sorted(notes[:2]) == [("one", b"one"), ("other", b"other")]
    assert {note for _name, note in notes[2:]} == {"sends"}
    for watcher in (one, other):
        watcher.close()


async def test_what_is_collected_in_a_turn_is_handed_over_before_it_is_sent(bench: Bench) -> None:
    one, other = bench.watcher("one"), bench.watcher("other")
    for watcher in (one, other):
        watcher.reaction = lambda name=watcher.name: bench.poller.after_turn(
            lambda: (bench.notes.append((name, "after")), bench.poller.note_written(one))
        )
        watcher.far.send(b"x")
    notes = [note for _name, note in await bench.heard(6)]
    assert notes == [b"x", b"x", "after", "after", "sends", "sends"]
    for watcher in (one, other):
        watcher.close()


async def test_outside_of_a_turn_nothing_waits_for_one(bench: Bench) -> None:
    one = bench.watcher("one")
    bench.poller.after_turn(lambda: bench.notes.append(("one", "after")))
    bench.poller.note_written(one)
    bench.poller.note_written(one)
    assert bench.notes == [("one", "after")]
    assert await bench.heard(3) == [("one", "after"), ("one", "sends"), ("one", "sends")]
    one.close()


async def test_our_own_failure_ends_one_stream_and_no_other(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    one, other = bench.watcher("one"), bench.watcher("other")
    one.reaction = fail
    other.reaction = lambda: bench.poller.after_turn(fail)
    for watcher in (one, other):
        watcher.far.send(b"x")
    assert set(await bench.heard(3)) == {("one", b"x"), ("one", "aborted"), ("other", b"x")}
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError] * 2
    other.far.send(b"again")
    other.reaction = lambda: None
    assert (await bench.heard(4))[-1] == ("other", b"again")
    other.close()


async def test_who_is_closed_by_another_in_the_same_turn_is_not_served(bench: Bench) -> None:
    one, other = bench.watcher("one"), bench.watcher("other")
    one.reaction, other.reaction = other.close, one.close
    for watcher in (one, other):
        watcher.far.send(b"x")
    assert len(await bench.heard(1)) == 1
    for watcher in (one, other):
        watcher.close()


async def test_room_to_write_is_told_when_asked_for(bench: Bench) -> None:
    one = bench.watcher("one")
    one.reaction = lambda: bench.poller.change(one.near.fileno(), READ)
    bench.poller.change(one.near.fileno(), WRITE)
    assert await bench.heard(1) == [("one", WRITE)]
    one.far.send(b"x")
    assert (await bench.heard(2))[1] == ("one", b"x")
    one.close()


async def test_it_opens_again_for_the_next_stream(bench: Bench) -> None:
    for name in ("first", "second"):
        watcher = bench.watcher(name)
        watcher.far.send(b"x")
        await bench.heard(1)
        assert bench.notes.pop() == (name, b"x")
        watcher.close()
        assert len(bench.poller) == 0


async def test_many_ready_streams_share_a_turn(bench: Bench) -> None:
    watchers = [bench.watcher(str(number)) for number in range(200)]
    for watcher in watchers:
        watcher.far.send(b"x")
    assert len({name for name, _note in await bench.heard(200)}) == 200
    assert min(watcher.share for watcher in watchers) >= 1024
    assert max(watcher.share for watcher in watchers) < 65_536
    for watcher in watchers:
        watcher.close()
