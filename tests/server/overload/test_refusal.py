# SPDX-License-Identifier: Apache-2.0
"""Is a refusal a good response, made of nothing but the request, and does each peer get the right one?"""

import pytest

from ringback.server.overload.refusal import Refuser
from ringback.sip.flow import Address, Flow, Transport
from ringback.sip.message.message import Response
from ringback.sip.message.parser import check_response, parse_message
from ringback.testing import messages

HERE = Address("10.0.0.1", 5060)
FLOW = Flow(Transport.UDP, HERE, Address("10.0.0.9", 40_000))
BRANCH = b"z9hG4bKabc"
VIA = "SIP/2.0/UDP 10.0.0.9:40000"


def refuser(secret: bytes = b"s" * 16) -> Refuser:
    return Refuser(secret, retry_after=(5, 30), wall_clock=lambda: 1_700_000_000.0)


def invite(via: str = VIA, **options: object) -> bytes:
    """Its Via asks for no rport unless `via` does."""
    data = messages.request("INVITE", "sip:bob@example.com", via=via, branch="z9hG4bKabc", **options)  # type: ignore[arg-type]
    return data.replace(b"=z9hG4bKabc;rport", b"=z9hG4bKabc")


def refused(
    data: bytes, flow: Flow = FLOW, *, branch: bytes = BRANCH, is_trunk: bool = False, loss: float = 0.5
) -> tuple[Response, Flow]:
    answer = refuser().refuse((data, flow), branch, is_trunk=is_trunk, loss=loss)
    assert answer is not None
    response = parse_message(answer[0])
    assert isinstance(response, Response)
    check_response(response)
    assert response.status == 503
    return response, answer[1]


def test_a_phone_is_told_to_come_back_each_at_another_time():
    times = {
        int(refused(invite(), branch=b"z9hG4bK%d" % number)[0].headers["Retry-After"])
        for number in range(500)
    }
    assert times == set(range(5, 31))


def test_the_response_says_what_the_request_said_and_where_it_came_from():
    response, flow = refused(invite("SIP/2.0/UDP phone.example;rport"))
    assert response.top_via.parameter("received") == "10.0.0.9"
    assert response.top_via.parameter("rport") == "40000"
    assert flow is FLOW
    assert response.to.tag
    assert response.cseq.method == "INVITE"


@pytest.mark.parametrize(
    ("via", "port"),
    [
        (VIA, 40_000),
        ("SIP/2.0/UDP 10.0.0.9:5070", 5070),
        ("SIP/2.0/UDP 10.0.0.9", 5060),
        ("SIP/2.0/UDP 10.0.0.9:5070;rport", 40_000),
    ],
)
def test_it_goes_where_the_via_asks_for(via: str, port: int):
    assert refused(invite(via))[1].remote == Address("10.0.0.9", port)


def test_on_a_connection_it_goes_back_on_that():
    flow = Flow(Transport.TCP, HERE, Address("10.0.0.9", 40_000), 7)
    assert refused(invite("SIP/2.0/TCP 10.0.0.9"), flow)[1] is flow


def test_trunks_and_what_came_through_a_proxy_get_no_time_to_wait():
    assert "Retry-After" not in refused(invite(), is_trunk=True)[0].headers
    two = invite(headers=[("Via", "SIP/2.0/UDP 10.0.0.20;branch=z9hG4bKdef")])
    one_line = invite().replace(b"=z9hG4bKabc", b"=z9hG4bKabc, SIP/2.0/UDP 10.0.0.20;branch=z9hG4bKdef")
    for data in (two, one_line):
        response = refused(data)[0]
        assert "Retry-After" not in response.headers
        assert len(response.vias) == 2


def test_who_can_throttle_hears_how_much():
    response, _flow = refused(invite(VIA + ';oc;oc-algo="loss"'), loss=0.25)
    assert response.top_via.parameter("oc") == "25"
    assert response.top_via.parameter("oc-validity") == "500"
    assert "Retry-After" not in response.headers


def test_a_repetition_gets_the_same_answer_and_others_get_another_tag():
    data = invite()
    first = refuser().refuse((data, FLOW), BRANCH, is_trunk=False, loss=0.0)
    assert first == refuser().refuse((data, FLOW), BRANCH, is_trunk=False, loss=0.9)
    tags = {refused(data, branch=b"z9hG4bK%d" % number)[0].to.tag for number in range(100)}
    other = refuser(b"t" * 16).refuse((data, FLOW), b"z9hG4bK0", is_trunk=False, loss=0.0)
    assert other is not None
    assert len({*tags, tag_of(other[0])}) == 101


def tag_of(data: bytes) -> str | None:
    response = parse_message(data)
    assert isinstance(response, Response)
    return response.to.tag


def test_what_cannot_be_answered_is_not():
    assert refuser().refuse((b"INVITE sip:a SIP/2.0\r\n\r\n", FLOW), b"", is_trunk=False, loss=0.0) is None


def test_a_call_that_is_given_up_and_its_cancel_are_answered_alike():
    cancel = messages.request("CANCEL", "sip:bob@example.com", via=VIA, branch="z9hG4bKabc")
    answers = refuser().cancel((invite(), FLOW), (cancel, FLOW), BRANCH)
    responses = [parse_message(data) for data, _flow in answers]
    assert [
        (response.status, response.cseq.method) for response in responses if isinstance(response, Response)
    ] == [
        (200, "CANCEL"),
        (487, "INVITE"),
    ]
    assert responses[0].to.tag == responses[1].to.tag
