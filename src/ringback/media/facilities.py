# SPDX-License-Identifier: Apache-2.0
"""Where do the legs of a plane get their sockets, addresses and keys from?"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ringback.media.certificate import Certificate
from ringback.media.errors import NoFreePort
from ringback.media.fax_port import FaxPort
from ringback.media.plane import LegProfile
from ringback.media.ports import PortRange
from ringback.media.shared_port import SharedPort
from ringback.media.transport import RtpTransport
from ringback.net.network import Network
from ringback.sdp.addresses import is_loopback
from ringback.sdp.stream import StreamDescription
from ringback.sip.flow import Address

#: What carries one m= line, or the bundle it is in.
Carrier = RtpTransport | FaxPort


@dataclass(slots=True)
class Facilities:
    """What is the same for all legs of a plane.

    `host` is bound where a leg does not say, and nobody knows where its peer is. `advertised_for` is asked
    what to tell peers about a host that was bound. `signalling_ports` are ours: nobody's sound belongs there.
    """

    network: Network
    host: str = "127.0.0.1"
    ports: PortRange | None = None
    certificate: Certificate | None = None
    shared: SharedPort | None = None
    random_bytes: Callable[[int], bytes] = os.urandom
    advertised_for: Callable[[str], str] = str
    signalling_ports: Callable[[], Iterable[int]] = tuple
    #: The addresses of each carrier, by its identity, and how many carriers each address has.
    _carriers: dict[int, tuple[Address, ...]] = field(default_factory=dict)
    _own: dict[Address, int] = field(default_factory=dict)
    _hosts: set[str] = field(default_factory=set)

    async def host_for(self, profile: LegProfile, remote: str) -> str:
        """The address to bind for a leg: as it says, else the one from which its peer is reached. Where a
        phone behind a NAT believes to be there is perhaps no way at all.
        """
        if profile.host:
            return profile.host
        signals = profile.signalling_host
        peer = (signals or remote) if profile.is_behind_nat else (remote or signals)
        if not peer:
            return self.host
        try:
            return await self.network.source_address(peer)
        except OSError as error:
            raise NoFreePort(f"no way to {peer}: {error}") from error

    async def open(
        self, profile: LegProfile, host: str, *, rtcp_mux: bool, adopted: StreamDescription | None = None
    ) -> RtpTransport:
        """A transport for such a leg; `adopted` is the offer whose wishes it takes over."""
        transport = await RtpTransport.open(
            self.network,
            host=host,
            ports=self.ports,
            advertise=self.advertised(profile, host),
            security=profile.security,
            ice=profile.ice,
            rtcp_mux=rtcp_mux,
            certificate=self.certificate,
            random_bytes=self.random_bytes,
            shared=self.shared,
        )
        if adopted is not None:
            transport.adopt(adopted)
        own = transport.describe_offer()
        self._remember(transport, host, own.address, own.rtcp)
        return transport

    async def open_fax(self, profile: LegProfile, host: str) -> FaxPort:
        """A socket for T.38."""
        port = await FaxPort.open(
            self.network, host=host, ports=self.ports, advertise=self.advertised(profile, host)
        )
        self._remember(port, host, port.address)
        return port

    def close(self, carrier: Carrier) -> None:
        """Give the sockets back."""
        carrier.close()
        for address in self._carriers.pop(id(carrier), ()):
            count = self._own.pop(address)
            if count > 1:
                self._own[address] = count - 1

    def advertised(self, profile: LegProfile, host: str) -> str:
        """What peers are told of a socket bound to `host`."""
        return profile.advertise or (host if is_loopback(host) else self.advertised_for(host))

    def is_self(self, address: Address) -> bool:
        """True for our own sockets: media that is sent there goes in circles."""
        if address in self._own:
            return True
        return address.host in self._hosts and address.port in self.signalling_ports()

    def _remember(self, carrier: Carrier, host: str, *addresses: Address | None) -> None:
        """Sockets are counted: many legs share the one port for WebRTC."""
        known = tuple(address for address in addresses if address is not None)
        self._carriers[id(carrier)] = known
        for address in known:
            self._own[address] = self._own.get(address, 0) + 1
            self._hosts.update((host, address.host))
