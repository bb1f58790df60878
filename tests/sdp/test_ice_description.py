# SPDX-License-Identifier: Apache-2.0
"""ICE in descriptions: RFC 8839."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sdp_peers import described, said_by

from ringback.sdp.errors import UnacceptableSession
from ringback.sdp.ice import Candidate, IceDescription, ice_of
from ringback.sip.flow import Address

PASSWORD = "p" * 22


def ice_in(*lines: str, head: tuple[str, ...] = (), allow_loopback: bool = False) -> IceDescription | None:
    session = described("m=audio 9 UDP/TLS/RTP/SAVPF 0", *lines, head=head)
    return ice_of(session, session.media[0], allow_loopback=allow_loopback)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            "2933515898 1 udp 2113937151 198.51.100.7 54505 typ host generation 0 network-cost 999",
            Candidate("2933515898", 1, 2_113_937_151, Address("198.51.100.7", 54_505)),
        ),
        (
            "c6336407 2 UDP 2113929470 2001:DB8:0::7 30065 typ host",
            Candidate("c6336407", 2, 2_113_929_470, Address("2001:db8::7", 30_065)),
        ),
        (
            "1 1 UDP 1686052607 203.0.113.5 54400 typ srflx raddr 10.0.1.1 rport 8998",
            Candidate(
                "1", 1, 1_686_052_607, Address("203.0.113.5", 54_400), "srflx", Address("10.0.1.1", 8_998)
            ),
        ),
    ],
)
def test_candidates_are_read(value, expected):
    assert Candidate.parse(value) == expected
    assert Candidate.parse(str(expected)) == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        "1 1 tcp 1518280447 203.0.113.5 9 typ host tcptype active",
        "1 1 udp 2122260223 9b36eaac-bb2e-49bb-bb78-21c41c499900.local 54400 typ host",
        "1 1 udp 2122260223 host.example 54400 typ host",
        "1 1 udp 99999999999 203.0.113.5 9 typ host",
        "1 1 udp 4294967296 203.0.113.5 9 typ host",
        "1 0 udp 1 203.0.113.5 9 typ host",
        "1 257 udp 1 203.0.113.5 9 typ host",
        "1 1 udp 1 203.0.113.5 65536 typ host",
        "1 1 udp 1 203.0.113.5.1 9 typ host",
        "1 1 udp 1 203.0.113.5 9 typ other",
        "1 1 udp 1 203.0.113.5 9",
    ],
)
def test_what_cannot_be_sent_to_is_no_candidate(value):
    assert Candidate.parse(value) is None


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "::1", "169.254.169.254", "224.0.0.1", "0.0.0.0", "::ffff:127.0.0.1"]
)
def test_candidates_where_media_must_not_go_are_skipped(host):
    said = ("a=ice-ufrag:abcd", f"a=ice-pwd:{PASSWORD}", f"a=candidate:1 1 udp 1 {host} 9000 typ host")
    assert ice_in(*said) == IceDescription("abcd", PASSWORD)


def test_loopback_is_a_candidate_where_it_is_allowed():
    said = ("a=ice-ufrag:abcd", f"a=ice-pwd:{PASSWORD}", "a=candidate:1 1 udp 1 127.0.0.1 9000 typ host")
    ice = ice_in(*said, allow_loopback=True)
    assert ice is not None
    assert [each.address.host for each in ice.candidates] == ["127.0.0.1"]


def test_credentials_of_the_session_hold_for_streams_without_their_own():
    head = ("a=ice-lite", "a=ice-ufrag:sess", f"a=ice-pwd:{PASSWORD}")
    assert ice_in(head=head) == IceDescription("sess", PASSWORD, is_lite=True)
    own = ice_in("a=ice-ufrag:ownu", f"a=ice-pwd:{PASSWORD}x", head=head)
    assert own == IceDescription("ownu", f"{PASSWORD}x", is_lite=True)
    assert ice_in() is None


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        (("a=ice-ufrag:abcd",), "a=ice-pwd"),
        ((f"a=ice-pwd:{PASSWORD}",), "a=ice-ufrag"),
        (("a=ice-ufrag:abc", f"a=ice-pwd:{PASSWORD}"), "a=ice-ufrag"),
        (("a=ice-ufrag:ab cd", f"a=ice-pwd:{PASSWORD}"), "a=ice-ufrag"),
        (("a=ice-ufrag:" + "a" * 257, f"a=ice-pwd:{PASSWORD}"), "a=ice-ufrag"),
        (("a=ice-ufrag:abcd", "a=ice-pwd:short"), "a=ice-pwd"),
        (("a=ice-ufrag:abcd", "a=ice-pwd:" + "p" * 257), "a=ice-pwd"),
    ],
)
def test_malformed_credentials_are_refused_by_name(lines, named):
    with pytest.raises(UnacceptableSession, match=named):
        ice_in(*lines)


def test_of_many_candidates_64_are_looked_at():
    flood = (f"a=candidate:1 1 udp {n} 203.0.113.5 {n} typ host" for n in range(1, 400))
    ice = ice_in("a=ice-ufrag:abcd", f"a=ice-pwd:{PASSWORD}", *flood)
    assert ice is not None
    assert len(ice.candidates) == 64


def test_what_a_browser_says_is_read():
    session = said_by("jssip-hold-offer")
    ice = ice_of(session, session.media[0])
    assert ice is not None
    assert (ice.ufrag, ice.is_lite) == ("Xy/+", False)
    assert [each.address for each in ice.candidates] == [Address("203.0.113.5", 54_400)]


def test_passwords_stay_out_of_representations():
    assert PASSWORD not in repr(IceDescription("abcd", PASSWORD))


@given(
    st.builds(
        Candidate,
        foundation=st.from_regex(r"[A-Za-z0-9+/]{1,32}", fullmatch=True),
        component=st.integers(1, 256),
        priority=st.integers(0, 2**32 - 1),
        address=st.builds(Address, st.ip_addresses(v=4).map(str), st.integers(0, 65_535)),
        kind=st.sampled_from(("host", "srflx", "prflx", "relay")),
        related=st.none() | st.builds(Address, st.ip_addresses(v=4).map(str), st.integers(0, 65_535)),
    )
)
def test_what_is_printed_is_parsed_again(candidate):
    assert Candidate.parse(str(candidate)) == candidate


@given(st.text(max_size=120) | st.text("1 udptyhos.:abc", max_size=80))
def test_garbage_is_no_candidate_and_no_crash(text):
    candidate = Candidate.parse(text)
    assert candidate is None or Candidate.parse(str(candidate)) == candidate
