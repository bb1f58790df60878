# SPDX-License-Identifier: Apache-2.0
"""How do all browsers fit into one UDP port? Their checks name us, and then their addresses are known.

All of a WebRTC call goes through one pair of addresses (RFC 8843, RFC 5761). The first packet of a peer is a
check whose username begins with the name that we gave for this call (RFC 8445 section 7.2.2); once its
signature was found good, whatever comes from its source belongs to that call.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from ringback.media.ice import MOST_SOURCES
from ringback.net.network import DatagramSocket, DatagramsReceived, Network
from ringback.net.stun_message import Attribute, StunMessage
from ringback.sip.flow import Address

_LAST_OF_STUN = 3


class SharedPort:
    """The port. `join` gives a call its share."""

    def __init__(self, advertise: str) -> None:
        self.advertise = advertise
        self._socket: DatagramSocket | None = None
        self._by_name: dict[bytes, SharedSocket] = {}
        self._by_source: dict[Address, SharedSocket] = {}
        #: Datagrams that belong to no call.
        self.refused = 0

    @classmethod
    async def open(cls, network: Network, local: Address, *, advertise: str = "") -> SharedPort:
        """Bind it; `advertise` is the address that peers see, when it is another one. Raises OSError."""
        port = cls(advertise or local.host)
        port._socket = await network.bind_datagram(local, port._received)
        return port

    @property
    def socket(self) -> DatagramSocket:
        """The socket of all."""
        assert self._socket is not None
        return self._socket

    def join(self, received: DatagramsReceived) -> SharedSocket:
        """One call's share."""
        return SharedSocket(self, received)

    def close(self) -> None:
        """Free the port; the calls on it hear nothing any more."""
        self.socket.close()
        self._by_name.clear()
        self._by_source.clear()

    def name(self, name: str, member: SharedSocket) -> None:
        """Checks for `name` go to `member`."""
        self._by_name[name.encode()] = member

    def claim(self, source: Address, member: SharedSocket) -> None:
        """What comes from `source` goes to `member`."""
        self._by_source[source] = member

    def forget(self, member: SharedSocket, names: Sequence[str], sources: Sequence[Address]) -> None:
        """Nothing goes there any more by these."""
        for name in names:
            self._by_name.pop(name.encode(), None)
        for source in sources:
            if self._by_source.get(source) is member:
                del self._by_source[source]

    def _received(self, datagrams: Sequence[tuple[bytes, Address]]) -> None:
        shares: dict[SharedSocket, list[tuple[bytes, Address]]] = {}
        for datagram in datagrams:
            member = self._member(*datagram)
            if member is None:
                self.refused += 1
            else:
                shares.setdefault(member, []).append(datagram)
        for member, share in shares.items():
            member.received(share)

    def _member(self, data: bytes, source: Address) -> SharedSocket | None:
        if data and data[0] <= _LAST_OF_STUN:
            message = StunMessage.parse(data)
            username = message.attributes.get(Attribute.USERNAME, b"") if message else b""
            return self._by_name.get(username.partition(b":")[0])
        return self._by_source.get(source)


class SharedSocket:
    """One call's share of the port; a `ringback.net.network.DatagramSocket`."""

    __slots__ = ("_names", "_port", "_sources", "received")

    def __init__(self, port: SharedPort, received: DatagramsReceived) -> None:
        self._port = port
        self.received = received
        self._names: list[str] = []
        self._sources: deque[Address] = deque()

    @property
    def local(self) -> Address:
        """Where the port is bound."""
        return self._port.socket.local

    def listen_for(self, name: str) -> None:
        """Take the checks for this name, too."""
        if name not in self._names:
            self._names.append(name)
            self._port.name(name, self)

    def claim(self, source: Address) -> None:
        """The check of `source` was good: what else it sends is for us."""
        if source not in self._sources:
            self._sources.append(source)
            if len(self._sources) > MOST_SOURCES:
                self._port.forget(self, (), (self._sources.popleft(),))
        self._port.claim(source, self)

    def send(self, data: bytes, remote: Address) -> None:
        """Send through the port."""
        self._port.socket.send(data, remote)

    def send_batch(self, batch: list[tuple[bytes, Address]]) -> None:
        """The same for many, in their order."""
        self._port.socket.send_batch(batch)

    def close(self) -> None:
        """Leave the port to the others."""
        self._port.forget(self, self._names, tuple(self._sources))
        self._names.clear()
        self._sources.clear()
