# SPDX-License-Identifier: Apache-2.0
"""Is a connection cut into messages right however it comes, and are slow, silent and greedy peers put out?"""

import asyncio
import itertools

import pytest
from element import Element
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.net.limits import ConnectionGate, TransportLimits
from ringback.net.tcp import TcpFraming
from ringback.sip.flow import Address, Transport
from ringback.sip.message.uri import parse_uri
from ringback.testing import Network, Peer, messages, run

ALICE, BOB = "10.0.0.1", "10.0.0.2"
AT_BOB = Address(BOB, 5060)
OPTIONS = messages.request("OPTIONS", "sip:bob@10.0.0.2", via="SIP/2.0/TCP 10.0.0.1:5060")


async def served(network: Network, limits: TransportLimits | None = None) -> tuple[Element, Peer]:
    """Bob, who listens on TCP, and a raw peer that has connected."""
    bob = Element(network.host(BOB), limits=limits)
    await bob.listen(Transport.TCP, AT_BOB)
    return bob, await Peer.connect(network.host(ALICE), AT_BOB)


def test_a_message_split_at_every_byte_is_one_message():
    async def main() -> tuple[int, int]:
        network = Network(segment=False)
        bob, peer = await served(network)
        for end in range(1, len(OPTIONS)):
            peer.send(OPTIONS[:end])
            await asyncio.sleep(0.01)
            peer.send(OPTIONS[end:])
            await peer.expect(200)
        await bob.close()
        return len(bob.received), len(peer.heard)

    assert run(main()) == (len(OPTIONS) - 1, len(OPTIONS) - 1)


def test_a_message_byte_by_byte_and_many_messages_at_once_are_the_same():
    async def main() -> int:
        bob, peer = await served(Network(segment=False))
        for number in range(len(OPTIONS)):
            peer.send(OPTIONS[number : number + 1])
        peer.send(b"\r\n\r\n" + OPTIONS * 5 + b"\r\n")
        for _ in range(6):
            await peer.expect(200)
        await bob.close()
        return len(bob.received)

    assert run(main()) == 6


def test_a_ping_is_answered_and_a_lone_crlf_is_not():
    async def main() -> list[bytes]:
        bob, _peer = await served(Network(segment=False))
        stream = await bob.driver.transports._network.network.host(ALICE).connect(AT_BOB)
        heard: list[bytes] = []

        class Ear:
            def data_received(self, data: bytes) -> None:
                heard.append(data)

            def connection_lost(self, detail: str) -> None:
                pass

        stream.set_reader(Ear())
        for piece in (b"\r\n\r\n", b"\r\n", b"x"):
            stream.write(piece)
            await asyncio.sleep(1)
        await bob.close()
        return heard

    assert run(main()) == [b"\r\n"]


def test_half_a_message_is_answered_and_put_out_after_five_seconds():
    """RELIABILITY row 34: the head is whole, the body never comes."""

    async def main() -> tuple[int, float]:
        bob, peer = await served(Network())
        peer.send(OPTIONS.replace(b"Content-Length: 0", b"Content-Length: 9"))
        response = await peer.expect(400)
        await peer.expect_end()
        await bob.close()
        return response.status, asyncio.get_running_loop().time()

    assert run(main()) == (400, pytest.approx(5.0, abs=0.1))


def test_one_byte_a_second_is_put_out_after_the_time_for_a_whole_message():
    async def main() -> float:
        limits = TransportLimits(first_message=600.0, message=30.0)
        bob, peer = await served(Network(), limits)
        for number in range(len(OPTIONS)):
            if peer.ended:
                break
            peer.send(OPTIONS[number : number + 1])
            await asyncio.sleep(1)
        await bob.close()
        return asyncio.get_running_loop().time()

    assert run(main()) == pytest.approx(31.0, abs=1.5)


@pytest.mark.parametrize("chatter", [b"", b"\r\n\r\n"])
def test_a_connection_without_a_message_is_put_out_after_ten_seconds(chatter: bytes):
    async def main() -> float:
        bob, peer = await served(Network())
        while not peer.ended:
            peer.send(chatter)
            await asyncio.sleep(0.5)
        await bob.close()
        return asyncio.get_running_loop().time()

    assert run(main()) == pytest.approx(10.0, abs=0.6)


def test_an_idle_stranger_is_put_out_and_a_trusted_phone_is_not():
    async def main(is_trusted: bool) -> bool:
        bob, peer = await served(Network())
        peer.send(OPTIONS)
        await peer.expect(200)
        if is_trusted:
            bob.driver.trust(bob.flows[0])
        await asyncio.sleep(301)
        ended = peer.ended is not None
        await bob.close()
        return ended

    assert run(main(False)) is True
    assert run(main(True)) is False


