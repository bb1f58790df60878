# SPDX-License-Identifier: Apache-2.0
"""At which address can others reach us? What to write into a Contact: RFC 3261 8.1.1.8, RFC 3581, RFC 7118
section 5.

Our own sockets say one thing; a NAT on the way makes another of it, and the server tells us which in the
`received` and `rport` of our Via.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ringback.net.errors import TransportError
from ringback.net.resolver import canonical_address
from ringback.sip.errors import PeerError
from ringback.sip.flow import Address, Flow, Transport
from ringback.sip.message import NameAddr, SipUri
from ringback.ua.errors import Unreachable

if TYPE_CHECKING:
    from ringback.net.driver import StackDriver
    from ringback.sip.identifiers import Identifiers
    from ringback.sip.message import Request, Response

WEB_TRANSPORTS = (Transport.WS, Transport.WSS)
DEFAULT_PORTS = {"TLS": 5061, "WSS": 443, "WS": 80}


class Reachability:
    """Knows the Contact for each way out, and how the world sees it."""

    def __init__(
        self, driver: StackDriver, identifiers: Identifiers, *, user: str, learns: bool = True
    ) -> None:
        self._driver = driver
        self._user = user
        self._learns = learns
        self._seen_as: dict[tuple[str, str], Address] = {}
        self._web_host = f"{identifiers.tag()}.invalid"
        #: The flow to our own server, once there is one.
        self.home: Flow | None = None

    async def flow_to(self, hop: SipUri) -> Flow:
        """The way to `hop`; raises `Unreachable`."""
        try:
            return await self._driver.flow_to(hop)
        except TransportError as error:
            raise Unreachable(503, str(error)) from error

    async def contact_towards(self, hop: SipUri, *, secure: bool = False) -> NameAddr:
        """The Contact for a request that leaves to `hop`."""
        return self.contact_on(await self.flow_to(hop), secure=secure)

    def contact_on(self, flow: Flow, *, secure: bool = False) -> NameAddr:
        """The Contact for a request or response on `flow`; a sips one where sips is spoken (8.1.1.8)."""
        address = self._public(flow)
        uri = SipUri(self._user or None, address.host, address.port, secure=secure)
        if flow.transport in WEB_TRANSPORTS:  # RFC 7118 5.2.1: a browser has no address; .invalid says so
            uri = uri.replace(host=self._web_host, port=None).with_parameter("transport", "ws")
        elif flow.transport is not Transport.UDP:
            word = Transport.TCP if secure else flow.transport
            uri = uri.with_parameter("transport", word.lower())
        return NameAddr(uri)

    def contact_for(self, request: Request, flow: Flow) -> NameAddr:
        """The Contact for our responses to a request that came on `flow`.

        A socket bound to all addresses does not know by which of them it was reached. Our own server was told
        one; who calls us directly says in the Request-URI which one they used.
        """
        uri = request.uri
        is_secure = isinstance(uri, SipUri) and uri.secure
        if flow.transport is not Transport.UDP or not self._learns:
            return self.contact_on(flow, secure=is_secure)
        if self.home is not None and self.home.remote.host == flow.remote.host:
            flow = replace(flow, sent_by=self.home.sent_by)
        elif isinstance(uri, SipUri) and _is_literal(uri.host) and (uri.port or 5060) == flow.local.port:
            flow = replace(flow, sent_by=str(Address(uri.host, flow.local.port)))
        return self.contact_on(flow, secure=is_secure)

    def learn(self, response: Response) -> bool:
        """Note how the server saw our address. True when that is news, and the Contact we gave is wrong."""
        try:
            via = response.top_via
        except PeerError:
            return False
        if not self._learns or (via.received is None and via.rport is None):
            return False
        default = DEFAULT_PORTS.get(via.transport, 5060)
        said = Address(via.host, via.port or default)
        seen = Address(via.received or via.host, via.rport or said.port)
        if via.transport != "UDP" and seen.host == said.host:
            return False  # a connection comes from another port than the one we listen on: no NAT
        key = (via.transport, via.sent_by)
        known = self._seen_as.get(key, said)
        self._seen_as[key] = seen
        return seen != known

    def keep_alive(self) -> None:
        """Send something harmless home, so that the NATs on the way keep their mappings (RFC 5626 3.5.1)."""
        if self.home is not None and not self.home.transport.is_reliable:
            self._driver.ping(self.home)

    def _public(self, flow: Flow) -> Address:
        seen = self._seen_as.get((str(flow.transport), flow.sent_by))
        return seen if seen is not None else _address(flow)


def _is_literal(host: str) -> bool:
    return canonical_address(host) is not None


def _address(flow: Flow) -> Address:
    """`sent_by` as an address, our end of the flow where it is empty."""
    if not flow.sent_by:
        return flow.local
    uri = SipUri.parse(f"sip:{flow.sent_by}")
    return Address(uri.host, uri.port or DEFAULT_PORTS.get(str(flow.transport), 5060))
