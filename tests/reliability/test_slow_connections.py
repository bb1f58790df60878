# SPDX-License-Identifier: Apache-2.0
"""Connections that crawl, stop or never begin, on real sockets of loopback: RELIABILITY 2.1, rows 3 and 34."""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from reliability_office import RealOffice

from ringback.net.limits import TransportLimits, quarter_of_descriptors
from ringback.server.config import LimitSettings, Settings
from ringback.server.policies import transport_limits
from ringback.testing import messages

HOST = "127.0.0.1"

CONFIGURATION = """
[limits]
handshake_timeout = 0.4
first_message_timeout = 1.0
message_timeout = 0.3
max_connections_per_address = 12
"""


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[RealOffice]:
    """The whole process with short patience."""
    file = tmp_path / "ringback.toml"
    file.write_text(CONFIGURATION)
    async with RealOffice(tmp_path / "data", config=str(file)) as running:
        yield running


def port(office: RealOffice, transport: str) -> int:
    return int(office.process.addresses()[transport].rpartition(":")[2])


def options(office: RealOffice) -> bytes:
    return messages.request("OPTIONS", "sip:office.test", via=f"SIP/2.0/TCP {HOST}:9")


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(office: RealOffice, transport: str = "tcp") -> Connection:
    return await asyncio.open_connection(HOST, port(office, transport))


async def end_of(connection: Connection, *, patience: float = 5.0) -> tuple[float, bytes]:
    """How long until the server hangs up, and what it said before."""
    started = time.monotonic()
    with contextlib.suppress(ConnectionError):
        said = await asyncio.wait_for(connection[0].read(-1), patience)
        await hang_up(connection)
        return time.monotonic() - started, said
    await hang_up(connection)
    return time.monotonic() - started, b""


async def hang_up(connection: Connection) -> None:
    connection[1].close()
    with contextlib.suppress(OSError, ssl.SSLError):
        await connection[1].wait_closed()


async def assert_answers(office: RealOffice, transport: str = "tcp") -> None:
    connection = await connect(office, transport)
    connection[1].write(options(office))
    assert (await asyncio.wait_for(connection[0].readuntil(b"\r\n"), 3)).startswith(b"SIP/2.0 200 ")
    await hang_up(connection)


async def test_who_says_nothing_is_hung_up_on(office: RealOffice) -> None:
    """Row 34: TCP without a word, TLS without a ClientHello, WebSocket without a request, and half of each."""
    half = {
        "tcp": b"OPTIONS sip:x SIP",
        "ws": b"GET /ws HTTP/1.1\r\nHost: x\r\n",
        "tls": b"\x16\x03\x01\x02\x00\x01",
        "wss": b"\x16\x03\x01",
    }
    silent = [await connect(office, transport) for transport in half]
    started = [await connect(office, transport) for transport in half]
    for connection, data in zip(started, half.values(), strict=True):
        connection[1].write(data)
    ends = await asyncio.gather(*(end_of(connection) for connection in (*silent, *started)))
    assert all(0.2 < seconds < 3.0 for seconds, _ in ends), ends
    await assert_answers(office)


async def test_one_byte_at_a_time_is_fast_enough_or_not(office: RealOffice) -> None:
    """Row 34: slowloris. A first message must be whole in its time, however steadily it drips."""
    drip = await connect(office)
    reading = asyncio.ensure_future(end_of(drip))
    for byte in options(office):
        if reading.done():
            break
        with contextlib.suppress(ConnectionError):
            drip[1].write(bytes((byte,)))
        await asyncio.sleep(0.02)
    seconds, said = await reading
    assert 0.4 < seconds < 3.0
    assert b"SIP/2.0 200" not in said
    await assert_answers(office)


async def test_half_a_body_is_answered_and_put_out(office: RealOffice) -> None:
    """Row 34: the head is whole, the body stops: 400 when nothing has come for a while."""
    connection = await connect(office)
    connection[1].write(options(office).replace(b"Content-Length: 0", b"Content-Length: 100") + b"half")
    seconds, said = await end_of(connection)
    assert said.startswith(b"SIP/2.0 400 ")
    assert 0.2 < seconds < 3.0


async def test_one_address_has_so_many_connections_and_the_next_is_refused_at_once(
    office: RealOffice,
) -> None:
    """Row 34: those above the limit cost no patience; a place is free as soon as one hangs up."""
    held = [await connect(office) for _ in range(12)]
    for connection in held:
        connection[1].write(options(office))
        await asyncio.wait_for(connection[0].readuntil(b"\r\n\r\n"), 3)
    for transport in ("tcp", "tls", "ws"):
        seconds, said = await end_of(await connect(office, transport))
        assert seconds < 0.8
        assert said == b""
    await hang_up(held.pop())
    await asyncio.sleep(0.05)
    await assert_answers(office)
    for connection in held:
        await hang_up(connection)


async def test_who_hangs_up_gives_the_place_back(office: RealOffice) -> None:
    """Row 34: after connections of every kind and every end, nobody is counted any more."""
    for transport in ("tcp", "ws", "tls", "wss"):
        for data in (b"", options(office), b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100):
            connection = await connect(office, transport)
            connection[1].write(data)
            await asyncio.sleep(0.01)
            await hang_up(connection)
    gate = office.process.system.server.driver.transports.pool.gate
    for _ in range(300):
        if (gate.open, gate.untrusted) == (0, 0):
            break
        await asyncio.sleep(0.01)
    assert (gate.open, gate.untrusted) == (0, 0)
    await assert_answers(office)


async def test_a_message_split_at_every_byte_is_one_message(office: RealOffice) -> None:
    """Row 3: in two pieces, at each place; on a real socket, where pieces may meet again."""
    data = options(office)
    connection = await connect(office)
    connection[1].get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for place in range(1, len(data)):
        connection[1].write(data[:place])
        await asyncio.sleep(0)
        connection[1].write(data[place:])
        answer = await asyncio.wait_for(connection[0].readuntil(b"\r\n\r\n"), 3)
        assert answer.startswith(b"SIP/2.0 200 ")
    await hang_up(connection)


async def test_datagrams_that_are_no_messages_are_dropped_without_a_word(office: RealOffice) -> None:
    """Row 3: empty, one octet, the largest there is, and keep-alives; the next request is answered."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        sender.bind((HOST, 0))
        await loop.sock_connect(sender, (HOST, port(office, "udp")))
        for junk in (b"", b"\0", b"x" * 65_507, b"\r\n\r\n", b"\r\n", b"\xff" * 1000):
            await loop.sock_sendall(sender, junk)
        request = messages.request(
            "OPTIONS", "sip:office.test", via="SIP/2.0/UDP {}:{}".format(*sender.getsockname())
        )
        await loop.sock_sendall(sender, request)
        heard = await asyncio.wait_for(loop.sock_recv(sender, 65_535), 3)
        while heard in (b"", b"\r\n"):
            heard = await asyncio.wait_for(loop.sock_recv(sender, 65_535), 3)
        assert heard.startswith(b"SIP/2.0 200 ")


def test_the_patience_of_a_fresh_server_is_that_of_the_rule() -> None:
    """Row 34: handshake 5 s, first message 10 s, between two pieces 5 s, 100 per address, a quarter of all files."""
    limits = transport_limits(Settings())
    assert (limits.handshake, limits.first_message, limits.progress) == (5.0, 10.0, 5.0)
    assert limits.connections_per_host == LimitSettings().max_connections_per_address == 100
    assert limits.untrusted == quarter_of_descriptors() == TransportLimits().untrusted
