# SPDX-License-Identifier: Apache-2.0
"""One event on its way to a real web server: signed, to a checked address, wherever its name leads."""

import socket
from collections.abc import AsyncIterator
from ipaddress import ip_address

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from ringback.web.webhook_destination import is_allowed, networks
from ringback.web.webhook_post import Posted, Sender
from ringback.web.webhook_signature import is_genuine, signature

LOOPBACK = ("127.0.0.0/8",)


class Receiver:
    """A web server that remembers what it got."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 204
        self.port = 0

    async def take(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.read()))
        return web.Response(status=self.status, headers={"Location": "/elsewhere"})


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/{path:.*}", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.port = runner.addresses[0][1]
    yield receiver
    await runner.cleanup()


class Names(AbstractResolver):
    """Every name leads to these addresses."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=each, port=port, family=socket.AF_INET, proto=0, flags=0)
            for each in self._addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""


async def _post(sender: Sender, url: str) -> Posted:
    try:
        return await sender(url, b'{"kind":"x"}', secret="s", event="x", delivery=7, now=1000.5)
    finally:
        await sender.close()


async def test_an_event_arrives_with_its_signature(receiver: Receiver) -> None:
    sender = Sender(allowed=LOOPBACK, resolver=Names("127.0.0.1"))
    assert await _post(sender, f"http://crm.example:{receiver.port}/hook") == Posted(204)
    [(headers, body)] = receiver.got
    assert (headers["Ringback-Event"], headers["Ringback-Delivery"]) == ("x", "7")
    assert is_genuine(headers["Ringback-Signature"], "s", body, now=1010.0)
    assert not is_genuine(headers["Ringback-Signature"], "s", body + b" ", now=1010.0)
    assert not is_genuine(headers["Ringback-Signature"], "s", body, now=2000.0)
    assert not is_genuine(headers["Ringback-Signature"], "other", body, now=1010.0)


async def test_a_name_that_leads_inside_is_not_followed(receiver: Receiver) -> None:
    posted = await _post(Sender(resolver=Names("127.0.0.1")), f"http://crm.example:{receiver.port}/")
    assert (posted.status, "not outside" in posted.failure, receiver.got) == (0, True, [])


async def test_of_several_addresses_only_those_outside_are_tried(receiver: Receiver) -> None:
    sender = Sender(allowed=LOOPBACK, resolver=Names("10.0.0.1", "127.0.0.1"))
    assert (await _post(sender, f"http://crm.example:{receiver.port}/")).status == 204


async def test_an_address_inside_is_refused_also_when_it_was_stored_earlier(receiver: Receiver) -> None:
    posted = await _post(Sender(), f"http://127.0.0.1:{receiver.port}/")
    assert (posted.status, receiver.got) == (0, [])


async def test_a_redirection_is_not_followed(receiver: Receiver) -> None:
    receiver.status = 307
    sender = Sender(allowed=LOOPBACK, resolver=Names("127.0.0.1"))
    posted = await _post(sender, f"http://crm.example:{receiver.port}/")
    assert (posted.status, "not followed" in posted.failure, len(receiver.got)) == (307, True, 1)


async def test_nobody_there_is_a_reason_and_no_exception(receiver: Receiver) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    sender = Sender(allowed=LOOPBACK, resolver=Names("127.0.0.1"))
    posted = await _post(sender, f"http://crm.example:{port}/")
    assert (posted.status, bool(posted.failure)) == (0, True)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("93.184.215.14", True), ("2606:2800:220:1::1", True), ("100.64.0.1", False), ("192.0.2.1", False),
        ("198.18.0.1", False), ("::", False), ("fd00::1", False), ("2001:0:7f00:1::", False), ("255.255.255.255", False),
        ("192.0.0.192", False), ("::ffff:192.0.0.192", False),
    ],
)  # fmt: skip
def test_only_addresses_that_anybody_reaches_are_outside(address: str, expected: bool) -> None:
    assert is_allowed(ip_address(address), ()) is expected
    assert is_allowed(ip_address(address), networks(["0.0.0.0/0", "::/0"]))


def test_the_signature_is_the_documented_one() -> None:
    assert signature("whsec_x", b"{}", at=1767225600) == (
        "t=1767225600,v1=" + __import__("hmac").new(b"whsec_x", b"1767225600.{}", "sha256").hexdigest()
    )
