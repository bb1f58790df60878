# SPDX-License-Identifier: Apache-2.0
"""Where does what was dialled lead, and why? The dial plan: an ordered table of rules; the first that applies
decides.

A rule is a pure function; the plan keeps no state and does no work, so that it can be asked for an
explanation as well as for a decision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from ringback.pbx import operator
from ringback.pbx.announcements import NOT_IN_SERVICE
from ringback.pbx.conference import PREFIX
from ringback.pbx.feature_codes import FEATURE_CODES
from ringback.server.routing import Decision, Refusal, ToApplication, ToUser, ToUsers

if TYPE_CHECKING:
    from ringback.server.conference_settings import RoomSettings
    from ringback.server.subscribers import Principal, Subscribers


class Dialled(NamedTuple):
    """What the rules look at. `caller` is None for a stranger."""

    user: str
    method: str
    caller: Principal | None
    rooms: Mapping[str, RoomSettings] = MappingProxyType({})
    operators: Sequence[str] = ()


class Ruling(NamedTuple):
    """A decision, the rule that took it, and its reason in a sentence."""

    decision: Decision
    rule: str
    reason: str
    place: str = ""
    """File and line of the rule."""
    passed_over: tuple[str, ...] = ()
    """The rules that were asked before and did not apply."""


class Rule(NamedTuple):
    """`decide` gives the decision, or None when the rule does not apply; `because` its reason in words."""

    name: str
    decide: Callable[[Dialled, Subscribers], Decision | None]
    because: Callable[[Dialled, Decision], str]


def _guest(dialled: Dialled, subscribers: Subscribers) -> Decision | None:
    if dialled.caller is None or dialled.caller.may_call in ("", dialled.user):
        return None
    subscriber = subscribers.find(dialled.user)
    is_allowed = subscriber is not None and subscriber.number == dialled.caller.may_call
    return None if is_allowed else Refusal(403, "Not For Guests")


def _because_of_the_guest(dialled: Dialled, decision: Decision) -> str:
    may_call = dialled.caller.may_call if dialled.caller else "nobody"
    return f"a guest may only call {may_call}, not {dialled.user or 'the empty user'}"


def _feature_code(dialled: Dialled, subscribers: Subscribers) -> Decision | None:
    code = FEATURE_CODES.get(dialled.user)
    if code is None:
        return None
    return Refusal(404) if dialled.caller is None else ToApplication(code.number)


def _because_of_the_code(dialled: Dialled, decision: Decision) -> str:
    code = FEATURE_CODES[dialled.user]
    limits = ", which is for users of this server only" if isinstance(decision, Refusal) else ""
    return f"{code.number} is the {code.name}{limits}"


def _room(dialled: Dialled, subscribers: Subscribers) -> Decision | None:
    room = dialled.rooms.get(dialled.user)
    if room is None:
        return None
    return (
        Refusal(404)
        if dialled.caller is None and not room.takes_guests
        else ToApplication(PREFIX + room.number)
    )


def _because_of_the_room(dialled: Dialled, decision: Decision) -> str:
    limits = ", which is for users of this server only" if isinstance(decision, Refusal) else ""
    return f"{dialled.user} is a conference room{limits}"


def _user(dialled: Dialled, subscribers: Subscribers) -> Decision | None:
    subscriber = subscribers.find(dialled.user)
    return None if subscriber is None or subscriber.may_call else ToUser(subscriber.number)


def _because_of_the_user(dialled: Dialled, decision: Decision) -> str:
    number = decision.number if isinstance(decision, ToUser) else ""
    if number == dialled.user:
        return f"{number} is the number of a user"
    return f"{dialled.user} is a name of user {number}"


def _operator(dialled: Dialled, subscribers: Subscribers) -> Decision | None:
    if dialled.user != operator.NUMBER:
        return None
    numbers = tuple(number for number in dialled.operators if subscribers.find(number) is not None)
    return ToUsers(numbers, dialled.caller.number if dialled.caller else "")


def _because_of_the_operators(dialled: Dialled, decision: Decision) -> str:
    numbers = decision.numbers if isinstance(decision, ToUsers) else ()
    who = ", ".join(numbers) or "everybody with a registered phone, since nobody is named"
    return f"{dialled.user} is the office; for it answer: {who}"


def _announcement(dialled: Dialled, subscribers: Subscribers) -> Decision | None:
    if dialled.caller is None or dialled.method != "INVITE" or not dialled.user:
        return None
    return ToApplication(NOT_IN_SERVICE.name)


def _because_users_are_told(dialled: Dialled, decision: Decision) -> str:
    caller = dialled.caller.number if dialled.caller else "unknown"
    return f"{dialled.user} is nobody's number; user {caller} is told so"


def _nobody(dialled: Dialled, subscribers: Subscribers) -> Decision:
    return Refusal(404)


def _because_of_nobody(dialled: Dialled, decision: Decision) -> str:
    return f"{dialled.user or 'the empty user'} is nobody's number"


#: In the order in which they are asked. The last one always applies.
RULES: tuple[Rule, ...] = (
    Rule("guest", _guest, _because_of_the_guest),
    Rule("feature code", _feature_code, _because_of_the_code),
    Rule("conference room", _room, _because_of_the_room),
    Rule("user", _user, _because_of_the_user),
    Rule("operator", _operator, _because_of_the_operators),
    Rule("announcement", _announcement, _because_users_are_told),
    Rule("nobody", _nobody, _because_of_nobody),
)


def rule_on(dialled: Dialled, subscribers: Subscribers) -> Ruling:
    """Where `dialled` leads, and why."""
    rule, decision = _first_rule(dialled, subscribers)
    code = rule.decide.__code__
    place = f"pbx/{PurePath(code.co_filename).name}:{code.co_firstlineno}"
    before = tuple(each.name for each in RULES[: RULES.index(rule)])
    return Ruling(decision, rule.name, rule.because(dialled, decision), place, before)


def _first_rule(dialled: Dialled, subscribers: Subscribers) -> tuple[Rule, Decision]:
    for rule in RULES:
        decision = rule.decide(dialled, subscribers)
        if decision is not None:
            return rule, decision
    raise AssertionError("the last rule applies to everything")


class OfficeDialPlan:
    """Implements `ringback.server.routing.DialPlan` for the users of one directory."""

    __slots__ = ("_operators", "_rooms", "_subscribers")

    def __init__(
        self,
        subscribers: Subscribers,
        rooms: Mapping[str, RoomSettings] | None = None,
        *,
        operators: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        """`operators`: who answers for the office now."""
        self._subscribers = subscribers
        self._rooms = rooms or {}
        self._operators = operators

    def decide(self, user: str, *, method: str, caller: Principal | None) -> Decision:
        return _first_rule(Dialled(user, method, caller, self._rooms, self._operators()), self._subscribers)[
            1
        ]

    def explain(self, user: str, *, method: str, caller: Principal | None) -> Ruling:
        """The decision with its reason."""
        return rule_on(Dialled(user, method, caller, self._rooms, self._operators()), self._subscribers)
