# SPDX-License-Identifier: Apache-2.0
"""Do all transports work on real sockets, IPv4 and IPv6, and are slow and rude peers put out?"""

import asyncio
import contextlib
import random
import select
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from certificate import contexts
from element import Element

from ringback.kernel import _reference
from ringback.net.errors import PortInUse, TransportError
from ringback.net.limits import TransportLimits
from ringback.net.sockets import RealNetwork
from ringback.net.udp_socket import BATCH, READS, UdpSocket
from ringback.sip.flow import Address, Transport
from ringback.sip.message.uri import parse_uri
from ringback.testing import Names, messages

HERE = "127.0.0.1"
SECURE = (Transport.TLS, Transport.WSS)


def has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.bind(("::1", 0))
        return True
    return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return contexts(tmp_path_factory.mktemp("tls"), "127.0.0.1", "::1", "pbx.example.com")


@pytest.fixture
async def elements() -> AsyncIterator[Callable[..., Element]]:
    """Makes elements on real sockets and closes them."""
    made: list[Element] = []

    def make(**options: object) -> Element:
        made.append(Element(RealNetwork(), seed=len(made), **options))
        return made[-1]

    yield make
    for element in made:
        await element.close()


@pytest.mark.parametrize("host", [HERE, pytest.param("::1", marks=needs_ipv6)])
@pytest.mark.parametrize("transport", list(Transport))
async def test_a_request_and_its_response(
    transport: Transport,
    host: str,
    elements: Callable[..., Element],
    tls: tuple[ssl.SSLContext, ssl.SSLContext],
):
    bob, alice = elements(), elements(client_tls=tls[1])
    at = await bob.listen(transport, Address(host, 0), tls=tls[0] if transport in SECURE else None)
    await alice.listen(Transport.UDP, Address(host, 0))
    uri = parse_uri(f"sip:bob@{at.local};transport={transport.lower()}")
    for body in (b"", b"x" * 5000):
        response = await alice.ask(str(uri), body=body)
        assert response.status == 200
        assert response.top_via.transport == transport
    assert [len(request.body) for request in bob.requests] == [0, 5000]
    if transport.is_reliable:
        assert {flow.connection for flow in bob.flows} == {bob.flows[0].connection}
        back = await bob.ask(f"sip:alice@{bob.flows[0].remote};transport={transport.lower()}")
        assert back.status == 200, "the connection serves both directions"


async def test_a_certificate_for_another_name_is_refused(
    elements: Callable[..., Element], tls: tuple[ssl.SSLContext, ssl.SSLContext]
):
    names = Names()
    names.a("evil.example.com", HERE)
    names.a("pbx.example.com", HERE)
    bob, alice = elements(), elements(client_tls=tls[1], dns=names)
    at = await bob.listen(Transport.TLS, Address(HERE, 0), tls=tls[0])
    with pytest.raises(TransportError, match="certificate verify failed"):
        await alice.ask(f"sips:bob@evil.example.com:{at.local.port}")
    assert (await alice.ask(f"sips:bob@pbx.example.com:{at.local.port}")).status == 200


async def test_a_connection_proved_for_one_name_does_not_serve_another(
    elements: Callable[..., Element], tls: tuple[ssl.SSLContext, ssl.SSLContext]
):
    names = Names()
    names.a("evil.example.com", HERE)
    bob, alice = elements(), elements(client_tls=tls[1], dns=names)
    at = await bob.listen(Transport.TLS, Address(HERE, 0), tls=tls[0])
    assert (await alice.ask(f"sips:bob@{at.local}")).status == 200
    with pytest.raises(TransportError, match="certificate"):
        await alice.ask(f"sips:bob@evil.example.com:{at.local.port}")


async def test_a_port_in_use_is_named(elements: Callable[..., Element]):
    one, two = elements(), elements()
    for transport in (Transport.UDP, Transport.TCP):
        at = await one.listen(transport, Address(HERE, 0))
        with pytest.raises(PortInUse, match=f"{transport} {HERE}:{at.local.port} is in use"):
            await two.listen(transport, at.local)


async def test_nobody_listens(elements: Callable[..., Element]):
    alice = elements()
    with socket.socket() as free:
        free.bind((HERE, 0))
        port = free.getsockname()[1]
    with pytest.raises(TransportError, match=r"refused|Connect call failed"):
        await alice.ask(f"sip:bob@{HERE}:{port};transport=tcp")


async def test_large_requests_go_back_to_udp_where_tcp_is_refused(elements: Callable[..., Element]):
    bob, alice = elements(), elements()
    at = await bob.listen(Transport.UDP, Address(HERE, 0))
    await alice.listen(Transport.UDP, Address(HERE, 0))
    assert (await alice.ask(f"sip:bob@{at.local}", body=b"x" * 20_000)).status == 200
    assert bob.requests[0].top_via.transport == "UDP"


# --- rude peers on real sockets ---


