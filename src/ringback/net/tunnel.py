# SPDX-License-Identifier: Apache-2.0
"""How does a browser reach the web process through our port? Its bytes, decrypted, over a local socket.

A connection to the HTTP port whose first request is no WebSocket for SIP belongs to the web process. That
gets one line about who is at the other end (the PROXY protocol, with the scheme added), then the bytes as
they come, in both directions, until either side ends. Whoever reads slowly slows the other side down: no more
than about `HIGH` bytes wait in either direction.

    PROXY TCP4 192.0.2.7 192.168.1.20 51234 8443 https
"""

import asyncio
import contextlib
import logging
from pathlib import Path

from ringback.net.connection import Connection
from ringback.net.network import Stream
from ringback.sip.flow import Transport

log = logging.getLogger("ringback.net")

#: So many bytes may wait for a side that does not read; then the other one is not read, either.
HIGH = 131_072
#: A tunnel in which nothing moves for so long is closed. The web process pings its WebSockets more often.
IDLE = 120.0
#: The web process begins to answer in this time after the last byte of the visitor, or it is taken for gone.
#: While a dead one is replaced, whoever asks waits in the queue of the socket: two seconds.
PATIENCE = 20.0

AWAY = b"The console is starting, or busy. Try again in a moment.\n"
AWAY_PAGE = (
    b'<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="2">'
    b"<title>Ringback</title><p>" + AWAY.strip() + b"</p></html>\n"
)


class Tunnel:
    """One connection of a visitor (whose `StreamReader` it is) and one to the web process."""

    def __init__(self, stream: Stream, connection: Connection) -> None:
        self._stream = stream
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._web = _WebSide(self)
        self._waiting: list[bytes] = []
        self._wants_page = False
        self._is_answered = self._visitor_is_done = self._is_over = False
        self._moved = self._loop.time()
        self._timer = self._loop.call_at(self._moved + PATIENCE, self._check)
        self._opening: asyncio.Task[None] | None = None

    def begin(self, path: Path, transport: Transport, head: bytes) -> None:
        """Pass on what has come already, and all that follows."""
        self._wants_page = b"\r\naccept: text/html" in head.lower()
        self._waiting = [_introduction(self._stream, transport), head]
        self._stream.pause()
        self._stream.drained = self._web.resume
        self._opening = self._loop.create_task(self._open(path))

    # --- StreamReader: what the visitor does

    def data_received(self, data: bytes) -> bool:
        """Bytes of the visitor. None: no more will come, but what is answered still goes out (True)."""
        self._moved = self._loop.time()
        if not data:
            self._visitor_is_done = True
        if self._web.is_open:
            self._web.write(data)
        elif data:
            self._waiting.append(data)
        return not self._is_over

    def connection_lost(self, detail: str) -> None:
        """The visitor is gone."""
        self._is_over = True
        self._timer.cancel()
        self._stream.drained = None
        if self._opening is not None:
            self._opening.cancel()
        self._web.abort()
        self._connection.connection_lost(detail)

    # --- what the web process does

    def web_opened(self) -> None:
        """It has taken the connection, or will."""
        for data in self._waiting:
            self._web.write(data)
        self._waiting.clear()
        if self._visitor_is_done:
            self._web.write(b"")
        else:
            self._stream.resume()

    def web_said(self, data: bytes) -> None:
        """A piece of an answer."""
        self._moved = self._loop.time()
        self._is_answered = True
        self._stream.write(data)
        if self._stream.queued > HIGH:
            self._web.pause()

    def web_is_full(self, *, full: bool) -> None:
        """It does not read as fast as the visitor speaks."""
        if full:
            self._stream.pause()
        elif not self._visitor_is_done:
            self._stream.resume()

    def web_ended(self) -> None:
        """It has said all, or died."""
        if not self._is_over and not self._is_answered:
            self._apologise()
        self._end()

    # --- inside

    async def _open(self, path: Path) -> None:
        try:
            await self._loop.create_unix_connection(lambda: self._web, str(path))
        except OSError as error:
            log.debug("the web process cannot be reached: %s", error)
            self.web_ended()

    def _apologise(self) -> None:
        """503, as HTTP has it for what will be back soon (RFC 9110 15.6.4)."""
        self._is_answered = True
        kind, text = (b"text/html; charset=utf-8", AWAY_PAGE) if self._wants_page else (b"text/plain", AWAY)
        self._stream.write(
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: %b\r\nContent-Length: %d\r\n"
            b"Retry-After: 2\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n%b"
            % (kind, len(text), text)
        )

    def _end(self) -> None:
        """What is queued still goes out; `connection_lost` follows."""
        self._is_over = True
        self._web.abort()
        self._stream.close()

    def _check(self) -> None:
        """Has anything moved?"""
        patience = IDLE if self._is_answered else PATIENCE
        due = self._moved + patience
        if self._loop.time() < due:
            self._timer = self._loop.call_at(due, self._check)
        elif self._is_answered:
            self._stream.abort()
        else:
            log.warning("the web process does not answer")
            self.web_ended()


class _WebSide(asyncio.Protocol):
    """The connection to the web process."""

    def __init__(self, tunnel: Tunnel) -> None:
        self._tunnel = tunnel
        self._transport: asyncio.Transport | None = None
        self._is_ended = False

    @property
    def is_open(self) -> bool:
        """From the connect on."""
        return self._transport is not None

    def write(self, data: bytes) -> None:
        """Nothing means: this was all."""
        assert self._transport is not None
        if self._transport.is_closing():
            return
        if data:
            self._transport.write(data)
        else:
            self._transport.write_eof()

    def pause(self) -> None:
        """Read no more for now."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self._transport is not None:
            self._transport.resume_reading()

    def abort(self) -> None:
        """Whatever it wants to say, nobody listens."""
        self._is_ended = True
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._is_ended:
            transport.abort()
            return
        transport.set_write_buffer_limits(high=HIGH)
        self._tunnel.web_opened()

    def data_received(self, data: bytes) -> None:
        if not self._is_ended:
            self._tunnel.web_said(data)

    def pause_writing(self) -> None:
        self._tunnel.web_is_full(full=True)

    def resume_writing(self) -> None:
        if not self._is_ended:
            self._tunnel.web_is_full(full=False)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._is_ended:
            return
        if exc is not None:
            self._take_last_words()
        self._is_ended = True
        self._tunnel.web_ended()

    def _take_last_words(self) -> None:
        """It answered and closed while the visitor still spoke (413): writing failed before we had read."""
        assert self._transport is not None
        with contextlib.suppress(OSError), self._transport.get_extra_info("socket").dup() as sock:
            sock.setblocking(False)
            while data := sock.recv(HIGH):
                self._tunnel.web_said(data)


def _introduction(stream: Stream, transport: Transport) -> bytes:
    family = "TCP6" if ":" in stream.remote.host else "TCP4"
    remote, local = stream.remote, stream.local
    scheme = "https" if transport.is_secure else "http"
    line = f"PROXY {family} {remote.host} {local.host} {remote.port} {local.port} {scheme}\r\n"
    return line.encode("ascii", "replace")
