# SPDX-License-Identifier: Apache-2.0
"""Whatever is sent to the port, is the answer a sentence or the end of the connection, and never a failure?"""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from web_rig import WebRig

from ringback.web import introduced

END = "Host: localhost\r\nConnection: close\r\n\r\n"
UPGRADE = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[WebRig]:
    async with WebRig(tmp_path) as rig:
        yield rig


@pytest.mark.parametrize(
    "request_text",
    [
        "OPTIONS * HTTP/1.1\r\n" + END,
        "CONNECT evil.example:443 HTTP/1.1\r\n" + END,
        "TRACE / HTTP/1.1\r\n" + END,
        "BREW /coffee HTTP/1.1\r\n" + END,
        "GET http://evil.example/ HTTP/1.1\r\n" + END,
        "GET //evil.example/%2e%2e HTTP/1.1\r\n" + END,
        "GET /%ff%fe%00 HTTP/1.1\r\n" + END,
        "GET /api/v1/records?page=-1&page=x&size=99999999999999999999 HTTP/1.1\r\n" + END,
        "GET /?%00=%ff&&&=== HTTP/1.1\r\n" + END,
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: \r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n",
        "GET /api/v1/me HTTP/1.1\r\nCookie: ringback_session=\"; =; ;;; a\r\n" + END,
        "GET /api/v1/me HTTP/1.1\r\nAuthorization: \r\n" + END,
        "GET /api/v1/me HTTP/1.1\r\nAuthorization: Bearer\r\n" + END,
        "POST /api/v1/session HTTP/1.1\r\nOrigin: http://[::1\r\nContent-Length: 2\r\n" + END + "{}",
        "POST /api/v1/session HTTP/1.1\r\nContent-Type: text/html\r\nContent-Length: 2\r\n" + END + "{}",
        "POST /api/v1/session HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n" + END + "0\r\n\r\n",
        "POST /api/v1/session HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + END + "zz\r\n",
        "POST /api/v1/session HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n" + END,
        "POST /api/v1/session HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n" + END + "{}",
        "GET /events HTTP/1.1\r\n" + UPGRADE + "Sec-WebSocket-Key: short\r\n" + END,
        "GET /nowhere HTTP/1.1\r\n" + UPGRADE + "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n" + END,
        "GET /events HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n" + END,
        "POST /events HTTP/1.1\r\n" + UPGRADE + "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n" + END,
    ],
)  # fmt: skip
async def test_odd_requests_are_answered_or_cut_off(
    rig: WebRig, request_text: str, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.ERROR):
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        writer.write(request_text.encode("latin-1"))
        writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
    status = int(answer.split(b" ")[1]) if answer.startswith(b"HTTP/1.1 ") else 0
    assert status < 500, answer[:300]
    assert [record.getMessage() for record in caplog.records] == []
    assert b"Traceback" not in answer


async def test_one_request_behind_the_other_gets_its_own_answer(rig: WebRig):
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    writer.write(
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20 + b"GET /readyz HTTP/1.1\r\n" + END.encode()
    )
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 21
    assert answer.endswith(b"ready\n")


@pytest.mark.parametrize("more", ["GET /readyz HTTP/1.1\r\nHost:", "xx"])
async def test_a_next_request_that_never_becomes_whole_holds_no_place(
    rig: WebRig, more: str, monkeypatch: pytest.MonkeyPatch
):
    """`xx`: of a body of 1000 bytes that nobody waited for."""
    monkeypatch.setattr(introduced, "HEAD_TIME", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    length = "Content-Length: 1000\r\n" if more == "xx" else ""
    writer.write(f"GET /healthz HTTP/1.1\r\nHost: localhost\r\n{length}\r\n".encode())
    assert (await reader.readuntil(b"ok\n")).startswith(b"HTTP/1.1 200 OK\r\n")
    writer.write(more.encode())
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()


async def test_nobody_speaks_for_another_address(rig: WebRig):
    """What proxies add is not believed: the listener knows who is there."""
    browser = rig.browser()
    await rig.person()
    for number in range(6):
        wrong = {"login": "Olga", "password": "wrong"}
        headers = {"X-Forwarded-For": f"192.0.2.{number}", "Forwarded": f"for=192.0.2.{number}"}
        status, _ = await browser.call("POST", "/api/v1/session", wrong, **headers)
    assert status == 429
    elsewhere = {"Host": "office.example", "X-Forwarded-Proto": "https", "X-Forwarded-For": "127.0.0.1"}
    async with browser.http.get("/", headers=elsewhere, allow_redirects=False) as response:
        assert response.status == 308


async def test_names_that_hide_something_are_refused(rig: WebRig):
    browser = await rig.signed_in()
    for name in ("Eve\u202eanna", "a\u200bb", "\x9b31m", "a\x7f", "\ud83d"):
        status, answer = await browser.call("PATCH", "/api/v1/me", {"name": name})
        assert (status, answer["errors"][0]["field"]) == (422, "name")
    assert (await browser.call("PATCH", "/api/v1/me", {"name": "<script>alert('Zoë')</script>"}))[0] == 200


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        ("/phone?x=1", "office.example:8080", 308), ("/", "[2001:db8::1]:8080", 308), ("//x/", "office.example", 308),
        ("@evil.example/", "office.example", 403), ("http://evil.example/", "office.example", 403),
        ("/", "a@evil.example/", 403), ("/", "evil.example/?", 403),
    ],
)  # fmt: skip
async def test_the_way_to_https_leads_to_this_host(rig: WebRig, target: str, host: str, status: int):
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    writer.write(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    answer = (await asyncio.wait_for(reader.read(), 5)).decode()
    writer.close()
    assert int(answer.split(" ")[1]) == status
    name = host.rpartition(":")[0] or host
    assert (f"\r\nlocation: https://{name}:8443{target}\r\n" in answer) is (status == 308)
