# SPDX-License-Identifier: Apache-2.0
"""Following a 3xx, and not following it too far."""

import pytest

from ringback.sip.message.message import Request, Response
from ringback.sip.message.uri import NameAddr
from ringback.sip.redirection import apply_redirect, quality, redirect_targets


def invite() -> Request:
    request = Request.new(
        "INVITE",
        "sip:bob@example.com",
        from_="<sip:alice@example.com>;tag=1",
        to="<sip:bob@example.com>",
        call_id="c1",
        cseq=3,
        headers=[
            ("Route", "<sip:proxy.example.com;lr>"),
            ("Contact", "<sip:alice@10.0.0.1>"),
            ("Authorization", 'Digest username="alice", realm="example.com"'),
        ],
    )
    request.headers.prepend("Via", "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1")
    return request


def moved(*contacts: str) -> Response:
    return Response.to(invite(), 302, to_tag="2", headers=[("Contact", contact) for contact in contacts])


def uris(targets: list[NameAddr]) -> list[str]:
    return [str(target.uri) for target in targets]


def test_targets_are_ordered_by_quality_and_then_as_they_came() -> None:
    response = moved("<sip:c@x>;q=0.5", "<sip:a@x>", "<sip:d@x>;q=0.5, <sip:e@x>;q=0", "<sip:b@x>;q=1.0")
    assert uris(redirect_targets(response)) == ["sip:a@x", "sip:b@x", "sip:c@x", "sip:d@x", "sip:e@x"]


def test_each_target_is_named_once() -> None:
    assert uris(redirect_targets(moved("<sip:a@x>", "<sip:a@X>;q=0.3"))) == ["sip:a@x"]


def test_what_is_no_sip_uri_is_not_a_target() -> None:
    assert uris(redirect_targets(moved("<tel:+1234>, <mailto:bob@example.com>, <sip:a@x>"))) == ["sip:a@x"]


def test_a_secure_call_is_not_redirected_to_an_insecure_target() -> None:
    assert uris(redirect_targets(moved("<sip:a@x>, <sips:b@x>"), secure=True)) == ["sips:b@x"]


def test_a_peer_does_not_choose_how_much_we_dial() -> None:
    assert len(redirect_targets(moved(*(f"<sip:{number}@x>" for number in range(100))))) == 16


@pytest.mark.parametrize("contact", ["*", "nonsense <", ""])
def test_a_contact_that_cannot_be_read_leads_nowhere(contact: str) -> None:
    assert redirect_targets(moved(contact)) == []


def test_no_contact_leads_nowhere() -> None:
    assert redirect_targets(moved()) == []


def test_the_request_goes_out_anew_with_the_same_names_and_the_next_number() -> None:
    again = apply_redirect(invite(), NameAddr.parse("<sip:bob@10.0.0.9;transport=tcp>"))
    assert again.target == "sip:bob@10.0.0.9;transport=tcp"
    assert (again.call_id, again.cseq.number, again.from_.tag, str(again.to.uri)) == (
        "c1",
        4,
        "1",
        "sip:bob@example.com",
    )
    assert "Via" not in again.headers
    assert again.headers["Route"] == "<sip:proxy.example.com;lr>"


def test_credentials_stay_behind() -> None:
    again = apply_redirect(invite(), NameAddr.parse("<sip:bob@evil.example>"))
    assert "Authorization" not in again.headers


def test_headers_of_the_uri_are_taken_over_only_where_they_are_harmless() -> None:
    contact = NameAddr.parse(
        "<sip:bob@x;method=BYE?Subject=hi%20there&Route=%3Csip:evil%3E&From=x&Via=y&Priority=a%0D%0Ab>"
    )
    again = apply_redirect(invite(), contact)
    assert again.target == "sip:bob@x"
    assert again.headers["Subject"] == "hi there"
    assert again.headers["Route"] == "<sip:proxy.example.com;lr>"
    assert again.from_.tag == "1"
    assert "Priority" not in again.headers


def test_use_proxy_sends_this_request_through_the_proxy_and_keeps_the_target() -> None:
    again = apply_redirect(invite(), NameAddr.parse("<sip:other.example>"), status=305)
    assert again.target == "sip:bob@example.com"
    assert [str(route.uri) for route in again.routes] == ["sip:other.example;lr", "sip:proxy.example.com;lr"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.7", 0.7),
        ("1", 1.0),
        ("0", 0.0),
        ("1.000", 1.0),
        ("2", 1.0),
        ("0.1234", 1.0),
        ("0.٣", 1.0),
        ("-1", 1.0),
    ],
)
def test_a_quality_is_between_0_and_1(text: str, value: float) -> None:
    assert (
        quality(NameAddr.parse(f"<sip:a@x>;q={text}" if text.isascii() else f'<sip:a@x>;q="{text}"')) == value
    )
