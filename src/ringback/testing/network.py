# SPDX-License-Identifier: Apache-2.0
"""What network do tests run on? One in memory that loses, repeats, delays and reorders as a seed says.

    import asyncio
    from ringback.sip.flow import Address
    from ringback.testing import Network, run

    async def main() -> list[bytes]:
        network = Network(seed=7, loss=0.1, delay=(0.010, 0.050))
        alice, bob = network.host("10.0.0.1"), network.host("10.0.0.2")
        heard: list[bytes] = []
        hear = lambda batch: heard.extend(data for data, _ in batch)
        await bob.bind_datagram(Address("10.0.0.2", 5060), hear)
        socket = await alice.bind_datagram(Address("10.0.0.1", 5060), lambda batch: None)
        for _ in range(100):
            socket.send(b"hello", Address("10.0.0.2", 5060))
        await asyncio.sleep(1)
        return heard

    assert 75 < len(run(main())) < 100

The same seed and the same program give the same `trace_hash`, packet for packet.
"""

import asyncio
import errno
import hashlib
import heapq
import itertools
import random
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from ringback.net.network import DatagramsReceived, Gate, StreamAccepted
from ringback.sip.flow import Address
from ringback.testing.clock import RESOLUTION
from ringback.testing.names import Names
from ringback.testing.streams import MemoryListener, MemoryStream

ANY_HOST = {"0.0.0.0": ".", "::": ":"}  # noqa: S104
FIRST_EPHEMERAL_PORT = 40_000
LARGEST_DATAGRAM = 65_507

Delay = float | tuple[float, float]
#: time, "datagram" or "stream", source, destination, data.
Delivery = tuple[float, str, Address, Address, bytes]


@dataclass(frozen=True, slots=True)
class Conditions:
    """How bad a link is. Shares are 0.0 to 1.0, delays seconds (one, or the least and the most)."""

    loss: float = 0.0
    duplicate: float = 0.0
    delay: Delay = 0.001
    #: Share of datagrams held back so long that later ones overtake them.
    reorder: float = 0.0
    #: Larger datagrams vanish, as when fragments are dropped. None: no limit.
    mtu: int | None = None
    #: Streams arrive in random pieces rather than as they were written.
    segment: bool = True


@dataclass(slots=True)
class NetworkStatistics:
    """What happened on the whole network."""

    sent: int = 0
    delivered: int = 0
    lost: int = 0
    duplicated: int = 0


class MemoryDatagramSocket:
    """A datagram socket of a `Host`."""

    def __init__(self, host: "Host", local: Address, received: DatagramsReceived) -> None:
        self._host = host
        self._local = local
        self.received = received
        self.closed = False

    @property
    def local(self) -> Address:
        """Where this socket is bound."""
        return self._local

    def send(self, data: bytes, remote: Address) -> None:
        """Hand a datagram to the network, which may lose it."""
        if not self.closed:
            source = Address(self._host.source_for(self._local.host, remote.host), self._local.port)
            self._host.network.carry(bytes(data), source, remote)

    def send_batch(self, batch: list[tuple[bytes, Address]]) -> None:
        """The same for many, in their order."""
        for data, remote in batch:
            self.send(data, remote)

    def close(self) -> None:
        """Unbind."""
        if not self.closed:
            self.closed = True
            self._host.unbind(self)


