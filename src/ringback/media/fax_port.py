# SPDX-License-Identifier: Apache-2.0
"""How does a fax pass (T.38 over UDPTL)? A socket that believes one source, and reads nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ringback.media.ports import PortRange, SocketPair, bind_pair
from ringback.media.source_lock import SourceLock
from ringback.net.network import Network
from ringback.sdp.local_stream import LocalStream
from ringback.sdp.stream import StreamDescription
from ringback.sip.flow import Address

_PROTOCOL = "udptl"


def _ignore(packets: list[bytes]) -> None:
    """Nobody listens yet."""


class FaxPort:
    """One end of a fax; it is used like an `RtpTransport`. Make it with `open`."""

    #: Nothing protects UDPTL.
    suite: str | None = None
    srtp_failures = malformed = 0

    def __init__(self, advertise: str) -> None:
        self._advertise = advertise
        self._sockets: SocketPair | None = None
        self._lock = SourceLock()
        self.on_rtp: Callable[[list[bytes]], None] = _ignore
        self.on_rtcp: Callable[[list[bytes]], None] = _ignore
        self.on_ready: Callable[[], None] | None = None
        self.is_closed = False

    @classmethod
    async def open(cls, network: Network, *, host: str, ports: PortRange | None, advertise: str) -> FaxPort:
        """Bind a port; the one after it stays unused, as pairs are what is given out."""
        port = cls(advertise or host)
        port._sockets = await bind_pair(
            network, host, ports=ports, rtp_received=port._received, rtcp_received=lambda datagrams: None
        )
        return port

    @property
    def address(self) -> Address:
        assert self._sockets is not None
        return Address(self._advertise, self._sockets.rtp.local.port)

    @property
    def destination(self) -> Address | None:
        return self._lock.destination

    @property
    def is_ready(self) -> bool:
        return self.destination is not None

    @property
    def refused(self) -> int:
        return self._lock.refused

    def adopt(self, remote: StreamDescription) -> None:
        """There is nothing to choose."""

    def describe_offer(self) -> LocalStream:
        return LocalStream(self.address, protocol=_PROTOCOL)

    def describe_answer(
        self, remote: StreamDescription, *, signalling_host: str | None = None
    ) -> LocalStream:
        """The name of the protocol is written as the peer writes it."""
        return LocalStream(self.address, protocol=remote.protocol)

    def connect(
        self, remote: StreamDescription | None, *, is_offerer: bool, signalling_host: str | None = None
    ) -> None:
        self._lock.renegotiated(remote.rtp if remote else None, signalling_host=signalling_host)

    def send_rtp(self, packets: list[bytes]) -> None:
        """Send to the peer; lost while nobody knows where it is."""
        destination = self._lock.destination
        if destination is not None and self._sockets is not None:
            self._sockets.rtp.send_batch([(packet, destination) for packet in packets])

    def send_rtcp(self, packets: list[bytes]) -> None:
        """A fax has none."""

    def close(self) -> None:
        self.is_closed = True
        if self._sockets is not None:
            self._sockets.close()

    def _received(self, datagrams: Sequence[tuple[bytes, Address]]) -> None:
        packets = [data for data, source in datagrams if self._lock.accepts(source, 0)]
        if packets:
            self.on_rtp(packets)
