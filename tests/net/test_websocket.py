# SPDX-License-Identifier: Apache-2.0
"""Does SIP over WebSocket follow RFC 7118, also with a foreign client, and is the HTTP port polite?"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from element import Element
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, NegotiationError, ProtocolError
from websockets.frames import Frame, Opcode

from ringback.net.endpoint import Endpoint
from ringback.net.framing import Signal
from ringback.net.limits import TransportLimits
from ringback.net.sockets import RealNetwork
from ringback.net.websocket import WebSocketClient, WebSocketFraming, WebSocketServer
from ringback.sip.flow import Address, Transport
from ringback.testing import messages

HERE = "127.0.0.1"
OPTIONS = messages.request("OPTIONS", "sip:bob@127.0.0.1", via="SIP/2.0/WS a.invalid")


@pytest.fixture
async def bob() -> AsyncIterator[Element]:
    element = Element(RealNetwork(), limits=TransportLimits(first_message=1.0))
    await element.listen(Transport.WS, Address(HERE, 0))
    yield element
    await element.close()


def uri(element: Element, path: str = "/ws") -> str:
    endpoint: Endpoint = element.driver.endpoints[0]
    return f"ws://{endpoint.local}{path}"


@pytest.mark.parametrize("is_text", [True, False])
async def test_a_foreign_client_is_answered_in_text_frames(bob: Element, is_text: bool):
    async with connect(uri(bob), subprotocols=["sip"]) as client:
        await client.send(OPTIONS.decode() if is_text else OPTIONS)
        answer = await client.recv()
        assert client.subprotocol == "sip"
        assert "permessage-deflate" not in client.response.headers.get("Sec-WebSocket-Extensions", "")
    assert isinstance(answer, str)
    assert answer.startswith("SIP/2.0 200")


async def test_fragments_make_one_message_and_pings_are_answered(bob: Element):
    async with connect(uri(bob), subprotocols=["sip"]) as client:
        await client.send([OPTIONS[:10], OPTIONS[10:50], OPTIONS[50:]])
        assert (await client.recv()).startswith("SIP/2.0 200")
        await asyncio.wait_for(await client.ping(), 5)
        await client.send(b"\r\n\r\n")
        assert await client.recv() == b"\r\n"


async def test_a_message_that_is_no_utf8_comes_back_in_a_binary_frame(bob: Element):
    odd = OPTIONS.replace(b"alice@example.com>;tag=alice", b"\xff@example.com>;tag=\xc3\xbc")
    async with connect(uri(bob), subprotocols=["sip"]) as client:
        await client.send(odd)
        assert isinstance(await client.recv(), bytes)


async def test_a_client_that_does_not_speak_sip_is_refused(bob: Element):
    for subprotocols in (None, ["xmpp"]):
        with pytest.raises((InvalidStatus, NegotiationError)):
            await connect(uri(bob), subprotocols=subprotocols)


async def test_another_path_is_not_sip(bob: Element):
    with pytest.raises(InvalidStatus, match="404"):
        await connect(uri(bob, "/other"), subprotocols=["sip"])


async def test_too_large_a_message_ends_the_connection_with_1009(bob: Element):
    async with connect(uri(bob), subprotocols=["sip"]) as client:
        with contextlib.suppress(ConnectionClosed):
            await client.send(b"x" * 70_000)
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009
    assert not bob.events


async def test_a_close_frame_closes(bob: Element):
    client = await connect(uri(bob), subprotocols=["sip"])
    await client.send(OPTIONS)
    await client.recv()
    await client.close(1000, "bye")
    await client.wait_closed()
    assert client.close_code == 1000


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/", b"200", b"This is Ringback"),
        ("/healthz", b"200", b"ok\n"),
        ("/x", b"404", b""),
        ("/ws", b"404", b""),
    ],
)
async def test_plain_http_gets_a_page(bob: Element, path: str, status: bytes, text: bytes):
    endpoint = bob.driver.endpoints[0]
    reader, writer = await asyncio.open_connection(endpoint.local.host, endpoint.local.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    page = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    await writer.wait_closed()
    assert page.startswith(b"HTTP/1.1 " + status)
    assert text in page


@pytest.mark.parametrize(
    "junk", [b"\x16\x03\x01" * 50 + b"\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 9000, b"a" * 40_000]
)
async def test_what_is_no_http_is_put_out(bob: Element, junk: bytes):
    endpoint = bob.driver.endpoints[0]
    reader, writer = await asyncio.open_connection(endpoint.local.host, endpoint.local.port)
    writer.write(junk)
    with contextlib.suppress(ConnectionError):
        await asyncio.wait_for(reader.read(), 5)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    assert not bob.events


# --- without sockets ---


def shaken() -> tuple[WebSocketClient, WebSocketServer]:
    """Both sides after their handshake."""
    client = WebSocketClient(65_536, Address(HERE, 80), secure=False, server_name="x", path="/ws")
    server = WebSocketServer(65_536, "/ws")
    assert server.receive(client.output()) == []
    assert client.receive(server.output()) == []
    assert client.is_ready
    assert server.is_ready
    return client, server


def test_both_sides_understand_each_other_byte_by_byte():
    client, server = shaken()
    wire = client.wrap(b"first") + client.ping() + client.wrap(b"second\xff")
    found = [item for position in range(len(wire)) for item in server.receive(wire[position : position + 1])]
    assert found == [b"first", Signal.PING, b"second\xff"]
    assert client.receive(server.output()) == [Signal.PONG]
    assert client.receive(server.wrap(b"back")) == [b"back"]


def test_frames_sent_ahead_of_the_answer_wait_for_it():
    client, _server = shaken()
    eager = WebSocketServer(65_536, "/ws")
    greeting = WebSocketClient(65_536, Address(HERE, 80), secure=False, server_name="x", path="/ws").output()
    assert eager.receive(greeting + client.wrap(b"hello")) == [b"hello"]
    assert eager.output().startswith(b"HTTP/1.1 101")
    refused = WebSocketServer(65_536, "/other")
    assert refused.receive(greeting + client.farewell() + b"junk") == []
    assert refused.is_over


def test_a_server_that_does_not_choose_sip_is_left():
    client = WebSocketClient(
        65_536, Address("2001:db8::1", 80), secure=False, server_name="2001:db8::1", path="/"
    )
    assert b"Host: [2001:db8::1]\r\n" in client.output()
    client.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert client.is_over
    assert not client.is_ready


def test_farewell_is_a_close_frame_that_ends_both():
    client, server = shaken()
    server.receive(client.farewell())
    assert server.is_over


@settings(max_examples=100)
@given(
    st.lists(st.binary(max_size=200), max_size=10),
    st.sampled_from(["client", "server", "new client", "new server"]),
)
def test_any_bytes_end_in_messages_or_in_the_end(pieces: list[bytes], side: str):
    framing: WebSocketFraming
    if side.startswith("new"):
        framing = (
            WebSocketServer(65_536, "/ws")
            if side.endswith("server")
            else WebSocketClient(65_536, Address(HERE, 80), secure=False, server_name="x", path="/ws")
        )
    else:
        framing = dict(zip(("client", "server"), shaken(), strict=True))[side]
    for piece in pieces:
        if framing.is_over:
            break
        framing.receive(piece)
        framing.output()


@settings(max_examples=100)
@given(
    st.lists(
        st.builds(
            Frame,
            st.sampled_from(Opcode),
            st.binary(max_size=150),
            fin=st.booleans(),
        ),
        max_size=8,
    )
)
def test_any_frames_end_in_messages_or_in_the_end(frames: list[Frame]):
    _client, server = shaken()
    for frame in frames:
        if server.is_over:
            break
        with contextlib.suppress(ProtocolError):  # a frame no client can print either
            server.receive(frame.serialize(mask=True))
        server.output()
