# SPDX-License-Identifier: Apache-2.0
"""Whatever a message says while it is octets, it says after it was taken apart, and the other way round."""

import pytest

from ringback.kernel import BIT, scan
from ringback.sip.message.message import Request, Response
from ringback.sip.message.parser import parse_message

INVITE = (
    b"INVITE sip:bob@example.com SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKa;rport\r\n"
    b"Route: <sip:p1.example.com;lr>, <sip:p2.example.com;lr>\r\n"
    b"Max-Forwards: 70\r\n"
    b'From: "Alice" <sip:alice@example.org>;tag=1\r\n'
    b"To: <sip:bob@example.com>\r\n"
    b"Call-ID: one@example.org\r\n"
    b"CSeq: 7 INVITE\r\n"
    b"Contact: <sip:alice@192.0.2.1:5070>\r\n"
    b"Record-Route: <sip:p0.example.org;lr>\r\n"
    b"P-Asserted-Identity: <sip:boss@example.com>\r\n"
    b"X-Other: kept: as it is\r\n"
    b"Content-Type: text/plain\r\n"
    b"Content-Length: 5\r\n"
    b"\r\n"
    b"hello"
)
OK = (
    b"SIP/2.0 200 Fine\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKb, SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKa\r\n"
    b"From: <sip:alice@example.org>;tag=1\r\n"
    b"To: <sip:bob@example.com>;tag=2\r\n"
    b"Call-ID: one@example.org\r\n"
    b"CSeq: 7 INVITE\r\n"
    b"P-Asserted-Identity: <sip:boss@example.com>\r\n"
    b"Content-Length: 2\r\n"
    b"\r\n"
    b"ok"
)
EDIT = {
    "target": "sip:bob@192.0.2.7",
    "max_forwards": 69,
    "drop_routes": 1,
    "without": BIT["p-asserted-identity"],
    "on_top": b"Record-Route: <sip:us.example.com;lr>\r\n",
    "at_end": b"Max-Breadth: 60\r\n",
}


def whole() -> Request:
    head = scan(INVITE)
    assert head is not None
    return Request.read(head)


def apart(data: bytes = INVITE) -> Request:
    request = parse_message(data)
    assert isinstance(request, Request)
    return request


def answer() -> Response:
    head = scan(OK)
    assert head is not None
    return Response.read(head)


def test_a_message_says_the_same_whole_and_taken_apart() -> None:
    for name in ("method", "target", "uri", "call_id", "cseq", "cseq_number", "from_tag", "to_tag"):
        assert getattr(whole(), name) == getattr(apart(), name)
    for name in ("max_forwards", "body", "from_", "to", "vias", "routes", "contacts", "present"):
        assert getattr(whole(), name) == getattr(apart(), name)
    assert list(whole().headers) == list(apart().headers)
    assert whole().to_bytes() == INVITE


def test_reading_header_fields_keeps_the_octets_and_changing_one_gives_them_up() -> None:
    request = whole()
    assert request.reading["X-Other"] == "kept: as it is"
    assert request.head is not None
    request.headers["X-Other"] = "changed"
    assert request.head is None
    assert request.facts is None
    assert request.to_bytes() == INVITE.replace(b"kept: as it is", b"changed")
    assert (request.call_id, request.cseq_number, request.body) == ("one@example.org", 7, b"hello")


def test_a_new_body_or_target_shows_in_what_is_printed() -> None:
    request = whole()
    request.target = "sip:carol@example.com"
    request.body = b"hi"
    assert request.uri.user == "carol"  # type: ignore[union-attr]
    assert request.to_bytes() == INVITE.replace(b"bob@example.com SIP", b"carol@example.com SIP").replace(
        b"Length: 5\r\n\r\nhello", b"Length: 2\r\n\r\nhi"
    )


def test_a_copy_does_not_follow_its_original() -> None:
    request = whole()
    twin = request.copy()
    request.headers["X-Other"] = "changed"
    request.target = "sip:carol@example.com"
    assert twin.to_bytes() == INVITE
    changed = request.copy()
    assert changed.to_bytes() == request.to_bytes()
    assert b"changed" in changed.to_bytes()


