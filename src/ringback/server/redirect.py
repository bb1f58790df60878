# SPDX-License-Identifier: Apache-2.0
"""What does a redirect server answer? The Contacts of the called user: RFC 3261 sections 8.3 and 21.3.3."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ringback.server import clauses
from ringback.server.nat import contact_with_flow
from ringback.server.routing import ToUser

if TYPE_CHECKING:
    from ringback.server.binding import Binding
    from ringback.server.location import Location
    from ringback.server.pipeline import Exchange


class Redirect:
    """Answers 302 instead of passing requests on, where the setting says so."""

    def __init__(self, location: Location, *, is_enabled: bool) -> None:
        self.is_enabled = is_enabled
        self._location = location

    def serve(self, exchange: Exchange) -> bool:
        if not self.is_enabled or exchange.transaction is None or not isinstance(exchange.decision, ToUser):
            return False
        bindings = self._location.bindings(exchange.decision.number, now=exchange.stack.now)
        exchange.decide(clauses.REDIRECTED, exchange.decision.number, len(bindings))
        if bindings:
            exchange.respond(302, headers=[("Contact", _contact(binding)) for binding in bindings])
        else:
            exchange.respond(480)
        return True


def _contact(binding: Binding) -> str:
    """With q, so that the caller tries the phones in the order their owner wants."""
    contact = contact_with_flow(binding.contact, binding.flow)
    kept = [
        (name, value)
        for name, value in contact.parameters
        if not name.startswith("+") and name.lower() != "reg-id"
    ]
    plain = replace(contact, parameters=tuple(kept))
    return str(plain if binding.q == 1.0 else plain.with_parameter("q", f"{binding.q:.3g}"))
