# SPDX-License-Identifier: Apache-2.0
"""What is the real network? UDP, TCP and TLS sockets of this machine on the running asyncio loop."""

import socket
import ssl

from ringback.net.network import DatagramsReceived, Gate, StreamAccepted
from ringback.net.poller import Poller
from ringback.net.streams import StreamListener, listening_socket, open_stream
from ringback.net.tcp_stream import TcpStream
from ringback.net.udp_socket import UdpSocket, bound_udp_socket
from ringback.sip.flow import Address


class RealNetwork:
    """A `ringback.net.network.Network` on this machine's sockets.

        network = RealNetwork()
        socket = await network.bind_datagram(Address("127.0.0.1", 0), print)
        socket.send(b"hello", Address("127.0.0.1", 5060))
        socket.close()

    Addresses are numeric: names are the resolver's business (`net/resolver.py`).

    reuse_port:
        other sockets, of this process or others, may share the ports we listen on
    """

    def __init__(self, *, reuse_port: bool = False) -> None:
        self._reuse_port = reuse_port
        #: All connections of this network are read and written in its turns.
        self.poller = Poller()

    async def bind_datagram(self, local: Address, received: DatagramsReceived) -> UdpSocket:
        """A bound UDP socket that delivers batches of datagrams to `received`."""
        return UdpSocket(self._datagram_socket(local), received)

    async def listen(
        self,
        local: Address,
        accepted: StreamAccepted,
        *,
        tls: ssl.SSLContext | None = None,
        gate: Gate | None = None,
        handshake_timeout: float = 5.0,
    ) -> StreamListener:
        """A listening socket that delivers connected streams to `accepted`."""
        return StreamListener(
            self._listening_socket(local),
            accepted,
            tls=tls,
            gate=gate,
            handshake_timeout=handshake_timeout,
            poller=self.poller,
        )

    async def connect(
        self,
        remote: Address,
        *,
        tls: ssl.SSLContext | None = None,
        server_name: str | None = None,
        timeout: float = 5.0,
    ) -> TcpStream:
        """A connected stream; `server_name` is whom the peer's certificate must name."""
        return await open_stream(
            remote, tls=tls, server_name=server_name, timeout=timeout, poller=self.poller
        )

    async def source_address(self, remote_host: str) -> str:
        """The local IP address that datagrams to `remote_host` would leave from. Nothing is sent."""
        family = socket.AF_INET6 if ":" in remote_host else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((remote_host, 9))
            return str(probe.getsockname()[0])

    def _datagram_socket(self, local: Address) -> socket.socket:
        return bound_udp_socket(local)

    def _listening_socket(self, local: Address) -> socket.socket:
        return listening_socket(local, reuse_port=self._reuse_port)
