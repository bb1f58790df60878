# SPDX-License-Identifier: Apache-2.0
"""How do TCP and TLS connections become `Stream`s? asyncio protocols, and a listener with a gate."""

import asyncio
import contextlib
import logging
import re
import socket
import ssl
from collections.abc import Callable
from functools import partial

from ringback.net.network import Gate, Stream, StreamAccepted, StreamReader
from ringback.sip.flow import Address

log = logging.getLogger("ringback.net")

BACKLOG = 1024
ACCEPT_BATCH = 64
#: How long to stop accepting when the process has no file descriptor left.
BREATHER = 1.0
#: How long a TLS peer may take to answer our close_notify.
TLS_SHUTDOWN = 2.0
#: Data unacknowledged for so long means the peer is gone (RFC 5482); Linux alone waits a quarter of an hour.
USER_TIMEOUT_MS = 15_000
#: A host name or an IP address.
SERVER_NAME = re.compile(r"[0-9A-Za-z_:]([0-9A-Za-z_.:-]{0,251}[0-9A-Za-z:])?", re.ASCII)


class StreamConnection(asyncio.Protocol):
    """One connected stream; a `ringback.net.network.Stream`. Reading starts when a reader is set."""

    def __init__(
        self, accepted: StreamAccepted | None = None, released: Callable[[], None] | None = None
    ) -> None:
        self._accepted = accepted
        self._released = released
        self._reader: StreamReader | None = None
        self._transport: asyncio.Transport | None = None
        self._local = self._remote = Address("", 0)
        self._lost: str | None = None
        self.was_made = False

    # --- Stream ---

    @property
    def local(self) -> Address:
        """Our end."""
        return self._local

    @property
    def remote(self) -> Address:
        """The peer's end."""
        return self._remote

    @property
    def queued(self) -> int:
        """Bytes written and not yet taken by the kernel."""
        return self._transport.get_write_buffer_size() if self._transport else 0

    def set_reader(self, reader: StreamReader) -> None:
        """Deliver data and the end of the connection to `reader` from now on."""
        self._reader = reader
        if self._lost is not None:
            reader.connection_lost(self._lost)
        elif self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def write(self, data: bytes) -> None:
        """Queue data for the peer; after the end of the connection it is dropped."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """Send what is queued, then end the connection."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection (and for TLS its handshake) is complete."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.was_made = True
        self._local = _address(transport.get_extra_info("sockname"))
        self._remote = _address(transport.get_extra_info("peername"))
        transport.pause_reading()
        if self._accepted is not None:
            self._accepted(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._reader is not None:
            self._reader.data_received(data)

    def eof_received(self) -> None:
        """The peer sends no more; asyncio closes the transport when its last answer is out."""
        if self._reader is not None:
            self._reader.data_received(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over, by whomever."""
        self._lost = str(exc) if exc is not None else "closed"
        self._transport = None
        if self._released is not None:
            self._released()
        if self._reader is not None:
            self._reader.connection_lost(self._lost)


class StreamListener:
    """A listening socket that asks the gate before it spends a handshake on a peer."""

    def __init__(
        self,
        sock: socket.socket,
        accepted: StreamAccepted,
        *,
        tls: ssl.SSLContext | None,
        gate: Gate | None,
        handshake_timeout: float,
    ) -> None:
        self._socket = sock
        self._accepted = accepted
        self._tls = tls
        self._gate = gate
        self._handshake_timeout = handshake_timeout
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self._local = _address(sock.getsockname())
        self._loop.add_reader(sock.fileno(), self._readable)

    @property
    def local(self) -> Address:
        """Where this listener is bound."""
        return self._local

    def close(self) -> None:
        """Accept no more; connections in the middle of their handshake are dropped, open ones go on."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        for task in self._tasks:
            task.cancel()

    def _readable(self) -> None:
        for _ in range(ACCEPT_BATCH):
            try:
                sock, name = self._socket.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:  # no descriptor left: spinning on the backlog would help nobody
                log.error(  # noqa: TRY400 - the traceback says nothing more
                    "cannot accept connections on %s: %s", self._local, error
                )
                self._loop.remove_reader(self._socket.fileno())
                self._loop.call_later(BREATHER, self._breathe)
                return
            self._welcome(sock, _address(name))

    def _breathe(self) -> None:
        if not self._closed:
            self._loop.add_reader(self._socket.fileno(), self._readable)

    def _welcome(self, sock: socket.socket, remote: Address) -> None:
        if self._gate is not None and not self._gate.admit(remote):
            log.debug("%s has too many connections to us: refused", remote.host)
            sock.close()
            return
        task = self._loop.create_task(self._serve(sock, remote), name=f"stream from {remote}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, sock: socket.socket, remote: Address) -> None:
        """Complete the handshake and hand the stream over; its end gives its place back."""
        stream = StreamConnection(self._greet, partial(self._release, remote))
        timeouts = (self._handshake_timeout, TLS_SHUTDOWN) if self._tls is not None else (None, None)
        try:
            sock.setblocking(False)
            tune(sock)
            await self._loop.connect_accepted_socket(
                lambda: stream,
                sock,
                ssl=self._tls,
                ssl_handshake_timeout=timeouts[0],
                ssl_shutdown_timeout=timeouts[1],
            )
        except OSError as error:
            log.debug("%s did not complete its handshake: %s", remote, error)
        finally:
            if not stream.was_made:
                self._release(remote)

    def _release(self, remote: Address) -> None:
        if self._gate is not None:
            self._gate.release(remote)

    def _greet(self, stream: Stream) -> None:
        if self._closed:
            stream.abort()
        else:
            self._accepted(stream)


async def open_stream(
    remote: Address, *, tls: ssl.SSLContext | None, server_name: str | None, timeout: float
) -> StreamConnection:
    """Connect to a numeric address within `timeout`, TLS handshake included. Raises `OSError`."""
    family = socket.AF_INET6 if ":" in remote.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        tune(sock)
        async with asyncio.timeout(timeout):
            await asyncio.get_running_loop().sock_connect(sock, (remote.host, remote.port))
            return await _over(sock, tls, server_name or remote.host, timeout)
    except TimeoutError as error:
        sock.close()
        raise TimeoutError(f"{remote} did not answer in {timeout:g} s") from error
    except BaseException:
        sock.close()
        raise


async def _over(
    sock: socket.socket, tls: ssl.SSLContext | None, server_name: str, timeout: float
) -> StreamConnection:
    """The stream on a connected socket."""
    loop = asyncio.get_running_loop()
    if tls is None:
        _transport, stream = await loop.create_connection(StreamConnection, sock=sock)
        return stream
    if not SERVER_NAME.fullmatch(server_name):  # the ssl module would fail where nobody can catch it
        raise OSError(f"{server_name!r} is no name that a certificate can have")
    _transport, stream = await loop.create_connection(
        StreamConnection,
        sock=sock,
        ssl=tls,
        server_hostname=server_name,
        ssl_handshake_timeout=timeout,
        ssl_shutdown_timeout=TLS_SHUTDOWN,
    )
    return stream


def listening_socket(local: Address, *, reuse_port: bool = False) -> socket.socket:
    """A non-blocking listening TCP socket; the caller closes it. Raises `OSError`."""
    family = socket.AF_INET6 if ":" in local.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(local)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def tune(sock: socket.socket) -> None:
    """Send at once, and notice a vanished peer in seconds rather than a quarter of an hour."""
    with contextlib.suppress(OSError):  # a socket that is already reset refuses options; reading will tell
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (
            ("TCP_KEEPIDLE", 30),
            ("TCP_KEEPINTVL", 5),
            ("TCP_KEEPCNT", 3),
            ("TCP_USER_TIMEOUT", USER_TIMEOUT_MS),
        ):
            if hasattr(socket, option):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _address(name: tuple[object, ...] | None) -> Address:
    """The first two parts of a socket name; a socket that is already reset has none."""
    return Address(str(name[0]), int(str(name[1]))) if name else Address("0.0.0.0", 0)  # noqa: S104
