# SPDX-License-Identifier: Apache-2.0
"""Where does a phone say that it is here? The registrar: RFC 3261 section 10.3, RFC 3327, RFC 5626 section 6.

No GRUU is handed out and no Service-Route: a phone that got one would use it in every dialog.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from ringback.kernel import BIT
from ringback.server import clauses
from ringback.server.nat import flow_to_contact
from ringback.server.plain_request import answer
from ringback.server.refresh import refresh_time
from ringback.server.registration import RegistrarPolicy, RegistrationError, Update, plan_update
from ringback.server.targets import target_of
from ringback.sip.message.dates import Date
from ringback.sip.message.editing import header_line

if TYPE_CHECKING:
    from ringback.server.binding import Binding
    from ringback.server.locality import Locality
    from ringback.server.location import Location
    from ringback.server.pipeline import Exchange
    from ringback.server.subscribers import Principal
    from ringback.sip.flow import Flow
    from ringback.sip.message.message import Request
    from ringback.sip.message.uri import NameAddr


_PATH = BIT["path"]
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


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
        principal = exchange.principal
        if principal is None:
            exchange.refuse(403, clauses.NOT_REGISTERED, "nobody", 403, "nobody proved anything")
            return True
        now = exchange.stack.now
        existing = self._location.bindings(principal.number, now=now)
        if len(existing) != 1 or not self._refresh(exchange, existing[0], principal, now):
            self._change(exchange, principal, existing, now)
        if exchange.transaction is not None:
            exchange.transaction.shed()  # it waits 32 s for repetitions, by the hundred thousand
        return True

    def _refresh(self, exchange: Exchange, binding: Binding, principal: Principal, now: float) -> bool:
        """True when the same phone registered once more, and has its answer."""
        head = exchange.request.head
        if head is None or binding.device != principal.device:
            return False
        seconds = refresh_time(head, exchange.flow, binding, self.policy)
        if not seconds:
            return False
        wall_now = self._wall_clock()
        self._location.renew(binding, seconds, head.call_id, head.cseq, now, wall_now)
        line = f"Contact: {binding.contact_text};expires={seconds}\r\n"
        lines = line.encode("utf-8", "surrogateescape") + _of_every_answer(int(wall_now))
        answer(exchange, 200, lines, exchange.stack.identifiers.tag())
        exchange.decide(clauses.REFRESHED, binding, seconds)
        return True

    def _change(self, exchange: Exchange, principal: Principal, existing: list[Binding], now: float) -> None:
        """All else: what is asked for is done as a whole, or not at all."""
        user = principal.number
        try:
            update = self._update(exchange, user, existing, now)
        except RegistrationError as refusal:
            exchange.decide(clauses.NOT_REGISTERED, user, refusal.status, refusal.detail)
            exchange.respond(refusal.status, refusal.detail, headers=refusal.headers)
            return
        self._commit(exchange, principal, update, now)
        exchange.decide(clauses.REGISTERED, user, update.put, update.remove, now)

    def _update(self, exchange: Exchange, user: str, existing: list[Binding], now: float) -> Update:
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
            existing,
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

    def _commit(self, exchange: Exchange, principal: Principal, update: Update, now: float) -> None:
        user = principal.number
        for binding in update.put:  # new ones all of them: nobody else has seen them yet
            binding.device = principal.device
        self._location.commit(user, put=update.put, remove=update.remove, now=now)
        texts = [_with_expiry(binding, now) for binding in self._location.bindings(user, now=now)]
        lines = "".join([f"Contact: {_printable(text)}\r\n" for text in texts])
        answer(
            exchange,
            200,
            lines.encode("utf-8", "surrogateescape")
            + _of_every_answer(int(self._wall_clock()))
            + self._extensions(exchange, update),
        )

    def _extensions(self, exchange: Exchange, update: Update) -> bytes:
        """RFC 3327 5.3: the Path comes back to who knows it. RFC 5626 6: so does the promise to use the
        flow.
        """
        lines = b""
        if exchange.present & _PATH and "path" in exchange.arrived.supported:
            lines = b"".join([header_line("Path", str(route)) for route in exchange.arrived.path])
        return lines + b"Require: outbound\r\n" if update.uses_outbound else lines


def _with_expiry(binding: Binding, now: float) -> str:
    """Step 8: what is left of each binding, at least a second while it lives."""
    q = "" if binding.q == 1.0 else f";q={binding.q:.3g}"
    left = max(1, math.ceil(binding.expires_at - now - 0.001))
    return f"{binding.contact_text}{q};expires={left}"


def _printable(text: str) -> str:
    """No Contact of a phone can add a line: they were read and printed, but this costs nothing."""
    return text if text.isprintable() else _CONTROLS.sub(" ", text)


@lru_cache(maxsize=2)
def _of_every_answer(second: int) -> bytes:
    """The lines of this second: 3 us."""
    date = Date(datetime.fromtimestamp(second, UTC))
    return header_line("Date", str(date)) + header_line("Supported", "path, outbound")
