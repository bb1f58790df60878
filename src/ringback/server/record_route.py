# SPDX-License-Identifier: Apache-2.0
"""How do we stay on the path of a dialog, and recognise it later? Record-Route: RFC 3261 sections 16.4
and 16.6 step 4.

Where a request leaves by another socket than it came by (UDP to TLS, IPv4 to IPv6), both are recorded, so
that each side finds the one it can reach (RFC 5658). The one that the callee sees first carries the flow
token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.sip.flow import Transport
from ringback.sip.message.uri import NameAddr, SipUri
from ringback.sip.routing import remove_own_route, turn_from_strict_router

if TYPE_CHECKING:
    from ringback.server.flow_token import DialogFlows, FlowTokens
    from ringback.server.locality import Locality
    from ringback.sip.flow import Flow
    from ringback.sip.message.message import Request
    from ringback.sip.message.uri import Uri

#: Methods that create dialogs (RFC 5057 section 3).
DIALOG_METHODS = frozenset(("INVITE", "SUBSCRIBE", "REFER"))

#: Routes of ours that are taken off one request: the two of RFC 5658, and room for a spiral.
OWN_ROUTE_LIMIT = 4


class OwnRoutes:
    """Takes our own entries off the Route of a request."""

    __slots__ = ("_locality", "_tokens")

    def __init__(self, locality: Locality, tokens: FlowTokens) -> None:
        self._locality = locality
        self._tokens = tokens

    def take(self, request: Request) -> DialogFlows | None:
        """Remove them, repair what a strict router did (16.4), and say what the token among them says."""
        flows = self._token_in(request, request.uri)
        if flows is not None:
            turn_from_strict_router(request, self._is_own)
        for _ in range(OWN_ROUTE_LIMIT):
            routes = request.routes
            named = self._token_in(request, routes[0].uri) if routes else None
            if named is not None and flows is not None:
                break  # the next visit of a spiral: it has a token of its own
            if not remove_own_route(request, self._is_own):
                break
            flows = flows or named
        return flows

    def _is_own(self, uri: Uri) -> bool:
        return isinstance(uri, SipUri) and self._locality.is_our_host(uri.host, uri.port)

    def _token_in(self, request: Request, uri: Uri) -> DialogFlows | None:
        if not isinstance(uri, SipUri) or not uri.user or not self._is_own(uri):
            return None
        if request.to.tag is None:
            return None  # what is outside of a dialog has to be admitted like everything else
        return self._tokens.read(
            uri.user, call_id=request.call_id, from_tag=request.from_.tag or "", to_tag=request.to.tag or ""
        )


def add_record_route(request: Request, came: Flow, goes: Flow, token: str) -> None:
    """Put ourselves on top of the Record-Route: once, or once for each side when the sockets differ."""
    secure = isinstance(request.uri, SipUri) and request.uri.secure
    if (came.transport, came.sent_by) != (goes.transport, goes.sent_by):
        request.headers.prepend("Record-Route", str(_recorded(came, None, secure=secure)))
    request.headers.prepend("Record-Route", str(_recorded(goes, token, secure=secure)))


def _recorded(flow: Flow, token: str | None, *, secure: bool) -> NameAddr:
    """The URI by which a neighbour on `flow` finds us. RFC 5630: sips calls are recorded as sips."""
    host, port = split_sent_by(flow.sent_by)
    uri = SipUri(token, host, port, secure=secure)
    if flow.transport is not Transport.UDP:
        uri = uri.with_parameter("transport", _transport_parameter(flow.transport, secure=secure))
    return NameAddr(uri.with_parameter("lr"))


def _transport_parameter(transport: Transport, *, secure: bool) -> str:
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
