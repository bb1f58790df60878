# SPDX-License-Identifier: Apache-2.0
"""Two peers talk through a relay, plain and secured, in memory and on real sockets: what gets through, what does not."""

import asyncio
import contextlib
import random
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from checking_peer import described, until

from ringback.kernel import IMPLEMENTATION
from ringback.media.relay import MOST_SOUND, Relay
from ringback.media.switchboard import switchboard
from ringback.media.transport import RtpTransport
from ringback.net.network import Network as AnyNetwork
from ringback.net.sockets import RealNetwork
from ringback.rtp.packet import RtpPacket
from ringback.rtp.telephone_event import event_packets
from ringback.sdp.security import Security
from ringback.sip.flow import Address
from ringback.testing import Network, run

PAIRS = [
    (Security.PLAIN, Security.PLAIN),
    (Security.SDES, Security.PLAIN),
    (Security.PLAIN, Security.DTLS),
    (Security.SDES, Security.DTLS),
]
AB, BA = {0: 0, 8: 8, 101: 96}, {0: 0, 8: 8, 96: 101}


def packet(number: int, *, kind: int = 0, payload: bytes = b"\x2a" * 160, ssrc: int = 7) -> bytes:
    return RtpPacket(kind, number & 0xFFFF, number * 160, ssrc, payload).to_bytes()


class Call:
    """Alice and Bob, and the relay between them."""

    def __init__(self, alice: RtpTransport, a: RtpTransport, b: RtpTransport, bob: RtpTransport) -> None:
        self.alice, self.a, self.b, self.bob = alice, a, b, bob
        self.at_alice: list[bytes] = []
        self.at_bob: list[bytes] = []
        alice.on_rtp, bob.on_rtp = self.at_alice.extend, self.at_bob.extend
        self.relay = Relay(
            a, b, AB, BA, rates_ab={0: 8000}, rates_ba={0: 8000}, events_ab={101}, events_ba={96}
        )
        self.keys: list[tuple[RtpTransport, str]] = []
        self.relay.on_key = lambda transport, key: self.keys.append((transport, key))

    async def heard(self, *, by_bob: int = 0, by_alice: int = 0) -> None:
        await until(lambda: len(self.at_bob) >= by_bob and len(self.at_alice) >= by_alice)


def joined(one: RtpTransport, other: RtpTransport) -> None:
    offer = described(one.describe_offer())
    answer = described(other.describe_answer(offer))
    other.connect(offer, is_offerer=False)
    one.connect(answer, is_offerer=True)


@contextlib.asynccontextmanager
async def call(
    network: Callable[[int], tuple[AnyNetwork, str]],
    securities: tuple[Security, Security] = (Security.PLAIN, Security.PLAIN),
) -> AsyncIterator[Call]:
    transports = []
    for number, security in enumerate((securities[0], securities[0], securities[1], securities[1])):
        own, host = network(number)
        transports.append(
            await RtpTransport.open(
                own, host=host, security=security, random_bytes=random.Random(number).randbytes
            )
        )
    made = Call(*transports)
    joined(made.alice, made.a)
    joined(made.b, made.bob)
    await until(lambda: all(each.is_ready for each in transports))
    made.relay.start()
    try:
        yield made
    finally:
        made.relay.stop()
        for each in transports:
            each.close()


async def on_real_sockets(test: Callable[..., Coroutine[Any, Any, None]]) -> None:
    network = RealNetwork()
    await test(lambda number: (network, "127.0.0.1"))


async def on_ipv6(test: Callable[..., Coroutine[Any, Any, None]]) -> None:
    network = RealNetwork()
    await test(lambda number: (network, "127.0.0.1" if number < 2 else "::1"))


async def in_memory(test: Callable[..., Coroutine[Any, Any, None]]) -> None:
    network = Network(1)
    await test(lambda number: (network.host(f"10.0.0.{number + 1}"), f"10.0.0.{number + 1}"))