def test_pings_keep_a_connection_that_has_spoken():
    async def main() -> bool:
        bob, peer = await served(Network())
        peer.send(OPTIONS)
        await peer.expect(200)
        for _ in range(10):
            peer.send(b"\r\n\r\n")
            await asyncio.sleep(100)
        ended = peer.ended is not None
        await bob.close()
        return ended

    assert run(main()) is False


def test_connections_of_one_house_are_counted_and_places_given_back():
    async def main() -> tuple[int, int, int]:
        network = Network()
        bob = Element(network.host(BOB), limits=TransportLimits(connections_per_host=3))
        await bob.listen(Transport.TCP, AT_BOB)
        peers = [await Peer.connect(network.host(ALICE), AT_BOB) for _ in range(5)]
        other = await Peer.connect(network.host("10.0.0.7"), AT_BOB)
        await asyncio.sleep(1)
        refused = sum(peer.ended is not None for peer in peers)
        assert other.ended is None
        for peer in peers:
            peer.close()
        await asyncio.sleep(1)
        again = await Peer.connect(network.host(ALICE), AT_BOB)
        await asyncio.sleep(1)
        assert again.ended is None
        gate = bob.driver.transports.pool.gate
        counts = refused, gate.open, gate.refused
        await bob.close()
        await asyncio.sleep(1)
        assert (gate.open, gate.untrusted) == (0, 0)
        return counts

    assert run(main()) == (2, 2, 2)


def test_an_ipv6_customer_is_one_house():
    gate = ConnectionGate(TransportLimits(connections_per_host=2))
    assert gate.admit(Address("2001:db8::1", 1))
    assert gate.admit(Address("2001:db8::ffff", 2))
    assert not gate.admit(Address("2001:db8::2", 3))
    assert gate.admit(Address("2001:db8:0:1::1", 4))


def test_strangers_do_not_take_the_places_of_trusted_phones():
    gate = ConnectionGate(TransportLimits(untrusted=2))
    assert [gate.admit(Address(f"10.0.0.{number}", 1)) for number in range(3)] == [True, True, False]
    gate.trusted(+1)
    assert gate.admit(Address("10.0.0.9", 1))
    gate.trusted(-1)
    for host in ("10.0.0.0", "10.0.0.1", "10.0.0.9"):
        gate.release(Address(host, 1))
    assert (gate.open, gate.untrusted) == (0, 0)


def test_a_peer_that_does_not_read_is_put_out_at_the_limit_of_the_queue():
    async def main() -> tuple[bool, int]:
        network = Network(segment=False)
        bob, peer = await served(network, TransportLimits(write_queue=10_000))
        peer._stream.stalled = True
        for _ in range(100):
            peer.send(OPTIONS)
        await asyncio.sleep(1)
        left = len(bob.driver.transports.pool)
        await bob.close()
        return peer.ended is not None, left

    assert run(main()) == (True, 0)


def test_a_peer_that_pings_and_does_not_read_is_put_out_too():
    async def main() -> tuple[bool, int]:
        network = Network(segment=False)
        bob, peer = await served(network, TransportLimits(write_queue=10_000))
        peer._stream.stalled = True
        for _ in range(100):
            peer.send(b"\r\n\r\n" * 100)
        await asyncio.sleep(1)
        left = len(bob.driver.transports.pool)
        await bob.close()
        return peer.ended is not None, left

    assert run(main()) == (True, 0)


@pytest.mark.parametrize(
    "junk",
    [
        b"x" * 70_000,
        b"INVITE sip:a SIP/2.0\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"INVITE sip:a SIP/2.0\r\nContent-Length: -1\r\n\r\n",
        b"INVITE sip:a SIP/2.0\r\nContent-Length: 1\r\nl: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n" + b"\xff" * 70_000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 70_000,
    ],
)
def test_what_is_no_sip_ends_its_connection_and_no_other(junk: bytes):
    async def main() -> tuple[bool, int]:
        network = Network(segment=False)
        bob, peer = await served(network)
        peer.send(junk)
        await peer.expect_end()
        other = await Peer.connect(network.host("10.0.0.7"), AT_BOB)
        other.send(OPTIONS)
        response = await other.expect(200)
        await bob.close()
        return peer.ended is not None, response.status

    assert run(main()) == (True, 200)


