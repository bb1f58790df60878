# SPDX-License-Identifier: Apache-2.0
"""Where may this call go? The target set (RFC 3261 section 16.5) of users, of dialled addresses and of
redirections, for proxy and bridge alike.
"""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING

from ringback.server.routing import ToUri, ToUser, ToUsers
from ringback.server.targets import Target, are_alive, as_request_uri, targets_of
from ringback.sip.message.uri import SipUri
from ringback.sip.redirection import redirect_targets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringback.net.driver import StackDriver
    from ringback.server.locality import Locality
    from ringback.server.location import Location
    from ringback.server.routing import Decision, DialPlan
    from ringback.server.subscribers import Principal
    from ringback.sip.message.message import Response
    from ringback.sip.message.uri import Uri

#: 305 names a proxy, not a target (21.3.4); 380 is for people to read (21.3.5).
FOLLOWED = (300, 301, 302)

#: Users that one call rings at once, and users that are looked at to find them when it is for everybody.
MOST_RUNG, MOST_LOOKED_AT = 20, 1000


class TargetSet:
    """Knows the phones of users, and asks the dial plan about addresses that are ours."""

    __slots__ = ("_dial_plan", "_locality", "_location")

    def __init__(self, location: Location, locality: Locality, dial_plan: DialPlan) -> None:
        self._location = location
        self._locality = locality
        self._dial_plan = dial_plan

    def decide(self, uri: Uri, *, method: str, caller: Principal | None) -> Decision:
        """What the dial plan says about an address; one that is not ours is called as it stands."""
        if not self._locality.is_ours(uri):
            return ToUri(uri)
        return self._dial_plan.decide(self._locality.user_of(uri), method=method, caller=caller)

    def of(self, decision: Decision | None, *, driver: StackDriver, secure: bool) -> Sequence[Target]:
        """The targets of a decision, best q first."""
        if isinstance(decision, ToUser):
            return self.of_user(decision.number, driver=driver, secure=secure)
        if isinstance(decision, ToUsers):
            return self._of_users(decision, driver=driver, secure=secure)
        if isinstance(decision, ToUri):
            return [Target(str(as_request_uri(decision.uri)))]
        return []

    def of_user(self, number: str, *, driver: StackDriver, secure: bool) -> Sequence[Target]:
        """The phones of a user. RFC 5630 4: a call to a sips URI takes encrypted hops only."""
        now, is_alive = driver.stack.now, driver.is_alive
        targets: Sequence[Target] = self._location.targets(number, now=now)
        if not are_alive(targets, is_alive):
            targets = targets_of(self._location.bindings(number, now=now), is_alive)
        return [target for target in targets if target.is_secure] if secure else targets

    def _of_users(self, decision: ToUsers, *, driver: StackDriver, secure: bool) -> Sequence[Target]:
        """The phones of so many users as one call may ring, best q first."""
        numbers = decision.numbers or islice(self._location.users(), MOST_LOOKED_AT)
        rung = (
            self.of_user(each, driver=driver, secure=secure)
            for each in numbers
            if each != decision.apart_from
        )
        found = chain.from_iterable(islice((targets for targets in rung if targets), MOST_RUNG))
        return sorted(found, key=lambda target: -target.q)

    def left_out(self, decision: Decision | None, *, driver: StackDriver, secure: bool) -> tuple[str, ...]:
        """Why a user has no targets, for people: what is registered and cannot be used, what has expired."""
        if isinstance(decision, ToUsers):
            return ("nobody who answers for the office has a registered phone",)
        if not isinstance(decision, ToUser):
            return ()
        now, found = driver.stack.now, []
        for binding in self._location.bindings(decision.number, now=float("-inf")):
            if binding.expires_at <= now:
                found.append(f"{binding.uri_text}: its registration has expired")
            elif secure:
                found.append(
                    f"{binding.uri_text}: its connection is not encrypted, and a sips URI was dialled"
                )
        return tuple(found) or (f"no phone of {decision.number} is registered",)

    def of_redirection(
        self, response: Response, *, method: str, caller: Principal | None, driver: StackDriver, secure: bool
    ) -> Sequence[Target]:
        """The local phones a 3xx points to. Other domains are the caller's own decision: a phone that
        redirects must not spend somebody else's money.
        """
        if response.status not in FOLLOWED:
            return ()
        targets: list[Target] = []
        if caller is not None and caller.may_call:  # where those send it whom a guest may call, it may go
            caller = caller._replace(may_call="")
        for contact in redirect_targets(response, secure=secure):
            if not self._locality.is_ours(contact.uri):
                return ()
            decision = self.decide(contact.uri, method=method, caller=caller)
            if not isinstance(decision, ToUser):
                return ()
            targets += self.of_user(decision.number, driver=driver, secure=secure)
        return targets


def is_sips(uri: Uri) -> bool:
    """True for a sips URI."""
    return isinstance(uri, SipUri) and uri.secure
