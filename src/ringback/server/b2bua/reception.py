# SPDX-License-Identifier: Apache-2.0
"""How does an INVITE become the leg of one who calls? Its offer is looked at, its session made.

Such a leg begins a call, or moves into one that is on (Replaces: RFC 3891).
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from ringback.kernel import BIT
from ringback.sdp.errors import UnacceptableSession
from ringback.server import clauses
from ringback.server.anchoring import End, check_security, described
from ringback.server.applications import contact_on
from ringback.server.asserted_identity import wants_privacy
from ringback.server.b2bua.crossing import warning_of
from ringback.server.b2bua.takeover import take_over
from ringback.server.routing import ToUri
from ringback.sip.dialog.negotiation import session_description
from ringback.sip.message.uri import SipUri

if TYPE_CHECKING:
    from ringback.server.b2bua.bridge import Bridge
    from ringback.server.b2bua.call import BridgedCall
    from ringback.server.b2bua.leg import BridgeLeg
    from ringback.server.location import Location
    from ringback.server.pipeline import Exchange
    from ringback.sip.dialog.session_table import SessionTable
    from ringback.sip.flow import Flow
    from ringback.sip.message.message import Request
    from ringback.sip.message.uri import NameAddr
    from ringback.sip.message.values import DialogReference

_PRIVACY = BIT["privacy"]

logger = logging.getLogger("ringback.calls")


class Reception:
    """Takes in those who call."""

    __slots__ = ("_bridge", "_location", "_sessions")

    def __init__(self, bridge: Bridge, sessions: SessionTable, location: Location) -> None:
        self._bridge = bridge
        self._sessions = sessions
        self._location = location

    def serve_takeover(self, exchange: Exchange, reference: DialogReference) -> bool:
        """RFC 3891 3: a dialog that is not confirmed cannot be replaced here, nor one that shall be early.
        One at another server is for that server to find: False.
        """
        old = self._bridge.leg_named(reference)
        if old is None and isinstance(exchange.decision, ToUri):
            return False
        call = None if old is None else old.call
        who = exchange.principal
        if old is None or call is None or who is None or who.may_call:  # a guest only has the call it made
            exchange.respond(481)
        elif old.is_over:
            exchange.respond(603)
        elif not old.is_established:
            exchange.respond(481)
        elif reference.has_parameter("early-only"):
            exchange.respond(486)
        else:
            leg = self.take(exchange, call)
            if leg is not None:
                exchange.decide(clauses.TAKEOVER, leg.end.name, old.end.name)
                call.put(take_over, call, old, leg)
        return True

    def take(self, exchange: Exchange, call: BridgedCall) -> BridgeLeg | None:
        """The leg of one who calls, if what it offers can be taken; else it is answered."""
        end = self._end_of(exchange)
        if end is None or not exchange.keep():
            return None
        exchange.respond(100)
        leg = call.new_leg("caller", end)
        leg.principal, leg.handle = exchange.principal, self._handle_of(exchange)
        leg.is_unnamed = bool(exchange.present & _PRIVACY) and wants_privacy(exchange.request)
        self._open_session(exchange, leg)
        if leg.session.ended is not None:
            exchange.status = leg.session.ended.status
            call.forget(leg)
            return None
        self._bridge.legs[leg.session] = leg
        return leg

    def _end_of(self, exchange: Exchange) -> End | None:
        """What the caller says of how it takes media; None when that cannot be taken, which it was told."""
        request, flow, principal = exchange.request, exchange.flow, exchange.principal
        end = End.reached_by(principal.number if principal is not None else _name_of(request.from_uri), flow)
        if wish := self._bridge.security_of(principal):
            end = replace(end, wish=wish)
        sdp, policy = session_description(request), self._bridge.policy.anchoring
        if sdp is None:
            return end
        try:
            end = described(end, sdp)
            check_security(end, policy)
        except UnacceptableSession as error:
            logger.info("INVITE from %s: %s", flow, error)
            facts = (end.name, str(error), error.status, policy.security)
            exchange.refuse(error.status, clauses.OFFER_REFUSED, *facts, headers=warning_of(error))
            return None
        return end

    def _open_session(self, exchange: Exchange, leg: BridgeLeg) -> None:
        assert exchange.transaction is not None
        leg.session = exchange.driver.perform(
            self._sessions.incoming,
            exchange.transaction,
            consumer=leg.receive,
            contact=_contact(exchange.request, exchange.flow),
            flow=exchange.flow,
        )
        leg.is_fresh = False
        exchange.is_answered = True

    def _handle_of(self, exchange: Exchange) -> bytes:
        """The registration of the phone that calls: the one on this flow."""
        if exchange.principal is None:
            return b""
        bindings = self._location.bindings(exchange.principal.number, now=exchange.stack.now)
        return next((each.handle for each in bindings if each.flow == exchange.flow), b"")


def _contact(request: Request, flow: Flow) -> NameAddr:
    uri = request.uri
    user = (uri.user or "") if isinstance(uri, SipUri) else str(uri).partition(":")[2]
    secure = isinstance(uri, SipUri) and uri.secure
    return contact_on(user, flow, secure=secure and flow.transport.is_secure)


def _name_of(uri: object) -> str:
    return (uri.user or uri.host) if isinstance(uri, SipUri) else str(uri)
