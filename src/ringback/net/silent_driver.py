# SPDX-License-Identifier: Apache-2.0
"""What would be sent? A driver that keeps what its stack says and sends nothing, beside one that does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ringback.net.driver import StackDriver
from ringback.sip.events import Event, FlowNeeded
from ringback.sip.flow import Address, Flow, Transport
from ringback.sip.message.uri import SipUri

if TYPE_CHECKING:
    from ringback.net.endpoint import Endpoint
    from ringback.net.network import DatagramSocket, Listener, Network, Stream
    from ringback.sip.events import Consumer
    from ringback.sip.message.uri import Uri
    from ringback.sip.stack import SipStack

#: Messages that are kept; what sends more in a dry run goes round in circles.
LIMIT = 200

DEFAULT_PORTS = {Transport.TLS: 5061, Transport.WSS: 443, Transport.WS: 80}


class SilentDriver(StackDriver):
    """Knows the sockets and connections of `original` and uses none. Names are not looked up: what goes to
    one is kept with the name as its address.
    """

    def __init__(
        self, stack: SipStack, original: StackDriver, network: Network, *, handler: Consumer
    ) -> None:
        super().__init__(stack, network, resolver=original.resolver, handler=handler)
        self.said: list[tuple[bytes, Flow]] = []
        self._original = original

    @property
    def endpoints(self) -> list[Endpoint]:
        """Where the other one listens."""
        return self._original.endpoints

    def endpoint_for(self, transport: Transport, remote_host: str) -> Endpoint | None:
        """Of the other one."""
        return self._original.endpoint_for(transport, remote_host)

    def is_alive(self, flow: Flow) -> bool:
        """True for connections that the other one has."""
        return self._original.is_alive(flow)

    def trust(self, flow: Flow) -> None:
        """Nobody is here."""

    def ping(self, flow: Flow) -> None:
        """Nobody is here."""

    async def close(self) -> None:
        """Forget everything. The resolver is the other one's."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()

    def _dispatch(self, event: Event) -> None:
        if isinstance(event, FlowNeeded):
            flow = self._flow_towards(event.hop) if event.attempt == 0 else None
            if flow is None:
                self._flow_not_found(event.outgoing, "there is no way from here")
            else:
                self._flow_found(event.outgoing, flow, False)
            return
        super()._dispatch(event)

    def _flow_towards(self, hop: Uri) -> Flow | None:
        if not isinstance(hop, SipUri):
            return None
        word = (hop.transport or ("TLS" if hop.secure else "UDP")).upper()
        transport = Transport(word) if word in Transport.__members__ else Transport.UDP
        endpoint = self.endpoint_for(transport, hop.host)
        if endpoint is None:
            return None
        remote = Address(hop.host, hop.port or DEFAULT_PORTS.get(transport, 5060))
        return Flow(transport, endpoint.local, remote, 0, endpoint.sent_by)

    def _transmit(self, messages: list[tuple[bytes, Flow]]) -> None:
        self.said += messages[: max(0, LIMIT - len(self.said))]


class NoNetwork:
    """A `ringback.net.network.Network` on which nothing can be opened."""

    async def bind_datagram(self, local: Address, received: object) -> DatagramSocket:
        raise OSError("this network is silent")

    async def listen(self, local: Address, accepted: object, **_: Any) -> Listener:
        raise OSError("this network is silent")

    async def connect(self, remote: Address, **_: Any) -> Stream:
        raise OSError("this network is silent")

    async def source_address(self, remote_host: str) -> str:
        raise OSError("this network is silent")
