# SPDX-License-Identifier: Apache-2.0
"""May this request come in at all? The checks before anybody is asked for a password: RFC 3261 section 16.3.

Everything here is answered without state. Message syntax was judged by the stack; this is about what is
asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringback.kernel import BIT
from ringback.server import clauses
from ringback.sip.message.names import METHODS
from ringback.sip.message.uri import OtherUri, SipUri

if TYPE_CHECKING:
    from ringback.server.locality import Locality
    from ringback.server.loop_detection import LoopDetector
    from ringback.server.pipeline import Exchange
    from ringback.server.record_route import OwnRoutes

#: What this server does itself, as it says in an answer to OPTIONS.
ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, MESSAGE, INFO, UPDATE, PRACK, REFER, SUBSCRIBE, NOTIFY"
ACCEPT = "application/sdp"
SUPPORTED = "path, outbound"
CAPABILITIES = (("Allow", ALLOW), ("Accept", ACCEPT), ("Supported", SUPPORTED))

#: Extensions of a REGISTER that we obey when they are required (RFC 3261 8.2.2.3).
REGISTRAR_EXTENSIONS = frozenset(("path", "outbound"))

#: Extensions we obey in a Proxy-Require. RFC 3329 and its like are later chapters.
PROXY_EXTENSIONS: frozenset[str] = frozenset()

_ROUTE, _MAX_BREADTH = BIT["route"], BIT["max-breadth"]
_REQUIREMENTS = BIT["require"] | BIT["proxy-require"]


@dataclass(frozen=True, slots=True)
class AdmissionPolicy:
    """Limits of what is let in."""

    max_breadth: int = 60
    max_target: int = 2048
    """The longest Request-URI (RFC 3261 21.4.12)."""


#: Methods that start nothing: outside of a dialog there is nobody they could mean (RFC 3261 12.2.2, RFC
#: 6665 4.1.3).
IN_DIALOG_ONLY = frozenset(("BYE", "UPDATE", "PRACK", "NOTIFY"))

#: Methods for a server of their kind, which we are not (yet), and no phone is either.
UNSUPPORTED_METHODS = frozenset(("PUBLISH",))


class Admission:
    """The first service."""

    def __init__(
        self, locality: Locality, routes: OwnRoutes, loops: LoopDetector, policy: AdmissionPolicy
    ) -> None:
        self._locality = locality
        self._routes = routes
        self._loops = loops
        self.policy = policy

    def serve(self, exchange: Exchange) -> bool:
        if exchange.flow.connection:
            self._locality.learn(exchange.flow)
        present, request = exchange.present, exchange.request
        if present & _ROUTE or exchange.to_tag is not None:
            self._routes.take(exchange)
        if exchange.transaction is None:
            is_stray = exchange.to_tag is None or exchange.max_forwards == 0
            return is_stray or (exchange.dialog is None and self._is_looping(exchange))
        is_new, head = exchange.dialog is None, request.head
        return (
            ((head is None or len(head.target) > self.policy.max_target) and self._refuses_uri(exchange))
            or (exchange.max_forwards == 0 and self._refuses_hops(exchange))
            or (is_new and self._is_looping(exchange) and self._refuses_loop(exchange))
            or (present & _MAX_BREADTH != 0 and self._refuses_breadth(exchange))
            or (present & _REQUIREMENTS != 0 and self._refuses_extensions(exchange))
            or (request.method == "OPTIONS" and self._answers_options(exchange))
            or (is_new and self._refuses_method(exchange))
        )

    def _refuses_uri(self, exchange: Exchange) -> bool:
        """16.3 item 2: 416 for schemes that nobody here can route (the kernel reads SIP URIs only); 414 for
        what is no address any more.
        """
        request = exchange.request
        if len(request.target) > self.policy.max_target:
            exchange.refuse(414, clauses.LONG_ADDRESS, len(request.target))
        elif isinstance(request.uri, OtherUri):
            exchange.refuse(416, clauses.ODD_SCHEME, request.target)
        return exchange.is_answered

    def _refuses_hops(self, exchange: Exchange) -> bool:
        """16.3 item 3."""
        method = exchange.request.method
        if method == "OPTIONS":
            self._describe_ourselves(exchange)
        elif method != "REGISTER":
            exchange.refuse(483, clauses.NO_HOPS)
        return exchange.is_answered

    def _is_looping(self, exchange: Exchange) -> bool:
        """RFC 5393 4.2: asked of what may be forked. A REGISTER ends here, and what comes along our own
        Record-Route goes to one place, which the token names.
        """
        request = exchange.request
        if request.method == "REGISTER":
            return False
        exchange.loop_hash = self._loops.hash_of(request, exchange.routes)
        return self._loops.is_loop(request, exchange.loop_hash)

    def _refuses_loop(self, exchange: Exchange) -> bool:
        """16.3 item 4."""
        exchange.refuse(482, clauses.LOOPING)
        return True

    def _refuses_breadth(self, exchange: Exchange) -> bool:
        """RFC 5393 5.3.3."""
        if exchange.request.max_breadth == 0 and not self._is_for_us(exchange):
            exchange.refuse(440, clauses.NO_BREADTH)
        return exchange.is_answered

    def _refuses_extensions(self, exchange: Exchange) -> bool:
        """16.3 item 5; 8.2.2.3 where we are the one the request is for."""
        request = exchange.request
        unknown = [tag for tag in request.proxy_require if tag not in PROXY_EXTENSIONS]
        if self._is_for_us(exchange) or unknown:
            known = REGISTRAR_EXTENSIONS if request.method == "REGISTER" else frozenset[str]()
            unknown += [tag for tag in request.require if tag not in known]
        if unknown:
            tags = ", ".join(unknown)
            exchange.refuse(420, clauses.UNKNOWN_EXTENSION, tags, headers=[("Unsupported", tags)])
        return exchange.is_answered

    def _answers_options(self, exchange: Exchange) -> bool:
        """11.2: asked for what we can do. Scanners ask too: the answer is short, and the same for
        everybody.
        """
        if self._is_for_us(exchange):
            self._describe_ourselves(exchange)
        return exchange.is_answered

    def _refuses_method(self, exchange: Exchange) -> bool:
        """What starts nothing and belongs to nothing is refused before it costs a password."""
        request = exchange.request
        if request.method in IN_DIALOG_ONLY and exchange.to_tag is None:
            exchange.refuse(481, clauses.NO_DIALOG, request.method)
        elif request.method in UNSUPPORTED_METHODS:
            exchange.refuse(405, clauses.UNSUPPORTED_METHOD, request.method, headers=[("Allow", ALLOW)])
        elif request.method != "REGISTER" and self._is_for_us(exchange):
            self._refuse_as_server(exchange)
        return exchange.is_answered

    def _refuse_as_server(self, exchange: Exchange) -> None:
        """Nobody lives at our bare address: there is no dialog, no such method, or no such user."""
        request = exchange.request
        if exchange.to_tag is not None:
            exchange.refuse(481, clauses.NO_DIALOG, request.method)
        elif request.method in METHODS:
            exchange.refuse(404, clauses.NO_USER, request.target)
        else:
            exchange.refuse(405, clauses.UNSUPPORTED_METHOD, request.method, headers=[("Allow", ALLOW)])

    def _is_for_us(self, exchange: Exchange) -> bool:
        """True for the server itself: an address of ours without a user."""
        uri = exchange.request.uri
        if exchange.routes or not isinstance(uri, SipUri):
            return False
        return (not uri.user or exchange.request.method == "REGISTER") and self._locality.is_ours(uri)

    def _describe_ourselves(self, exchange: Exchange) -> None:
        exchange.respond(200, headers=CAPABILITIES)
