# SPDX-License-Identifier: Apache-2.0
"""Who is at the other end of a tunnel? The first line says it; then uvicorn sees a connection from there.

The socket is this user's alone: whoever connects is a listener of ours (`net/tunnel.py`), and is believed.
"""

from __future__ import annotations

import asyncio
import ipaddress
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

LONGEST_LINE = 200
#: The line comes with the connection; who connects and says nothing is nobody of ours.
PATIENCE = 10.0
#: What comes on a connection between two requests becomes a whole head in this time, however slowly it drips:
#: each byte would stop uvicorn's own clock.
HEAD_TIME = 20.0


class Introduced(asyncio.Protocol):
    """Reads the first line, then steps aside for uvicorn's own protocol."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._inner = _HalfClosable(config, server_state, app_state, _loop)
        self._received = b""
        self._transport: asyncio.Transport | None = None
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._patience = asyncio.get_running_loop().call_later(PATIENCE, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._received += data
        line, end, rest = self._received.partition(b"\r\n")
        if not end and len(self._received) <= LONGEST_LINE:
            return
        place = introduced(line) if end else None
        self._stop_waiting()
        if place is None:
            self._transport.abort()
            return
        self._inner.connection_made(cast(asyncio.Transport, _Seen(self._transport, *place)))
        self._transport.set_protocol(self._inner)
        if rest:
            self._inner.data_received(rest)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()


class _HalfClosable(H11Protocol):
    """uvicorn's protocol, for visitors who say that they have said all and then wait for the answer, and for
    those who never say it.
    """

    _has_said_all = False
    _head: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        is_between = self.cycle is None or self.cycle.response_complete
        is_ours = self.transport.get_protocol() is self  # and no WebSocket by now
        if is_between and is_ours and self._head is None:
            self._head = self.loop.call_later(HEAD_TIME, self.transport.abort)
        elif not (is_between and is_ours):
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _stop_waiting(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def eof_received(self) -> bool:  # type: ignore[override]
        """True keeps the connection for the answer that is under way."""
        self._has_said_all = True
        return self.cycle is not None and not self.cycle.response_complete

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._has_said_all:
            self.transport.close()


Place = tuple[tuple[str, int], tuple[str, int], bool]


def introduced(line: bytes) -> Place | None:
    """(visitor, our end, whether it came encrypted), from the line of `net/tunnel.py`."""
    parts = line.decode("ascii", "replace").split(" ")
    if len(parts) != 7 or parts[0] != "PROXY" or parts[6] not in ("http", "https"):
        return None
    try:
        remote, local = (str(ipaddress.ip_address(text)) for text in parts[2:4])
        ports = [int(text) for text in parts[4:6]]
    except ValueError:
        return None
    return (remote, ports[0]), (local, ports[1]), parts[6] == "https"


class _Seen:
    """The transport of the tunnel, with the visitor at its other end."""

    def __init__(
        self, transport: asyncio.Transport, remote: tuple[str, int], local: tuple[str, int], secure: bool
    ) -> None:
        self._transport = transport
        self._said = {"peername": remote, "sockname": local, "sslcontext": secure or None, "socket": None}

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As if the visitor were connected to us."""
        if name in self._said:
            found = self._said[name]
            return default if found is None else found
        return self._transport.get_extra_info(name, default)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
