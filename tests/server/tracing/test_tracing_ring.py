# SPDX-License-Identifier: Apache-2.0
"""The trace in memory: what is in it, that its limits hold, and that it is off when it is off."""

import asyncio
import gc
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from traced import ANNA, BEGAN, BEN, CAROL, INVITE, Driver, chunk_of, sip

from ringback.server.tracing.chunk import our_end
from ringback.server.tracing.memory import PIECE, Memory
from ringback.server.tracing.recorder import MESSAGES, Recorder
from ringback.server.tracing.ring import Ring
from ringback.server.tracing.settings import TraceSettings
from ringback.sip.flow import Address, Flow, Transport


def recorder(wall: float = BEGAN, **settings: Any) -> tuple[Recorder, Driver]:
    """One that writes nothing, and its driver. Needs a loop."""
    made, driver = Recorder(TraceSettings(files=0, **settings), None, wall_clock=lambda: wall), Driver()
    made.watch(driver)  # type: ignore[arg-type]
    return made, driver


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_what_the_driver_shows_is_kept_with_its_direction_and_wall_clock() -> None:
    made, driver = recorder()
    assert driver.tap is not None
    driver.tap(False, [(INVITE, ANNA), (b"\r\n\r\n", BEN)], now() - 2)
    driver.tap(True, [(INVITE, BEN)], now())
    made.flush()
    first, second = (kept for _, kept in made.ring.since(0, 10))
    assert (first.sent, first.flow, first.data) == (False, ANNA, INVITE)
    assert (second.sent, second.flow) == (True, BEN)
    assert first.at == pytest.approx(BEGAN - 2, abs=0.1)
    assert made.status()["messages"] == 2
    await made.close()
    assert driver.tap is None


async def test_nobody_has_to_ask_for_messages_to_be_packed() -> None:
    made, driver = recorder()
    assert driver.tap is not None
    driver.tap(False, [(INVITE, ANNA)] * (MESSAGES + 1), now())
    assert len(made.ring) == MESSAGES, "the last one begins another chunk"
    await made.close()


async def test_keep_alives_take_no_memory() -> None:
    made, driver = recorder()
    assert driver.tap is not None
    for _ in range(1000):
        driver.tap(False, [(b"\r\n\r\n", ANNA)], now())
    made.flush()
    assert (len(made.ring), made.ring.size) == (0, 0)
    await made.close()


async def test_memory_is_what_the_setting_says_also_when_every_message_has_another_peer() -> None:
    limit = 2_000_000
    made, driver = recorder(memory=limit)
    assert driver.tap is not None
    gc.collect()
    tracemalloc.start()
    for number in range(12_000):
        peer = Flow(
            Transport.UDP, Address("192.0.2.1", 5060), Address(f"10.0.{number >> 8}.{number & 255}", 5060)
        )
        driver.tap(False, [(sip("OPTIONS", call_id=f"c{number}"), peer)], now())
    made.flush()
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    used += sum(len(piece.octets) for piece in {chunk.piece for chunk in made.ring.chunks})
    assert made.ring.size <= limit
    assert used <= limit * 1.15, "the ring takes more than it counts"
    assert used >= limit * 0.5, "the ring counts more than it takes"
    status = made.status()
    assert status["messages"] + status["dropped"] == 12_000
    assert status["dropped"] > 6_000
    await made.close()


async def test_the_newest_stay() -> None:
    made, driver = recorder(memory=1_000_000)
    assert driver.tap is not None
    for number in range(4000):
        driver.tap(False, [(sip("OPTIONS", call_id=f"c{number}"), ANNA)], now())
    made.flush()
    numbers = [number for number, _ in made.ring.since(0, 10_000)]
    assert numbers == list(range(4000 - len(numbers), 4000))
    assert len(made.ring) == len(numbers) > 1000
    await made.close()


def test_what_is_too_old_is_forgotten_and_its_memory_given_back() -> None:
    ring = Ring(memory=1_000_000, age=60.0)
    for first, at in enumerate((10.0, 20.0)):
        ring.add(chunk_of((at, False, [(INVITE, ANNA)]), first=first))
    assert ring.expire(69.0) == 70.0
    assert len(ring) == 2
    assert ring.expire(70.0) == 80.0
    assert [number for number, _ in ring.since(0, 9)] == [1]
    assert ring.expire(80.0) is None
    assert (ring.size, ring.oldest_at, ring.dropped) == (0, None, 0)


async def test_it_is_switched_off_and_on_while_it_runs() -> None:
    made, driver = recorder(enabled=False)
    assert driver.tap is None
    made.switch(TraceSettings(files=0))
    tap = driver.tap
    assert tap is not None
    tap(False, [(INVITE, ANNA)], now())
    made.switch(TraceSettings(files=0, enabled=False))
    assert driver.tap is None
    assert len(made.ring) == 1, "what was kept stays"
    await made.close()


