# SPDX-License-Identifier: Apache-2.0
"""Does every address get its page, say what browsers may do with it, and lead to nothing else on the disk?"""

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from web_rig import WebRig

SCRIPT = b"console.log('ringback');\n" * 100


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[WebRig]:
    static = tmp_path / "static"
    (static / "assets").mkdir(parents=True)
    for name in ("index", "phone", "guest"):
        (static / f"{name}.html").write_text(f"<!doctype html><title>{name}</title>")
    (static / "assets" / "index-abc123.js").write_bytes(SCRIPT)
    (static / "phone.webmanifest").write_text("{}")
    (tmp_path / "secret.txt").write_text("secret")
    (static / "linked.txt").symlink_to(tmp_path / "secret.txt")
    async with WebRig(tmp_path, static=static) as rig:
        yield rig


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("/", "index"), ("/login", "index"), ("/setup/7F3K-92QD", "index"), ("/calls", "index"),
        ("/calls/0123456789abcdef", "index"), ("/phones", "index"), ("/people/101", "index"),
        ("/phone", "phone"), ("/phone/", "phone"), ("/phone/history", "phone"), ("/call/sales", "guest"),
    ],
)  # fmt: skip
async def test_each_address_has_its_page(rig: WebRig, path: str, page: str):
    assert await rig.browser().call("GET", path) == (200, f"<!doctype html><title>{page}</title>")


@pytest.mark.parametrize(
    "path",
    [
        "/assets/gone.js", "/gone.png", "/api/v1/gone", "/.well-known/gone", "/linked.txt", "/ws",
        "/assets/../../secret.txt", "/assets/%2e%2e/%2e%2e/secret.txt", "/..%2fsecret.txt",
        "/assets/..%5c..%5csecret.txt", "/%00.js", "//secret.txt", "/assets/index-abc123.js/secret.txt",
    ],
)  # fmt: skip
async def test_nothing_else_is_served(rig: WebRig, path: str):
    status, answer = await raw(rig, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert status in (400, 404), path
    assert b"secret" not in answer.replace(path.encode(), b"")


async def test_hashed_files_are_kept_for_a_year_and_pages_are_asked_for_again(rig: WebRig):
    http = rig.browser().http
    async with http.get("/assets/index-abc123.js") as response:
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
        assert response.headers["Content-Encoding"] == "gzip"
        assert await response.read() == SCRIPT
        assert int(response.headers["Content-Length"]) == len(gzip.compress(SCRIPT, 9, mtime=0))
    async with http.get("/phone.webmanifest", headers={"Accept-Encoding": "identity"}) as response:
        assert (response.headers["Cache-Control"], await response.text()) == ("no-cache", "{}")
        tag = response.headers["ETag"]
    async with http.get("/phone.webmanifest", headers={"If-None-Match": tag}) as response:
        assert (response.status, await response.read()) == (304, b"")


@pytest.mark.parametrize(
    "path", ["/", "/assets/index-abc123.js", "/api/v1/session", "/api/v1/users", "/healthz"]
)
async def test_every_answer_tells_browsers_to_be_careful(rig: WebRig, path: str):
    async with rig.browser().http.get(path) as response:
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert "unsafe" not in policy
        assert f"connect-src 'self' wss://127.0.0.1:{rig.port};" in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "same-origin"
        assert "Server" not in response.headers


async def test_a_host_that_is_no_host_cannot_write_into_the_policy(rig: WebRig):
    _, answer = await raw(
        rig, "GET /healthz HTTP/1.1\r\nHost: localhost;script-src *\r\nConnection: close\r\n\r\n"
    )
    assert b"script-src *" not in answer


async def test_a_failure_of_ours_tells_a_stranger_nothing(rig: WebRig):
    def fail(_: object) -> dict[str, object]:
        raise ZeroDivisionError("secret")

    rig.server.verbs["ping"] = fail
    async with rig.browser().http.get("/readyz") as response:
        assert response.status == 500
        assert "Content-Security-Policy" in response.headers
        answer = await response.json()
        assert answer["title"] == "Internal Server Error"
        assert "secret" not in str(answer)


async def test_health_is_told_to_everybody_and_readiness_asks_the_telephone_server(rig: WebRig):
    browser = rig.browser()
    assert await browser.call("GET", "/healthz") == (200, "ok\n")
    assert await browser.call("GET", "/readyz") == (200, "ready\n")
    del rig.server.verbs["ping"]
    assert await browser.call("GET", "/readyz") == (503, "not ready\n")


async def test_who_comes_without_encryption_from_elsewhere_is_led_to_https(rig: WebRig):
    for path, status in (
        ("/", 308), ("/api/v1/session", 308), ("/healthz", 200), ("/readyz", 200), ("/healthzz", 308),
        ("/.well-known/acme-challenge/abc", 404), ("/trustme", 308),
    ):  # fmt: skip
        head = f"GET {path} HTTP/1.1\r\nHost: office.example:8080\r\nConnection: close\r\n\r\n"
        assert (await raw(rig, head))[0] == status, path
    _, answer = await raw(rig, "GET /calls?a=b HTTP/1.1\r\nHost: office.example\r\nConnection: close\r\n\r\n")
    assert b"\r\nlocation: https://office.example:8443/calls?a=b\r\n" in answer
    status, _ = await raw(
        rig,
        "GET /events HTTP/1.1\r\nHost: office.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    )
    assert status == 403


async def test_a_body_that_is_too_large_is_refused_however_it_comes(rig: WebRig):
    head = "POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    status, answer = await raw(rig, head + "Content-Length: 2000000\r\n\r\n")
    assert (status, b"application/problem+json" in answer) == (413, True)
    chunks = "100000\r\n" + "x" * 0x100000 + "\r\n"
    status, answer = await raw(
        rig, head + "Transfer-Encoding: chunked\r\n\r\n" + chunks + chunks + "0\r\n\r\n"
    )
    assert (status, b"application/problem+json" in answer) == (413, True)
    status, _ = await raw(rig, head + "Content-Length: -5\r\n\r\n")
    assert status == 400
    status, _ = await raw(rig, head + "X: " + "y" * 40_000 + "\r\n\r\n")
    assert status in (0, 400, 431)


async def raw(rig: WebRig, request: str) -> tuple[int, bytes]:
    """The status (0: none came) and the whole answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    answer = b""
    try:
        writer.write(request.encode())
        await asyncio.wait_for(writer.drain(), 5)
        while piece := await asyncio.wait_for(reader.read(65_536), 5):
            answer += piece
            if (
                b"Content-Length".lower() in answer.lower()
                and b"\r\n\r\n" in answer
                and b"close" not in answer
            ):
                break
    except ConnectionError:
        pass
    writer.close()
    return int(answer.split(b" ")[1]) if answer.startswith(b"HTTP/1.1 ") else 0, answer
