# SPDX-License-Identifier: Apache-2.0
"""What is settled before any route? Who must use https, how large a body may be, what browsers may load.

Plain ASGI around the app: it sees every response, also those that the framework makes for errors.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from typing import TYPE_CHECKING

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ringback.web.problems import problem
from ringback.web.security_headers import HOST, SECURITY_HEADERS, policy_for

if TYPE_CHECKING:
    from starlette.responses import Response

#: The largest body, and how long it may take to come.
MAX_BODY, BODY_TIME = 1_048_576, 30.0
#: Paths that may be asked for without encryption: they tell nothing, or must work before there is any.
PLAIN_PATHS = ("/healthz", "/readyz", "/.well-known/acme-challenge/", "/trust")


class SecureHeaders:
    """Every response says what a browser may do with it; a route's own word counts more."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault(
                    "Content-Security-Policy", policy_for(Headers(scope=scope).get("host", ""))
                )
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith("/api/"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class OnlyEncrypted:
    """Passwords and sound need https. This machine itself may do without: nobody listens in between.

    `https_host` says which host and port serve https here, for the host name a visitor used.
    """

    def __init__(self, app: ASGIApp, https_host: Callable[[str], str]) -> None:
        self._app = app
        self._https_host = https_host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["scheme"] in ("https", "wss") or _may_be_plain(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self._elsewhere(scope)(scope, receive, send)

    def _elsewhere(self, scope: Scope) -> Response:
        host = Headers(scope=scope).get("host", "")
        target = self._https_host(host) if HOST.fullmatch(host) else ""
        path = scope.get("raw_path", b"/").decode("ascii", "replace")
        if not target or not path.startswith("/"):  # "@elsewhere/" would make a user name of our host
            return problem(403, "This needs https.")
        query = scope.get("query_string", b"").decode("ascii", "replace")
        location = f"https://{target}{path}{'?' + query if query else ''}"
        return problem(308, "This is served with https.", headers={"Location": location})


def _may_be_plain(scope: Scope) -> bool:
    path: str = scope["path"]
    if any(path == plain.rstrip("/") or path.startswith(plain.rstrip("/") + "/") for plain in PLAIN_PATHS):
        return True
    client = scope.get("client")
    return _is_here(Headers(scope=scope).get("host", "")) and (client is None or _is_loopback(client[0]))


def _is_here(host: str) -> bool:
    """A Host field that means this machine."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    return name.lower() == "localhost" or _is_loopback(name.strip("[]"))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class BoundedBody:
    """What is too large or too slow is refused before anybody reads it."""

    def __init__(self, app: ASGIApp, *, largest: int = MAX_BODY, patience: float = BODY_TIME) -> None:
        self._app = app
        self._largest = largest
        self._patience = patience
        self._detail = f"At most {largest} bytes can be sent at once, within {patience:g} seconds."

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "0")
        if not (length.isascii() and length.isdecimal()) or int(length) > self._largest:
            response = problem(413, self._detail, headers={"Connection": "close"})
            await response(scope, receive, send)
            return
        await self._app(scope, self._counted(receive), send)

    def _counted(self, receive: Receive) -> Receive:
        """`receive` with a limit in bytes, and in time until the body is whole."""
        seen, is_whole = 0, False
        deadline = asyncio.get_running_loop().time() + self._patience

        async def counted() -> Message:
            nonlocal seen, is_whole
            if is_whole:  # who waits for the visitor to leave may wait for long
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, self._detail, headers={"Connection": "close"}) from None
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                is_whole = not message.get("more_body", False)
                if seen > self._largest:
                    raise HTTPException(413, self._detail, headers={"Connection": "close"})
            return message

        return counted
