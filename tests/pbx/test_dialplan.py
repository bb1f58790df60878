# SPDX-License-Identifier: Apache-2.0
"""Where a number leads, and why."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.pbx.announcements import ANNOUNCEMENTS, NOT_IN_SERVICE
from ringback.pbx.dialplan import RULES, Dialled, OfficeDialPlan, rule_on
from ringback.pbx.feature_codes import FEATURE_CODES
from ringback.server.conference_settings import rooms_of
from ringback.server.routing import Decision, Refusal, ToApplication, ToUser, ToUsers
from ringback.server.subscribers import Principal, Subscriber

ANNA = Principal("101", "Anna")
GUEST = Principal("guest-abc", "Guest", "d", "102")
NOT_FOR_GUESTS = Refusal(403, "Not For Guests")


class Office:
    """Anna has 101, Bob has 102, and a guest is here."""

    def find(self, user: str) -> Subscriber | None:
        if user == GUEST.number:
            return Subscriber(user, may_call="102")
        by_any_name = {"101": "101", "anna": "101", "102": "102", "bob": "102"}
        return Subscriber(by_any_name[user]) if user in by_any_name else None


@pytest.mark.parametrize(
    ("user", "method", "caller", "decision", "rule", "reason"),
    [
        ("102", "INVITE", ANNA, ToUser("102"), "user", "102 is the number of a user"),
        ("bob", "INVITE", ANNA, ToUser("102"), "user", "bob is a name of user 102"),
        ("102", "MESSAGE", None, ToUser("102"), "user", "102 is the number of a user"),
        ("*43", "INVITE", ANNA, ToApplication("*43"), "feature code", "*43 is the echo test"),
        ("*60", "OPTIONS", ANNA, ToApplication("*60"), "feature code", "*60 is the speaking clock"),
        (
            "*65",
            "INVITE",
            None,
            Refusal(404),
            "feature code",
            "*65 is the own number, which is for users of this server only",
        ),
        (
            "999",
            "INVITE",
            ANNA,
            ToApplication("not-in-service"),
            "announcement",
            "999 is nobody's number; user 101 is told so",
        ),
        ("999", "INVITE", None, Refusal(404), "nobody", "999 is nobody's number"),
        ("999", "MESSAGE", ANNA, Refusal(404), "nobody", "999 is nobody's number"),
        ("102", "INVITE", GUEST, ToUser("102"), "user", "102 is the number of a user"),
        ("bob", "INVITE", GUEST, ToUser("102"), "user", "bob is a name of user 102"),
        ("101", "INVITE", GUEST, NOT_FOR_GUESTS, "guest", "a guest may only call 102, not 101"),
        ("*43", "INVITE", GUEST, NOT_FOR_GUESTS, "guest", "a guest may only call 102, not *43"),
        ("guest-abc", "MESSAGE", ANNA, Refusal(404), "nobody", "guest-abc is nobody's number"),
        (
            "0",
            "INVITE",
            ANNA,
            ToUsers((), "101"),
            "operator",
            "0 is the office; for it answer: everybody with a registered phone, since nobody is named",
        ),
        ("", "INVITE", ANNA, Refusal(404), "nobody", "the empty user is nobody's number"),
    ],
)
def test_a_number_leads_somewhere_for_a_reason(user, method, caller, decision, rule, reason):
    plan = OfficeDialPlan(Office())
    ruling = plan.explain(user, method=method, caller=caller)
    assert (ruling.decision, ruling.rule, ruling.reason) == (decision, rule, reason)
    assert plan.decide(user, method=method, caller=caller) == decision


@given(st.text(max_size=40), st.sampled_from(("INVITE", "MESSAGE", "SUBSCRIBE")), st.none() | st.just(ANNA))
def test_everything_that_can_be_dialled_is_decided(user, method, caller):
    ruling = rule_on(Dialled(user, method, caller), Office())
    assert isinstance(ruling.decision, Decision)
    assert ruling.reason
    assert ruling.rule in {rule.name for rule in RULES}
    if isinstance(ruling.decision, ToApplication):
        assert caller is not None
        assert ruling.decision.name in {**FEATURE_CODES, **ANNOUNCEMENTS}


def test_the_operators_are_those_who_are_still_here():
    plan = OfficeDialPlan(Office(), operators=lambda: ("102", "777", "101"))
    ruling = plan.explain("0", method="INVITE", caller=None)
    assert (ruling.decision, ruling.reason) == (
        ToUsers(("102", "101"), ""), "0 is the office; for it answer: 102, 101"
    )  # fmt: skip
    assert plan.decide("0", method="INVITE", caller=ANNA) == ToUsers(("102", "101"), "101")


def test_a_guest_may_have_the_office_or_a_room_as_its_target():
    rooms = rooms_of(["300"])
    plan = OfficeDialPlan(Office(), rooms)
    assert plan.decide("0", method="INVITE", caller=GUEST._replace(may_call="0")) == ToUsers((), "guest-abc")
    decision = plan.decide("300", method="INVITE", caller=GUEST._replace(may_call="300"))
    assert isinstance(decision, ToApplication)


def test_every_rule_is_used_by_some_number():
    rooms = rooms_of(["300"])
    numbers = ("*43", "300", "102", "0", "999")
    dialled = [Dialled(user, "INVITE", caller, rooms) for user in numbers for caller in (ANNA, GUEST, None)]
    assert {rule_on(each, Office()).rule for each in dialled} == {rule.name for rule in RULES}


def test_no_announcement_is_named_like_something_that_is_dialled():
    assert not set(ANNOUNCEMENTS) & set(FEATURE_CODES)
    assert ANNOUNCEMENTS[NOT_IN_SERVICE.name] is NOT_IN_SERVICE
