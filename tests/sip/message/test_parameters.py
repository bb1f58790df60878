# SPDX-License-Identifier: Apache-2.0
"""Are parameters, lists, quotes and hosts read and written as RFC 3261 7.3.1 and 25.1 say?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sip.errors import PeerError
from ringback.sip.message.escapes import PARAMETER_SAFE, escape, quote_string, unescape, unquote_string
from ringback.sip.message.host import bracketed, canonical_host
from ringback.sip.message.parameters import (
    Parameterised,
    filled,
    parse_parameters,
    print_parameters,
    split_list,
    wire_value,
)


def test_parameters_keep_their_wire_form():
    text = ';a=1 ; b ;\tC = "x;\\"y" ;d=[2001:db8::1]:5060;e=q/w=='
    pairs = (("a", "1"), ("b", None), ("C", '"x;\\"y"'), ("d", "[2001:db8::1]:5060"), ("e", "q/w=="))

    assert parse_parameters(text) == pairs
    assert parse_parameters(print_parameters(pairs)) == pairs


@pytest.mark.parametrize(
    "text",
    [
        ";",
        "a",
        ";;",
        ";a;",
        ";a=",
        ";=a",
        ";a=b c",
        ";a b",
        ';a="b',
        ';a="b"c',
        ";a=1;A=2",
        ";a=<b>",
        ";a=b,c",
        ";é=1",
        ";a=é",
    ],
)
def test_malformed_parameters_are_refused(text: str):
    with pytest.raises(PeerError):
        parse_parameters(text)


def test_lists_are_cut_at_commas_outside_of_quotes_and_brackets():
    assert split_list(' a , "b,\\",c" <d,e>;f="," ,,g') == ["a", '"b,\\",c" <d,e>;f=","', "", "g"]
    assert (split_list(""), split_list(" \t"), split_list("a"), split_list(",")) == ([], [], ["a"], ["", ""])
    with pytest.raises(PeerError):
        split_list('a, "b')
    with pytest.raises(PeerError):
        filled(["a", ""])


QUOTABLE = st.text(max_size=20).filter(lambda text: "\r" not in text and "\n" not in text)


@given(st.lists(QUOTABLE.map(quote_string), max_size=5))
def test_joining_then_cutting_is_identity(elements: list[str]):
    assert split_list(",".join(elements)) == elements


@given(QUOTABLE)
def test_quoting_then_unquoting_is_identity(text: str):
    assert unquote_string(quote_string(text)) == text
    value = Parameterised("a").with_parameter("b", text)
    assert Parameterised.parse(str(value)).parameter("B") == text
    assert wire_value(text) in (text, quote_string(text))


@given(st.text(max_size=20).filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text)))
def test_escaping_then_unescaping_is_identity(text: str):
    assert unescape(escape(text, PARAMETER_SAFE)) == text
    assert escape(text, "").isascii()


@given(st.binary(max_size=20))
def test_octets_that_are_no_utf_8_survive_escaping(data: bytes):
    text = data.decode("utf-8", "surrogateescape")

    assert unescape(escape(text, "")) == text


def test_parameterised_values():
    value = Parameterised.parse("session ; handling = optional;x")

    assert (value.value, value.parameter("HANDLING"), value.has_parameter("x")) == (
        "session",
        "optional",
        True,
    )
    assert (
        str(value.without_parameter("X").with_parameter("handling", "required"))
        == "session;handling=required"
    )
    for text in ("", ";a", "a b", "a;;"):
        with pytest.raises(PeerError):
            Parameterised.parse(text)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("Example.COM", "example.com"),
        ("example.com.", "example.com."),
        ("a_b-c", "a_b-c"),
        ("3cx", "3cx"),
        ("192.0.2.1", "192.0.2.1"),
        ("[2001:DB8:0:0:0:0:0:1]", "2001:db8::1"),
        ("[::FFFF:192.0.2.1]", canonical_host("[::ffff:192.0.2.1]")),
        ("[2001:db8:::192.0.2.1]", "2001:db8::c000:201"),
        ("[:::192.0.2.1]", "::c000:201"),
    ],
)
def test_hosts_have_one_spelling(text: str, host: str):
    assert canonical_host(text) == host
    assert canonical_host(bracketed(host)) == host


@pytest.mark.parametrize(
    "text",
    [
        "127.1",
        "2130706433",
        "0x7f.1",
        "256.1.1.1",
        "1.2.3.4.5",
        "01.2.3.4",
        "a..b",
        "[::1::]",
        "[1.2.3.4]",
        "[2001:db8:::1]",
        "[]",
    ],
)
def test_what_is_no_host_is_refused(text: str):
    with pytest.raises(PeerError):
        canonical_host(text)
