# SPDX-License-Identifier: Apache-2.0
"""Who answers a request to `sip:user@our-domain`? The decisions a dial plan can take, and the simplest
dial plan.

The full dial plan lives in `pbx/`; the server asks it once for each request that starts something new.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ringback.server import clauses

if TYPE_CHECKING:
    from ringback.server.locality import Locality
    from ringback.server.pipeline import Exchange
    from ringback.server.subscribers import Principal, Subscribers
    from ringback.sip.message.uri import Uri


@dataclass(slots=True)
class ToUser:
    """The phones of this user."""

    number: str


@dataclass(slots=True)
class ToUsers:
    """The phones of all these users at once, but not those of who calls. No numbers: everybody here."""

    numbers: tuple[str, ...]
    apart_from: str = ""


@dataclass(slots=True)
class ToApplication:
    """Something on this server that answers calls itself. `name` is what `Applications.find` knows it by."""

    name: str


@dataclass(slots=True)
class ToUri:
    """Another address, as it stands: a next hop found by RFC 3263."""

    uri: Uri


@dataclass(slots=True)
class Refusal:
    """Nobody. The caller gets this final response."""

    status: int
    reason: str | None = None


Decision = ToUser | ToUsers | ToApplication | ToUri | Refusal


class DialPlan(Protocol):
    """Decides by what was dialled and by whom. Must not block; called for every new request to our domain."""

    def decide(self, user: str, *, method: str, caller: Principal | None) -> Decision: ...


class UsersByNumber:
    """Every user is reached by number; everything else does not exist."""

    __slots__ = ("_subscribers",)

    def __init__(self, subscribers: Subscribers) -> None:
        self._subscribers = subscribers

    def decide(self, user: str, *, method: str, caller: Principal | None) -> Decision:
        subscriber = self._subscribers.find(user)
        return ToUser(subscriber.number) if subscriber and not subscriber.may_call else Refusal(404)


class Destination:
    """The service that asks the dial plan. Requests along our Record-Route have their way already."""

    def __init__(self, dial_plan: DialPlan, locality: Locality) -> None:
        self._dial_plan = dial_plan
        self._locality = locality

    def serve(self, exchange: Exchange) -> bool:
        if exchange.dialog is not None or exchange.routes:
            return False
        uri = exchange.request.uri
        if not self._locality.is_ours(uri):
            exchange.decision = ToUri(uri)
            exchange.decide(clauses.OTHER_DOMAIN, uri)
            return False
        user, method, caller = self._locality.user_of(uri), exchange.request.method, exchange.principal
        decision = self._dial_plan.decide(user, method=method, caller=caller)
        exchange.decision = decision
        facts = (self._dial_plan, user, method, caller, decision)
        if isinstance(decision, Refusal):
            exchange.decide(clauses.NUMBER_REFUSED, *facts)
            exchange.respond(decision.status, decision.reason)
            return True
        exchange.decide(clauses.DIALLED, *facts)
        return False
