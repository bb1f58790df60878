# SPDX-License-Identifier: Apache-2.0
"""Which two ports does a stream get? An even one for RTP and the next for RTCP (RFC 3550 section 11)."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field

from ringback.media.errors import NoFreePort
from ringback.net.network import DatagramSocket, DatagramsReceived, Network
from ringback.sip.flow import Address

_ATTEMPTS_ON_FREE_PORTS = 32
#: Another port would fail as well: there are no descriptors left, or the address is not ours.
_HOPELESS = (errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL)


@dataclass(slots=True)
class PortRange:
    """The ports that media may use, both ends included.

    They are taken in turn: a port comes up again only when all others had their turn, so that packets of a
    call that ended do not enter the next one.
    """

    first: int = 10_000
    last: int = 20_000
    _next: int = field(default=0, repr=False)

    def __post_init__(self) -> None:
        if not 1 <= self.first < self.last <= 65_535 or self.pairs < 1:
            raise ValueError(f"no pair of ports between {self.first} and {self.last}")

    @property
    def pairs(self) -> int:
        """How many streams fit."""
        return (self.last + 1 - (self.first + 1) // 2 * 2) // 2

    def skip(self, share: float) -> None:
        """Begin this share of the range later. After a restart phones still send to the ports of the calls
        before: they should not be the first ones of the calls that come.
        """
        self._next = (self._next + int(share * self.pairs)) % self.pairs

    def take_turn(self) -> int:
        """The even port whose turn it is."""
        port = (self.first + 1) // 2 * 2 + 2 * self._next
        self._next = (self._next + 1) % self.pairs
        return port


@dataclass(frozen=True, slots=True)
class SocketPair:
    """The two sockets of a stream."""

    rtp: DatagramSocket
    rtcp: DatagramSocket

    def close(self) -> None:
        self.rtp.close()
        self.rtcp.close()


async def bind_pair(
    network: Network,
    host: str,
    *,
    ports: PortRange | None,
    rtp_received: DatagramsReceived,
    rtcp_received: DatagramsReceived,
) -> SocketPair:
    """Bind two neighbouring ports of the range, or any the system gives. NoFreePort when there are none."""
    reason: OSError | None = None
    for _ in range(ports.pairs if ports else _ATTEMPTS_ON_FREE_PORTS):
        rtp: DatagramSocket | None = None
        try:
            port = ports.take_turn() if ports else await _free_even_port(network, host)
            rtp = await network.bind_datagram(Address(host, port), rtp_received)
            rtcp = await network.bind_datagram(Address(host, port + 1), rtcp_received)
        except OSError as error:
            reason = error
            if rtp is not None:
                rtp.close()
            if error.errno in _HOPELESS:
                break
            continue
        return SocketPair(rtp, rtcp)
    raise NoFreePort(f"no two neighbouring media ports are free on {host}: {reason}")


async def _free_even_port(network: Network, host: str) -> int:
    """A port that was free a moment ago, rounded to an even one."""
    probe = await network.bind_datagram(Address(host, 0), lambda datagrams: None)
    probe.close()
    return probe.local.port & ~1
