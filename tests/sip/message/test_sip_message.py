# SPDX-License-Identifier: Apache-2.0
"""Are requests and responses made, copied and written as RFC 3261 7, 8.1.1 and 8.2.6 say?"""

import pytest

from ringback.sip.errors import InvalidState, PeerError
from ringback.sip.message import NameAddr, Request, Response, SipUri, parse_message
from ringback.sip.message.headers import Headers
from ringback.sip.message.message import make_response
from ringback.sip.message.values import CSeq, Reason, SessionExpires


def invite(**changes: object) -> Request:
    arguments = {
        "from_": '"Alice" <sip:alice@atlanta.com>;tag=1928301774',
        "to": NameAddr(SipUri("bob", "biloxi.com"), "Bob"),
        "call_id": "a84b4c76e66710@pc33.atlanta.com",
        "cseq": 314159,
        "headers": [("Record-Route", "<sip:p2;lr>"), ("Record-Route", "<sip:p1;lr>"), ("Timestamp", "54")],
        "body": b"v=0\r\n",
        "content_type": "application/sdp",
    } | changes
    request = Request.new("INVITE", SipUri("bob", "biloxi.com"), **arguments)
    request.headers.prepend("Via", "SIP/2.0/UDP p1;branch=z9hG4bK2")
    request.headers.add("Via", "SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bK1")
    return request


def test_a_new_request_has_the_mandatory_fields_but_via():
    request = Request.new("OPTIONS", "sip:b", from_="<sip:a>;tag=1", to="<sip:b>", call_id="c", cseq=1)

    assert request.to_bytes() == (
        b"OPTIONS sip:b SIP/2.0\r\nMax-Forwards: 70\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:b>\r\n"
        b"Call-ID: c\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )


def test_a_request_survives_the_wire():
    request = invite()
    again = parse_message(request.to_bytes())

    assert isinstance(again, Request)
    assert (again.method, again.uri, again.body, again.cseq) == (
        "INVITE",
        request.uri,
        b"v=0\r\n",
        CSeq(314159, "INVITE"),
    )
    assert again.content_type.media_type == "application/sdp"
    assert again.to_bytes() == request.to_bytes()


def test_content_length_is_always_fresh_and_keeps_its_place():
    request = parse_message(b"BYE sip:b SIP/2.0\r\nl: 9\r\nTo: <sip:b>\r\nContent-Length: 7\r\n\r\n")
    request.body = b"abc"

    assert request.to_bytes() == b"BYE sip:b SIP/2.0\r\nl: 3\r\nTo: <sip:b>\r\n\r\nabc"


def test_a_copy_with_another_target_leaves_the_original_alone():
    request = invite()
    uri = request.uri
    twin = request.with_target(SipUri("carol", "chicago.com"))
    twin.headers["Max-Forwards"] = "69"

    assert (request.uri, request.max_forwards) == (uri, 70)
    assert (twin.uri, twin.max_forwards, twin.target) == (
        SipUri("carol", "chicago.com"),
        69,
        "sip:carol@chicago.com",
    )


def test_a_target_that_ends_a_line_is_our_own_bug():
    with pytest.raises(InvalidState):
        Request("OPTIONS", "sip:a SIP/2.0\r\nVia: x").to_bytes()


def test_a_response_copies_what_8_2_6_2_says():
    response = Response.to(invite(), 180, to_tag="a6c85cf", headers=[("Contact", "<sip:bob@192.0.2.4>")])

    assert response.to_bytes() == (
        b"SIP/2.0 180 Ringing\r\n"
        b"Via: SIP/2.0/UDP p1;branch=z9hG4bK2\r\n"
        b"Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bK1\r\n"
        b"Record-Route: <sip:p2;lr>\r\nRecord-Route: <sip:p1;lr>\r\n"
        b'From: "Alice" <sip:alice@atlanta.com>;tag=1928301774\r\n'
        b'To: "Bob" <sip:bob@biloxi.com>;tag=a6c85cf\r\n'
        b"Call-ID: a84b4c76e66710@pc33.atlanta.com\r\n"
        b"CSeq: 314159 INVITE\r\n"
        b"Contact: <sip:bob@192.0.2.4>\r\n"
        b"Content-Length: 0\r\n\r\n"
    )
    assert Response.to is make_response


def test_trying_has_no_tag_and_the_timestamp():
    response = Response.to(invite(), 100, to_tag="x")

    assert (response.to.tag, response.headers.get("Timestamp"), "Record-Route" in response.headers) == (
        None,
        "54",
        False,
    )


@pytest.mark.parametrize(
    ("method", "status", "copied"),
    [("INVITE", 200, True), ("INVITE", 404, False), ("BYE", 200, False), ("SUBSCRIBE", 202, True)],
)
def test_record_route_is_copied_where_a_dialog_may_begin(method: str, status: int, copied: bool):
    request = Request.new(
        method,
        "sip:b",
        from_="<sip:a>;tag=1",
        to="<sip:b>",
        call_id="c",
        cseq=1,
        headers=[("Record-Route", "<sip:p;lr>")],
    )

    assert ("Record-Route" in Response.to(request, status).headers) is copied


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;tag=new"),
        ("<sip:bob@biloxi.com;tag=uri>", "<sip:bob@biloxi.com;tag=uri>;tag=new"),
        ('"tag=x" <sip:bob@biloxi.com>', '"tag=x" <sip:bob@biloxi.com>;tag=new'),
        ("<sip:bob@biloxi.com> ; TAG = old", "<sip:bob@biloxi.com> ; TAG = old"),
        ("<sip:bob@biloxi.com>;x=tag", "<sip:bob@biloxi.com>;x=tag;tag=new"),
        ('"unbalanced <sip:bob@biloxi.com>;tag=old', '"unbalanced <sip:bob@biloxi.com>;tag=old'),
        ('"unbalanced tag <sip:bob@biloxi.com>', '"unbalanced tag <sip:bob@biloxi.com>;tag=new'),
    ],
)
def test_the_to_tag_is_added_only_where_there_is_none(to: str, expected: str):
    request = Request("OPTIONS", "sip:b", Headers([(b"To", to.encode())]))

    assert Response.to(request, 404, to_tag="new").headers["To"] == expected


