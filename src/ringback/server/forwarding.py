# SPDX-License-Identifier: Apache-2.0
"""What does a request look like when it leaves us? Request forwarding: RFC 3261 section 16.6, RFC 5393
section 5.3.

Via and Content-Length are the stack's business; the steps here are numbered as in the RFC. All changes of a
copy are one edit, which the kernel makes in one pass when the copy is printed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from ringback.kernel import BIT
from ringback.server.asserted_identity import CLAIM_BITS, assertion, strip_challenges, wants_privacy
from ringback.server.flow_token import FlowTokens
from ringback.server.nat import is_numeric, rewrite_contact
from ringback.server.record_route import DIALOG_METHODS, record_route
from ringback.sip.flow import Address, Flow, Transport
from ringback.sip.message.editing import header_line
from ringback.sip.message.uri import SipUri
from ringback.sip.routing import turn_for_strict_router

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringback.net.driver import StackDriver
    from ringback.server.location import Location
    from ringback.server.pipeline import Exchange
    from ringback.server.subscribers import Principal
    from ringback.server.targets import Target
    from ringback.sip.message.message import Request, Response
    from ringback.sip.message.uri import NameAddr, Uri

#: 16.6 step 3: what a request without Max-Forwards gets.
MAX_FORWARDS = 70

#: What no request takes along: the claims of others, and the breadth that was given to us.
_LEFT_OUT = CLAIM_BITS | BIT["max-breadth"]
_PRIVACY = BIT["privacy"]


@dataclass(frozen=True, slots=True)
class ForwardingPolicy:
    """What is done to every request that passes."""

    domain: str
    realm: str
    record_route: bool = True


class Forwarder:
    """Makes the copy for one target."""

    def __init__(self, tokens: FlowTokens, location: Location, policy: ForwardingPolicy) -> None:
        self.policy = policy
        self._tokens = tokens
        self._location = location

    def prepare(self, exchange: Exchange, target: Target, *, breadth: int) -> Request:
        """Steps 1 to 6: the copy for `target`, which may create `breadth` branches in its turn."""
        if exchange.dialog is not None:
            return self.prepare_mid_dialog(exchange, target.route, breadth)
        on_top, at_end = b"", _max_breadth(breadth)
        if target.is_registered and exchange.principal is not None:
            at_end += self._identity_of_caller(exchange, exchange.principal)
        is_recorded = exchange.to_tag is None and exchange.request.method in DIALOG_METHODS
        if is_recorded and self.policy.record_route:
            on_top = self._record_route(exchange, target)
        request = _copy(exchange, target.route, target.text, on_top, at_end)
        if is_recorded and not self.policy.record_route:
            rewrite_contact(request, exchange.flow)
        return request

    def prepare_mid_dialog(self, exchange: Exchange, route: Sequence[NameAddr], breadth: int) -> Request:
        """The same inside a dialog, where the Request-URI stays (step 2) and we are on the path already."""
        return _copy(exchange, route, None, b"", _max_breadth(breadth))

    def pass_back(self, response: Response, flow: Flow | None) -> Response | None:
        """16.7 step 3: without our Via. None if no other is left: then it was for us."""
        head = response.head
        present = response.present if head is None else head.present
        passed = response.without_top_via(present & CLAIM_BITS)
        if passed is None:
            return None
        if response.status in (401, 407):
            strip_challenges(passed, self.policy.realm)
        if flow is not None and not self.policy.record_route:
            rewrite_contact(passed, flow)
        return passed

    def _identity_of_caller(self, exchange: Exchange, caller: Principal) -> bytes:
        """Step 5: say who calls, unless the caller wants to stay unnamed."""
        if exchange.present & _PRIVACY and wants_privacy(exchange.request):
            return b""
        return assertion(caller.number, caller.name, self.policy.domain)

    def _record_route(self, exchange: Exchange, target: Target) -> bytes:
        """Step 4: stay on the path of what may become a dialog."""
        named, came = exchange.request.facts or exchange.request, exchange.flow
        token = self._tokens.make(
            (came, self._handle_of_caller(exchange, exchange.principal) if exchange.principal else b""),
            (target.flow, target.handle),
            named.call_id,
            named.from_tag or "",
        )
        goes = target.flow or likely_flow(exchange.driver, exchange.flow, target)
        return record_route(came, goes, token, secure=target.has_sips)

    def _handle_of_caller(self, exchange: Exchange, caller: Principal) -> bytes:
        """The registration of the phone that calls: the one on this flow."""
        for binding in self._location.bindings(caller.number, now=exchange.stack.now):
            if binding.flow == exchange.flow:
                return binding.handle
        return b""


def _copy(
    exchange: Exchange, route: Sequence[NameAddr], target: str | None, on_top: bytes, at_end: bytes
) -> Request:
    """All changes are noted; whoever prints the copy makes them. RFC 3327 5.4: the Path of a registration is
    the Route to its phone.
    """
    hops = exchange.max_forwards
    request = exchange.request.edited(
        target,
        MAX_FORWARDS if hops < 0 else hops - 1,
        exchange.own_routes,
        exchange.without | (exchange.present & _LEFT_OUT),
        on_top + b"".join(header_line("Route", str(each)) for each in route) if route else on_top,
        at_end,
    )
    if exchange.routes or route:
        turn_for_strict_router(request)
    return request


@lru_cache(64)
def _max_breadth(breadth: int) -> bytes:
    return b"Max-Breadth: %d\r\n" % breadth


def likely_flow(driver: StackDriver, came: Flow, target: Target) -> Flow:
    """The socket by which a target that is yet to be resolved will probably be reached: for its
    Record-Route or Contact only.
    """
    uri = target.route[0].uri if target.route else target.uri
    host = uri.host if isinstance(uri, SipUri) else ""
    transport, seen_from = _transport_of(uri), host if is_numeric(host) else came.remote.host
    endpoint = driver.endpoint_for(transport, seen_from)
    if endpoint is None:
        return came
    return Flow(transport, endpoint.local, Address(seen_from, 0), 0, endpoint.sent_by)


def _transport_of(uri: Uri) -> Transport:
    """RFC 3263 4.1 without DNS: the URI's word, or UDP, or TLS for sips."""
    if not isinstance(uri, SipUri):
        return Transport.UDP
    word = uri.transport or ("TLS" if uri.secure else "UDP")
    transport = Transport(word) if word in Transport.__members__ else Transport.UDP
    if uri.secure and transport in (Transport.TCP, Transport.UDP):
        return Transport.TLS
    return transport
