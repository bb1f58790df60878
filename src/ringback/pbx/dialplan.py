# SPDX-License-Identifier: Apache-2.0
"""Where does what was dialled lead, and why? The dial plan: an ordered table of rules; the first that applies
decides.

A rule is a pure function; the plan keeps no state and does no work, so that it can be asked for an
explanation as well as for a decision.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringback.pbx.announcements import NOT_IN_SERVICE
from ringback.pbx.feature_codes import FEATURE_CODES
from ringback.server.routing import Decision, Refusal, ToApplication, ToUser

if TYPE_CHECKING:
    from ringback.server.subscribers import Principal, Subscribers


@dataclass(frozen=True, slots=True)
class Dialled:
    """What the rules look at. `caller` is None for a stranger."""

    user: str
    method: str
    caller: Principal | None


@dataclass(frozen=True, slots=True)
class Ruling:
    """A decision, the rule that took it, and its reason in a sentence."""

    decision: Decision
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Rule:
    """`decide` gives the decision and its reason, or None when the rule does not apply."""

    name: str
    decide: Callable[[Dialled, Subscribers], tuple[Decision, str] | None]


def _feature_code(dialled: Dialled, subscribers: Subscribers) -> tuple[Decision, str] | None:
    code = FEATURE_CODES.get(dialled.user)
    if code is None:
        return None
    if dialled.caller is None:
        return Refusal(404), f"{code.number} is the {code.name}, which is for users of this server only"
    return ToApplication(code.number), f"{code.number} is the {code.name}"


def _user(dialled: Dialled, subscribers: Subscribers) -> tuple[Decision, str] | None:
    subscriber = subscribers.find(dialled.user)
    if subscriber is None:
        return None
    if subscriber.number == dialled.user:
        return ToUser(subscriber.number), f"{subscriber.number} is the number of a user"
    return ToUser(subscriber.number), f"{dialled.user} is a name of user {subscriber.number}"


def _announcement(dialled: Dialled, subscribers: Subscribers) -> tuple[Decision, str] | None:
    if dialled.caller is None or dialled.method != "INVITE" or not dialled.user:
        return None
    reason = f"{dialled.user} is nobody's number; user {dialled.caller.number} is told so"
    return ToApplication(NOT_IN_SERVICE.name), reason


def _nobody(dialled: Dialled, subscribers: Subscribers) -> tuple[Decision, str]:
    return Refusal(404), f"{dialled.user or 'the empty user'} is nobody's number"


#: In the order in which they are asked. The last one always applies.
RULES: tuple[Rule, ...] = (
    Rule("feature code", _feature_code),
    Rule("user", _user),
    Rule("announcement", _announcement),
    Rule("nobody", _nobody),
)


def rule_on(dialled: Dialled, subscribers: Subscribers) -> Ruling:
    """Where `dialled` leads, and why."""
    for rule in RULES:
        found = rule.decide(dialled, subscribers)
        if found is not None:
            return Ruling(found[0], rule.name, found[1])
    raise AssertionError("the last rule applies to everything")


class OfficeDialPlan:
    """Implements `ringback.server.routing.DialPlan` for the users of one directory."""

    __slots__ = ("_subscribers",)

    def __init__(self, subscribers: Subscribers) -> None:
        self._subscribers = subscribers

    def decide(self, user: str, *, method: str, caller: Principal | None) -> Decision:
        return self.explain(user, method=method, caller=caller).decision

    def explain(self, user: str, *, method: str, caller: Principal | None) -> Ruling:
        """The decision with its reason."""
        return rule_on(Dialled(user, method, caller), self._subscribers)
