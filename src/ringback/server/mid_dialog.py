# SPDX-License-Identifier: Apache-2.0
"""How does a request go on inside a dialog whose path we are on? By the token in our own Record-Route: RFC
3261 sections 16.4 to 16.6 and 16.11, RFC 5626 section 5.3.

The token was made here, for this dialog alone: it names the neighbour on the other side, and is all the
proof that is asked for. So this service stands right behind admission, and what it takes meets no other.
There is one target, hence one branch (`sole_branch.py`). Only a re-INVITE takes the way of all INVITEs: it
can ring, be cancelled, and wait for Timer C.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.server.sole_branch import SoleBranch, Way
from ringback.server.targets import Target, target_of
from ringback.sip.flow import Transport
from ringback.sip.message.uri import SipUri
from ringback.sip.routing import next_hop

if TYPE_CHECKING:
    from ringback.server.call_records.book import CallBook
    from ringback.server.flow_token import Side
    from ringback.server.forwarding import Forwarder
    from ringback.server.location import Location
    from ringback.server.pipeline import Exchange
    from ringback.server.proxy import Proxy
    from ringback.sip.flow import Flow

#: The Max-Breadth of an ACK: it goes to one place.
NO_FORK = 1


class MidDialog:
    """The second service: takes what admission found a token in."""

    def __init__(
        self, forwarder: Forwarder, proxy: Proxy, *, location: Location, book: CallBook | None = None
    ) -> None:
        self._forwarder = forwarder
        self._proxy = proxy
        self._location = location
        self._book = book
        self._branches: set[SoleBranch] = set()

    @property
    def pending(self) -> int:
        """Requests that are being forwarded."""
        return len(self._branches)

    def serve(self, exchange: Exchange) -> bool:
        side, method = exchange.dialog, exchange.request.method
        if side is None or method == "REGISTER":
            return False
        way = self._way(exchange, side)
        if exchange.transaction is None:
            self._pass_ack(exchange, way)
        elif exchange.keep():
            if method == "BYE" and self._book is not None:
                self._book.passed_bye(exchange.request)
            if method == "INVITE":
                flow, route, is_gone = way
                target = Target(exchange.request.target, flow, route, is_gone=is_gone)
                self._proxy.forward(exchange, (target,))
            else:
                SoleBranch(exchange, self._forwarder, self._branches).start(
                    way, self._proxy.policy.max_breadth
                )
        return True

    def _pass_ack(self, exchange: Exchange, way: Way) -> None:
        """16.11: the ACK to a 2xx has no transaction."""
        flow, route, is_gone = way
        if not is_gone:
            request = self._forwarder.prepare_mid_dialog(exchange, route, NO_FORK)
            exchange.stack.send_stateless(request, now=exchange.stack.now, flow=flow, hand_over=True)

    def _way(self, exchange: Exchange, side: Side) -> Way:
        """The neighbour's connection; if it was replaced, that of the same phone now; else what the message
        says.
        """
        is_alive, binding, (flow, handle) = exchange.driver.is_alive, None, side
        if handle:
            binding = self._location.find(handle, now=exchange.stack.now)
            if binding is not None and binding.flow is not None and is_alive(binding.flow):
                return binding.flow, (), False
        if flow is not None and is_alive(flow):
            return flow, (), False
        if binding is not None:
            known = target_of(binding, is_alive)
            return None, known.route, known.is_gone
        return None, (), flow is not None and not _listens(exchange, flow)


def _listens(exchange: Exchange, flow: Flow) -> bool:
    """The neighbour's connection is closed. A new one is opened to where it was, if the message says so, and
    to no other place: a dialog is no permission to send through us to anybody.
    """
    if flow.transport in (Transport.WS, Transport.WSS):
        return False
    hop = next_hop(exchange.request.edited(drop_routes=exchange.own_routes))
    return isinstance(hop, SipUri) and hop.host == flow.remote.host
