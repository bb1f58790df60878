# SPDX-License-Identifier: Apache-2.0
"""Who opens the ports of several workers? The supervisor, once for each worker, and it never closes them.

All sockets of one port share it (SO_REUSEPORT). A worker inherits its own of each, and finds it here when
it listens. While a worker is replaced its sockets stay open: what comes for it waits, and the place of the
others among the sharers, by which the system finds them, does not change.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ringback.net.errors import PortInUse
from ringback.net.sockets import RealNetwork
from ringback.net.steering import attach
from ringback.net.streams import listening_socket
from ringback.net.transport import TRANSPORTS
from ringback.net.udp_socket import bound_udp_socket
from ringback.sip.flow import Address, Transport

#: (is it for datagrams, where)
Place = tuple[bool, Address]


@dataclass(slots=True, eq=False)
class SharedPort:
    """One port, open once for each worker."""

    transport: Transport
    local: Address
    sent_by: str
    sockets: list[socket.socket]
    closed: Callable[[SharedPort], None]

    def close(self) -> None:
        """Give the port back."""
        for sock in self.sockets:
            sock.close()
        self.closed(self)


class SharedPorts:
    """What the supervisor has opened. `Listening` uses it like a driver."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self.ports: list[SharedPort] = []
        #: False where the workers must hand over what the system could not steer.
        self.is_steered = True

    async def listen(
        self,
        transport: Transport,
        local: Address,
        *,
        advertise: Address | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> SharedPort:
        """Open a port; 0 takes a free one. Raises `PortInUse` or another `OSError`."""
        try:
            sockets = self._open(transport, local)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortInUse(transport, local) from error
            raise
        name = sockets[0].getsockname()
        bound = Address(name[0], name[1])
        port = SharedPort(transport, bound, str(advertise or bound), sockets, self.ports.remove)
        self.ports.append(port)
        return port

    def of_worker(self, number: int) -> dict[Place, socket.socket]:
        """The sockets that one worker inherits."""
        return {
            (TRANSPORTS[port.transport].accept is None, port.local): port.sockets[number]
            for port in self.ports
        }

    def close(self) -> None:
        """Give all ports back."""
        for port in list(self.ports):
            port.close()

    def _open(self, transport: Transport, local: Address) -> list[socket.socket]:
        """First alone: whoever shares a port with itself would share it with another server of ours, too."""
        bind = bound_udp_socket if TRANSPORTS[transport].accept is None else listening_socket
        with bind(local) as alone:
            local = Address(local.host, alone.getsockname()[1])
        sockets: list[socket.socket] = []
        try:
            for _ in range(self._workers):
                sockets.append(bind(local, reuse_port=True))  # noqa: PERF401 (what is open is closed below)
        except OSError:
            for sock in sockets:
                sock.close()
            raise
        if bind is bound_udp_socket:
            self.is_steered = attach(sockets[0]) and self.is_steered
        return sockets


class InheritedNetwork(RealNetwork):
    """The real network, where the places we listen at are open already."""

    def __init__(self, inherited: Mapping[Place, socket.socket]) -> None:
        super().__init__()
        self._inherited = dict(inherited)

    def _datagram_socket(self, local: Address) -> socket.socket:
        """The inherited socket of this place; any other is opened."""
        return self._inherited.pop((True, local), None) or super()._datagram_socket(local)

    def _listening_socket(self, local: Address) -> socket.socket:
        """The same for connections."""
        return self._inherited.pop((False, local), None) or super()._listening_socket(local)
