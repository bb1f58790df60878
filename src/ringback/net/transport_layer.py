# SPDX-License-Identifier: Apache-2.0
"""What is the transport layer (RFC 3261 section 18)? Where we listen and who is connected, as flows."""

import errno
import logging
import random
import ssl
from collections.abc import Callable, Sequence
from functools import partial

from ringback.kernel import Door
from ringback.net.connection import Connection
from ringback.net.endpoint import ANY, Endpoint, best_endpoint
from ringback.net.errors import PortInUse, TransportError
from ringback.net.limits import TransportLimits
from ringback.net.neighbours import Neighbours
from ringback.net.network import DatagramSocket, GuardedSocket, Listener, Network
from ringback.net.pool import ConnectionPool
from ringback.net.targets import Target
from ringback.net.transport import TRANSPORTS
from ringback.net.udp import MessagesReceived, UdpPort
from ringback.sip.flow import Address, Flow, Transport

log = logging.getLogger("ringback.net")

UDP = Transport.UDP

#: Addresses outside, asked only: which address of ours would you see?
OUTSIDE = {False: "192.0.2.1", True: "2001:db8::1"}
LOOPBACK = {False: "127.0.0.1", True: "::1"}
REMEMBERED_SOURCES = 4096
REMEMBERED_FLOWS = 4096
PATIENCE_AT_CLOSE = 1.0


