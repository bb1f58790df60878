# SPDX-License-Identifier: Apache-2.0
"""What happens on a SIP port over UDP? A datagram is a message; keep-alives are dropped, STUN is answered."""

from collections.abc import Callable, Sequence

from ringback.net.network import DatagramSocket, Network
from ringback.net.stun import binding_response, is_stun
from ringback.sip.flow import Address, Flow, Transport

#: Whole messages, each with the flow it came on.
MessagesReceived = Callable[[Sequence[tuple[bytes, Flow]]], None]

REMEMBERED_FLOWS = 16_384
#: What begins with a greater octet is no STUN (RFC 8489 section 5), and a SIP message begins with a letter.
LAST_STUN_OCTET = 3


class Flows(dict[Address, Flow]):
    """The flow to each peer of one socket: the same object each time, while it is remembered.

    Making one costs 1.2 us, looking it up 0.06 us; and whoever compares two flows has an easy time.
    """

    def __init__(self, local: Address, sent_by: str) -> None:
        super().__init__()
        self._local = local
        self._sent_by = sent_by

    def __missing__(self, remote: Address) -> Flow:
        if len(self) >= REMEMBERED_FLOWS:
            self.clear()
        flow = self[remote] = Flow(Transport.UDP, self._local, remote, 0, self._sent_by)
        return flow


class UdpPort:
    """One bound UDP socket for SIP."""

    def __init__(self, received: MessagesReceived) -> None:
        self._received = received
        self._socket: DatagramSocket | None = None
        self._flows = Flows(Address("", 0), "")

    async def bind(self, network: Network, local: Address) -> DatagramSocket:
        """Open the socket."""
        self._socket = await network.bind_datagram(local, self.datagrams_received)
        self.name("")
        return self._socket

    def name(self, sent_by: str) -> None:
        """How others can reach the socket, for the flows from now on."""
        assert self._socket is not None
        self._flows = Flows(self._socket.local, sent_by)

    def datagrams_received(self, batch: Sequence[tuple[bytes, Address]]) -> None:
        """Hand the messages on with the flows they came on."""
        flows = self._flows
        messages = [
            (data, flows[remote]) for data, remote in batch if len(data) > 4 and data[0] > LAST_STUN_OCTET
        ]
        if len(messages) < len(batch):
            messages = self._without_noise(batch)
        if messages:
            self._received(messages)

    def _without_noise(self, batch: Sequence[tuple[bytes, Address]]) -> list[tuple[bytes, Flow]]:
        """The messages of a batch that holds something else too."""
        messages = []
        for data, remote in batch:
            if not is_noise(data):
                messages.append((data, self._flows[remote]))
            elif self._socket is not None and (answer := binding_response(data, remote)):
                self._socket.send(answer, remote)
        return messages


def is_noise(data: bytes) -> bool:
    """True for what keeps NAT bindings open: nothing, CRLFs, zeros, STUN (RFC 5626 3.5.2)."""
    if len(data) <= 4:
        return not data.strip(b"\r\n\0 ")
    return is_stun(data)
