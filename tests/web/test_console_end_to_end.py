# SPDX-License-Identifier: Apache-2.0
"""`ringback serve` from its set-up link to a live event, over TLS: the whole way a browser goes, and back again
after its process was killed.
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ringback import Phone
from ringback.server.control import ask

CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("RINGBACK_")}
PASSWORD = "correct horse battery"


class Serving:
    """One `ringback serve --demo` with a console."""

    def __init__(self, ready: dict[str, Any], text: str) -> None:
        self.ready = ready
        self.data = Path(ready["data"])
        self.tls = ssl.create_default_context(cafile=ready["ca"])
        self.passwords = dict(re.findall(r"^ +(10[12]) \w+ +password (\S+)$", text, re.MULTILINE))

    def phone(self, number: str, transport: str, *, register: bool = True) -> Phone:
        return Phone(
            f"sip:{number}@{self.ready['domain']}",
            self.passwords[number],
            server=self.ready[transport],
            transport=transport,
            host="127.0.0.1",
            tls=self.tls,
            register=register,
        )

    def browser(self) -> aiohttp.ClientSession:
        jar = aiohttp.CookieJar(unsafe=True)
        connector = aiohttp.TCPConnector(ssl=self.tls, force_close=True)
        return aiohttp.ClientSession(f"https://{self.ready['wss']}", cookie_jar=jar, connector=connector)

    async def web(self) -> dict[str, Any]:
        return (await asyncio.to_thread(ask, self.data, "status"))["web"]


@contextlib.asynccontextmanager
async def serving(folder: Path, *arguments: str) -> AsyncIterator[Serving]:
    ready = folder / "ready.json"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ringback", "serve", "--demo", "--data", str(folder / "data"), "--host", "127.0.0.1",
        "--ready-file", str(ready), *(word for name in ("sip", "tls", "http", "https") for word in (f"--{name}-port", "0")),
        *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=CLEAN,
    )  # fmt: skip
    assert process.stdout is not None
    text = ""
    try:
        async with asyncio.timeout(30):
            while "Stop: Ctrl-C" not in text:
                line = await process.stdout.readline()
                assert line, text
                text += line.decode()
            while not ready.exists():
                await asyncio.sleep(0.01)
        server = Serving(json.loads(ready.read_text()), text)
        assert f"Finish set-up  {server.ready['setup']}   (valid 15 min)" in text
        yield server
        process.terminate()
        rest, _ = await asyncio.wait_for(process.communicate(), 20)
        assert process.returncode == 0, rest.decode()
        assert "Traceback" not in rest.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def signed_in(server: Serving, browser: aiohttp.ClientSession) -> None:
    """Through the set-up link that the banner shows."""
    token = server.ready["setup"].rpartition("/")[2]
    async with browser.get(f"/api/v1/setup/{token.lower()}") as response:
        assert (await response.json())["valid"] is True
    form = {"office": "Smith & Co", "country": "de", "name": "Olga", "email": "", "password": PASSWORD}
    async with browser.post(f"/api/v1/setup/{token}", json=form) as response:
        assert response.status == 201, await response.text()
        session = await response.json()
        assert response.cookies["ringback_session"]["secure"] is True
    browser.headers["X-Ringback-CSRF"] = session["csrf"]
    async with browser.post(f"/api/v1/setup/{token}", json=form) as response:
        assert response.status == 404


async def next_event(events: aiohttp.ClientWebSocketResponse, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(15):
        while True:
            event = await events.receive_json()
            if event["kind"] == kind:
                return event


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_from_the_set_up_link_to_an_event_when_a_browser_phone_registers(tmp_path: Path, workers: str):
    async with serving(tmp_path, "--workers", workers) as server, server.browser() as browser:
        await signed_in(server, browser)
        async with browser.get("/api/v1/users") as response:
            users = (await response.json())["items"]
        assert [user["number"] for user in users] == ["101", "102"]

        async with browser.ws_connect("/events") as events:
            await next_event(events, "hello")
            async with server.phone("101", "wss"):
                event = await next_event(events, "phone.registered")
                assert (event["number"], event["transport"]) == ("101", "WSS")
                async with browser.get("/api/v1/registrations") as response:
                    assert [item["user"] for item in (await response.json())["items"]] == ["101"]


async def test_a_killed_web_process_comes_back_and_calls_do_not_notice(tmp_path: Path):
    async with serving(tmp_path) as server, server.browser() as browser:
        await signed_in(server, browser)
        async with server.phone("101", "wss") as phone, phone.dial("*43") as call:
            events = await browser.ws_connect("/events")
            await next_event(events, "hello")
            killed = (await server.web())["process"]
            os.kill(killed, signal.SIGKILL)
            assert (await events.receive()).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSE)

            # Whoever asks now waits for the successor, and the session is still one.
            async with browser.get("/api/v1/session") as response:
                assert (await response.json())["person"]["name"] == "Olga"
            web = await server.web()
            assert (web["starts"], web["serving"]) == (2, True)
            assert web["process"] != killed
            assert phone.calls == [call]
            assert re.search(
                rf"Console +serving \(process {web['process']}; 1 replaced\)",
                (await program(server, "status"))[1],
            )
            calls = (await asyncio.to_thread(ask, server.data, "status"))["server"]["applications"]
            assert calls == 1


async def test_a_lost_password_is_replaced_with_a_link_from_the_command_line(tmp_path: Path):
    async with serving(tmp_path) as server, server.browser() as browser:
        await signed_in(server, browser)
        refused, _ = await program(server, "setup-link")
        link = (await program(server, "setup-link", "--reset"))[1]
        assert refused == 1
        assert re.fullmatch(rf"https://{server.ready['wss']}/setup/[2-9A-Z]{{4}}-[2-9A-Z]{{4}}", link)
        token = link.rpartition("/")[2]
        async with server.browser() as other:
            async with other.get(f"/api/v1/setup/{token}") as response:
                looked = await response.json()
            assert (looked["kind"], looked["name"]) == ("reset", "Olga")
            async with other.post(
                f"/api/v1/setup/{token}", json={"password": "another good one"}
            ) as response:
                assert (response.status, (await response.json())["person"]["role"]) == (201, "owner")
        async with browser.get("/api/v1/session") as response:
            assert (await response.json())["person"] is None


async def program(server: Serving, *arguments: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ringback", *arguments, "--data", str(server.data),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=CLEAN,
    )  # fmt: skip
    out, _ = await process.communicate()
    return process.returncode, out.decode().strip()
