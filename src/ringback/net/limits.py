# SPDX-License-Identifier: Apache-2.0
"""How much may strangers make us hold, and for how long? The limits of connections."""

import ipaddress
import resource
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache

from ringback.net.tls_failures import TlsFailures
from ringback.sip.flow import Address


def quarter_of_descriptors() -> int:
    """A quarter of the file descriptors this process may open, for peers that have proved nothing yet."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 16_384 if soft == resource.RLIM_INFINITY else max(32, soft // 4)


@dataclass(frozen=True, slots=True)
class TransportLimits:
    """What one peer and all peers together may cost. Times are seconds, sizes bytes."""

    #: A TCP, TLS or WebSocket handshake that takes longer is given up.
    handshake: float = 5.0
    #: An accepted connection must bring its first whole message in this time.
    first_message: float = 10.0
    #: A message that has begun must go on: the longest pause between two of its bytes.
    progress: float = 5.0
    #: ... and must be whole in this time, however slowly and steadily it drips.
    message: float = 30.0
    #: A connection nobody vouches for (`StackDriver.trust`) is closed after so much silence.
    idle: float = 300.0
    #: The same for a connection that we opened, to a next hop that nobody vouches for.
    idle_ours: float = 3600.0
    #: Connections from one IPv4 address or one IPv6 /64.
    connections_per_host: int = 100
    #: Connections in all.
    connections: int = 20_000
    #: Connections of peers that are not trusted (yet).
    untrusted: int = field(default_factory=quarter_of_descriptors)
    #: What may wait to be written to a peer that does not read.
    write_queue: int = 262_144
    #: The largest message on a stream or in a WebSocket frame.
    message_size: int = 65_536
    #: A client pings each 0.8 to 1 times this time (RFC 5626 4.4.1) ...
    keep_alive: float = 120.0
    #: ... and the answer must come in this time.
    pong: float = 10.0
    #: A TCP connection tried only because a request is large (RFC 3261 18.1.1) must open in this time.
    detour: float = 2.0


@lru_cache(maxsize=4096)
def _house(host: str) -> str:
    """Whom an address belongs to: an IPv6 customer holds at least a /64."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 4:
        return host
    return str(ipaddress.IPv6Address(int(address) >> 64 << 64))


class ConnectionGate:
    """Counts accepted connections and refuses those above the limits. A `ringback.net.network.Gate`."""

    def __init__(self, limits: TransportLimits) -> None:
        self._limits = limits
        self._per_house: Counter[str] = Counter()
        self.open = 0
        self.untrusted = 0
        self.refused = 0
        self.tls_failures = TlsFailures()

    def admit(self, remote: Address) -> bool:
        """Take a place for a connection from `remote`, or refuse it."""
        house = _house(remote.host)
        if (
            self.open >= self._limits.connections
            or self.untrusted >= self._limits.untrusted
            or self._per_house[house] >= self._limits.connections_per_host
        ):
            self.refused += 1
            return False
        self._per_house[house] += 1
        self.open += 1
        self.untrusted += 1
        return True

    def release(self, remote: Address) -> None:
        """Give the place back: the connection is gone."""
        house = _house(remote.host)
        self._per_house[house] -= 1
        if self._per_house[house] <= 0:
            del self._per_house[house]
        self.open -= 1
        self.untrusted -= 1

    def refused_handshake(self, remote: Address, local: Address, error: OSError, first: bytes) -> None:
        """TLS did not come about with somebody who called; `first` is what it said."""
        self.tls_failures.refused(remote, local, error, first)

    def trusted(self, change: int) -> None:
        """A connection became trusted (+1), or a trusted one is about to be released (-1)."""
        self.untrusted -= change
