# SPDX-License-Identifier: Apache-2.0
"""Messages go from one worker to another: whole, in order, in few datagrams, and never for ever."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.net import handover
from ringback.net.handover import Handover, inbox_pair, pack_flow, unpack_flow
from ringback.net.neighbours import Neighbours, first_connection, worker_of
from ringback.sip.flow import Address, Flow, Transport

UDP = Flow(Transport.UDP, Address("192.0.2.1", 5060), Address("192.0.2.9", 4000), 0, "192.0.2.1:5060")
OWN = Flow(Transport.TCP, Address("::1", 5060), Address("::1", 40000), first_connection(0, 5), "[::1]:5060")
OTHERS = Flow(
    Transport.WSS, Address("::1", 8443), Address("::1", 40001), first_connection(1, 5), "[::1]:8443"
)


class Side:
    """One worker without its stack."""

    def __init__(self, number: int, pairs: Sequence[tuple[socket.socket, socket.socket]]) -> None:
        ways = {other: pair[1] for other, pair in enumerate(pairs) if other != number}
        self.handover = Handover(pairs[number][0], ways)
        self.received: list[tuple[bytes, Flow]] = []
        self.batches = 0
        self.sent: list[tuple[bytes, Flow]] = []
        self.announced: list[tuple[Flow, bool]] = []
        self.lost: list[Flow] = []
        self.invites: set[str] = set()
        self.neighbours = Neighbours(
            number, self.handover, announce=lambda *what: self.announced.append(what)
        )

    def begin(self) -> None:
        self.neighbours.begin(
            received=self._receive,
            send=lambda data, flow: self.sent.append((data, flow)),
            lost=lambda flow, _: self.lost.append(flow),
            has_invite=lambda branch, _: branch in self.invites,
        )

    def _receive(self, batch: Sequence[tuple[bytes, Flow]]) -> None:
        self.batches += 1
        self.received += batch


Pairs = list[tuple[socket.socket, socket.socket]]


@pytest.fixture
def pairs() -> Iterator[Pairs]:
    pairs = [inbox_pair(), inbox_pair()]
    yield pairs
    for pair in pairs:
        for end in pair:
            end.close()


@pytest.fixture
async def sides(pairs: Pairs) -> AsyncIterator[tuple[Side, Side]]:
    sides = Side(0, pairs), Side(1, pairs)
    for side in sides:
        side.begin()
    yield sides
    for side in sides:
        side.neighbours.close()


async def until(condition: object) -> None:
    async with asyncio.timeout(5):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0)


async def test_what_is_handed_over_arrives_whole_and_in_order(sides: tuple[Side, Side]) -> None:
    messages = [
        (bytes([place % 256]) * (place * 37 % 3000), UDP if place % 2 else OWN) for place in range(500)
    ]
    for data, flow in messages:
        sides[0].handover.give(1, data, flow)
    await until(lambda: len(sides[1].received) == len(messages))
    assert sides[1].received == messages
    assert sides[1].batches < 20
    assert sides[1].received[0][1] is sides[1].received[2][1]  # one object for one flow


async def test_a_message_of_the_greatest_length_is_handed_over(sides: tuple[Side, Side]) -> None:
    data = b"x" * 1_048_576
    sides[0].handover.give(1, data, UDP)
    sides[0].handover.give(1, b"behind it", UDP)
    await until(lambda: len(sides[1].received) == 2)
    assert sides[1].received == [(data, UDP), (b"behind it", UDP)]


async def test_what_waits_for_a_worker_that_is_replaced_is_read_by_its_replacement(pairs: Pairs) -> None:
    alive, replacement = Side(0, pairs), Side(1, pairs)
    alive.begin()
    alive.handover.give(1, b"before it was there", UDP)
    await asyncio.sleep(0)
    replacement.begin()
    await until(lambda: replacement.received)
    assert replacement.received == [(b"before it was there", UDP)]


async def test_who_does_not_read_costs_no_more_than_the_limit(
    monkeypatch: pytest.MonkeyPatch, pairs: Pairs
) -> None:
    monkeypatch.setattr(handover, "MAX_WAITING", 100_000)
    side, sleeper = Side(0, pairs), Side(1, pairs)
    for _ in range(10_000):
        side.handover.give(1, b"x" * 1000, UDP)
        await asyncio.sleep(0)
    assert side.handover.lost
    sleeper.begin()
    await until(lambda: len(sleeper.received) == 10_000 - side.handover.lost)
    side.handover.give(1, b"after it woke", UDP)
    await until(lambda: sleeper.received[-1] == (b"after it woke", UDP))


async def test_only_messages_of_others_are_given_away(sides: tuple[Side, Side]) -> None:
    ours: list[tuple[bytes, Flow]] = []
    sort = sides[0].neighbours.sorting(ours.extend)

    def response(worker: int) -> bytes:
        return b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK-%02d-0\r\n\r\n" % worker

    sort(
        [(response(0), UDP), (response(1), OWN), (b"OPTIONS sip:a SIP/2.0\r\n\r\n", UDP), (response(7), UDP)]
    )
    await until(lambda: sides[1].received)
    assert sides[1].received == [(response(1), OWN)]
    assert ours == [(response(0), UDP), (b"OPTIONS sip:a SIP/2.0\r\n\r\n", UDP), (response(7), UDP)]
    assert sides[0].neighbours.status()["given_to_other_workers"] == 1


async def test_what_is_sent_on_the_connection_of_another_worker_is_sent_by_it(
    sides: tuple[Side, Side],
) -> None:
    assert sides[0].neighbours.send(b"hello", OTHERS)
    await until(lambda: sides[1].sent)
    assert sides[1].sent == [(b"hello", OTHERS)]
    assert not sides[0].neighbours.send(b"ours, and gone", OWN)


async def test_connections_of_others_live_until_it_is_said_that_they_ended(sides: tuple[Side, Side]) -> None:
    neighbours = sides[0].neighbours
    assert not neighbours.is_alive(OTHERS)
    neighbours.opened(OTHERS)
    neighbours.opened(OWN)
    assert neighbours.is_alive(OTHERS)
    assert not neighbours.is_alive(OWN)  # the pool knows those
    neighbours.closed(OTHERS.connection)
    neighbours.closed(OTHERS.connection)
    assert not neighbours.is_alive(OTHERS)
    assert sides[0].lost == [OTHERS]


async def test_a_connection_of_ours_is_announced_once(sides: tuple[Side, Side]) -> None:
    neighbours = sides[0].neighbours
    neighbours.ended(OWN)
    neighbours.trusted(OWN)
    neighbours.trusted(OWN)
    neighbours.ended(OWN)
    neighbours.ended(OWN)
    assert sides[0].announced == [(OWN, True), (OWN, False)]


@given(st.integers(0, 63), st.integers(0, 2**64))
def test_a_connection_says_whose_it_is(worker: int, chance: int) -> None:
    first = first_connection(worker, chance)
    assert worker_of(first) == worker_of(first + 2**40) == worker
    assert 0 < first < 2**56


@pytest.mark.parametrize("flow", [UDP, OWN, OTHERS])
def test_a_flow_travels_unchanged(flow: Flow) -> None:
    travelled = unpack_flow(pack_flow(flow))
    assert travelled == flow
    assert travelled.sent_by == flow.sent_by


CANCEL = (
    b"CANCEL sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKmine\r\nMax-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\n"
    b"To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 CANCEL\r\nContent-Length: 0\r\n\r\n"
)


@pytest.mark.parametrize("place", [0, 1, 2, None])
async def test_a_cancel_finds_the_worker_of_its_invite(place: int | None) -> None:
    """Wherever that is; when nobody knows it, it comes back to where it began."""
    pairs = [inbox_pair() for _ in range(3)]
    sides = [Side(number, pairs) for number in range(3)]
    for side in sides:
        side.begin()
    if place is not None:
        sides[place].invites.add("z9hG4bKmine")
    sides[1].neighbours.sorting(sides[1].received.extend)([(CANCEL, UDP)])
    await until(lambda: any(side.received for side in sides))
    assert [side.received for side in sides] == [
        [(CANCEL, UDP)] if number == (1 if place is None else place) else [] for number in range(3)
    ]
    for side in sides:
        side.neighbours.close()
    for pair in pairs:
        for end in pair:
            end.close()


async def test_a_cancel_that_cannot_be_read_stays_where_it_is(sides: tuple[Side, Side]) -> None:
    ours: list[tuple[bytes, Flow]] = []
    sides[0].neighbours.sorting(ours.extend)([(b"CANCEL nonsense", UDP)])
    assert ours == [(b"CANCEL nonsense", UDP)]


INVITE_TO_A_ROOM = b"INVITE sip:300@192.0.2.1:5060 SIP/2.0\r\nTo: <sip:300@192.0.2.1>\r\n\r\n"


@pytest.mark.parametrize(
    "uri", [b"sip:300@192.0.2.1:5060", b"SIPS:300@x", b"sip:300;ext=1@x", b"sip:300:pw@x"]
)
async def test_a_call_to_a_room_goes_to_the_worker_where_it_lives(
    sides: tuple[Side, Side], uri: bytes
) -> None:
    first, second = sides
    for side in sides:
        side.neighbours.live_at({"300": 1})
    data = INVITE_TO_A_ROOM.replace(b"sip:300@192.0.2.1:5060", uri)
    ours: list[bytes] = []
    first.neighbours.sorting(lambda batch: ours.extend(data for data, _ in batch))([(data, UDP)])
    await until(lambda: second.received)
    assert (ours, second.received) == ([], [(data, UDP)])
    second.neighbours.sorting(lambda batch: ours.extend(data for data, _ in batch))([(data, UDP)])
    assert ours == [data]


@pytest.mark.parametrize(
    "data",
    [
        INVITE_TO_A_ROOM.replace(b"300@", b"301@"),
        INVITE_TO_A_ROOM.replace(b"300@", b"3000@"),
        INVITE_TO_A_ROOM.replace(b"INVITE", b"OPTIONS"),
        b"INVITE sip:" + b"3" * 100,
        b"INVITE ",
    ],
)
async def test_other_calls_stay_where_they_are(sides: tuple[Side, Side], data: bytes) -> None:
    first, _ = sides
    first.neighbours.live_at({"300": 1})
    ours: list[bytes] = []
    first.neighbours.sorting(lambda batch: ours.extend(data for data, _ in batch))([(data, UDP)])
    assert ours == [data]
