# SPDX-License-Identifier: Apache-2.0
"""What is said to those who are asked to take a call? The INVITE of the other half: RFC 3261 section 13.2.1,
with what crosses from the first half.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ringback.kernel import BIT
from ringback.server.applications import contact_on
from ringback.server.asserted_identity import FIELD, identity
from ringback.server.b2bua.header_fields import Fields, crossing_from
from ringback.server.forwarding import MAX_FORWARDS, likely_flow
from ringback.sip.message.message import Request
from ringback.sip.message.uri import NameAddr, SipUri
from ringback.sip.routing import turn_for_strict_router

if TYPE_CHECKING:
    from ringback.net.driver import StackDriver
    from ringback.server.b2bua.leg import BridgeLeg
    from ringback.server.pipeline import Exchange
    from ringback.server.subscribers import Principal
    from ringback.server.targets import Target
    from ringback.sip.flow import Flow

_MAX_BREADTH = BIT["max-breadth"]


@dataclass(slots=True)
class Invitation:
    """One call, as all who are asked to take it hear of it. `caller` is the leg whose sound is offered."""

    caller: BridgeLeg
    from_: NameAddr
    to: NameAddr
    offer: bytes | None
    principal: Principal | None = None
    """Whose rights it is made with."""
    is_unnamed: bool = False
    """The caller wants no assertion of who it is (RFC 3323)."""
    fields: Fields = field(default_factory=list)
    max_forwards: int = MAX_FORWARDS
    max_breadth: int = 60
    is_secure: bool = False
    loop_hash: str = ""
    has_100rel: bool = True
    came: Flow | None = None
    """The way to who calls, when that is nobody with a session."""

    @classmethod
    def of(cls, exchange: Exchange, caller: BridgeLeg, *, max_breadth: int, loop_hash: str) -> Invitation:
        """The call that a phone makes."""
        request = exchange.request
        if exchange.present & _MAX_BREADTH:
            max_breadth = min(request.max_breadth or 0, max_breadth)
        uri = request.uri
        return cls(
            caller,
            request.from_.without_parameter("tag"),
            request.to,
            caller.session.remote_sdp,
            exchange.principal,
            is_unnamed=caller.is_unnamed,
            fields=[
                *crossing_from(exchange),
                *(("Replaces", line) for line in request.reading.get_all("Replaces")),
            ],
            max_forwards=MAX_FORWARDS if exchange.max_forwards < 0 else exchange.max_forwards - 1,
            max_breadth=max_breadth,
            is_secure=isinstance(uri, SipUri) and uri.secure,
            loop_hash=loop_hash,
            has_100rel="100rel" in (*request.supported, *request.require),
        )

    def request_for(
        self,
        target: Target,
        driver: StackDriver,
        came: Flow,
        *,
        domain: str,
        breadth: int,
        extensions: Fields,
    ) -> Request:
        """The INVITE to one target; the session adds what is the session's."""
        goes = target.flow or likely_flow(driver, came, target)
        user = self.from_.uri.user if isinstance(self.from_.uri, SipUri) else ""
        contact = contact_on(user or "", goes, secure=target.has_sips)
        fields: Fields = [("Contact", str(contact)), ("Max-Breadth", str(breadth)), *extensions]
        if target.is_registered and self.principal is not None and not self.is_unnamed:
            fields.append((FIELD, identity(self.principal.number, self.principal.name, domain)))
        request = Request.new(
            "INVITE",
            target.text,
            from_=self.from_,
            to=self.to,
            call_id=driver.stack.identifiers.call_id(),
            cseq=1,
            max_forwards=self.max_forwards,
            headers=[*fields, *self.fields],
        )
        for route in target.route:
            request.headers.add("Route", str(route))
        if target.route:
            turn_for_strict_router(request)
        return request