async def raw(address: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(address.host, address.port)


async def end_of(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """What came until the other side closed."""
    data = b""
    with contextlib.suppress(ConnectionError):
        data = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return data


OPTIONS = messages.request("OPTIONS", "sip:bob@127.0.0.1", via="SIP/2.0/TCP 127.0.0.1:5060")


async def test_split_at_every_byte_on_a_real_stream(elements: Callable[..., Element]):
    bob = elements()
    at = await bob.listen(Transport.TCP, Address(HERE, 0))
    reader, writer = await raw(at.local)
    for position in range(len(OPTIONS)):
        writer.write(OPTIONS[position : position + 1])
        await asyncio.sleep(0)
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    writer.write(b"\r\n\r\n")
    pong = await asyncio.wait_for(reader.readexactly(2), 5)
    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"SIP/2.0 200")
    assert pong == b"\r\n"


async def test_half_a_message_is_put_out(elements: Callable[..., Element]):
    bob = elements(limits=TransportLimits(progress=0.1))
    at = await bob.listen(Transport.TCP, Address(HERE, 0))
    reader, writer = await raw(at.local)
    writer.write(OPTIONS[:-2])
    assert (await end_of(reader, writer)).startswith(b"SIP/2.0 400")


@pytest.mark.parametrize(("cut", "status"), [(None, b"SIP/2.0 200"), (-2, b"SIP/2.0 400")])
async def test_who_sends_no_more_still_gets_the_answer(
    cut: int | None, status: bytes, elements: Callable[..., Element]
):
    bob = elements()
    at = await bob.listen(Transport.TCP, Address(HERE, 0))
    reader, writer = await raw(at.local)
    writer.write(OPTIONS[:cut])
    writer.write_eof()
    assert (await end_of(reader, writer)).startswith(status)


@pytest.mark.parametrize("transport", [Transport.TCP, Transport.TLS, Transport.WS])
async def test_silence_is_put_out(
    transport: Transport, elements: Callable[..., Element], tls: tuple[ssl.SSLContext, ssl.SSLContext]
):
    """For TLS: a connection that never begins its handshake."""
    bob = elements(limits=TransportLimits(first_message=0.1, handshake=0.1))
    at = await bob.listen(transport, Address(HERE, 0), tls=tls[0] if transport in SECURE else None)
    reader, writer = await raw(at.local)
    await asyncio.sleep(0)
    assert bob.driver.transports.pool.gate.open <= 1
    assert await end_of(reader, writer) == b""
    assert bob.driver.transports.pool.gate.open == 0


async def test_too_many_handshakes_of_one_host_are_refused(
    elements: Callable[..., Element], tls: tuple[ssl.SSLContext, ssl.SSLContext]
):
    bob = elements(limits=TransportLimits(connections_per_host=3))
    at = await bob.listen(Transport.TLS, Address(HERE, 0), tls=tls[0])
    opened = [await raw(at.local) for _ in range(3)]
    fourth = await raw(at.local)
    assert await end_of(*fourth) == b""
    assert bob.driver.transports.pool.gate.refused == 1
    for _reader, writer in opened:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_a_peer_that_never_reads_is_put_out(elements: Callable[..., Element]):
    bob = elements(limits=TransportLimits(write_queue=50_000))
    at = await bob.listen(Transport.TCP, Address(HERE, 0))
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, at.local)
    reset = False
    for _ in range(40_000):
        try:
            await asyncio.wait_for(loop.sock_sendall(sock, OPTIONS * 20), 5)
        except ConnectionError:
            reset = True
            break
    sock.close()
    assert reset


async def test_a_reset_in_the_middle_of_a_message_hurts_nobody_else(elements: Callable[..., Element]):
    bob, alice = elements(), elements()
    at = await bob.listen(Transport.TCP, Address(HERE, 0))
    for length in (0, 1, 40, len(OPTIONS)):
        sock = socket.create_connection(at.local)
        sock.sendall(OPTIONS[:length])
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        await asyncio.sleep(0)
    assert (await alice.ask(f"sip:bob@{at.local};transport=tcp")).status == 200


async def test_what_a_server_says_in_plain_tcp_to_a_tls_client_is_a_transport_error(
    elements: Callable[..., Element], tls: tuple[ssl.SSLContext, ssl.SSLContext]
):
    bob, alice = elements(), elements(client_tls=tls[1], limits=TransportLimits(handshake=0.5))
    at = await bob.listen(Transport.TCP, Address(HERE, 0))
    with pytest.raises(TransportError):
        await alice.ask(f"sips:bob@{at.local}")


# --- the UDP socket itself ---


@pytest.fixture
async def udp() -> AsyncIterator[Callable[..., Awaitable[UdpSocket]]]:
    network, opened = RealNetwork(), []

    async def bind(received: Callable[[object], None] = lambda _batch: None) -> UdpSocket:
        opened.append(await network.bind_datagram(Address(HERE, 0), received))
        return opened[-1]

    yield bind
    for one in opened:
        one.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