def test_a_response_leaves_out_what_the_request_lacks():
    assert (
        Response.to(Request("OPTIONS", "sip:b"), 400, to_tag="x").to_bytes()
        == b"SIP/2.0 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
    )


def test_no_reason_phrase_can_add_a_line():
    assert Response(500, "a\r\nVia: b\0\x7f").to_bytes().startswith(b"SIP/2.0 500 a  Via: b  \r\n")
    assert Response(200, "да").to_bytes().startswith("SIP/2.0 200 да\r\n".encode())


def test_a_status_nobody_registered_gets_the_phrase_of_its_class():
    assert (Response(499).reason, Response(200).reason, Response(499, "").reason) == (
        "Request Failure",
        "OK",
        "",
    )


def test_typed_attributes_follow_changes():
    request = invite()
    assert (request.from_.tag, request.from_tag, request.to_tag) == ("1928301774", "1928301774", None)

    request.headers["To"] = "<sip:b>;tag=2"
    request.headers.add("Session-Expires", "1800;refresher=UAS")
    request.headers.add("Min-SE", "90")
    request.headers.add("Reason", 'SIP;cause=486;text="Busy"')

    assert (request.to.tag, request.to_tag) == ("2", "2")
    assert (request.session_expires, request.min_se) == (SessionExpires(1800, "uas"), 90)
    assert request.reasons == [Reason("SIP", 486, "Busy")]


def test_lists_belong_to_the_reader():
    request = invite()
    request.vias.clear()

    assert len(request.vias) == 2


@pytest.mark.parametrize(
    ("value", "tag"),
    [
        ("<sip:a>;tag=1", "1"),
        ("<sip:a;tag=no>", None),
        ("sip:a;tag=1;x=2", "1"),
        ('"x>;tag=no" <sip:a>;tag=1', "1"),
        ('<sip:a>;x=">;tag=no";tag=1', "1"),
        ("<sip:a>\r\n ; TAG = 1", "1"),
        ("<sip:a>;mytag=1", None),
        ("", None),
    ],
)
def test_the_cheap_tag_is_the_tag(value: str, tag: str | None):
    request = Request("OPTIONS", "sip:b", Headers([(b"From", value.encode())] if value else []))

    assert request.from_tag == tag
    if value:
        assert request.from_.tag == tag


def test_missing_fields_are_none_or_empty_and_mandatory_ones_an_error():
    request = Request("OPTIONS", "sip:b")

    assert (request.vias, request.expires, request.supported, request.is_star_contact) == (
        [],
        None,
        [],
        False,
    )
    for name in ("from_", "to", "call_id", "cseq", "top_via"):
        with pytest.raises(PeerError, match="is missing"):
            getattr(request, name)


def test_words_are_lower_case_and_methods_upper_case():
    request = invite(
        headers=[("Supported", "TIMER, 100Rel"), ("k", "replaces"), ("Allow", "Invite,ACK"), ("Contact", "*")]
    )

    assert (request.supported, request.allow) == (["timer", "100rel", "replaces"], ["INVITE", "ACK"])
    assert (request.is_star_contact, request.contacts) == (True, [])


def test_challenges_and_credentials_come_from_both_of_their_fields():
    headers = [
        ("Proxy-Authenticate", 'Digest realm="p", nonce="1"'),
        ("WWW-Authenticate", 'Digest realm="a", nonce="2", algorithm=SHA-256'),
        ("WWW-Authenticate", 'Digest realm="a", nonce="3", algorithm=MD5'),
        ("Authorization", 'Digest username="x", realm="a"'),
    ]
    response = Response.to(invite(), 401, headers=headers)

    assert [challenge.parameters["nonce"] for challenge in response.challenges] == ["2", "3", "1"]
    assert [(value.scheme, value.parameter("Username")) for value in response.credentials] == [
        ("Digest", "x")
    ]


def test_a_copied_response_is_independent():
    response = Response.to(invite(), 200)
    twin = response.copy()
    twin.headers.remove_first_value("Via")

    assert (len(response.vias), len(twin.vias), twin.status) == (2, 1, 200)
