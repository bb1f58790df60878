# SPDX-License-Identifier: Apache-2.0
"""Does the driver do everything a stack cannot: send, wake, find flows, fail over, guard? In virtual time."""

import asyncio
import logging

import pytest
from element import Element, request_to

from ringback.net.errors import NameNotFound, PortInUse, RequestTimeout, TransportError
from ringback.sip.events import PeerMisbehaved, RequestReceived
from ringback.sip.flow import Address, Transport
from ringback.sip.message.uri import parse_uri
from ringback.testing import Network, Peer, run

ALICE, BOB, CAROL = "10.0.0.1", "10.0.0.2", "10.0.0.3"


async def pair(network: Network, *transports: Transport) -> tuple[Element, Element]:
    """Alice with UDP, Bob on the given transports at 5060."""
    alice = Element(network.host(ALICE), dns=network.dns, seed=1)
    bob = Element(network.host(BOB), dns=network.dns, seed=2)
    await alice.listen(Transport.UDP, Address(ALICE, 5060))
    for transport in transports or (Transport.UDP,):
        await bob.listen(transport, Address(BOB, 5060))
    return alice, bob


async def close(*elements: Element) -> None:
    for element in elements:
        await element.close()


@pytest.mark.parametrize("transport", [Transport.UDP, Transport.TCP, Transport.WS])
def test_a_request_gets_its_response_over(transport: Transport):
    async def main() -> tuple[int, str]:
        alice, bob = await pair(Network(seed=5), transport)
        response = await alice.ask(f"sip:bob@{BOB}:5060;transport={transport.lower()}")
        await close(alice, bob)
        return response.status, response.top_via.transport

    assert run(main(), debug=True) == (200, transport)


def test_a_lossy_network_is_retransmitted_over():
    async def main() -> int:
        alice, bob = await pair(Network(seed=3, loss=0.3, duplicate=0.2, delay=(0.01, 0.1)))
        statuses = [(await alice.ask(f"sip:bob@{BOB}")).status for _ in range(20)]
        await close(alice, bob)
        assert len(bob.requests) == 20
        return len([status for status in statuses if status == 200])

    assert run(main()) == 20


def test_nobody_answers_in_32_seconds():
    async def main() -> float:
        network = Network()
        alice, bob = await pair(network)
        network.cut(ALICE, BOB)
        with pytest.raises(RequestTimeout, match="OPTIONS"):
            await alice.ask(f"sip:bob@{BOB}")
        await close(alice, bob)
        return asyncio.get_running_loop().time()

    assert run(main()) == pytest.approx(32.0, abs=0.1)


def test_a_name_that_does_not_exist_is_a_transport_error():
    async def main() -> None:
        alice, bob = await pair(Network())
        with pytest.raises(TransportError, match="nothing in DNS"):
            await alice.ask("sip:bob@nowhere.example")
        with pytest.raises(TransportError):
            await alice.ask(f"sip:bob@{CAROL};transport=tcp")
        with pytest.raises(NameNotFound):
            await alice.driver.flow_to(parse_uri("sip:nowhere.example"))
        await close(alice, bob)

    run(main())


def test_the_last_responses_come_with_the_provisional_ones():
    async def main() -> list[int]:
        network = Network()
        alice, _bob = await pair(network, Transport.TCP)
        peer = await Peer.bind(network.host(CAROL), Address(CAROL, 5060))

        async def script() -> None:
            await peer.expect("INVITE")
            for status in (180, 183, 486):
                peer.reply(status)
            await peer.expect("ACK", skip=["INVITE"])

        playing = asyncio.create_task(script())
        invite = request_to(f"sip:carol@{CAROL}", method="INVITE")
        statuses = [response.status async for response in alice.driver.responses(invite)]
        await playing
        await close(alice, _bob)
        return statuses

    statuses = run(main())
    assert statuses[-1] == 486
    assert set(statuses) == {180, 183, 486}


