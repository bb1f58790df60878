# SPDX-License-Identifier: Apache-2.0
"""Which exceptions can leave the network layer?

    RingbackError
    |- TransportError     no way to the peer, or it broke: names that do not resolve, refused connections
    |  |- NameNotFound      the resolver has no target for a URI (RFC 3263)
    |  `- PortInUse         another program listens where we should
    `- RequestTimeout     a request was sent and nobody answered (Timer B or F)

Foreign exceptions (`OSError`, `ssl.SSLError`, those of the DNS library) are translated here, in `net/`, once.
"""

from ringback.sip.errors import RingbackError
from ringback.sip.flow import Address, Transport


class TransportError(RingbackError):
    """There is no way to the peer, or the one there was broke."""


class NameNotFound(TransportError):
    """No target is known for this URI: the name does not exist, or nothing in DNS answers in time."""


class RequestTimeout(RingbackError):
    """Nobody answered the request in 64 * T1 (RFC 3261 17.1.1.2, 17.1.2.2)."""


class PortInUse(TransportError):
    """Another program listens where we are told to listen."""

    def __init__(self, transport: Transport, address: Address) -> None:
        super().__init__(f"{transport} {address} is in use by another program")
        self.transport = transport
        self.address = address
