# SPDX-License-Identifier: Apache-2.0
"""Are name-addr and addr-spec read and written as RFC 3261 20.10 and 25.1 say?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sip.errors import PeerError
from ringback.sip.message.sip_uri import SipUri
from ringback.sip.message.uri import NameAddr, parse_uri

BOB = SipUri("bob", "biloxi.com")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<sip:bob@biloxi.com>", NameAddr(BOB)),
        ("sip:bob@biloxi.com", NameAddr(BOB)),
        ("sip:bob@biloxi.com;tag=1", NameAddr(BOB, "", (("tag", "1"),))),
        ("sip:bob@biloxi.com ; tag = 1", NameAddr(BOB, "", (("tag", "1"),))),
        ("<sip:bob@biloxi.com;lr>;tag=1", NameAddr(BOB.with_parameter("lr"), "", (("tag", "1"),))),
        ("Bob<sip:bob@biloxi.com>", NameAddr(BOB, "Bob")),
        ("Bob  B. \t<sip:bob@biloxi.com>", NameAddr(BOB, "Bob  B.")),
        ('"Bob" <sip:bob@biloxi.com>', NameAddr(BOB, "Bob")),
        ('"a \\"b\\" \\\\ <,;>"<sip:bob@biloxi.com>', NameAddr(BOB, 'a "b" \\ <,;>')),
        ('"" <sip:bob@biloxi.com>', NameAddr(BOB, "")),
        ('<sip:bob@biloxi.com>;x="a;b>\\"";y', NameAddr(BOB, "", (("x", '"a;b>\\""'), ("y", None)))),
        ("Bøb <sip:bob@biloxi.com>", NameAddr(BOB, "Bøb")),
        (
            "<http://www.example.com/a;b?c>;info=x",
            NameAddr(parse_uri("http://www.example.com/a;b?c"), "", (("info", "x"),)),
        ),
    ],
)
def test_addresses_are_read(text: str, expected: NameAddr):
    assert NameAddr.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<>",
        "Bob",
        "Bell, Alexander <sip:bob@biloxi.com>",
        '"Mr. J. User <sip:bob@biloxi.com>',
        '"Bob" sip:bob@biloxi.com',
        "< sip:bob@biloxi.com>",
        "<sip:bob@biloxi.com >",
        "<sip:bob@biloxi.com",
        "sip:bob@biloxi.com>",
        "<sip:bob@biloxi.com>>",
        "sip:bob@biloxi.com?Route=x",
        "sip:bob@biloxi.com,sip:c@d",
        "<sip:bob@biloxi.com>;",
        "<sip:bob@biloxi.com>;;a",
        "<sip:bob@biloxi.com>;tag=1;tag=2",
        "<sip:bob@biloxi.com>;tag=",
        "<sip:bob@biloxi.com>;=1",
        '<sip:bob@biloxi.com>;a="b',
        "<sip:bob@biloxi.com> tag=1",
    ],
)
def test_what_the_grammar_does_not_allow_is_refused(text: str):
    with pytest.raises(PeerError):
        NameAddr.parse(text)


def test_parameters_mean_what_is_in_the_quotes_and_print_as_they_stood():
    address = NameAddr.parse('<sip:bob@biloxi.com>;+sip.instance="<urn:uuid:1>";q=0.5;ob')

    assert address.parameter("+SIP.instance") == "<urn:uuid:1>"
    assert (address.has_parameter("ob"), address.parameter("ob"), address.tag) == (True, None, None)
    assert str(address) == '<sip:bob@biloxi.com>;+sip.instance="<urn:uuid:1>";q=0.5;ob'
    assert str(address.with_parameter("Q", "0.7").without_parameter("ob").with_parameter("tag", "t")) == (
        '<sip:bob@biloxi.com>;+sip.instance="<urn:uuid:1>";Q=0.7;tag=t'
    )


def test_a_value_that_needs_quotes_gets_them():
    address = NameAddr(BOB).with_parameter("x", 'a "b";c').with_parameter("y", "")

    assert str(address) == '<sip:bob@biloxi.com>;x="a \\"b\\";c";y=""'
    assert (NameAddr.parse(str(address)).parameter("x"), NameAddr.parse(str(address)).parameter("y")) == (
        'a "b";c',
        "",
    )


@given(st.text(max_size=20).filter(lambda text: "\r" not in text and "\n" not in text))
def test_every_display_name_survives(name: str):
    address = NameAddr(BOB, name, (("tag", "1"),))

    assert NameAddr.parse(str(address)) == address


def test_no_display_name_can_end_a_line():
    assert str(NameAddr(BOB, "a\r\nVia: b")) == '"a Via: b" <sip:bob@biloxi.com>'


@given(st.text(alphabet='"<>;,=\\ab:@. \tsip', max_size=40))
def test_garbage_raises_peer_error_or_parses_and_prints_the_same(text: str):
    try:
        address = NameAddr.parse(text)
    except PeerError:
        return
    assert NameAddr.parse(str(address)) == address
