# SPDX-License-Identifier: Apache-2.0
"""Is Via read and written as RFC 3261 20.42 and RFC 3581 say?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sip.errors import PeerError
from ringback.sip.message.via import Via


def test_all_parts_are_read():
    via = Via.parse(
        "SIP/2.0/udp Host.Example.COM:5070;rport=1024;received=192.0.2.1;maddr=224.0.1.75;ttl=16"
        ";branch=z9hG4bKx"
    )

    assert (via.protocol, via.transport, via.host, via.port) == ("SIP/2.0", "UDP", "host.example.com", 5070)
    assert (via.branch, via.received, via.rport, via.maddr, via.ttl) == (
        "z9hG4bKx",
        "192.0.2.1",
        1024,
        "224.0.1.75",
        16,
    )
    assert (via.wants_rport, via.sent_by) == (True, "host.example.com:5070")
    assert via.parameter("BRANCH") == "z9hG4bKx"


def test_an_empty_rport_is_wanted_and_not_known():
    via = Via.parse("SIP/2.0/UDP h;rport;branch=b")

    assert (via.wants_rport, via.rport) == (True, None)
    assert str(via.with_parameter("rport", "5062").with_parameter("received", "2001:db8::1")) == (
        "SIP/2.0/UDP h;rport=5062;branch=b;received=2001:db8::1"
    )
    assert str(via.without_parameter("rport")) == "SIP/2.0/UDP h;branch=b"


def test_absent_parameters_are_none():
    via = Via.parse("SIP/2.0/TLS [2001:DB8::1]")

    assert (via.branch, via.received, via.rport, via.maddr, via.ttl, via.wants_rport) == (
        None,
        None,
        None,
        None,
        None,
        False,
    )
    assert (via.sent_by, str(via)) == ("[2001:db8::1]", "SIP/2.0/TLS [2001:db8::1]")


def test_blanks_around_every_separator_say_nothing():
    text = "SIP  / 2.0  / TCP    a.example.com   :  5060 ;  branch  =   z9hG4bK9ikj8  , SIP/2.0/UDP  a ; x"

    assert Via.parse_list(text) == [
        Via("TCP", "a.example.com", 5060, (("branch", "z9hG4bK9ikj8"),)),
        Via("UDP", "a", None, (("x", None),)),
    ]


def test_brackets_around_received_are_forgiven():
    assert Via.parse("SIP/2.0/UDP h;received=[2001:db8::9:255]").received == "2001:db8::9:255"


def test_another_version_is_read_so_that_it_can_be_answered():
    assert str(Via.parse("SIP/7.0/UDP c.example.com;branch=b")) == "SIP/7.0/UDP c.example.com;branch=b"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SIP/2.0/UDP",
        "SIP/2.0 UDP h",
        "SIP/2.0/UDP h;;a",
        "SIP/2.0/UDP h;",
        "SIP/2.0/UDP h,",
        "SIP/2.0/UDP h;branch=",
        "SIP/2.0/UDP h;branch=a;BRANCH=b",
        "SIP/2.0/UDP h:65536",
        "SIP/2.0/UDP h:x",
        "SIP/2.0/UDP h i",
        "SIP/2.0/UDP 1.2.3.4.5",
        "SIP/2.0/UDP [::1",
        "SIP/2.0/UDP ;branch=b",
        "SIP/2.0/U\u00e9P h",
    ],
)
def test_what_the_grammar_does_not_allow_is_refused(text: str):
    with pytest.raises(PeerError):
        Via.parse(text)


@pytest.mark.parametrize("text", ["rport=65536", "rport=+1", "rport=x", "ttl=256"])
def test_numbers_out_of_range_raise_when_they_are_read(text: str):
    via = Via.parse(f"SIP/2.0/UDP h;{text}")

    with pytest.raises(PeerError):
        _ = (via.rport, via.ttl)


TOKENS = st.text(alphabet="aZ0-.!%*_+`'~", min_size=1, max_size=6)


@given(
    st.builds(
        Via,
        TOKENS.map(str.upper),
        st.sampled_from(["h", "192.0.2.1", "2001:db8::1"]),
        st.none() | st.integers(0, 65535),
        st.lists(st.tuples(TOKENS, st.none() | TOKENS), max_size=3, unique_by=lambda p: p[0].lower()).map(
            tuple
        ),
    )
)
def test_printing_then_parsing_is_identity(via: Via):
    assert Via.parse(str(via)) == via


def test_a_request_without_any_via_has_an_empty_list():
    assert Via.parse_list("") == []