# --- flows ---


def test_connections_are_reused_in_both_directions():
    async def main() -> tuple[int, int, list[str]]:
        alice, bob = await pair(Network(), Transport.TCP)
        for _ in range(3):
            await alice.ask(f"sip:bob@{BOB};transport=tcp")
        back = bob.flows[0]
        response = await bob.ask(f"sip:alice@{back.remote};transport=tcp")
        counts = len(alice.driver.transports.pool), len(bob.driver.transports.pool)
        await close(alice, bob)
        return *counts, [str(response.status), *{str(flow.connection) for flow in bob.flows}]

    ours, theirs, rest = run(main())
    assert (ours, theirs) == (1, 1)
    assert len(rest) == 2


def test_requests_at_the_same_time_share_one_connection():
    async def main() -> int:
        alice, bob = await pair(Network(), Transport.TCP)
        await asyncio.gather(*(alice.ask(f"sip:bob@{BOB};transport=tcp") for _ in range(10)))
        count = len(bob.driver.transports.pool)
        await close(alice, bob)
        return count

    assert run(main()) == 1


def test_a_lost_connection_fails_what_waits_on_it_and_is_told_once():
    async def main() -> tuple[str, int]:
        network = Network()
        alice, bob = await pair(network, Transport.TCP)
        bob.status = 0
        lost: list[object] = []
        alice.driver.on_flow_lost.append(lost.append)
        asking = asyncio.create_task(alice.ask(f"sip:bob@{BOB};transport=tcp"))
        await asyncio.sleep(1)
        network.reset_streams()
        with pytest.raises(TransportError) as caught:
            await asking
        await close(alice, bob)
        return str(caught.value), len(lost)

    detail, lost = run(main())
    assert "reset" in detail
    assert lost == 1


def test_a_response_finds_a_new_connection_when_its_own_is_gone():
    """RFC 3261 18.2.2: to the address the request came from, at the port of the Via."""

    async def main() -> tuple[int, int]:
        network = Network()
        bob = Element(network.host(BOB))
        bob.status = 0
        await bob.listen(Transport.TCP, Address(BOB, 5060))
        listening = await Peer.listen(network.host(ALICE), Address(ALICE, 5060))
        calling = await Peer.connect(network.host(ALICE), Address(BOB, 5060))
        calling.request("OPTIONS", f"sip:bob@{BOB}", via=f"SIP/2.0/TCP {ALICE}:5060")
        await asyncio.sleep(1)
        calling.reset()
        await asyncio.sleep(1)
        event = bob.events[0]
        assert isinstance(event, RequestReceived)
        bob.driver.perform(
            bob.stack.respond, event.transaction, bob.stack.make_response(event.transaction, 200)
        )
        response = await listening.expect(200)
        alive = len(bob.driver.transports.pool)
        await close(bob)
        return response.status, alive

    assert run(main()) == (200, 1)


def test_fail_over_to_the_second_srv_target_when_the_first_refuses():
    async def main() -> tuple[int, str]:
        network = Network()
        alice, bob = await pair(network, Transport.TCP)
        network.host(CAROL)  # is there, but does not listen
        network.dns.srv("_sip._tcp.example.com", "carol.example.com", 5060, priority=1)
        network.dns.srv("_sip._tcp.example.com", "bob.example.com", 5060, priority=2)
        network.dns.a("carol.example.com", CAROL)
        network.dns.a("bob.example.com", BOB)
        response = await alice.ask("sip:bob@example.com")
        at = str(bob.flows[0].local)
        again = await alice.resolver.resolve(parse_uri("sip:example.com"))
        await close(alice, bob)
        assert again[0].address.host == BOB, "the dead target is tried last from now on"
        return response.status, at

    assert run(main()) == (200, f"{BOB}:5060")


