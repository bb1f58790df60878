# SPDX-License-Identifier: Apache-2.0
"""Where does a phone say that it is here? The registrar: RFC 3261 section 10.3, RFC 3327, RFC 5626 section 6.

No GRUU is handed out and no Service-Route: a phone that got one would use it in every dialog.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ringback.server.nat import flow_to_contact
from ringback.server.registration import RegistrarPolicy, RegistrationError, Update, plan_update
from ringback.server.targets import target_of
from ringback.sip.message.dates import Date

if TYPE_CHECKING:
    from ringback.server.binding import Binding
    from ringback.server.locality import Locality
    from ringback.server.location import Location
    from ringback.server.pipeline import Exchange
    from ringback.sip.flow import Flow
    from ringback.sip.message.message import Request
    from ringback.sip.message.uri import NameAddr


class Registrar:
    """Answers REGISTER. Authentication has made sure that the user registers for itself."""

    def __init__(
        self,
        location: Location,
        locality: Locality,
        policy: RegistrarPolicy,
        *,
        wall_clock: Callable[[], float],
    ) -> None:
        self.policy = policy
        self._location = location
        self._locality = locality
        self._wall_clock = wall_clock

    def serve(self, exchange: Exchange) -> bool:
        if exchange.request.method != "REGISTER":
            return False
        if exchange.principal is None:
            exchange.respond(403)
            return True
        try:
            update = self._update(exchange, exchange.principal.number)
        except RegistrationError as refusal:
            exchange.respond(refusal.status, refusal.detail, headers=refusal.headers)
            return True
        self._commit(exchange, exchange.principal.number, update)
        return True

    def _update(self, exchange: Exchange, user: str) -> Update:
        now = exchange.driver.now

        def flow_for(contact: NameAddr, request: Request) -> Flow | None:
            if request.path:
                self._refuse_ourselves(request.path[0], None)
                return None
            flow = flow_to_contact(contact.uri, request, exchange.flow)
            self._refuse_ourselves(contact, flow)
            return flow

        return plan_update(
            exchange.arrived,
            user,
            self._location.bindings(user, now=now),
            policy=self.policy,
            flow_for=flow_for,
            is_lost=lambda binding: target_of(binding, exchange.driver.is_alive).is_gone,
            now=now,
            wall_now=self._wall_clock(),
        )

    def _refuse_ourselves(self, contact: NameAddr, flow: Flow | None) -> None:
        """A Contact that leads back here would send calls round in circles (RFC 5393)."""
        if flow is None and self._locality.is_our_socket(contact.uri):
            raise RegistrationError(403, "Contact Is This Server")

    def _commit(self, exchange: Exchange, user: str, update: Update) -> None:
        now = exchange.driver.now
        self._location.commit(user, put=update.put, remove=update.remove, now=now)
        if update.put:
            exchange.driver.trust(exchange.flow)
        bindings = self._location.bindings(user, now=now)
        headers = [("Contact", _with_expiry(binding, now)) for binding in bindings]
        headers.append(("Date", str(Date(datetime.fromtimestamp(self._wall_clock(), UTC)))))
        headers += self._extensions(exchange.arrived, update)
        exchange.respond(200, headers=headers)

    def _extensions(self, request: Request, update: Update) -> list[tuple[str, str]]:
        """RFC 3327 5.3: the Path comes back to who knows it. RFC 5626 6: so does the promise to use the
        flow.
        """
        headers = [("Supported", "path, outbound")]
        if "path" in request.supported:
            headers += [("Path", str(route)) for route in request.path]
        if update.uses_outbound:
            headers.append(("Require", "outbound"))
        return headers


def _with_expiry(binding: Binding, now: float) -> str:
    """Step 8: what is left of each binding, at least a second while it lives."""
    contact = binding.contact
    if binding.q != 1.0:
        contact = contact.with_parameter("q", f"{binding.q:.3g}")
    left = max(1, math.ceil(binding.expires_at - now - 0.001))
    return str(contact.with_parameter("expires", str(left)))
