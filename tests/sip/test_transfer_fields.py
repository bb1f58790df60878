# SPDX-License-Identifier: Apache-2.0
"""Refer-To, Replaces and the reports of a REFER (RFC 3515, RFC 3891, RFC 3420)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sip.dialog.identifier import DialogId
from ringback.sip.errors import PeerError
from ringback.sip.message import NameAddr, Request, SipUri
from ringback.sip.message.values import DialogReference
from ringback.sip.transfer_fields import (
    Fragment,
    names,
    read_sipfrag,
    refer_target,
    refer_to,
    reference_to,
    replaced_by,
    sipfrag,
    subscription_state,
)

OURS = DialogId("a84b4c76@atlanta.example", "ours", "theirs")


def invite(*headers: tuple[str, str]) -> Request:
    return Request.new(
        "INVITE",
        "sip:bob@biloxi.example",
        from_="<sip:alice@atlanta.example>;tag=1",
        to="<sip:bob@biloxi.example>",
        call_id="x",
        cseq=1,
        headers=list(headers),
    )


def test_what_one_end_writes_the_other_end_finds():
    there = DialogId(OURS.call_id, OURS.remote_tag, OURS.local_tag)
    value = refer_to(SipUri.parse("sip:bob@192.0.2.4:5066"), reference_to(OURS))
    target = refer_target(NameAddr.parse(str(value)))
    assert str(target.uri) == "sip:bob@192.0.2.4:5066"
    assert target.replaces is not None
    assert names(target.replaces, there)
    assert not names(target.replaces, OURS)
    found = replaced_by(invite(("Replaces", str(target.replaces))))
    assert found is not None
    assert names(found, there)


def test_the_example_of_rfc_3891():
    reference = DialogReference.parse("425928@bobster.example.org;to-tag=7743;from-tag=6472")
    assert names(reference, DialogId("425928@bobster.example.org", "7743", "6472"))
    assert not names(reference, DialogId("425928@bobster.example.org", "6472", "7743"))
    assert not names(reference, DialogId("425928@bobster.example.org", "7743", ""))


def test_a_peer_without_a_tag_is_meant_by_zero():
    assert names(DialogReference.parse("x;to-tag=1;from-tag=0"), DialogId("x", "1", ""))
    assert names(DialogReference.parse("x;to-tag=1"), DialogId("x", "1", ""))
    assert not names(DialogReference.parse("x;to-tag=1;from-tag=0"), DialogId("x", "1", "2"))


def test_only_replaces_is_taken_out_of_the_uri():
    value = "<sip:bob@biloxi.example;method=INVITE?Route=%3Csip%3Aevil%3E&From=x&Replaces=a%3Bto-tag%3D1>"
    target = refer_target(NameAddr.parse(value))
    assert str(target.uri) == "sip:bob@biloxi.example"
    assert target.replaces == DialogReference.parse("a;to-tag=1")


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("<tel:+15551234>", 416),
        ("<mailto:bob@biloxi.example>", 416),
        ("<sip:bob@biloxi.example;method=BYE>", 403),
        ("<sip:bob@biloxi.example?Replaces=a&Replaces=b>", 400),
        ("<sip:bob@biloxi.example?Replaces=a%20b>", 400),
    ],
)
def test_what_cannot_be_obeyed_is_a_peer_error(value, status):
    with pytest.raises(PeerError) as raised:
        refer_target(NameAddr.parse(value))
    assert raised.value.status == status


def test_a_plain_call_replaces_nothing_and_two_are_too_many():
    assert replaced_by(invite()) is None
    for headers in (
        [("Replaces", "a;to-tag=1"), ("Replaces", "b;to-tag=1")],
        [("Replaces", "a;to-tag=1"), ("Join", "b;to-tag=1")],
    ):
        with pytest.raises(PeerError):
            replaced_by(invite(*headers))


@given(st.integers(100, 699), st.text(max_size=40))
def test_a_report_can_be_read_again(status, reason):
    read = read_sipfrag(sipfrag(status, reason))
    assert read.status == status
    assert "\n" not in read.reason


@given(st.binary(max_size=80))
def test_no_report_breaks_its_reader(body):
    try:
        assert 100 <= read_sipfrag(body).status <= 699
    except PeerError:
        pass


def test_reports_of_other_programs():
    assert read_sipfrag(b"SIP/2.0 200 OK") == Fragment(200, "OK")
    assert read_sipfrag(b"SIP/2.0 503 Service Unavailable\r\nTo: x\r\n") == Fragment(
        503, "Service Unavailable"
    )
    for body in (b"", b"SIP/2.0 ", b"SIP/2.0 099 x", b"SIP/2.0 999 x", b"HTTP/1.1 200 OK", b"SIP/2.0 +20 x"):
        with pytest.raises(PeerError):
            read_sipfrag(body)


def test_the_last_report_ends_the_subscription():
    assert subscription_state(is_over=False) == "active;expires=60"
    assert subscription_state(is_over=True) == "terminated;reason=noresource"