class Host:
    """One machine of the network: the `ringback.net.network.Network` as seen from its addresses."""

    def __init__(self, network: "Network", addresses: tuple[str, ...]) -> None:
        self.network = network
        self.addresses = addresses
        self._sockets: dict[Address, MemoryDatagramSocket] = {}
        self._listeners: dict[Address, MemoryListener] = {}
        self._streams: list[MemoryStream] = []
        self._next_port = FIRST_EPHEMERAL_PORT

    async def bind_datagram(self, local: Address, received: DatagramsReceived) -> MemoryDatagramSocket:
        """A socket bound to one address of this host, or to all with "0.0.0.0" or "::"."""
        local = self._claim(local, self._sockets)
        socket = MemoryDatagramSocket(self, local, received)
        self._sockets[local] = socket
        return socket

    async def listen(
        self,
        local: Address,
        accepted: StreamAccepted,
        *,
        tls: ssl.SSLContext | None = None,
        gate: Gate | None = None,
        handshake_timeout: float = 5.0,
    ) -> MemoryListener:
        """A listening stream socket. TLS is only checked to be wanted at both ends or at none."""
        local = self._claim(local, self._listeners)
        listener = MemoryListener(
            local, accepted, tls is not None, gate, lambda: self._listeners.pop(local, None)
        )
        self._listeners[local] = listener
        return listener

    async def connect(
        self,
        remote: Address,
        *,
        tls: ssl.SSLContext | None = None,
        server_name: str | None = None,
        timeout: float = 5.0,
    ) -> MemoryStream:
        """A connected stream; refused when nobody listens, timed out when nobody is there."""
        local = Address(self.source_for("", remote.host), self._ephemeral_port())
        return await self.network.open_stream(self, local, remote, tls=tls is not None, timeout=timeout)

    async def source_address(self, remote_host: str) -> str:
        """The address of this host that `remote_host` would see."""
        return self.source_for("", remote_host)

    def crash(self) -> None:
        """The machine loses its power: sockets vanish in silence, connections reset."""
        for socket in list(self._sockets.values()):
            socket.close()
        for listener in list(self._listeners.values()):
            listener.close()
        self.reset_streams()

    def reset_streams(self) -> None:
        """Reset every connection of this host."""
        streams, self._streams = self._streams, []
        for stream in streams:
            stream.reset("connection reset by peer")

    @property
    def open_sockets(self) -> int:
        """Datagram sockets, listeners and live connections: 0 when everything was closed."""
        return len(self._sockets) + len(self._listeners) + sum(not stream.over for stream in self._streams)

    # --- for the network ---

    def socket_at(self, address: Address) -> MemoryDatagramSocket | None:
        """The socket that gets datagrams for `address`."""
        return self._sockets.get(address) or self._sockets.get(_any(address))

    def listener_at(self, address: Address) -> MemoryListener | None:
        """The listener that gets connections to `address`."""
        return self._listeners.get(address) or self._listeners.get(_any(address))

    def attach(self, stream: MemoryStream) -> None:
        """Remember a connection of this host."""
        self._streams = [known for known in self._streams if not known.over]
        self._streams.append(stream)

    def unbind(self, socket: MemoryDatagramSocket) -> None:
        """Forget a closed socket."""
        self._sockets.pop(socket.local, None)

    def source_for(self, bound: str, remote_host: str) -> str:
        """The address that packets from a socket bound to `bound` carry on their way to `remote_host`."""
        if bound and bound not in ANY_HOST:
            return bound
        if remote_host in self.addresses:
            return remote_host
        for address in self.addresses:
            if (":" in address) == (":" in remote_host):
                return address
        raise OSError(errno.ENETUNREACH, f"no route from {self.addresses[0]} to {remote_host}")

    def _claim(
        self, local: Address, taken: "dict[Address, MemoryDatagramSocket] | dict[Address, MemoryListener]"
    ) -> Address:
        if local.host not in self.addresses and local.host not in ANY_HOST:
            raise OSError(errno.EADDRNOTAVAIL, f"{local.host} is no address of this host")
        if not local.port:
            local = Address(local.host, self._ephemeral_port())
        if local in taken:
            raise OSError(errno.EADDRINUSE, f"{local} is in use")
        return local

    def _ephemeral_port(self) -> int:
        self._next_port += 1
        return self._next_port