def test_fail_over_when_the_first_target_is_silent_or_says_503():
    async def main(first_answers: int) -> tuple[int, float]:
        network = Network()
        alice, bob = await pair(network)
        carol = Element(network.host(CAROL), seed=3)
        await carol.listen(Transport.UDP, Address(CAROL, 5060))
        carol.status = first_answers
        network.dns.srv("_sip._udp.example.com", "carol.example.com", 5060, priority=1)
        network.dns.srv("_sip._udp.example.com", "bob.example.com", 5060, priority=2)
        network.dns.a("carol.example.com", CAROL)
        network.dns.a("bob.example.com", BOB)
        response = await alice.ask("sip:bob@example.com")
        took = alice.driver.now
        await close(alice, bob, carol)
        return response.status, took

    assert run(main(503)) == (200, pytest.approx(0.0, abs=0.5))
    assert run(main(0)) == (200, pytest.approx(1.5, abs=0.1))


def test_the_last_503_is_delivered_when_nothing_is_left_to_try():
    async def main() -> int:
        network = Network()
        alice, bob = await pair(network)
        bob.status = 503
        response = await alice.ask(f"sip:bob@{BOB}")
        await close(alice, bob)
        return response.status

    assert run(main()) == 503


def test_udp_leaves_from_the_endpoint_of_the_right_family():
    async def main() -> tuple[str, str]:
        network = Network()
        alice = Element(network.host(ALICE, "2001:db8::1"))
        bob = Element(network.host(BOB, "2001:db8::2"))
        for element, addresses in ((alice, (ALICE, "2001:db8::1")), (bob, (BOB, "2001:db8::2"))):
            for address in addresses:
                await element.listen(Transport.UDP, Address(address, 5060))
        await alice.ask(f"sip:bob@{BOB}")
        await alice.ask("sip:bob@[2001:db8::2]")
        await close(alice, bob)
        return str(bob.flows[0].remote), str(bob.flows[1].remote)

    assert run(main()) == (f"{ALICE}:5060", "[2001:db8::1]:5060")


def test_an_endpoint_on_all_addresses_shows_the_one_the_peer_sees():
    async def main() -> tuple[str, str, str]:
        network = Network()
        alice = Element(network.host(ALICE, "192.168.0.1"))
        bob = Element(network.host(BOB))
        await bob.listen(Transport.UDP, Address(BOB, 5060))
        wild = await alice.listen(Transport.UDP, Address("0.0.0.0", 5060))
        flow = await alice.driver.flow_to(parse_uri(f"sip:{BOB}"))
        await alice.ask(f"sip:bob@{BOB}")
        via = bob.requests[0].top_via.sent_by
        await close(alice, bob)
        return flow.sent_by, via, wild.sent_by

    assert run(main()) == (f"{ALICE}:5060", f"{ALICE}:5060", f"{ALICE}:5060")


def test_an_advertised_address_stands_in_via():
    async def main() -> str:
        network = Network()
        alice = Element(network.host(ALICE))
        bob = Element(network.host(BOB))
        await bob.listen(Transport.UDP, Address(BOB, 5060))
        await alice.listen(
            Transport.UDP, Address("0.0.0.0", 5060), advertise=Address("pbx.example.com", 5070)
        )
        await alice.ask(f"sip:bob@{BOB}")
        await close(alice, bob)
        return bob.requests[0].top_via.sent_by

    assert run(main()) == "pbx.example.com:5070"


def test_no_endpoint_of_the_family_is_an_error_that_says_so():
    async def main() -> None:
        alice, bob = await pair(Network())
        with pytest.raises(TransportError, match="no UDP endpoint"):
            await alice.ask("sip:bob@[2001:db8::2]")
        await close(alice, bob)

    run(main())


def test_a_port_in_use_has_a_name():
    async def main() -> str:
        alice, bob = await pair(Network())
        with pytest.raises(PortInUse) as caught:
            await alice.listen(Transport.UDP, Address(ALICE, 5060))
        await close(alice, bob)
        return str(caught.value)

    assert run(main()) == f"UDP {ALICE}:5060 is in use by another program"