class TransportLayer:
    """Endpoints and connections. Tells `received([(data, flow), ...])` and `lost(flow, detail)`."""

    def __init__(
        self,
        network: Network,
        *,
        limits: TransportLimits,
        client_tls: ssl.SSLContext | None,
        path: str,
        received: MessagesReceived,
        lost: Callable[[Flow, str], None],
        chance: random.Random,
        neighbours: Neighbours | None = None,
    ) -> None:
        self.endpoints: list[Endpoint] = []
        self.pool = ConnectionPool(
            network,
            self,
            limits=limits,
            client_tls=client_tls,
            path=path,
            sent_by=self._sent_by,
            chance=chance,
            worker=neighbours.number if neighbours is not None else 0,
        )
        self._neighbours = neighbours
        self._network = network
        self._limits = limits
        self._received = received
        self._lost = lost
        self._sockets: dict[Address, DatagramSocket] = {}
        self._door: Door | None = None
        self._collected: list[tuple[bytes, Flow]] = []
        self._sources: dict[str, str] = {}
        #: Flows we made ourselves, so that the next message to the same place takes the same object.
        self._flows: dict[tuple[Address, Address], Flow] = {}

    async def listen(
        self,
        transport: Transport,
        local: Address,
        *,
        advertise: Address | None,
        tls: ssl.SSLContext | None,
        path: str,
    ) -> Endpoint:
        """Open an endpoint. Raises `PortInUse` or another `OSError`."""
        try:
            if TRANSPORTS[transport].accept is None:
                return await self._listen_datagrams(transport, local, advertise)
            return await self._listen_streams(transport, local, advertise, tls=tls, path=path)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortInUse(transport, local) from error
            raise

    def send(self, data: bytes, flow: Flow) -> bool:
        """False when the flow is dead."""
        return not self.send_batch([(data, flow)])

    def send_batch(self, messages: Sequence[tuple[bytes, Flow]]) -> list[Flow]:
        """Send in this order, with one system call a datagram socket. The result: the flows that are dead."""
        dead: list[Flow] = []
        datagrams: dict[Address, list[tuple[bytes, Address]]] = {}
        local: Address | None = None  # where the message before left from: as a rule they all do
        waiting: list[tuple[bytes, Address]] = []
        for data, flow in messages:
            if flow.transport is not UDP:
                if not self._send_on_connection(data, flow):
                    dead.append(flow)
            elif flow.local is local:
                waiting.append((data, flow.remote))
            elif flow.local in self._sockets:
                local = flow.local
                waiting = datagrams.setdefault(local, [])
                waiting.append((data, flow.remote))
            else:
                dead.append(flow)
        for local, batch in datagrams.items():
            self._sockets[local].send_batch(batch)
        return dead

    def answer_by(self, door: Door | None) -> None:
        """Let `door` send away datagrams before they are handed on."""
        if door is not self._door:
            self._door = door
            for socket in self._sockets.values():
                if isinstance(socket, GuardedSocket):
                    socket.answer_by(door)

    def is_alive(self, flow: Flow) -> bool:
        """True while something can be sent on the flow."""
        if flow.transport is UDP:
            return flow.local in self._sockets
        connection = self.pool.get(flow.connection)
        if connection is None:
            return self._neighbours is not None and self._neighbours.is_alive(flow)
        return connection.is_open

    def trust(self, flow: Flow) -> None:
        """Its peer is no stranger: it may be silent for long, and does not count as a stranger."""
        connection = self.pool.get(flow.connection)
        if connection is not None:
            self.pool.trust(connection)
            if self._neighbours is not None:
                self._neighbours.trusted(flow)

    def endpoint_for(self, transport: Transport, remote_host: str) -> Endpoint | None:
        """The endpoint a peer at `remote_host` is best spoken to from."""
        return best_endpoint(self.endpoints, transport, remote_host)

    async def close(self) -> None:
        """Close everything."""
        for endpoint in list(self.endpoints):
            endpoint.close()
        await self.pool.close(patience=PATIENCE_AT_CLOSE)

    # --- FlowSource ---

    def flow_now(self, target: Target) -> Flow | None:
        """An open connection, or a UDP endpoint when we know how its peer sees us."""
        if target.transport is not UDP:
            connection = self.pool.find(target)
            return connection.flow if connection is not None else None
        endpoint = self.endpoint_for(UDP, target.address.host)
        if endpoint is None or (endpoint.is_wildcard and target.address.host not in self._sources):
            return None
        return self._datagram_flow(endpoint, target.address)

    async def flow_soon(self, target: Target, *, timeout: float) -> Flow:
        """A flow, opened if need be. Raises `TransportError`."""
        if target.transport is not UDP:
            return (await self.pool.obtain(target, timeout=timeout)).flow
        host = target.address.host
        endpoint = self.endpoint_for(UDP, host)
        if endpoint is None:
            raise TransportError(f"no UDP endpoint of ours can reach {host}")
        if endpoint.is_wildcard and host not in self._sources:
            await self._learn_source(host)
        return self._datagram_flow(endpoint, target.address)

    # --- ConnectionOwner ---

    def messages_received(self, connection: Connection, messages: Sequence[bytes]) -> None:
        """All that one read of a connection held; it goes up with what the others have that are ready."""
        flow, is_first = connection.flow, not self._collected
        self._collected += [(data, flow) for data in messages]
        if is_first:
            connection.after_turn(self._hand_over)

    def connection_ended(self, connection: Connection, detail: str) -> None:
        """A connection is over: whoever waits on its flow must know."""
        self.pool.forget(connection)
        if self._neighbours is not None:
            self._neighbours.ended(connection.flow)
        self._lost(connection.flow, detail)

    # --- inside ---

    def _hand_over(self) -> None:
        collected, self._collected = self._collected, []
        self._received(collected)

    def _send_on_connection(self, data: bytes, flow: Flow) -> bool:
        connection = self.pool.get(flow.connection)
        if connection is None:
            return self._neighbours is not None and self._neighbours.send(data, flow)
        return connection.send(data)

    async def _listen_datagrams(
        self, transport: Transport, local: Address, advertise: Address | None
    ) -> Endpoint:
        port = UdpPort(self._received)
        socket = await port.bind(self._network, local)
        endpoint = await self._endpoint(transport, socket, advertise)
        port.name(endpoint.sent_by)
        self._sockets[socket.local] = socket
        return endpoint

    async def _listen_streams(
        self,
        transport: Transport,
        local: Address,
        advertise: Address | None,
        *,
        tls: ssl.SSLContext | None,
        path: str,
    ) -> Endpoint:
        if transport.is_secure and tls is None:
            raise ValueError(f"{transport} needs tls=")
        listener = await self._network.listen(
            local,
            partial(self.pool.accept, transport, path),
            tls=tls if transport.is_secure else None,
            gate=self.pool.gate,
            handshake_timeout=self._limits.handshake,
        )
        return await self._endpoint(transport, listener, advertise)

    async def _endpoint(
        self, transport: Transport, opened: DatagramSocket | Listener, advertise: Address | None
    ) -> Endpoint:
        host = opened.local.host
        outside = await self._outside(host) if host in ANY else host
        endpoint = Endpoint(transport, opened.local, advertise, outside, opened, self._closed)
        self.endpoints.append(endpoint)
        return endpoint

    async def _outside(self, wildcard: str) -> str:
        """Our address as the world sees it; loopback on a machine without a network."""
        is_ipv6 = ":" in wildcard
        try:
            return await self._network.source_address(OUTSIDE[is_ipv6])
        except OSError:
            return LOOPBACK[is_ipv6]

    async def _learn_source(self, host: str) -> None:
        """Which of our addresses `host` would see; the oldest answers are forgotten."""
        try:
            source = await self._network.source_address(host)
        except OSError as error:
            raise TransportError(f"no route to {host}: {error}") from error
        self._sources[host] = source
        if len(self._sources) > REMEMBERED_SOURCES:
            del self._sources[next(iter(self._sources))]

    def _datagram_flow(self, endpoint: Endpoint, remote: Address) -> Flow:
        """The same object each time, while it is remembered and right."""
        seen_as = self._sources.get(remote.host, endpoint.outside)
        sent_by = endpoint.sent_by_at(seen_as)
        known = self._flows.get((endpoint.local, remote))
        if known is not None and known.sent_by == sent_by:
            return known
        if len(self._flows) >= REMEMBERED_FLOWS:
            self._flows.clear()
        flow = Flow(UDP, endpoint.local, remote, 0, sent_by)
        self._flows[endpoint.local, remote] = flow
        return flow

    def _sent_by(self, transport: Transport, local: Address) -> str:
        """For a connection: the endpoint others can open one to; without one, this connection's own end."""
        endpoint = self.endpoint_for(transport, local.host)
        return endpoint.sent_by_at(local.host) if endpoint is not None else str(local)

    def _closed(self, endpoint: Endpoint) -> None:
        self.endpoints = [one for one in self.endpoints if one is not endpoint]
        self._sockets.pop(endpoint.local, None) if endpoint.transport is UDP else None