class Network:
    """All hosts and the links between them. Itself a `Network` as seen from 127.0.0.1 and ::1.

    seed:
        decides every loss, delay and split: same seed, same program, same `trace_hash`
    loss, duplicate, delay, reorder, mtu, segment:
        the `Conditions` of every link that has none of its own (`link`)
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        loss: float = 0.0,
        duplicate: float = 0.0,
        delay: Delay = 0.001,
        reorder: float = 0.0,
        mtu: int | None = None,
        segment: bool = True,
    ) -> None:
        self.seed = seed
        self.chance = random.Random(seed)  # noqa: S311 - a test must be repeatable
        self.conditions = Conditions(loss, duplicate, delay, reorder, mtu, segment)
        self.dns = Names()
        self.statistics = NetworkStatistics()
        #: Called with every delivery, for ladders and invariants.
        self.watchers: list[Callable[[Delivery], None]] = []
        #: Reset all connections when so many more stream segments were delivered; None: never.
        self.reset_after: int | None = None
        self._on_the_way: list[tuple[float, int, bytes, Address, Address]] = []
        self._order = itertools.count()
        self._links: dict[tuple[str, str], Conditions] = {}
        self._cuts: set[tuple[str, str]] = set()
        self._hosts: dict[str, Host] = {}
        self._trace = hashlib.sha256()
        self._local = self.host("127.0.0.1", "::1")
        self.bind_datagram = self._local.bind_datagram
        self.listen = self._local.listen
        self.connect = self._local.connect
        self.source_address = self._local.source_address

    def host(self, *addresses: str) -> Host:
        """The machine with these addresses: a new one, or the one that has the first of them."""
        if addresses[0] not in self._hosts:
            machine = Host(self, addresses)
            for address in addresses:
                self._hosts[address] = machine
        return self._hosts[addresses[0]]

    @property
    def hosts(self) -> list[Host]:
        """Every machine there is."""
        return list(dict.fromkeys(self._hosts.values()))

    def link(self, source: str, destination: str, conditions: Conditions) -> None:
        """Conditions of their own for packets from one address to another."""
        self._links[source, destination] = conditions

    def cut(self, source: str, destination: str, *, both_ways: bool = True) -> None:
        """Let nothing through from one address to another ("*" is any) until `heal`."""
        self._cuts.add((source, destination))
        if both_ways:
            self._cuts.add((destination, source))

    def heal(self) -> None:
        """Mend every cut."""
        self._cuts.clear()

    @property
    def trace_hash(self) -> str:
        """A digest of everything delivered so far, with its time."""
        return self._trace.hexdigest()

    # --- what hosts and streams use ---

    def carry(self, data: bytes, source: Address, destination: Address) -> None:
        """Send one datagram: lose it, double it, or deliver it after its delay."""
        conditions = self.conditions_of(source.host, destination.host)
        self.statistics.sent += 1
        copies = 2 if self.chance.random() < conditions.duplicate else 1
        self.statistics.duplicated += copies - 1
        for _ in range(copies):
            too_large = len(data) > (conditions.mtu or LARGEST_DATAGRAM)
            if self.chance.random() < conditions.loss or too_large:
                self.statistics.lost += 1
                continue
            delay = self.delay_of(conditions)
            if self.chance.random() < conditions.reorder:
                delay += 3 * self.delay_of(conditions)
            loop = asyncio.get_running_loop()
            heapq.heappush(
                self._on_the_way, (loop.time() + delay, next(self._order), data, source, destination)
            )
            loop.call_at(loop.time() + delay, self._arrive)

    def _arrive(self) -> None:
        """What is due, in the order it was sent; what comes to one socket in a row is one batch."""
        now, due = asyncio.get_running_loop().time() + RESOLUTION, []
        while self._on_the_way and self._on_the_way[0][0] < now:
            due.append(heapq.heappop(self._on_the_way)[2:])
        for socket, datagrams in itertools.groupby(due, lambda one: self._receiver(one[1], one[2])):
            if socket is None or socket.closed:
                self.statistics.lost += len(list(datagrams))
                continue
            batch = []
            for data, source, destination in datagrams:
                self.record("datagram", source, destination, data)
                batch.append((data, source))
            self.statistics.delivered += len(batch)
            socket.received(batch)

    def _receiver(self, source: Address, destination: Address) -> MemoryDatagramSocket | None:
        """The socket that a datagram comes to; None when it comes nowhere."""
        host = self._hosts.get(destination.host)
        if host is None or self.is_cut(source.host, destination.host):
            return None
        return host.socket_at(destination)

    async def open_stream(
        self, host: Host, local: Address, remote: Address, *, tls: bool, timeout: float
    ) -> MemoryStream:
        """Connect two hosts."""
        conditions = self.conditions_of(local.host, remote.host)
        there = self._hosts.get(remote.host)
        waited = 0.0
        while there is None or self.is_cut(local.host, remote.host) or self.is_cut(remote.host, local.host):
            if waited >= timeout:
                raise TimeoutError(f"{remote} did not answer in {timeout:g} s")
            await asyncio.sleep(min(1.0, timeout - waited))  # TCP asks again
            waited += 1.0
        await asyncio.sleep(2 * self.delay_of(conditions))
        listener = there.listener_at(remote)
        if listener is None:
            raise ConnectionRefusedError(f"{remote} refused the connection")
        if listener.tls is not tls:
            raise OSError(f"{remote} does not speak what we speak: TLS at one end only")
        ours = MemoryStream(self, local, remote)
        theirs = MemoryStream(self, remote, local)
        ours.join(theirs)
        host.attach(ours)
        there.attach(theirs)
        listener.welcome(theirs)
        return ours

    def conditions_of(self, source: str, destination: str) -> Conditions:
        """The conditions of one link."""
        return self._links.get((source, destination), self.conditions)

    def delay_of(self, conditions: Conditions) -> float:
        """One delay, drawn from the range."""
        if isinstance(conditions.delay, tuple):
            return self.chance.uniform(*conditions.delay)
        return conditions.delay

    def is_cut(self, source: str, destination: str) -> bool:
        """True while nothing passes from one address to the other."""
        pairs = ((source, destination), ("*", destination), (source, "*"), ("*", "*"))
        return bool(self._cuts) and any(pair in self._cuts for pair in pairs)

    def record(self, kind: str, source: Address, destination: Address, data: bytes) -> None:
        """Write a delivery into the trace."""
        now = asyncio.get_running_loop().time()
        self._trace.update(repr((round(now, 6), kind, tuple(source), tuple(destination), data)).encode())
        for watcher in self.watchers:
            watcher((now, kind, source, destination, data))
        if kind == "stream" and self.reset_after is not None:
            self.reset_after -= 1
            if self.reset_after < 0:
                self.reset_after = None
                self.reset_streams()

    def reset_streams(self) -> None:
        """Reset every connection there is."""
        for host in self.hosts:
            host.reset_streams()


def _any(address: Address) -> Address:
    return Address("::" if ":" in address.host else "0.0.0.0", address.port)  # noqa: S104