def everywhere(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """On real sockets, on both address families at once, and in memory."""

    def on_each(place: str, **arguments: Any) -> None:
        async def body(network: Any) -> None:
            await test(network, **arguments)

        if place == "memory":
            run(in_memory(body))
        else:
            asyncio.run(on_ipv6(body) if place == "ipv6" else on_real_sockets(body))

    on_each.__name__, on_each.__doc__ = test.__name__, test.__doc__
    return pytest.mark.parametrize("place", ["real", "ipv6", "memory"])(on_each)


def everywhere_secured(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    inner = everywhere(test)

    def on_each_pair(place: str, securities: tuple[Security, Security]) -> None:
        inner(place, securities=securities)

    on_each_pair.__name__, on_each_pair.__doc__ = test.__name__, test.__doc__
    on_each_pair.pytestmark = list(inner.pytestmark)  # type: ignore[attr-defined]
    return pytest.mark.parametrize("securities", PAIRS, ids=lambda pair: f"{pair[0]}-{pair[1]}")(on_each_pair)


@everywhere_secured
async def test_both_hear_each_other_with_their_own_payload_types(network, securities):
    async with call(network, securities) as each:
        each.alice.send_rtp([packet(1), packet(2, kind=101), packet(3, kind=8)])
        each.bob.send_rtp([packet(1), packet(2, kind=96)])
        await each.heard(by_bob=3, by_alice=2)

        assert each.at_bob == [packet(1), packet(2, kind=96), packet(3, kind=8)]
        assert each.at_alice == [packet(1), packet(2, kind=101)]
        there, back = each.relay.numbers_ab, each.relay.numbers_ba
        assert (there.packets, there.bytes, there.sent_packets, there.sent_bytes) == (3, 516, 3, 516)
        assert (back.packets, back.sent_packets, back.ssrc, back.lost) == (2, 2, 7, 0)


@everywhere_secured
async def test_what_was_not_agreed_on_is_dropped_and_counted(network, securities):
    async with call(network, securities) as each:
        each.alice.send_rtp([packet(1, kind=3), packet(2), packet(3, kind=96), packet(5)])
        await each.heard(by_bob=2)

        assert each.at_bob == [packet(2), packet(5)]
        numbers = each.relay.numbers_ab
        assert (numbers.unmapped, numbers.packets, numbers.sent_packets, numbers.lost) == (2, 4, 2, 1)


@everywhere_secured
async def test_a_key_is_passed_on_and_told_of_once(network, securities):
    async with call(network, securities) as each:
        presses = [
            packet(number, kind=101, payload=one.event.to_bytes()).replace(
                struct.pack("!I", number * 160), bytes(4), 1
            )
            for number, one in enumerate(event_packets("5", duration=800, step=160), 1)
        ]
        each.alice.send_rtp(presses)
        await each.heard(by_bob=len(presses))

        assert each.keys == [(each.a, "5")]
        assert {RtpPacket.parse(data).payload_type for data in each.at_bob} == {96}


@everywhere
async def test_a_stranger_gets_nothing_and_nothing_in(network):
    """RELIABILITY row 39."""
    async with call(network) as each:
        own, host = network(0)
        stranger = await RtpTransport.open(own, host=host)
        heard: list[bytes] = []
        stranger.on_rtp = heard.extend
        each.alice.send_rtp([packet(1)])
        await each.heard(by_bob=1)

        # Not even from the host that is believed: its port is known.
        stranger.connect(described(each.a.own), is_offerer=True)
        for number in range(100):
            stranger.send_rtp([packet(number, ssrc=66)])
        each.alice.send_rtp([packet(2)])
        each.bob.send_rtp([packet(1)])
        await each.heard(by_bob=2, by_alice=1)

        assert each.at_bob == [packet(1), packet(2)]
        assert heard == []
        stranger.close()


@everywhere
async def test_a_peer_behind_a_nat_is_learned_from_its_packets_and_answered_there(network):
    async with call(network) as each:
        own, host = network(0)
        moved = await RtpTransport.open(own, host=host)
        heard: list[bytes] = []
        moved.on_rtp = heard.extend
        moved.connect(described(each.a.own), is_offerer=True)
        for number in range(6):
            moved.send_rtp([packet(number)])
        await each.heard(by_bob=1)
        each.bob.send_rtp([packet(9)])
        await until(lambda: bool(heard))

        assert heard == [packet(9)]
        assert each.a.lock.locked == moved.own.address
        assert each.at_alice == []
        moved.close()


@everywhere
async def test_after_a_new_description_packets_go_to_the_new_place(network):
    async with call(network) as each:
        each.alice.send_rtp([packet(1)])
        each.bob.send_rtp([packet(1)])
        await each.heard(by_bob=1, by_alice=1)

        own, host = network(1)
        other = await RtpTransport.open(own, host=host)
        heard: list[bytes] = []
        other.on_rtp = heard.extend
        joined(other, each.a)
        each.relay.update({0: 8}, {8: 0})
        other.send_rtp([packet(1)])
        each.bob.send_rtp([packet(2, kind=8)])
        each.alice.send_rtp([packet(2)])
        await each.heard(by_bob=2)
        await until(lambda: bool(heard))

        assert each.at_bob == [packet(1), packet(1, kind=8)]
        assert heard == [packet(2)]
        assert each.at_alice == [packet(1)]
        other.close()


@everywhere
async def test_a_new_description_that_nobody_told_the_relay_of_is_found_soon(network):
    async with call(network) as each:
        own, host = network(1)
        other = await RtpTransport.open(own, host=host)
        heard: list[bytes] = []
        other.on_rtp = heard.extend
        joined(other, each.a)

        async with asyncio.timeout(5):
            while not heard:
                each.bob.send_rtp([packet(1)])
                await asyncio.sleep(0.05)
        other.close()


@everywhere
async def test_when_it_stops_packets_go_where_they_went_before(network):
    async with call(network) as each:
        each.relay.stop()
        before: list[bytes] = []
        each.a.on_rtp = before.extend
        each.relay.start()
        each.alice.send_rtp([packet(1)])
        await each.heard(by_bob=1)
        each.relay.stop()
        each.relay.stop()
        each.alice.send_rtp([packet(2)])
        await until(lambda: bool(before))

        assert before == [packet(2)]
        assert each.at_bob == [packet(1)]
        assert not each.relay.is_running


@everywhere
async def test_reports_stay_with_the_transport(network):
    report = bytes.fromhex("80c9000100000007")
    async with call(network) as each:
        reports: list[bytes] = []
        each.a.on_rtcp = reports.extend
        each.alice.send_rtp([packet(1)])
        each.alice.send_rtcp([report])
        await until(lambda: bool(reports))
        assert reports == [report]


@everywhere_secured
async def test_a_flood_is_cut_and_the_call_goes_on(network, securities):
    """RELIABILITY row 43."""
    async with call(network, securities) as each:
        sent = 0
        while not each.relay.numbers_ab.excess:
            each.alice.send_rtp([packet(sent + number) for number in range(50)])
            sent += 50
            await until(lambda: each.relay.numbers_ab.packets + each.relay.numbers_ab.excess == sent)  # noqa: B023
        assert each.relay.numbers_ab.packets >= MOST_SOUND
        each.bob.send_rtp([packet(1)])
        await each.heard(by_alice=1)


@pytest.mark.skipif(IMPLEMENTATION == "python", reason="the compiled kernel has the timer")
async def test_packets_are_collected_while_there_are_many_and_only_then():
    network = RealNetwork()
    async with contextlib.AsyncExitStack() as stack:
        calls = [
            await stack.enter_async_context(call(lambda number: (network, "127.0.0.1"))) for _ in range(10)
        ]
        board = switchboard()
        number = 0
        assert not board.period
        async with asyncio.timeout(20):
            while not board.period:
                number += 1
                for each in calls:
                    each.alice.send_rtp([packet(number)])
                    await asyncio.sleep(0)
            for each in calls:
                await each.heard(by_bob=each.relay.numbers_ab.packets)
            await until(lambda: not board.period)
        calls[0].alice.send_rtp([packet(number + 1)])
        await until(lambda: packet(number + 1) in calls[0].at_bob)


async def test_many_relays_are_served_in_collecting_turns_and_none_loses_a_packet():
    network = RealNetwork()
    async with contextlib.AsyncExitStack() as stack:
        calls = [
            await stack.enter_async_context(call(lambda number: (network, "127.0.0.1"))) for _ in range(30)
        ]
        for number in range(40):
            for each in calls:
                each.alice.send_rtp([packet(number)])
                await asyncio.sleep(0)
        for each in calls:
            await each.heard(by_bob=40)
            assert each.at_bob == [packet(number) for number in range(40)]


async def test_the_address_of_a_stopped_relay_is_free_again():
    network = RealNetwork()
    async with call(lambda number: (network, "127.0.0.1")) as each:
        port = each.a.own.address.port
    socket = await network.bind_datagram(Address("127.0.0.1", port), print)
    socket.close()
