# SPDX-License-Identifier: Apache-2.0
"""Where do we listen, and which of these places is right for a peer?"""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from ringback.net.network import DatagramSocket, Listener
from ringback.sip.flow import Address, Transport

ANY = frozenset({"0.0.0.0", "::"})  # noqa: S104


@dataclass(slots=True, eq=False)
class Endpoint:
    """One place where we listen. `sent_by` is how others reach it, for Via and Contact."""

    transport: Transport
    local: Address
    advertise: Address | None
    #: The address of this machine towards the world, for an endpoint bound to all addresses.
    outside: str
    opened: DatagramSocket | Listener
    closed: "Callable[[Endpoint], None]"

    @property
    def sent_by(self) -> str:
        """ "host:port" as others can reach us, as far as we know without asking for one peer."""
        return str(self.advertise or Address(self.outside, self.local.port))

    @property
    def is_wildcard(self) -> bool:
        """True when bound to all addresses of this machine and nobody said which one to show."""
        return self.local.host in ANY and self.advertise is None

    def sent_by_at(self, host: str) -> str:
        """`sent_by` for a peer that sees us at `host`."""
        return str(Address(host, self.local.port)) if self.is_wildcard else self.sent_by

    def close(self) -> None:
        """Listen no more."""
        self.opened.close()
        self.closed(self)


def best_endpoint(endpoints: list[Endpoint], transport: Transport, remote_host: str) -> Endpoint | None:
    """The endpoint for a peer: right transport and family, and loopback only for loopback."""
    family = ":" in remote_host
    fits = [one for one in endpoints if one.transport is transport and (":" in one.local.host) is family]
    inside = is_loopback(remote_host)
    exact = [one for one in fits if one.local.host not in ANY and is_loopback(one.local.host) is inside]
    same = [one for one in fits if one.local.host == remote_host]
    wild = [one for one in fits if one.local.host in ANY]
    return next(iter([*same, *exact, *wild, *fits]), None)


@lru_cache(maxsize=4096)
def is_loopback(host: str) -> bool:
    """True for addresses that never leave this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