# --- RFC 3261 18.1.1: large requests ---


@pytest.mark.parametrize("uri", [f"sip:bob@{BOB}", "sip:bob@bob.example.com"])
def test_a_large_request_goes_over_tcp(uri: str):
    async def main() -> tuple[str, str]:
        network = Network(mtu=1400)
        network.dns.a("bob.example.com", BOB)
        alice, bob = await pair(network, Transport.UDP, Transport.TCP)
        await alice.ask(uri, body=b"x" * 1400)
        await alice.ask(uri, body=b"x" * 100)
        await close(alice, bob)
        return bob.requests[0].top_via.transport, bob.requests[1].top_via.transport

    assert run(main()) == ("TCP", "UDP")


def test_a_large_request_goes_back_to_udp_when_tcp_is_refused_and_that_is_remembered():
    async def main() -> tuple[str, float]:
        network = Network()
        alice, bob = await pair(network, Transport.UDP)
        await alice.ask(f"sip:bob@{BOB}", body=b"x" * 1400)
        first = alice.driver.now
        network.cut(ALICE, "10.9.9.9")
        await alice.ask(f"sip:bob@{BOB}", body=b"x" * 1400)
        await close(alice, bob)
        return bob.requests[0].top_via.transport, alice.driver.now - first

    transport, second_took = run(main())
    assert transport == "UDP"
    assert second_took < 0.1


def test_a_large_request_waits_no_longer_than_two_seconds_for_tcp():
    async def main() -> float:
        network = Network()
        alice, _bob = await pair(network)
        bob = Element(network.host("10.0.0.9"), seed=9)
        await bob.listen(Transport.UDP, Address("10.0.0.9", 5060))
        connect = network.host(ALICE).connect

        async def black_hole(remote, **options):  # type: ignore[no-untyped-def]
            await asyncio.sleep(options["timeout"])
            raise TimeoutError

        network.host(ALICE).connect = black_hole
        await alice.ask("sip:bob@10.0.0.9", body=b"x" * 1400)
        network.host(ALICE).connect = connect
        took = alice.driver.now
        await close(alice, _bob, bob)
        return took

    assert run(main()) == pytest.approx(2.0, abs=0.2)


def test_an_explicit_transport_is_obeyed_whatever_the_size():
    async def main() -> str:
        alice, bob = await pair(Network(), Transport.UDP, Transport.TCP)
        await alice.ask(f"sip:bob@{BOB};transport=udp", body=b"x" * 1400)
        await close(alice, bob)
        return bob.requests[0].top_via.transport

    assert run(main()) == "UDP"


# --- the guard ---


def test_a_consumer_that_raises_is_logged_answered_and_stops_nobody(caplog: pytest.LogCaptureFixture):
    async def main() -> tuple[int, int]:
        network = Network()
        alice, bob = await pair(network)
        honest = bob.driver.handler

        def broken(event: object) -> None:
            raise RuntimeError("a bug")

        bob.driver.handler = broken
        first = await alice.ask(f"sip:bob@{BOB}")
        bob.driver.handler = honest
        second = await alice.ask(f"sip:bob@{BOB}")
        await close(alice, bob)
        return first.status, second.status

    with caplog.at_level(logging.ERROR, "ringback.net"):
        assert run(main()) == (500, 200)
    assert "our own code failed" in caplog.text


def test_a_watcher_that_raises_does_not_stop_the_phones(caplog: pytest.LogCaptureFixture):
    async def main() -> int:
        alice, bob = await pair(Network())
        stop = alice.driver.watch(lambda *_arguments: 1 / 0)
        response = await alice.ask(f"sip:bob@{BOB}")
        stop()
        await close(alice, bob)
        return response.status

    assert run(main()) == 200
    assert "ZeroDivisionError" in caplog.text


