# SPDX-License-Identifier: Apache-2.0
"""Which connections are open, and when is one used again? In both directions (RFC 3261 18, RFC 5923)."""

import asyncio
import itertools
import random
import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol, cast

from ringback.net.connection import Connection, ConnectionOwner
from ringback.net.errors import TransportError
from ringback.net.framing import Framing
from ringback.net.limits import ConnectionGate, TransportLimits
from ringback.net.neighbours import first_connection
from ringback.net.network import Network, Stream
from ringback.net.resolver import canonical_address
from ringback.net.targets import Target
from ringback.net.tls_failures import is_of_tls
from ringback.net.transport import TRANSPORTS
from ringback.net.tunnel import Tunnel
from ringback.sip.flow import Address, Flow, Transport

Place = tuple[Transport, Address]


class Divertible(Protocol):
    """A framing that knows what is not SIP."""

    divert: Callable[[bytes], None] | None


#: (transport, our end) -> what to write into Via and Contact
SentBy = Callable[[Transport, Address], str]


class ConnectionPool:
    """All connections of one driver."""

    def __init__(
        self,
        network: Network,
        owner: ConnectionOwner,
        *,
        limits: TransportLimits,
        client_tls: ssl.SSLContext | None,
        path: str,
        sent_by: SentBy,
        chance: random.Random,
        worker: int = 0,
    ) -> None:
        self.gate = ConnectionGate(limits)
        #: The local socket of the web process; None: there is none.
        self.web: Path | None = None
        self._network = network
        self._owner = owner
        self._limits = limits
        self._client_tls = client_tls
        self._path = path
        self._sent_by = sent_by
        self._chance = chance
        # Flows are written down and outlive the process: a number must not come again after a restart.
        self._numbers = itertools.count(first_connection(worker, chance.getrandbits(40)))
        self._by_number: dict[int, Connection] = {}
        self._by_place: dict[Place, list[Connection]] = {}
        self._opening: dict[Target, asyncio.Task[Connection]] = {}

    def __len__(self) -> int:
        return len(self._by_number)

    def get(self, number: int) -> Connection | None:
        """The connection with this number, while it lives."""
        return self._by_number.get(number)

    def find(self, target: Target) -> Connection | None:
        """An open connection that may carry a request for `target`."""
        for connection in reversed(self._by_place.get((target.transport, target.address), ())):
            if connection.is_open and _may_carry(connection, target):
                return connection
        return None

    async def obtain(self, target: Target, *, timeout: float) -> Connection:
        """Reuse a connection or open one; who comes second waits with the first. Raises `TransportError`."""
        found = self.find(target)
        if found is not None:
            return found
        task = self._opening.get(target)
        if task is None:
            task = asyncio.create_task(self._open(target, timeout), name=f"connect to {target.address}")
            self._opening[target] = task
            task.add_done_callback(partial(self._opened, target))
        await asyncio.wait({task})
        if task.cancelled():
            raise TransportError(f"{target.transport} {target.address}: given up")
        return task.result()

    def accept(self, transport: Transport, path: str, stream: Stream) -> None:
        """A peer opened a connection to us."""
        accept = TRANSPORTS[transport].accept
        assert accept is not None
        framing = accept(self._limits.message_size, path)
        connection = self._add(transport, stream, framing, is_ours=False)
        if self.web is not None and transport in (Transport.WS, Transport.WSS):
            cast(Divertible, framing).divert = partial(self._tunnel, connection, stream)
        connection.start()

    def trust(self, connection: Connection) -> None:
        """Free its place among the strangers."""
        if not connection.is_trusted:
            connection.trust()
            if not connection.is_ours:
                self.gate.trusted(+1)

    def forget(self, connection: Connection) -> None:
        """The connection is over."""
        self._by_number.pop(connection.flow.connection, None)
        place = (connection.flow.transport, connection.flow.remote)
        others = [one for one in self._by_place.get(place, ()) if one is not connection]
        if others:
            self._by_place[place] = others
        else:
            self._by_place.pop(place, None)
        if connection.is_trusted and not connection.is_ours:
            self.gate.trusted(-1)

    async def close(self, *, patience: float) -> None:
        """Close every connection: politely, then at once."""
        for task in list(self._opening.values()):
            task.cancel()
        open_ones = list(self._by_number.values())
        for connection in open_ones:
            connection.close()
        if open_ones:
            await asyncio.wait([connection.ended for connection in open_ones], timeout=patience)
        left = list(self._by_number.values())
        for connection in left:
            connection.abort("closed by us")
        if left:
            await asyncio.wait([connection.ended for connection in left], timeout=patience)

    def _tunnel(self, connection: Connection, stream: Stream, head: bytes) -> None:
        """A browser that does not speak SIP: the web process answers it."""
        assert self.web is not None
        tunnel = Tunnel(stream, connection)
        connection.hand_over(tunnel)
        tunnel.begin(self.web, connection.flow.transport, head)

    def _opened(self, target: Target, task: asyncio.Task[Connection]) -> None:
        self._opening.pop(target, None)
        if not task.cancelled():
            task.exception()  # seen here, in case everybody who waited is gone

    async def _open(self, target: Target, timeout: float) -> Connection:
        row = TRANSPORTS[target.transport]
        assert row.connect is not None
        name = target.server_name or target.address.host
        tls = self._tls() if target.transport.is_secure else None
        try:
            stream = await self._network.connect(target.address, tls=tls, server_name=name, timeout=timeout)
        except OSError as error:
            if tls is not None and is_of_tls(error):
                self.gate.tls_failures.failed(target.address, name, error)
            raise TransportError(f"{target.transport} {target.address}: {error}") from error
        framing = row.connect(self._limits.message_size, self._path, target.address, name)
        connection = self._add(target.transport, stream, framing, is_ours=True)
        connection.server_name = target.server_name
        connection.start()
        await self._made_ready(connection)
        return connection

    async def _made_ready(self, connection: Connection) -> None:
        """Wait for the WebSocket handshake."""
        try:
            async with asyncio.timeout(self._limits.handshake):
                await asyncio.shield(connection.ready)
        except TimeoutError:
            connection.abort("the handshake took too long")
        except asyncio.CancelledError:
            connection.abort("closed by us")
            raise
        if not connection.is_open:
            raise TransportError(f"{connection.flow}: the handshake failed")

    def _add(self, transport: Transport, stream: Stream, framing: Framing, *, is_ours: bool) -> Connection:
        sent_by = self._sent_by(transport, stream.local)
        flow = Flow(transport, stream.local, stream.remote, next(self._numbers), sent_by)
        connection = Connection(
            stream,
            framing,
            flow,
            is_ours=is_ours,
            owner=self._owner,
            limits=self._limits,
            chance=self._chance,
        )
        self._by_number[flow.connection] = connection
        self._by_place.setdefault((transport, flow.remote), []).append(connection)
        return connection

    def _tls(self) -> ssl.SSLContext:
        if self._client_tls is None:
            self._client_tls = ssl.create_default_context()
        return self._client_tls


def _may_carry(connection: Connection, target: Target) -> bool:
    """RFC 5923 section 9: what we say in confidence goes to whom the certificate named, and nobody else.

    A connection that was opened to us proved no name; it serves those who are known by their address only.
    """
    if not target.transport.is_secure or target.server_name is None:
        return True
    if connection.is_ours:
        return connection.server_name == target.server_name
    return canonical_address(target.server_name) is not None
