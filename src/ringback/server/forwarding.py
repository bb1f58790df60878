# SPDX-License-Identifier: Apache-2.0
"""What does a request look like when it leaves us? Request forwarding: RFC 3261 section 16.6, RFC 5393
section 5.3.

Via and Content-Length are the stack's business; the steps here are numbered as in the RFC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringback.server.asserted_identity import assert_identity, strip_challenges, strip_claims
from ringback.server.flow_token import FlowTokens, Side
from ringback.server.nat import is_numeric, rewrite_contact
from ringback.server.record_route import DIALOG_METHODS, add_record_route
from ringback.sip.flow import Address, Flow, Transport
from ringback.sip.message.uri import SipUri
from ringback.sip.routing import turn_for_strict_router

if TYPE_CHECKING:
    from ringback.server.location import Location
    from ringback.server.pipeline import Exchange
    from ringback.server.targets import Target
    from ringback.sip.message.message import Request, Response
    from ringback.sip.message.uri import Uri

#: 16.6 step 3: what a request without Max-Forwards gets.
MAX_FORWARDS = 70


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
        request = exchange.request.copy()
        request.target = str(target.uri)
        hops = request.max_forwards
        request.headers["Max-Forwards"] = str(MAX_FORWARDS if hops is None else hops - 1)
        request.headers["Max-Breadth"] = str(breadth)
        strip_claims(request)
        if exchange.dialog is None:
            self._introduce(exchange, request, target)
        for route in reversed(target.route):
            request.headers.prepend("Route", str(route))
        turn_for_strict_router(request)
        return request

    def pass_back(self, response: Response, flow: Flow | None) -> Response | None:
        """16.7 step 3: without our Via. None if no other is left: then it was for us."""
        response = response.copy()
        response.headers.remove_first_value("Via")
        if "Via" not in response.headers:
            return None
        strip_claims(response)
        if response.status in (401, 407):
            strip_challenges(response, self.policy.realm)
        if flow is not None and not self.policy.record_route:
            rewrite_contact(response, flow)
        return response

    def _introduce(self, exchange: Exchange, request: Request, target: Target) -> None:
        """The start of something: say who calls (step 5), and stay on the path if a dialog may come of it
        (step 4).
        """
        if target.is_registered:
            assert_identity(request, exchange.principal, self.policy.domain)
        if request.method not in DIALOG_METHODS or request.to.tag is not None:
            return
        if self.policy.record_route:
            self._stay(exchange, request, target)
        else:
            rewrite_contact(request, exchange.flow)

    def _stay(self, exchange: Exchange, request: Request, target: Target) -> None:
        token = self._tokens.make(
            Side(exchange.flow, self._handle_of_caller(exchange)),
            Side(target.flow, target.handle),
            call_id=request.call_id,
            caller_tag=request.from_.tag or "",
        )
        add_record_route(request, exchange.flow, target.flow or _likely_flow(exchange, target), token)

    def _handle_of_caller(self, exchange: Exchange) -> bytes:
        """The registration of the phone that calls: the one on this flow."""
        if exchange.principal is None:
            return b""
        for binding in self._location.bindings(exchange.principal.number, now=exchange.driver.now):
            if binding.flow == exchange.flow:
                return binding.handle
        return b""


def _likely_flow(exchange: Exchange, target: Target) -> Flow:
    """The socket by which a target that is yet to be resolved will probably be reached: for its
    Record-Route only.
    """
    uri = target.route[0].uri if target.route else target.uri
    host = uri.host if isinstance(uri, SipUri) else ""
    transport, seen_from = _transport_of(uri), host if is_numeric(host) else exchange.flow.remote.host
    endpoint = exchange.driver.endpoint_for(transport, seen_from)
    if endpoint is None:
        return exchange.flow
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