async def test_all_that_waits_comes_in_one_batch_up_to_a_limit(udp: Callable[..., Awaitable[UdpSocket]]):
    batches: list[list[tuple[bytes, Address]]] = []
    receiver = await udp(batches.append)
    sender = await udp()
    sender.send_batch([(b"%d" % number, receiver.local) for number in range(1100)])
    await until(lambda: sum(map(len, batches)) == 1100)
    heard = [data for batch in batches for data, _remote in batch]
    assert heard == [b"%d" % number for number in range(1100)]
    assert max(map(len, batches)) == BATCH * READS
    assert len({id(remote) for batch in batches for _data, remote in batch}) == 1, "one Address for one peer"


async def test_while_it_is_paused_somebody_else_reads(udp: Callable[..., Awaitable[UdpSocket]]):
    heard: list[bytes] = []
    sender = await udp()
    receiver = await udp(lambda batch: heard.extend(data for data, _ in batch))
    receiver.pause()
    sender.send(b"first", receiver.local)
    await asyncio.wait_for(asyncio.to_thread(select.select, [receiver.fileno()], [], [], 5), 10)
    assert heard == []
    receiver.resume()
    sender.send(b"second", receiver.local)
    await until(lambda: len(heard) == 2)
    assert heard == [b"first", b"second"]


async def test_what_cannot_be_sent_is_counted_and_raises_nothing(udp: Callable[..., Awaitable[UdpSocket]]):
    sender = await udp()
    for remote in (
        Address("a.name.is.never.looked.up", 5060),
        Address(HERE, 0),
        Address(HERE, 65_536),
        Address("", 5060),
    ):
        sender.send(b"hello", remote)
    assert sender.statistics.errors == 4
    sender.send(b"x" * 70_000, Address(HERE, 9))
    sender.send(b"hello", Address("::1", 9))
    assert sender.statistics.errors == 6
    assert sender.statistics.sent == 0
    sender.close()
    sender.send_batch([(b"too", Address(HERE, 9)), (b"late", Address(HERE, 9))])
    assert sender.statistics.dropped == 2


async def test_a_refused_port_does_not_break_the_socket(udp: Callable[..., Awaitable[UdpSocket]]):
    heard: list[object] = []
    sender, receiver = await udp(), await udp(heard.extend)
    closed = await udp()
    closed.close()
    for _ in range(3):
        sender.send(b"into the void", closed.local)
        await asyncio.sleep(0)
    sender.send(b"hello", receiver.local)
    await until(lambda: bool(heard))
    assert heard == [(b"hello", sender.local)]


async def test_a_full_send_buffer_queues_then_drops_and_sends_in_order_later(monkeypatch: pytest.MonkeyPatch):
    class FullSocket(socket.socket):
        """A kernel without room until told otherwise."""

        is_full = True

        def sendto(self, *arguments: object) -> int:  # type: ignore[override]
            if self.is_full:
                raise BlockingIOError
            return super().sendto(*arguments)  # type: ignore[arg-type]

    # The compiled kernel asks the socket by its number; the reference asks the object.
    monkeypatch.setattr("ringback.net.udp_socket.DatagramBatch", _reference.DatagramBatch)
    heard: list[bytes] = []
    sock = FullSocket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind((HERE, 0))
    receiver = await RealNetwork().bind_datagram(
        Address(HERE, 0), lambda batch: heard.extend(data for data, _ in batch)
    )
    sender = UdpSocket(sock, lambda _batch: None)
    sender.send(b"0", receiver.local)
    sender.send_batch([(b"%d" % number, receiver.local) for number in range(1, 1100)])
    assert sender.statistics.dropped == 1100 - 1024
    sock.is_full = False
    await until(lambda: len(heard) == 1024)
    assert heard == [b"%d" % number for number in range(1024)]
    sender.send(b"last", receiver.local)
    await until(lambda: heard[-1] == b"last")
    sender.close()
    receiver.close()


async def test_the_source_address_is_found_without_sending():
    assert await RealNetwork().source_address("127.0.0.9") == HERE


async def test_random_bytes_on_every_port_change_nothing(
    elements: Callable[..., Element], tls: tuple[ssl.SSLContext, ssl.SSLContext], tmp_path: Path
):
    chance = random.Random(7)
    bob, alice = elements(), elements()
    await alice.listen(Transport.UDP, Address(HERE, 0))
    for transport in Transport:
        await bob.listen(transport, Address(HERE, 0), tls=tls[0] if transport in SECURE else None)
    for endpoint in bob.driver.endpoints:
        for _ in range(20):
            junk = chance.randbytes(chance.randrange(1, 2000))
            if endpoint.transport is Transport.UDP:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                    sock.sendto(junk, endpoint.local)
            else:
                _reader, writer = await raw(endpoint.local)
                writer.write(junk)
                writer.write_eof()
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()
    udp, tcp = bob.driver.endpoints[0].local, bob.driver.endpoints[1].local
    assert (await alice.ask(f"sip:bob@{udp}")).status == 200
    assert (await alice.ask(f"sip:bob@{tcp};transport=tcp")).status == 200