def test_an_edit_does_the_same_whole_and_taken_apart() -> None:
    cheap, careful = whole().edited(**EDIT), apart().edited(**EDIT)  # type: ignore[arg-type]
    assert cheap.facts is not None
    assert careful.facts is None
    assert sorted(cheap.headers) == sorted(careful.headers)
    assert [str(route.uri) for route in cheap.routes] == ["sip:p2.example.com;lr"]
    assert [str(route.uri) for route in cheap.record_routes] == [
        "sip:us.example.com;lr",
        "sip:p0.example.org;lr",
    ]
    assert (cheap.target, cheap.max_forwards, careful.max_forwards) == ("sip:bob@192.0.2.7", 69, 69)
    assert "P-Asserted-Identity" not in cheap.headers
    assert parse_message(cheap.to_bytes()).headers["Max-Breadth"] == "60"


def test_an_edit_of_an_edit_does_both() -> None:
    request = whole().edited(drop_routes=1, max_forwards=69)
    request = request.edited(target="sip:carol@example.com", at_end=b"X-Last: 1\r\n")
    printed = apart(request.to_bytes())
    assert (printed.target, printed.max_forwards, len(printed.routes)) == ("sip:carol@example.com", 69, 1)
    assert printed.headers["X-Last"] == "1"


@pytest.mark.parametrize("request_", [whole(), apart(), whole().edited(max_forwards=1)])
def test_our_via_comes_before_all_others(request_: Request) -> None:
    request_.push_via(b"SIP/2.0/UDP us.example.com;branch=z9hG4bKc;rport")
    assert [via.host for via in apart(request_.to_bytes()).vias] == ["us.example.com", "192.0.2.1"]
    assert [via.host for via in request_.vias] == ["us.example.com", "192.0.2.1"]


def test_a_response_loses_its_top_via_the_same_way_whole_and_taken_apart() -> None:
    careful = parse_message(OK)
    assert isinstance(careful, Response)
    for response in (answer(), careful):
        back = response.without_top_via(BIT["p-asserted-identity"])
        assert back is not None
        assert (back.status, back.reason, back.call_id, back.to_tag) == (200, "Fine", "one@example.org", "2")
        printed = parse_message(back.to_bytes())
        assert [via.branch for via in printed.vias] == ["z9hG4bKa"]
        assert "P-Asserted-Identity" not in printed.headers
        assert printed.body == b"ok"
        assert back.without_top_via() is None


@pytest.mark.parametrize("status", [100, 180, 200, 404, 486, 603])
def test_an_answer_is_the_same_to_a_whole_request_and_to_one_taken_apart(status: int) -> None:
    made = [
        Response.to(request, status, to_tag="mine", headers=[("Server", "us")], body=b"x", content_type="a/b")
        for request in (whole(), apart())
    ]
    cheap, careful = (parse_message(response.to_bytes()) for response in made)
    assert list(cheap.headers) == list(careful.headers)
    assert cheap.body == careful.body == b"x"
    assert made[0].to_tag == made[1].to_tag == (None if status == 100 else "mine")
    assert ("Record-Route" in cheap.headers) == (100 < status < 300)


def test_no_reason_and_no_header_value_adds_a_line_to_an_answer() -> None:
    response = Response.to(whole(), 400, "bad\r\nX-Evil: 1")
    assert "X-Evil" not in parse_message(response.to_bytes()).headers
    with pytest.raises(Exception, match="line end"):
        Response.to(whole(), 400, headers=[("X-Note", "a\r\nX-Evil: 1")])


def test_a_request_with_our_via_is_not_answered_without_it() -> None:
    request = whole()
    request.push_via(b"SIP/2.0/UDP us.example.com;branch=z9hG4bKc")
    response = Response.to(request, 487, to_tag="t")
    assert [via.host for via in response.vias] == ["us.example.com", "192.0.2.1"]