def test_watchers_see_both_directions_in_order():
    async def main() -> list[str]:
        alice, bob = await pair(Network())
        await alice.ask(f"sip:bob@{BOB}")
        await close(alice, bob)
        return [
            data.partition(b" ")[0].decode()
            for data, _flow in [*bob.received, *bob.sent, *alice.sent, *alice.received]
        ]

    assert run(main()) == ["OPTIONS", "SIP/2.0", "OPTIONS", "SIP/2.0"]


@pytest.mark.parametrize(
    "junk", [b"", b"\r\n\r\n", b"\0", b"\0\0\0\0", b"\r\n", b"\x00\x11\x00\x00\x21\x12\xa4\x42" + b"\0" * 12]
)
def test_keep_alives_over_udp_are_dropped_without_a_word(junk: bytes):
    async def main() -> tuple[int, int]:
        network = Network()
        bob = Element(network.host(BOB))
        await bob.listen(Transport.UDP, Address(BOB, 5060))
        peer = await Peer.bind(network.host(ALICE), Address(ALICE, 5060))
        peer.send(junk, Address(BOB, 5060))
        await asyncio.sleep(1)
        await close(bob)
        return len(bob.events), len(peer.heard)

    assert run(main()) == (0, 0)


def test_garbage_is_an_event_and_the_next_request_is_answered():
    async def main() -> tuple[bool, int]:
        network = Network()
        alice, bob = await pair(network)
        peer = await Peer.bind(network.host(CAROL), Address(CAROL, 5060))
        for junk in (
            b"garbage",
            bytes(range(256)) * 10,
            b"INVITE\r\n\r\n",
            b"SIP/2.0 200\r\n\r\n",
            b"\xff" * 65_000,
        ):
            peer.send(junk, Address(BOB, 5060))
        await asyncio.sleep(1)
        response = await alice.ask(f"sip:bob@{BOB}")
        await close(alice, bob)
        return any(isinstance(event, PeerMisbehaved) for event in bob.events), response.status

    assert run(main()) == (True, 200)


# --- the end ---


def test_closing_leaves_no_socket_and_no_task():
    async def main() -> tuple[int, int, int]:
        network = Network()
        alice, bob = await pair(network, Transport.UDP, Transport.TCP)
        await bob.listen(Transport.WS, Address(BOB, 80))
        for transport in ("udp", "tcp", "ws"):
            await alice.ask(f"sip:bob@{BOB};transport={transport}")
        asking = asyncio.create_task(alice.ask("sip:bob@10.9.9.9;transport=tcp"))
        await asyncio.sleep(0.1)
        await close(alice, bob)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        others = len(asyncio.all_tasks()) - 1
        return network.host(ALICE).open_sockets, network.host(BOB).open_sockets, others

    assert run(main(), debug=True) == (0, 0, 0)


def test_commands_after_the_end_go_nowhere_and_raise_nothing():
    async def main() -> int:
        network = Network()
        alice, bob = await pair(network)
        await close(alice, bob)
        alice.driver.perform(alice.stack.send_request, request_to(f"sip:bob@{BOB}"))
        await asyncio.sleep(100)
        return network.statistics.sent

    assert run(main()) == 0


def test_a_flow_knows_whether_it_lives():
    async def main() -> list[bool]:
        network = Network()
        alice, bob = await pair(network, Transport.UDP, Transport.TCP)
        udp = await alice.driver.flow_to(parse_uri(f"sip:{BOB}"))
        tcp = await alice.driver.flow_to(parse_uri(f"sip:{BOB};transport=tcp"))
        alive = [alice.driver.is_alive(udp), alice.driver.is_alive(tcp)]
        network.reset_streams()
        await asyncio.sleep(1)
        alive.append(alice.driver.is_alive(tcp))
        await close(alice, bob)
        return [*alive, alice.driver.is_alive(udp)]

    assert run(main()) == [True, True, False, False]