@given(
    st.lists(
        st.tuples(
            st.floats(0, 1e6),
            st.booleans(),
            st.lists(st.tuples(st.binary(max_size=40), st.sampled_from([ANNA, BEN, CAROL])), max_size=4),
        ),
        max_size=6,
    )
)
def test_what_is_taken_comes_out_as_it_was(batches: list[Any]) -> None:
    chunk = chunk_of((0.0, True, [(INVITE, BEN)]), *batches, wall=5.0)
    wanted = [
        (at + 5.0, sent, flow, data) for at, sent, batch in batches for data, flow in batch if len(data) >= 16
    ]
    assert [tuple(kept) for kept in chunk.messages()] == [(5.0, True, BEN, INVITE), *wanted]


def test_octets_are_found_in_the_right_messages() -> None:
    data = [sip("OPTIONS", call_id=name) for name in ("one", "two", "one", "three")]
    chunk = chunk_of((0.0, False, [(each, ANNA) for each in data]))
    assert chunk.having(b"one") == [0, 2]
    assert chunk.having(b"three") == [3]
    assert chunk.having(b"four") == []
    assert chunk.having(b"\r\n\r\nOPTIONS") == [], "it begins in one message and ends in the next"


async def test_the_memory_of_what_was_forgotten_is_used_again() -> None:
    made, driver = recorder(memory=6 * PIECE)
    assert driver.tap is not None
    seen = set()
    for number in range(40_000):
        driver.tap(False, [(sip("OPTIONS", call_id=f"c{number}"), ANNA)], now())
        if number % 1000 == 0:
            seen |= {id(chunk.piece.octets) for chunk in made.ring.chunks}
    assert made.ring.dropped > 10_000
    assert len(seen) * len(made.ring.chunks[0].piece.octets) <= 6 * PIECE
    await made.close()


async def test_who_still_reads_a_message_reads_what_it_was() -> None:
    made, driver = recorder(memory=1_000_000)
    assert driver.tap is not None
    driver.tap(False, [(INVITE, ANNA)], now())
    made.flush()
    (chunk,) = made.ring.chunks
    for _ in range(10_000):
        driver.tap(False, [(sip("OPTIONS"), BEN)], now())
    assert made.ring.chunks[0].first > 0, "the ring has forgotten it"
    assert chunk.message(0).data == INVITE
    await made.close()


def test_memory_that_nobody_refers_to_is_the_next_that_is_taken() -> None:
    memory = Memory(1_000_000_000)
    first, second = memory.piece(10), memory.piece(10)
    octets = second.octets
    assert first.octets is not octets
    del second
    assert memory.piece(10).octets is octets
    assert len(memory.piece(PIECE + 1).octets) > PIECE


async def test_an_idle_server_keeps_no_memory() -> None:
    made, driver = recorder(age=10)
    assert driver.tap is not None
    driver.tap(False, [(INVITE, ANNA)], now() - 20)
    made.flush()
    assert made.ring.chunks == ()
    assert made._tape.room == 0
    driver.tap(False, [(INVITE, ANNA)], now())
    made.flush()
    assert len(made.ring) == 1
    await made.close()


@pytest.mark.parametrize(
    ("local", "sent_by", "address"),
    [
        ("192.0.2.1", "sip.example.com", "192.0.2.1:5060"),
        ("0.0.0.0", "192.0.2.5:5060", "192.0.2.5:5060"),
        ("0.0.0.0", "192.0.2.5", "192.0.2.5:5060"),
        ("::", "[2001:db8::5]:5060", "[2001:db8::5]:5060"),
        ("::", "[2001:db8::5]", "[2001:db8::5]:5060"),
        ("::", "", "[::]:5060"),
    ],
)
def test_our_end_is_the_address_that_peers_see(local: str, sent_by: str, address: str) -> None:
    flow = Flow(Transport.UDP, Address(local, 5060), Address("192.0.2.9", 5060), 0, sent_by)
    assert str(our_end(flow)) == address


async def test_messages_as_large_as_can_be_are_bounded_too() -> None:
    made, driver = recorder(memory=3_000_000)
    assert driver.tap is not None
    large = sip("OPTIONS", body="x" * 60_000)
    for _ in range(300):
        driver.tap(False, [(large, ANNA)], now())
    made.flush()
    assert made.ring.size <= 3_000_000
    driver.tap(True, [], now())
    driver.tap(True, [(INVITE, ANNA)], now())
    made.flush()
    assert [kept.data for _, kept in made.ring.since(300, 9)] == [INVITE]
    await made.close()
