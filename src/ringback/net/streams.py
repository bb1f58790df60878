# SPDX-License-Identifier: Apache-2.0
"""How do TCP and TLS connections become `Stream`s? A listener with a gate, and a way to call others."""

import asyncio
import contextlib
import logging
import re
import socket
import ssl
from functools import partial

from ringback.net.network import Gate, StreamAccepted
from ringback.net.poller import READ, Poller
from ringback.net.tcp_stream import TcpStream
from ringback.net.tls_stream import TlsStream
from ringback.sip.flow import Address

log = logging.getLogger("ringback.net")

BACKLOG = 1024
ACCEPT_BATCH = 64
#: How long to stop accepting when the process has no file descriptor left.
BREATHER = 1.0
#: Data unacknowledged for so long means the peer is gone (RFC 5482); Linux alone waits a quarter of an hour.
USER_TIMEOUT_MS = 15_000
#: A host name or an IP address.
SERVER_NAME = re.compile(r"[0-9A-Za-z_:]([0-9A-Za-z_.:-]{0,251}[0-9A-Za-z:])?", re.ASCII)


class StreamListener:
    """A listening socket that asks the gate before it spends a handshake on a peer.

    Connections that share a `poller` are read in the same turns; without one the listener has its own.
    """

    def __init__(
        self,
        sock: socket.socket,
        accepted: StreamAccepted,
        *,
        tls: ssl.SSLContext | None,
        gate: Gate | None,
        handshake_timeout: float,
        poller: Poller | None = None,
    ) -> None:
        self._socket = sock
        self._accepted = accepted
        self._tls = tls
        self._gate = gate
        self._handshake_timeout = handshake_timeout
        self._poller = poller if poller is not None else Poller()
        self._loop = asyncio.get_running_loop()
        self._shaking: set[TlsStream] = set()
        self._closed = False
        name = sock.getsockname()
        self._local = Address(name[0], name[1])
        self._poller.watch(sock.fileno(), self, READ)

    @property
    def local(self) -> Address:
        """Where this listener is bound."""
        return self._local

    def close(self) -> None:
        """Accept no more; connections in the middle of their handshake are dropped, open ones go on."""
        if self._closed:
            return
        self._closed = True
        self._poller.forget(self._socket.fileno())
        self._socket.close()
        for stream in self._shaking:
            stream.abort()

    # --- Watched ---

    def ready(self, _events: int, _share: int) -> None:
        """Somebody calls."""
        for _ in range(ACCEPT_BATCH):
            try:
                sock, name = self._socket.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:  # no descriptor left: spinning on the backlog would help nobody
                log.error(  # noqa: TRY400 - the traceback says nothing more
                    "cannot accept connections on %s: %s", self._local, error
                )
                self._poller.forget(self._socket.fileno())
                self._loop.call_later(BREATHER, self._breathe)
                return
            self._welcome(sock, Address(name[0], name[1]))

    def flush(self) -> None:
        """Nothing is written to a listener."""

    def abort(self) -> None:
        """One connection could not be served; the next may be."""

    # --- inside ---

    def _breathe(self) -> None:
        if not self._closed:
            self._poller.watch(self._socket.fileno(), self, READ)

    def _welcome(self, sock: socket.socket, remote: Address) -> None:
        if self._gate is not None and not self._gate.admit(remote):
            log.debug("%s has too many connections to us: refused", remote.host)
            sock.close()
            return
        released = partial(self._gate.release, remote) if self._gate is not None else None
        sock.setblocking(False)
        tune(sock)
        if self._tls is None:
            self._accepted(TcpStream(sock, self._poller, remote, released))
            return
        stream = TlsStream(sock, self._poller, remote, released, context=self._tls)
        self._shaking.add(stream)
        patience = self._loop.call_later(self._handshake_timeout, stream.abort)
        stream.shake_hands(partial(self._shaken, stream, patience))

    def _shaken(self, stream: TlsStream, patience: asyncio.TimerHandle, failure: OSError | None) -> None:
        """The handshake is over: greet, or forget."""
        patience.cancel()
        self._shaking.discard(stream)
        if failure is not None:
            log.debug("%s did not complete its handshake: %s", stream.remote, failure)
            if self._gate is not None and not self._closed:
                self._gate.refused_handshake(stream.remote, self._local, failure, stream.first)
        elif self._closed:
            stream.abort()
        else:
            self._accepted(stream)


async def open_stream(
    remote: Address,
    *,
    tls: ssl.SSLContext | None,
    server_name: str | None,
    timeout: float,
    poller: Poller | None = None,
) -> TcpStream:
    """Connect to a numeric address within `timeout`, TLS handshake included. Raises `OSError`."""
    family = socket.AF_INET6 if ":" in remote.host else socket.AF_INET
    poller = poller if poller is not None else Poller()
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        tune(sock)
        async with asyncio.timeout(timeout):
            await asyncio.get_running_loop().sock_connect(sock, (remote.host, remote.port))
            if tls is None:
                return TcpStream(sock, poller, remote)
            return await _secured(sock, poller, remote, tls, server_name or remote.host)
    except TimeoutError as error:
        sock.close()
        raise TimeoutError(f"{remote} did not answer in {timeout:g} s") from error
    except BaseException:
        sock.close()
        raise


async def _secured(
    sock: socket.socket, poller: Poller, remote: Address, tls: ssl.SSLContext, server_name: str
) -> TlsStream:
    """The stream on a connected socket, after its handshake."""
    if not SERVER_NAME.fullmatch(server_name):  # OpenSSL would read it otherwise than we
        raise OSError(f"{server_name!r} is no name that a certificate can have")
    try:
        stream = TlsStream(sock, poller, remote, context=tls, server_name=server_name)
    except ValueError as error:  # a label of the name is empty or too long
        raise OSError(f"{server_name!r} is no name that a certificate can have: {error}") from error
    done: asyncio.Future[OSError | None] = asyncio.get_running_loop().create_future()
    stream.shake_hands(lambda failure: None if done.done() else done.set_result(failure))
    try:
        failure = await done
    except BaseException:
        stream.abort()
        raise
    if failure is not None:
        raise failure
    return stream


def listening_socket(local: Address, *, reuse_port: bool = False) -> socket.socket:
    """A non-blocking listening TCP socket; the caller closes it. Raises `OSError`.

    reuse_port:
        several sockets share the port, each gets a part of the connections
    """
    family = socket.AF_INET6 if ":" in local.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
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
