# SPDX-License-Identifier: Apache-2.0
"""What people type as an account or a target, and what it means."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sip.flow import Transport
from ringback.ua.account import Account, InvalidAddress, parse_account, parse_server


def account(**options) -> Account:
    return parse_account("sip:101@pbx.example.com", **options)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("102", "sip:102@pbx.example.com"),
        ("+442079460018", "sip:+442079460018@pbx.example.com"),
        ("+44 (20) 7946-0018", "sip:+442079460018@pbx.example.com"),
        ("*43", "sip:*43@pbx.example.com"),
        ("#21", "sip:%2321@pbx.example.com"),
        ("bob", "sip:bob@pbx.example.com"),
        ("bob@example.org", "sip:bob@example.org"),
        ("sip:bob@192.0.2.1:5070", "sip:bob@192.0.2.1:5070"),
        ("sips:bob@example.org", "sips:bob@example.org"),
        ("sip:example.org", "sip:example.org"),
        ("tel:+1-201-555-0123", "sip:+12015550123@pbx.example.com;user=phone"),
        ("Bob <sip:bob@example.org>", "sip:bob@example.org"),
    ],
)
def test_a_target_becomes_the_uri_it_means(typed, meant):
    assert str(account().resolve(typed)) == meant


@pytest.mark.parametrize(
    "typed", ["", "  ", "http://example.org", "sip:", "sip:a b@c", "x\r\nEvil: 1@y", "mailto:a@b"]
)
def test_what_is_no_target_is_one_clear_sentence(typed):
    with pytest.raises(InvalidAddress) as raised:
        account().resolve(typed)
    assert "\n" not in str(raised.value)


@given(st.text())
def test_any_text_is_a_target_or_refused(typed):
    with contextlib.suppress(InvalidAddress):
        account().resolve(typed)


@given(st.text())
def test_any_text_is_an_account_or_refused(typed):
    with contextlib.suppress(InvalidAddress):
        parse_account(typed, server=typed or None)


def test_an_anonymous_phone_has_no_domain_to_dial_a_number_in():
    with pytest.raises(InvalidAddress, match="needs a domain"):
        parse_account(None).resolve("102")


def test_a_port_in_the_address_is_where_the_server_is_and_no_part_of_the_name():
    mine = parse_account("sip:101@127.0.0.1:5070")
    assert str(mine.uri) == "sip:101@127.0.0.1"
    assert str(mine.registrar) == "sip:127.0.0.1:5070"
    assert str(mine.resolve("102")) == "sip:102@127.0.0.1:5070"
    assert str(mine.resolve("sip:102@127.0.0.1")) == "sip:102@127.0.0.1:5070"
    assert str(mine.resolve("sip:102@127.0.0.1:9")) == "sip:102@127.0.0.1:9"


def test_a_transport_is_asked_for_in_the_uris_of_our_own_domain_only():
    mine = account(transport="tls")
    assert mine.transport is Transport.TLS
    assert str(mine.registrar) == "sip:pbx.example.com;transport=tls"
    assert str(mine.resolve("102")) == "sip:102@pbx.example.com;transport=tls"
    assert str(mine.resolve("sip:bob@example.org")) == "sip:bob@example.org"


def test_with_a_server_the_route_says_how_to_get_there():
    mine = account(server="192.0.2.1:5070", transport="tcp")
    assert str(mine.route) == "<sip:192.0.2.1:5070;transport=tcp;lr>"
    assert str(mine.registrar) == "sip:pbx.example.com"
    assert str(mine.first_hop()) == "sip:192.0.2.1:5070;transport=tcp;lr"


@pytest.mark.parametrize(
    ("text", "route"),
    [
        ("pbx", "<sip:pbx;lr>"),
        ("pbx:5070", "<sip:pbx:5070;lr>"),
        ("[::1]:5060", "<sip:[::1]:5060;lr>"),
        ("[::1]", "<sip:[::1];lr>"),
        ("sip:pbx;transport=tcp", "<sip:pbx;transport=tcp;lr>"),
    ],
)
def test_a_server_may_be_written_in_these_ways(text, route):
    assert str(parse_server(text)) == route


@pytest.mark.parametrize("text", ["pbx:99999", "a b", "http://x", "sip:"])
def test_a_server_that_is_none_is_refused(text):
    with pytest.raises(InvalidAddress):
        parse_server(text)


def test_an_unknown_transport_is_refused_with_those_there_are():
    with pytest.raises(InvalidAddress, match="udp, tcp, tls, ws, wss"):
        account(transport="sctp")


def test_the_display_name_belongs_to_the_account():
    mine = parse_account('"Anna Lee" <sip:101@example.com;transport=tcp>')
    assert mine.address.display_name == "Anna Lee"
    assert mine.transport is Transport.TCP
    assert mine.username == "101"


def test_without_an_account_a_number_belongs_to_the_server_that_is_named():
    nobody = parse_account(None, server="192.0.2.1:5070")
    assert str(nobody.resolve("102")) == "sip:102@192.0.2.1"
    assert str(nobody.first_hop()) == "sip:192.0.2.1:5070;lr"


def test_without_an_account_a_host_may_stand_alone():
    assert str(parse_account(None).resolve("127.0.0.1:5070")) == "sip:127.0.0.1:5070"
    assert str(parse_account(None).resolve("pbx.example.com")) == "sip:pbx.example.com"
