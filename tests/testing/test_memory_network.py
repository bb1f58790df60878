# SPDX-License-Identifier: Apache-2.0
"""Does the in-memory network lose, repeat, delay and cut as told, and the same way for the same seed?"""

import asyncio
import ssl

import pytest

from ringback.sip.flow import Address
from ringback.testing import Conditions, Network, run

ALICE = Address("10.0.0.1", 5060)
BOB = Address("10.0.0.2", 5060)


class Ear:
    """Keeps what a stream delivers."""

    def __init__(self) -> None:
        self.heard = b""
        self.pieces = 0
        self.end: str | None = None

    def data_received(self, data: bytes) -> None:
        self.heard += data
        self.pieces += 1

    def connection_lost(self, detail: str) -> None:
        assert self.end is None
        self.end = detail


async def datagrams(network: Network, count: int) -> list[bytes]:
    heard: list[bytes] = []
    await network.host("10.0.0.2").bind_datagram(BOB, lambda batch: heard.extend(data for data, _ in batch))
    socket = await network.host("10.0.0.1").bind_datagram(ALICE, lambda _batch: None)
    for number in range(count):
        socket.send(b"%d" % number, BOB)
    await asyncio.sleep(5)
    return heard


async def streams(network: Network) -> tuple[object, Ear, object, Ear]:
    accepted: list[object] = []
    await network.host("10.0.0.2").listen(BOB, accepted.append)
    ours = await network.host("10.0.0.1").connect(BOB)
    theirs = accepted[0]
    near, far = Ear(), Ear()
    ours.set_reader(near)
    theirs.set_reader(far)
    return ours, near, theirs, far


def test_a_perfect_network_delivers_everything_in_order():
    assert run(datagrams(Network(), 100)) == [b"%d" % number for number in range(100)]


def test_loss_takes_its_share():
    assert 150 < len(run(datagrams(Network(seed=1, loss=0.2), 200))) < 180


def test_duplicates_arrive_twice():
    heard = run(datagrams(Network(seed=1, duplicate=1.0), 10))
    assert sorted(heard) == sorted([b"%d" % number for number in range(10)] * 2)


def test_reordering_changes_the_order_and_loses_nothing():
    heard = run(datagrams(Network(seed=1, reorder=0.3, delay=(0.01, 0.02)), 50))
    assert heard != sorted(heard, key=int)
    assert len(heard) == 50


def test_datagrams_above_the_mtu_vanish():
    async def main() -> int:
        network = Network(mtu=1400)
        heard: list[object] = []
        await network.host("10.0.0.2").bind_datagram(BOB, heard.extend)
        socket = await network.host("10.0.0.1").bind_datagram(ALICE, lambda _batch: None)
        socket.send(b"x" * 1401, BOB)
        socket.send(b"x" * 1400, BOB)
        await asyncio.sleep(1)
        return len(heard)

    assert run(main()) == 1


def test_the_same_seed_gives_the_same_trace_and_another_seed_another():
    def trace(seed: int) -> str:
        network = Network(seed=seed, loss=0.2, duplicate=0.1, delay=(0.01, 0.05), reorder=0.1)
        run(datagrams(network, 50))
        return network.trace_hash

    assert trace(1) == trace(1) != trace(2)


def test_a_cut_stops_one_direction_or_both_until_it_is_healed():
    async def main() -> list[bytes]:
        network = Network()
        heard: list[bytes] = []
        await network.host("10.0.0.2").bind_datagram(BOB, lambda batch: heard.append(batch[0][0]))
        socket = await network.host("10.0.0.1").bind_datagram(ALICE, lambda _batch: None)
        network.cut("10.0.0.2", "10.0.0.1", both_ways=False)
        socket.send(b"other direction", BOB)
        await asyncio.sleep(1)
        network.cut("10.0.0.1", "*")
        socket.send(b"lost", BOB)
        await asyncio.sleep(1)
        network.heal()
        socket.send(b"healed", BOB)
        await asyncio.sleep(1)
        return heard

    assert run(main()) == [b"other direction", b"healed"]


def test_a_link_can_be_worse_than_the_rest():
    network = Network()
    network.link("10.0.0.1", "10.0.0.2", Conditions(loss=1.0))
    assert run(datagrams(network, 10)) == []
    assert network.statistics.lost == 10


def test_a_socket_on_all_addresses_answers_from_the_one_that_was_asked():
    async def main() -> Address:
        network = Network()
        host = network.host("10.0.0.2", "10.0.0.3")
        seen: list[Address] = []
        wild = await host.bind_datagram(Address("0.0.0.0", 5060), lambda _batch: None)
        other = await network.host("10.0.0.1").bind_datagram(ALICE, lambda batch: seen.append(batch[0][1]))
        wild.send(b"hello", other.local)
        await asyncio.sleep(1)
        return seen[0]

    assert run(main()) == Address("10.0.0.2", 5060)


def test_a_port_in_use_is_refused_and_a_closed_one_is_free_again():
    async def main() -> None:
        host = Network().host("10.0.0.1")
        socket = await host.bind_datagram(ALICE, lambda _batch: None)
        with pytest.raises(OSError, match="in use"):
            await host.bind_datagram(ALICE, lambda _batch: None)
        with pytest.raises(OSError, match="no address"):
            await host.bind_datagram(BOB, lambda _batch: None)
        socket.close()
        assert host.open_sockets == 0
        await host.bind_datagram(ALICE, lambda _batch: None)

    run(main())