def test_a_length_that_cannot_be_right_is_answered_before_the_end():
    async def main() -> int:
        bob, peer = await served(Network())
        peer.send(OPTIONS.replace(b"Content-Length: 0", b"Content-Length: -1"))
        response = await peer.expect(400)
        await peer.expect_end()
        await bob.close()
        return response.status

    assert run(main()) == 400


def test_a_reset_at_every_step_leaves_nothing_behind():
    """RELIABILITY row 33: whenever the connection breaks, the transaction ends and the next call works."""

    async def main(step: int) -> tuple[int, int, bool]:
        network = Network(seed=step)
        network.reset_after = step
        bob, peer = await served(network)
        invite = messages.request(
            "INVITE", "sip:bob@10.0.0.2", via="SIP/2.0/TCP 10.0.0.1:5060", body=b"v=0\r\n" * 9
        )
        bob.status = 486
        peer.send(invite)
        await asyncio.sleep(200)
        network.reset_after = None
        bob.status = 200
        other = await Peer.connect(network.host(ALICE), AT_BOB)
        other.send(OPTIONS)
        answered = (await other.expect(200)).status == 200
        other.close()
        await asyncio.sleep(100)
        left = sum(bob.stack.pending), len(bob.driver.transports.pool)
        await bob.close()
        return *left, answered

    assert {run(main(step)) for step in range(12)} == {(0, 0, True)}


# --- keep-alives of our own (RFC 5626 4.4.1) ---


async def calling(network: Network) -> tuple[Element, Peer]:
    """Alice has opened a connection to a raw peer and got one answer."""
    peer = await Peer.listen(network.host(BOB), AT_BOB)
    alice = Element(network.host(ALICE))
    asking = asyncio.create_task(alice.ask(f"sip:bob@{BOB};transport=tcp"))
    await peer.expect("OPTIONS")
    peer.reply(200)
    await asking
    for connection in alice.driver.transports.pool._by_number.values():
        alice.driver.trust(connection.flow)
    return alice, peer


def test_we_ping_each_two_minutes_and_live_on_answers():
    async def main() -> tuple[int, bool]:
        network = Network(segment=False)
        pings: list[float] = []
        network.watchers.append(lambda one: pings.append(one[0]) if one[4] == b"\r\n\r\n" else None)
        alice, peer = await calling(network)
        await asyncio.sleep(1200)
        alive = peer.ended is None
        gaps = [later - earlier for earlier, later in itertools.pairwise(pings)]
        assert all(95.0 <= gap <= 121.0 for gap in gaps)
        await alice.close()
        peer.close()
        return len(pings), alive

    pings, alive = run(main())
    assert 10 <= pings <= 13
    assert alive


def test_a_peer_that_stopped_to_answer_pings_is_gone_after_ten_seconds():
    async def main() -> list[bool]:
        network = Network(segment=False)
        alice, peer = await calling(network)
        lost: list[object] = []
        alice.driver.on_flow_lost.append(lost.append)
        await asyncio.sleep(130)
        peer.answers_pings = False
        seen = [bool(lost)]
        await asyncio.sleep(135)
        seen.append(bool(lost))
        await alice.close()
        peer.close()
        return seen

    assert run(main()) == [False, True]


def test_a_peer_that_never_knew_pings_is_left_alone():
    async def main() -> bool:
        network = Network(segment=False)
        alice, peer = await calling(network)
        peer.answers_pings = False
        await asyncio.sleep(1200)
        alive = peer.ended is None
        await alice.close()
        peer.close()
        return alive

    assert run(main()) is True


def test_an_idle_connection_of_ours_is_closed_after_an_hour_unless_it_is_trusted():
    async def main(is_trusted: bool) -> list[bool]:
        network = Network(segment=False)
        peer = await Peer.listen(network.host(BOB), AT_BOB)
        alice = Element(network.host(ALICE))
        flow = await alice.driver.flow_to(parse_uri(f"sip:{BOB};transport=tcp"))
        if is_trusted:
            alice.driver.trust(flow)
        alive = []
        for _ in range(2):
            await asyncio.sleep(1900)
            alive.append(alice.driver.is_alive(flow))
        await alice.close()
        peer.close()
        return alive

    assert run(main(False)) == [True, False]
    assert run(main(True)) == [True, True]


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=300), max_size=20))
def test_any_bytes_in_any_pieces_end_in_messages_or_in_the_end(pieces: list[bytes]):
    framing = TcpFraming(65_536)
    for piece in pieces:
        for found in framing.receive(piece):
            assert found
    framing.output()
    assert isinstance(framing.is_partial, bool)
