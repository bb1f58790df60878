# SPDX-License-Identifier: Apache-2.0
"""Do browsers reach the web process through the port of SIP over WebSocket, and does SIP stay where it was?"""

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from certificate import contexts
from element import Element
from websockets.asyncio.client import connect

from ringback.net import tunnel
from ringback.net.limits import TransportLimits
from ringback.net.sockets import RealNetwork
from ringback.sip.flow import Address, Transport
from ringback.testing import messages

HERE = "127.0.0.1"
GET = b"GET /page?x=1 HTTP/1.1\r\nHost: here\r\nAccept: text/html,*/*\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Web:
    """A web process: what a test says it does with each connection."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.introductions: list[str] = []
        self.ended: asyncio.Queue[bytes] = asyncio.Queue()
        self._server: asyncio.Server | None = None

    async def serve(self, serve: Serve) -> None:
        async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.introductions.append((await reader.readuntil(b"\r\n")).decode())
            try:
                await serve(reader, writer)
            finally:
                writer.close()

        self._server = await asyncio.start_unix_server(welcome, self.path)

    async def answer_all(self) -> None:
        async def each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(OK)

        async def until_gone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await each(reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                self.ended.put_nowait(getattr(error, "partial", b"reset"))

        await self.serve(until_gone)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self.path.unlink(missing_ok=True)


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Web]:
    web = Web(tmp_path / "web.sock")
    yield web
    await web.close()


@pytest.fixture
async def port(web: Web) -> AsyncIterator[Element]:
    element = Element(RealNetwork(), limits=TransportLimits(first_message=5.0))
    element.driver.transports.pool.web = web.path
    await element.listen(Transport.WS, Address(HERE, 0))
    yield element
    await element.close()


async def visit(port: Element, **options: object) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    local = port.driver.endpoints[0].local
    return await asyncio.open_connection(local.host, local.port, **options)  # type: ignore[arg-type]


async def leave(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


async def test_a_request_goes_to_the_web_process_with_a_line_about_the_visitor(web: Web, port: Element):
    await web.answer_all()
    reader, writer = await visit(port)
    for head in (GET[:20], GET[20:] + GET):
        writer.write(head)
        await writer.drain()
    assert await reader.readexactly(2 * len(OK)) == OK + OK
    (_, ours), (_, theirs) = writer.get_extra_info("sockname"), writer.get_extra_info("peername")
    assert web.introductions == [f"PROXY TCP4 {HERE} {HERE} {ours} {theirs} http\r\n"]
    await leave(writer)
    assert await asyncio.wait_for(web.ended.get(), 5) == b""


async def test_over_tls_and_ipv6_the_web_process_hears_of_it(web: Web, tmp_path: Path):
    server_tls, client_tls = contexts(tmp_path, "localhost")
    await web.answer_all()
    element = Element(RealNetwork())
    element.driver.transports.pool.web = web.path
    await element.listen(Transport.WSS, Address("::1", 0), tls=server_tls)
    reader, writer = await visit(element, ssl=client_tls, server_hostname="localhost")
    writer.write(GET)
    assert await reader.readexactly(len(OK)) == OK
    assert web.introductions[0].startswith("PROXY TCP6 ::1 ::1 ")
    assert web.introductions[0].endswith(" https\r\n")
    await leave(writer)
    await element.close()


async def test_sip_over_websocket_is_served_on_the_same_port_as_before(web: Web, port: Element):
    await web.answer_all()
    local = port.driver.endpoints[0].local
    async with connect(f"ws://{local}/ws?x", subprotocols=["sip"]) as client:
        await client.send(messages.request("OPTIONS", "sip:bob@127.0.0.1", via="SIP/2.0/WS a.invalid"))
        assert str(await client.recv()).startswith("SIP/2.0 200")
    assert web.introductions == []


@pytest.mark.parametrize(
    "head",
    [
        b"GET /ws HTTP/1.1\r\nHost: here\r\n\r\n",
        b"POST /ws HTTP/1.1\r\nHost: here\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n",
        b"GET /events HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"DELETE /api/v1/x HTTP/1.0\r\n\r\n",
    ],
)
async def test_everything_else_in_http_is_for_the_web_process(web: Web, port: Element, head: bytes):
    await web.answer_all()
    reader, writer = await visit(port)
    writer.write(head)
    assert await reader.readexactly(len(OK)) == OK
    await leave(writer)


@pytest.mark.parametrize(
    "junk",
    [
        b"\x16\x03\x01\x02\x00" * 10 + b"\r\n\r\n",
        b"OPTIONS sip:bob@here SIP/2.0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 9000,
        b"GET /a b HTTP/1.1\r\n\r\n",
    ],
)
async def test_what_is_no_request_never_reaches_the_web_process(web: Web, port: Element, junk: bytes):
    await web.answer_all()
    reader, writer = await visit(port)
    writer.write(junk)
    await asyncio.wait_for(reader.read(), 5)
    assert web.introductions == []
    await leave(writer)


async def test_while_the_web_process_is_away_visitors_are_told_to_come_again(port: Element):
    for head, kind in ((GET, b"text/html"), (b"GET /api/v1/x HTTP/1.1\r\nHost: here\r\n\r\n", b"text/plain")):
        reader, writer = await visit(port)
        writer.write(head)
        answer = await asyncio.wait_for(reader.read(), 5)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: 2\r\n" in answer
        assert b"\r\nContent-Type: " + kind in answer
        await leave(writer)


async def test_a_web_process_that_dies_without_an_answer_is_apologised_for(web: Web, port: Element):
    async def die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    await web.serve(die)
    reader, writer = await visit(port)
    writer.write(GET)
    assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 503 ")
    await leave(writer)


async def test_one_that_dies_in_the_middle_of_an_answer_ends_the_connection(web: Web, port: Element):
    async def stammer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK[:10])

    await web.serve(stammer)
    reader, writer = await visit(port)
    writer.write(GET)
    assert await asyncio.wait_for(reader.read(), 5) == OK[:10]
    await leave(writer)


async def test_one_that_never_answers_is_given_up(web: Web, port: Element, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tunnel, "PATIENCE", 0.05)
    gone = asyncio.Event()

    async def stare(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)
        gone.set()

    await web.serve(stare)
    reader, writer = await visit(port)
    writer.write(GET)
    assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 503 ")
    await asyncio.wait_for(gone.wait(), 5)
    await leave(writer)


async def test_an_answer_before_the_end_of_the_question_arrives(web: Web, port: Element):
    async def interrupt(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(GET))
        writer.write(OK)
        await writer.drain()

    await web.serve(interrupt)
    for _ in range(10):
        reader, writer = await visit(port)
        writer.write(GET + bytes(3_000_000))
        assert await asyncio.wait_for(reader.readexactly(len(OK)), 5) == OK
        writer.transport.abort()


async def test_a_tunnel_in_which_nothing_moves_is_closed(
    web: Web, port: Element, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tunnel, "PATIENCE", 0.05)
    monkeypatch.setattr(tunnel, "IDLE", 0.1)
    await web.answer_all()
    reader, writer = await visit(port)
    writer.write(GET)
    assert await reader.readexactly(len(OK)) == OK
    assert await asyncio.wait_for(web.ended.get(), 5) in (b"", b"reset")
    assert reader.at_eof() or await asyncio.wait_for(_end(reader), 5)
    writer.close()


async def _end(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


async def test_a_visitor_that_has_said_all_still_gets_the_answer(web: Web, port: Element):
    async def answer_at_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.read(-1)
        writer.write(b"%d" % len(asked) + OK)
        await writer.drain()

    await web.serve(answer_at_the_end)
    reader, writer = await visit(port)
    writer.write(GET)
    writer.write_eof()
    assert await asyncio.wait_for(reader.read(), 5) == b"%d" % len(GET) + OK
    await leave(writer)


async def test_a_visitor_that_reads_slowly_slows_the_web_process_down(web: Web, port: Element):
    size, taken = 30_000_000, 0
    data = bytes(range(250)) * 4000

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        while taken < size:
            writer.write(data)
            await writer.drain()
            taken += len(data)

    await web.serve(pour)
    reader, writer = await visit(port, limit=65_536)
    writer.write(GET)
    await reader.readexactly(1)
    before = -1
    while taken != before:  # until nothing moves any more
        before = taken
        await asyncio.sleep(0.1)
    assert taken < size // 2
    whole, digest = 1, hashlib.sha256(data[:1])
    while piece := await reader.read(65_536):
        whole += len(piece)
        digest.update(piece)
    assert (whole, digest.digest()) == (size, hashlib.sha256(data * (size // len(data))).digest())
    await leave(writer)


async def test_a_web_process_that_reads_slowly_slows_the_visitor_down(web: Web, port: Element):
    read_on, digest = asyncio.Event(), hashlib.sha256()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_on.wait()
        while piece := await reader.read(65_536):
            digest.update(piece)
        writer.write(OK)

    await web.serve(take)
    reader, writer = await visit(port)
    block = GET + bytes(1_000_000)
    sent = 0
    while sent < 60 and not writer.transport.get_write_buffer_size():
        writer.write(block)
        await asyncio.wait({asyncio.ensure_future(writer.drain())}, timeout=0.3)
        sent += 1
    assert sent < 30
    read_on.set()
    writer.write_eof()
    assert await asyncio.wait_for(reader.read(), 10) == OK
    assert digest.digest() == hashlib.sha256(block * sent).digest()
    await leave(writer)


async def test_a_visitor_that_vanishes_takes_its_end_away(web: Web, port: Element):
    await web.answer_all()
    reader, writer = await visit(port)
    writer.write(GET)
    await reader.readexactly(len(OK))
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()
    assert await asyncio.wait_for(web.ended.get(), 5) in (b"", b"reset")
    while len(port.driver.transports.pool):
        await asyncio.sleep(0.01)
    assert port.driver.transports.pool.gate.open == 0


async def test_a_server_that_closes_ends_its_tunnels(web: Web, port: Element):
    await web.answer_all()
    reader, writer = await visit(port)
    writer.write(GET)
    await reader.readexactly(len(OK))
    await asyncio.wait_for(port.close(), 5)
    assert await asyncio.wait_for(reader.read(), 5) == b""
    assert await asyncio.wait_for(web.ended.get(), 5) in (b"", b"reset")
    await leave(writer)


async def test_a_visitor_that_leaves_while_the_web_process_is_away_is_forgotten(port: Element):
    for _ in range(20):
        _, writer = await visit(port)
        writer.write(GET)
        writer.transport.abort()
    async with asyncio.timeout(5):
        while port.driver.transports.pool.gate.open:
            await asyncio.sleep(0.01)
