# SPDX-License-Identifier: Apache-2.0
"""Is it seen what is at stake in a message, from its first octets?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.kernel import Door, peek
from ringback.server.overload.lanes import LaneName
from ringback.server.overload.stakes import LANES_OF_NEW_WORK, Stakes
from ringback.sip.flow import Address, Flow, Transport
from ringback.testing import messages

TRUNK, PHONE, STRANGER = (
    Flow(Transport.UDP, Address("10.0.0.1", 5060), Address(host, 5060))
    for host in ("10.0.0.7", "10.0.0.8", "10.0.0.9")
)


def stakes() -> Stakes:
    known = Stakes()
    known.change(emergency_numbers=("112", "9-911"), trunks=(TRUNK.remote.host,))
    known.trust(PHONE, now=0.0)
    return known


def lane(data: bytes, flow: Flow = STRANGER) -> LaneName:
    glance = peek(data)
    assert glance is not None
    method, has_to_tag, _branch = glance
    return stakes().lane_of(data, flow, method, has_to_tag=has_to_tag)


def invite(target: str) -> bytes:
    return messages.request("INVITE", target)


@pytest.mark.parametrize("method", ["INVITE", "BYE", "INFO", "UPDATE", "REFER", "ACK", "SUBSCRIBE"])
def test_everything_in_a_dialog_is_underway(method: str):
    data = messages.request(method, "sip:bob@example.com", to="<sip:bob@example.com>;tag=b")
    assert lane(data) is LaneName.UNDERWAY


@pytest.mark.parametrize("method", ["ACK", "BYE", "CANCEL", "PRACK"])
def test_so_is_what_only_makes_sense_after_something_else(method: str):
    assert lane(messages.request(method, "sip:bob@example.com")) is LaneName.UNDERWAY


def test_and_every_response():
    assert lane(messages.response(messages.request("INVITE", "sip:a@b"), 200)) is LaneName.UNDERWAY


@pytest.mark.parametrize(
    "target",
    [
        "urn:service:sos",
        "URN:Service:SOS.police",
        "sip:112@example.com",
        "sips:112@example.com;user=phone",
        "sip:112;phone-context=+49@example.com",
        "SIP:112@example.com",
        "tel:112",
        "tel:112;phone-context=example.com",
        "sip:9-911@example.com",
    ],
)
def test_a_call_for_help_is_an_emergency(target: str):
    assert lane(invite(target)) is LaneName.EMERGENCY


@pytest.mark.parametrize(
    "target",
    [
        "urn:service:sosay",
        "urn:service:counseling",
        "sip:1120@example.com",
        "sip:112.example.com",
        "sip:112",
        "sip:bob@112",
        "tel:0112",
        "sip:911@example.com",
    ],
)
def test_what_only_looks_like_one_is_a_call(target: str):
    assert lane(invite(target)) is LaneName.CALL


@given(st.binary(max_size=80))
def test_no_octets_of_a_stranger_make_it_fail(rest: bytes):
    for method in (b"INVITE", b"OPTIONS", b"REGISTER"):
        assert stakes().lane_of(method + rest, STRANGER, method, has_to_tag=False) >= LaneName.EMERGENCY


def test_calls_of_trunks_and_of_phones_that_proved_who_they_are_go_before_others():
    assert lane(invite("sip:bob@example.com"), TRUNK) is LaneName.KNOWN_CALL
    assert lane(invite("sip:bob@example.com"), PHONE) is LaneName.KNOWN_CALL
    assert lane(invite("sip:bob@example.com"), STRANGER) is LaneName.CALL


def test_only_a_known_phone_with_credentials_refreshes():
    plain = messages.request("REGISTER", "sip:example.com")
    proven = messages.request("REGISTER", "sip:example.com", headers=[("Authorization", "Digest x")])
    assert lane(proven, PHONE) is LaneName.REFRESH
    assert lane(plain, PHONE) is lane(proven, STRANGER) is LaneName.OTHER


def test_options_to_the_server_are_a_health_check_and_options_to_a_user_are_not():
    assert lane(messages.request("OPTIONS", "sip:example.com")) is LaneName.HEALTH
    assert lane(messages.request("OPTIONS", "sip:bob@example.com")) is LaneName.OTHER


def test_who_proved_who_it_is_is_forgotten_after_some_hours():
    known = stakes()
    for hours in (3, 6):
        known.trust(TRUNK, now=hours * 3600.0)
    assert known.lane_of(invite("sip:a@b"), PHONE, b"INVITE", has_to_tag=False) is LaneName.CALL


TARGETS = [
    "sip:bob@b",
    "sip:112@b",
    "tel:112",
    "urn:service:sos",
    "sip:b",
    "sips:9-911;a@b",
    "sip:a;b@c",
    "x:y",
]


@given(
    st.sampled_from(
        ["INVITE", "REGISTER", "OPTIONS", "MESSAGE", "SUBSCRIBE", "ACK", "BYE", "CANCEL", "PRACK", "X"]
    ),
    st.sampled_from(TARGETS),
    st.sampled_from([TRUNK, PHONE, STRANGER]),
    st.sampled_from(["", ";tag=b"]),
    st.booleans(),
)
def test_the_door_puts_all_that_it_decides_by_itself_into_the_same_lane(
    method: str, target: str, flow: Flow, tag: str, has_credentials: bool
):
    policy, placed = stakes(), []
    door = Door(b"s" * 16, [set(), set()], policy.known.sets, 100, len(LaneName))
    door.rule(
        lanes=LANES_OF_NEW_WORK,
        numbers=policy.emergency,
        trunks=policy.trunks,
        ends=(b"",),
        last_end=b"",
    )
    headers = [("Authorization", "Digest x")] if has_credentials else []
    data = messages.request(method, target, to=f"<sip:b@c>{tag}", headers=headers)
    glance = peek(data)
    assert glance is not None
    expected = policy.lane_of(data, flow, glance[0], has_to_tag=glance[1])

    underway, answers = door.sort(
        [(data, flow)],
        lambda _message, name, _key: placed.append(name) is None,
        lambda _message, _key: placed.append(policy.lane_of(data, flow, glance[0], has_to_tag=glance[1])),
        placed.append,
    )

    assert answers == []
    assert placed == ([] if expected is LaneName.UNDERWAY else [expected])
    assert underway == ([(data, flow)] if expected is LaneName.UNDERWAY else [])