def test_a_stream_arrives_whole_and_in_order_in_random_pieces():
    async def main() -> Ear:
        ours, _near, _theirs, far = await streams(Network(seed=3, delay=(0.001, 0.2)))
        for number in range(50):
            ours.write(b"message number %d;" % number)
        await asyncio.sleep(60)
        return far

    far = run(main())
    assert far.heard == b"".join(b"message number %d;" % number for number in range(50))
    assert far.pieces > 50


def test_closing_delivers_what_was_written_then_ends_both():
    async def main() -> tuple[bytes, str | None, str | None]:
        ours, near, _theirs, far = await streams(Network())
        ours.write(b"last words")
        ours.close()
        await asyncio.sleep(1)
        return far.heard, near.end, far.end

    assert run(main()) == (b"last words", "closed", "closed by the peer")


def test_a_reset_loses_what_was_on_its_way():
    async def main() -> tuple[bytes, str | None]:
        ours, _near, _theirs, far = await streams(Network())
        ours.write(b"never")
        ours.abort()
        await asyncio.sleep(1)
        return far.heard, far.end

    assert run(main()) == (b"", "connection reset by peer")


def test_a_stream_outlives_a_short_cut_and_breaks_in_a_long_one():
    async def main() -> tuple[bytes, str | None, str | None]:
        network = Network()
        ours, near, _theirs, far = await streams(network)
        network.cut("10.0.0.1", "10.0.0.2")
        ours.write(b"patience")
        await asyncio.sleep(5)
        network.heal()
        await asyncio.sleep(1)
        heard = far.heard
        network.cut("10.0.0.1", "10.0.0.2")
        ours.write(b"lost")
        await asyncio.sleep(20)
        return heard, near.end, far.end

    assert run(main()) == (b"patience", "timed out", "timed out")


def test_a_peer_that_does_not_read_lets_the_queue_grow():
    async def main() -> int:
        ours, _near, theirs, _far = await streams(Network())
        theirs.stalled = True
        ours.write(b"x" * 1000)
        await asyncio.sleep(1)
        return ours.queued

    assert run(main()) == 1000


def test_connections_are_refused_or_time_out():
    async def main() -> float:
        network = Network()
        host = network.host("10.0.0.1")
        network.host("10.0.0.2")
        with pytest.raises(ConnectionRefusedError):
            await host.connect(BOB)
        started = asyncio.get_running_loop().time()
        with pytest.raises(TimeoutError):
            await host.connect(Address("10.0.0.9", 5060), timeout=5.0)
        return asyncio.get_running_loop().time() - started

    assert run(main()) == pytest.approx(5.0)


def test_tls_must_be_wanted_at_both_ends():
    async def main() -> None:
        network = Network()
        await network.host("10.0.0.2").listen(BOB, lambda _stream: None)
        with pytest.raises(OSError, match="TLS at one end"):
            await network.host("10.0.0.1").connect(BOB, tls=ssl.create_default_context())

    run(main())


def test_a_crash_silences_a_host_and_its_streams():
    async def main() -> tuple[str | None, int]:
        network = Network()
        _ours, near, _theirs, _far = await streams(network)
        network.host("10.0.0.2").crash()
        await asyncio.sleep(1)
        return near.end, network.host("10.0.0.2").open_sockets

    assert run(main()) == ("connection reset by peer", 0)


def test_the_network_itself_is_the_loopback_host():
    async def main() -> bytes:
        network = Network()
        heard: list[bytes] = []
        here = await network.bind_datagram(Address("127.0.0.1", 0), lambda batch: heard.append(batch[0][0]))
        there = await network.bind_datagram(Address("127.0.0.1", 0), lambda _batch: None)
        there.send(b"hello", here.local)
        await asyncio.sleep(1)
        return heard[0]

    assert run(main()) == b"hello"


def test_rounded_times_leave_no_datagram_behind():
    async def main() -> int:
        network = Network(seed=1, delay=0.001)
        left, right = network.host("10.0.0.1"), network.host("10.0.0.2")
        count = 0

        def back(batch: object) -> None:
            nonlocal count
            count += len(batch)  # type: ignore[arg-type]
            for data, source in batch:  # type: ignore[attr-defined]
                (there if source == this else here).send(data, source)

        this, that = Address("10.0.0.1", 5060), Address("10.0.0.2", 5060)
        here, there = await left.bind_datagram(this, back), await right.bind_datagram(that, back)
        here.send(b"ball", that)
        await asyncio.sleep(5.0005)
        here.close()
        return count

    assert run(main()) == 5000


def test_datagrams_that_are_due_together_come_together():
    async def main() -> list[int]:
        network = Network(seed=1, delay=0.001)
        sizes: list[int] = []
        here = await network.host("10.0.0.1").bind_datagram(Address("10.0.0.1", 5060), lambda batch: None)
        await network.host("10.0.0.2").bind_datagram(
            Address("10.0.0.2", 5060), lambda batch: sizes.append(len(batch))
        )
        for _ in range(3):
            here.send(b"hello", Address("10.0.0.2", 5060))
        await asyncio.sleep(1)
        return sizes

    assert run(main()) == [3]
