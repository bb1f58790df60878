# SPDX-License-Identifier: Apache-2.0
"""Where does a request go next? Loose and strict routing: RFC 3261 sections 8.1.2, 12.2.1.1, 16.4 and 16.6.

A strict router is one whose URI lacks `lr` (RFC 2543). It expects to find itself in the Request-URI and the
real target at the end of the Route; whoever sends to it turns the request round, and whoever gets such a
request back turns it round again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ringback.sip.message.sip_uri import SipUri
from ringback.sip.message.uri import NameAddr

if TYPE_CHECKING:
    from ringback.sip.message.message import Request
    from ringback.sip.message.uri import Uri

IsOwn = Callable[["Uri"], bool]


def next_hop(request: Request) -> Uri:
    """The URI to resolve: the first Route, or the Request-URI when there is none (8.1.2, 16.6 step 7)."""
    if request.hop is not None:
        return request.hop
    routes = request.routes
    return routes[0].uri if routes else request.uri


def route_uris(request: Request) -> Sequence[str]:
    """The URIs of the Route as they are written: from the kernel where it has read the request."""
    head = request.head
    return head.routes if head is not None else [str(route.uri) for route in request.routes]


def is_loose_router(uri: Uri) -> bool:
    """True when the element behind `uri` follows RFC 3261."""
    return not isinstance(uri, SipUri) or uri.has_parameter("lr")


def route_request(request: Request, target: Uri, route_set: Sequence[NameAddr]) -> None:
    """12.2.1.1: write Request-URI and Route of a request to `target` by way of `route_set`."""
    request.target = str(target)
    request.headers.remove("Route")
    for route in route_set:
        request.headers.add("Route", str(route))
    turn_for_strict_router(request)


def turn_for_strict_router(request: Request) -> None:
    """16.6 step 6: when the first Route is a strict router, it becomes the Request-URI."""
    routes = request.routes
    if not routes or is_loose_router(routes[0].uri):
        return
    request.headers.remove_first_value("Route")
    request.headers.add("Route", str(NameAddr(request.uri)))
    hop = _as_request_uri(routes[0].uri)
    request.target = str(hop)
    request.hop = hop


def turn_from_strict_router(request: Request, is_own: IsOwn) -> None:
    """16.4: a strict router put our Record-Route into the Request-URI; the target is the last Route."""
    routes = request.routes
    if not routes or not is_own(request.uri):
        return
    request.headers.remove("Route")
    for route in routes[:-1]:
        request.headers.add("Route", str(route))
    request.target = str(routes[-1].uri)


def _as_request_uri(uri: Uri) -> Uri:
    """19.1.1: a Request-URI carries no headers and no method parameter."""
    return uri.without_parameters("method").replace(headers=()) if isinstance(uri, SipUri) else uri
