# SPDX-License-Identifier: Apache-2.0
"""What happens on a SIP port over UDP? A datagram is a message; keep-alives are dropped, STUN is answered."""

from collections.abc import Callable, Sequence

from ringback.net.network import DatagramSocket, Network
from ringback.net.stun import binding_response, is_stun
from ringback.sip.flow import Address, Flow, Transport

Received = Callable[[bytes, Flow], None]


class UdpPort:
    """One bound UDP socket for SIP."""

    def __init__(self, received: Received) -> None:
        self._received = received
        self._socket: DatagramSocket | None = None
        self.sent_by = ""

    async def bind(self, network: Network, local: Address) -> DatagramSocket:
        """Open the socket."""
        self._socket = await network.bind_datagram(local, self.datagrams_received)
        return self._socket

    def datagrams_received(self, batch: Sequence[tuple[bytes, Address]]) -> None:
        """Hand each message on with the flow it came on."""
        if self._socket is None:
            return
        local = self._socket.local
        for data, remote in batch:
            if not is_noise(data):
                self._received(data, Flow(Transport.UDP, local, remote, 0, self.sent_by))
            elif answer := binding_response(data, remote):
                self._socket.send(answer, remote)


def is_noise(data: bytes) -> bool:
    """True for what keeps NAT bindings open: nothing, CRLFs, zeros, STUN (RFC 5626 3.5.2)."""
    if len(data) <= 4:
        return not data.strip(b"\r\n\0 ")
    return is_stun(data)
