# SPDX-License-Identifier: Apache-2.0
"""How do we stay on the path of a dialog, and recognise it later? Record-Route: RFC 3261 sections 16.4
and 16.6 step 4.

Where a request leaves by another socket than it came by (UDP to TLS, IPv4 to IPv6), both are recorded, so
that each side finds the one it can reach (RFC 5658). The one that the callee sees first carries the flow
token.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from ringback.kernel import BIT
from ringback.sip.flow import Transport
from ringback.sip.message.uri import SipUri
from ringback.sip.routing import route_uris, turn_from_strict_router

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringback.server.flow_token import FlowTokens, Side
    from ringback.server.locality import Locality
    from ringback.server.pipeline import Exchange
    from ringback.sip.flow import Flow
    from ringback.sip.message.message import Request
    from ringback.sip.message.uri import Uri

#: Methods that create dialogs (RFC 5057 section 3).
DIALOG_METHODS = frozenset(("INVITE", "SUBSCRIBE", "REFER"))

#: Routes of ours that are taken off one request: the two of RFC 5658, and room for a spiral.
OWN_ROUTE_LIMIT = 4

_ROUTE = BIT["route"]

#: No token is shorter, few names are as long.
SHORTEST_TOKEN = 20
SHORTEST_START = len("sip:") + SHORTEST_TOKEN


class OwnRoutes:
    """Finds our own entries in the Route of a request."""

    __slots__ = ("_locality", "_tokens")

    def __init__(self, locality: Locality, tokens: FlowTokens) -> None:
        self._locality = locality
        self._tokens = tokens

    def take(self, exchange: Exchange) -> None:
        """16.4: note how many of the first Routes are ours, and what the token among them says.

        What a strict router did is repaired: it put our URI where the target was.
        """
        request = exchange.request
        is_in_dialog = exchange.to_tag is not None
        if is_in_dialog and request.target.find("@") >= SHORTEST_START:
            exchange.dialog = self._token_in(request, request.target)
            if exchange.dialog is not None:
                repaired = request.copy()
                turn_from_strict_router(repaired, self._is_own)
                exchange.replace_request(repaired)
        if exchange.present & _ROUTE:
            self._count_own(exchange, route_uris(exchange.request), is_in_dialog=is_in_dialog)

    def _count_own(self, exchange: Exchange, routes: Sequence[str], *, is_in_dialog: bool) -> None:
        taken = 0
        for text in routes[:OWN_ROUTE_LIMIT]:
            named = self._token_in(exchange.request, text) if is_in_dialog else None
            if named is not None and exchange.dialog is not None:
                break  # the next visit of a spiral: it has a token of its own
            if named is None and not self._locality.names_us(text):
                break
            exchange.dialog = exchange.dialog or named
            taken += 1
        exchange.own_routes, exchange.routes = taken, routes[taken:]

    def _is_own(self, uri: Uri) -> bool:
        return isinstance(uri, SipUri) and self._locality.is_our_host(uri.host, uri.port)

    def _token_in(self, request: Request, text: str) -> Side | None:
        """What the token in a URI of ours says.

        What stands around tokens is the same in every dialog: so it is parsed once, while tokens, which are
        new in every dialog, are not parsed at all (0.5 us, not 5).
        """
        address, _, place = text.partition("@")
        scheme, _, token = address.partition(":")
        if not place or len(token) < SHORTEST_TOKEN or not self._locality.names_us(f"{scheme}:{place}"):
            return None
        named = request.facts or request
        return self._tokens.read(token, named.call_id, named.from_tag or "", named.to_tag or "")


def record_route(came: Flow, goes: Flow, token: str, *, secure: bool) -> bytes:
    """The lines that put us on the path: one, or one for each side when the sockets differ.

    The URI in each is the one by which a neighbour finds us. RFC 5630: sips calls are recorded as sips.
    """
    scheme = "sips" if secure else "sip"
    place = _place(goes.transport, goes.sent_by, secure=secure)
    line = f"Record-Route: <{scheme}:{token}@{place}>\r\n"
    if came.sent_by != goes.sent_by or came.transport is not goes.transport:
        line += f"Record-Route: <{scheme}:{_place(came.transport, came.sent_by, secure=secure)}>\r\n"
    return line.encode("ascii")


@lru_cache(1024)
def _place(transport: Transport, sent_by: str, *, secure: bool) -> str:
    """A URI of ours behind its user part."""
    uri = SipUri(None, *split_sent_by(sent_by), secure=secure)
    if transport is not Transport.UDP:
        uri = uri.with_parameter("transport", transport_parameter(transport, secure=secure))
    return str(uri.with_parameter("lr")).partition(":")[2]


def transport_parameter(transport: Transport, *, secure: bool) -> str:
    """RFC 3261 26.2.2: sips says TLS by itself. transport=wss is what browsers' phones know (RFC 7118
    5.2.4).
    """
    if secure:
        return "ws" if transport in (Transport.WS, Transport.WSS) else "tcp"
    return transport.value.lower()


def split_sent_by(sent_by: str) -> tuple[str, int | None]:
    """ "host:port" or "[v6]:port" or "host" taken apart."""
    host, colon, port = sent_by.rpartition(":")
    if not colon or port.endswith("]"):
        return sent_by.strip("[]"), None
    return host.strip("[]"), int(port) if port.isascii() and len(port) <= 5 else None
