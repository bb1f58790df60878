# SPDX-License-Identifier: Apache-2.0
"""The web ports of `ringback serve`, asked by the client of the `websockets` package and by plain HTTP.

Its asyncio client: the threaded one loses one TLS handshake in some thousands, whatever server it talks to.
"""

import asyncio
import contextlib
import http.client
import ssl
from collections.abc import Callable
from typing import Any

import pytest
from interop_ringback import Ringback
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

OPTIONS = (
    "OPTIONS sip:{domain} SIP/2.0\r\n"
    "Via: SIP/2.0/{transport} a.invalid;branch=z9hG4bK{number}\r\n"
    "Max-Forwards: 70\r\n"
    "From: <sip:a@elsewhere.test>;tag=1\r\n"
    "To: <sip:{domain}>\r\n"
    "Call-ID: wire{number}\r\n"
    "CSeq: {number} OPTIONS\r\n"
    "Contact: <sip:a@a.invalid;transport=ws>\r\n"
    "User-Agent: {agent}\r\n"
    "Content-Length: 0\r\n\r\n"
)
LARGEST = 65_536


class Site:
    """The web server of a Ringback on one of its two ports."""

    def __init__(self, server: Ringback, transport: str) -> None:
        self.transport = transport
        self.domain = server.domain
        self.address = server.address(transport)
        self.tls = ssl.create_default_context(cafile=server.ca) if transport == "wss" else None

    def connect(self, path: str = "/ws", *, subprotocols: tuple[str, ...] = ("sip",)) -> connect:
        settings: dict[str, Any] = {"ssl": self.tls} if self.tls else {}
        url = f"{self.transport}://{self.address}{path}"
        return connect(url, subprotocols=subprotocols or None, open_timeout=5, close_timeout=5, **settings)

    def get(self, path: str) -> tuple[int, str]:
        connection = (
            http.client.HTTPSConnection(self.address, timeout=5, context=self.tls)
            if self.tls
            else http.client.HTTPConnection(self.address, timeout=5)
        )
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def options(self, number: int = 1, *, size: int = 0) -> str:
        """A request; with `size`, exactly that long."""
        text = OPTIONS.format(
            domain=self.domain, transport=self.transport.upper(), number=number, agent="wire"
        )
        filling = "\r\n".join(f"X-Filling: {'x' * 4000}" for _ in range(size // 4100))
        if size:
            text = text.replace("User-Agent", f"{filling}\r\nUser-Agent")
            text = text.replace("wire\r\nContent", f"{'w' * (size - len(text) + 4)}\r\nContent")
            assert len(text) == size
        return text


async def received(client: ClientConnection) -> str | bytes:
    async with asyncio.timeout(5):
        return await client.recv()


async def closing_code(client: ClientConnection, message: str | list[str]) -> int:
    """Send what the server must not take; the code of the close frame it answers with."""
    with contextlib.suppress(ConnectionClosed):
        await client.send(message)
    with pytest.raises(ConnectionClosed) as closed:
        await received(client)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


@pytest.fixture(params=["ws", "wss"])
def site(request: pytest.FixtureRequest, server: Ringback) -> Site:
    return Site(server, request.param)


@pytest.mark.parametrize("encode", [str, str.encode], ids=["text", "binary"])
async def test_requests_in_text_and_in_binary_frames_are_answered(
    site: Site, encode: Callable[[str], str | bytes]
) -> None:
    async with site.connect() as client:
        await client.send(encode(site.options()))
        answer = await received(client)
        assert isinstance(answer, str)
        assert answer.startswith("SIP/2.0 200 ")
        assert client.subprotocol == "sip"


async def test_a_request_in_fragments_between_pings_is_one(site: Site) -> None:
    async with site.connect() as client:
        text = site.options()
        await client.send(text[start : start + 40] for start in range(0, len(text), 40))
        assert str(await received(client)).startswith("SIP/2.0 200 ")
        async with asyncio.timeout(5):
            await (await client.ping())
        await client.send("\r\n\r\n")
        assert await received(client) in ("\r\n", b"\r\n")


@pytest.mark.parametrize("subprotocols", [("xmpp",), ("mqtt", "SIP"), ()], ids=["xmpp", "SIP", "none"])
async def test_who_does_not_ask_for_sip_is_refused(site: Site, subprotocols: tuple[str, ...]) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await site.connect(subprotocols=subprotocols)
    assert refused.value.response.status_code == 400
    assert (await asyncio.to_thread(site.get, "/healthz"))[0] == 200


async def test_one_subprotocol_of_several_may_be_sip(site: Site) -> None:
    async with site.connect(subprotocols=("xmpp", "sip")) as client:
        assert client.subprotocol == "sip"


async def test_plain_requests_get_pages(site: Site) -> None:
    status, text = await asyncio.to_thread(site.get, "/")
    assert (status, "Ringback" in text) == (200, True)
    assert await asyncio.to_thread(site.get, "/healthz") == (200, "ok\n")
    assert (await asyncio.to_thread(site.get, "/nothing"))[0] == 404
    with pytest.raises(InvalidStatus, match="404"):
        await site.connect("/nothing")


async def test_the_largest_message_passes_and_a_larger_one_closes_the_connection(site: Site) -> None:
    async with site.connect() as client, site.connect() as bystander:
        await client.send(site.options(1, size=LARGEST))
        assert str(await received(client)).startswith("SIP/2.0 200 ")
        assert await closing_code(client, "x" * 70_000) == 1009
        await bystander.send(site.options(2))
        assert str(await received(bystander)).startswith("SIP/2.0 200 ")


async def test_a_message_of_many_small_fragments_may_not_grow_either(site: Site) -> None:
    async with site.connect() as client:
        assert await closing_code(client, ["x" * 1000] * 70) == 1009


async def test_what_is_no_sip_does_not_cost_the_others_their_connection(site: Site) -> None:
    async with site.connect() as client, site.connect() as bystander:
        for odd in ("hello", b"\x00\xff" * 100, "OPTIONS sip:x SIP/2.0\r\n\r\n", "\r\n"):
            with contextlib.suppress(ConnectionClosed):
                await client.send(odd)
        await bystander.send(site.options())
        assert str(await received(bystander)).startswith("SIP/2.0 200 ")
