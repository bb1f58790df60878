# SPDX-License-Identifier: Apache-2.0
"""RFC 3261 section 12, from both ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sip.dialog.dialog import CSEQ_LIMIT, Dialog, DialogState
from ringback.sip.dialog.identifier import DialogId
from ringback.sip.errors import InvalidState
from ringback.sip.message.message import Request, Response
from ringback.sip.message.uri import NameAddr
from ringback.sip.routing import next_hop

ROUTES = [
    ("Record-Route", "<sip:p2.example;lr>"),
    ("Record-Route", "<sip:p1.example;lr>, <sip:p0.example;lr>"),
]


def invite(target: str = "sip:bob@example.com", tag: str = ";tag=alice", **more: str) -> Request:
    headers = [("Contact", more.pop("contact", "<sip:alice@10.0.0.1>")), *ROUTES]
    return Request.new(
        "INVITE",
        target,
        from_=f'"Alice" <sip:alice@example.com>{tag}',
        to="<sip:bob@example.com>",
        call_id="c1",
        cseq=5,
        headers=headers,
    )


def answer(status: int = 200, tag: str | None = "bob", contact: str = "<sip:bob@10.0.0.2>") -> Response:
    return Response.to(
        invite(), status, to_tag=tag, headers=[("Contact", contact), *([] if status >= 300 else ROUTES)]
    )


def caller(status: int = 200) -> Dialog:
    request = invite()
    request.headers.remove("Record-Route")
    response = Response.to(
        request, status, to_tag="bob", headers=[("Contact", "<sip:bob@10.0.0.2>"), *ROUTES]
    )
    return Dialog.from_response(request, response)


def callee() -> Dialog:
    return Dialog.from_request(invite(), local_tag="bob", contact=NameAddr.parse("<sip:bob@10.0.0.2>"))


def test_both_ends_see_the_same_dialog_from_opposite_sides() -> None:
    assert caller().id == DialogId("c1", "alice", "bob")
    assert callee().id == DialogId("c1", "bob", "alice")


def test_the_caller_reverses_the_record_routes_and_the_callee_keeps_their_order() -> None:
    assert [route.uri.host for route in caller().route_set] == ["p0.example", "p1.example", "p2.example"]
    assert [route.uri.host for route in callee().route_set] == ["p2.example", "p1.example", "p0.example"]


def test_a_provisional_response_makes_an_early_dialog_and_a_2xx_confirms_it() -> None:
    dialog = caller(180)
    assert dialog.state is DialogState.EARLY
    request = invite()
    confirmed = Response.to(
        request,
        200,
        to_tag="bob",
        headers=[("Contact", "<sip:bob@10.0.0.3>"), ("Record-Route", "<sip:p9;lr>")],
    )
    confirmed.headers.remove("Record-Route")
    confirmed.headers.add("Record-Route", "<sip:p9;lr>")
    dialog.confirm(confirmed)
    assert dialog.state is DialogState.CONFIRMED
    assert [str(route.uri) for route in dialog.route_set] == ["sip:p9;lr"]
    assert str(dialog.remote_target) == "sip:bob@10.0.0.3"


def test_a_confirmed_dialog_never_changes_its_route_set() -> None:
    dialog = caller()
    before = dialog.route_set
    dialog.confirm(answer(contact="<sip:else@x>"))
    assert dialog.route_set == before


def test_a_request_goes_to_the_remote_target_by_way_of_the_route_set() -> None:
    request = caller().make_request("BYE")
    assert request.target == "sip:bob@10.0.0.2"
    assert [route.uri.host for route in request.routes] == ["p0.example", "p1.example", "p2.example"]
    assert (request.from_.tag, request.to.tag, request.call_id) == ("alice", "bob", "c1")
    assert (request.cseq.number, request.cseq.method, request.max_forwards) == (6, "BYE", 70)
    assert "Contact" not in request.headers


def test_a_strict_router_gets_itself_as_request_uri_and_the_target_last() -> None:
    dialog = caller()
    dialog.route_set = (NameAddr.parse("<sip:strict.example>"), NameAddr.parse("<sip:p1.example;lr>"))
    request = dialog.make_request("INFO")
    assert request.target == "sip:strict.example"
    assert [str(route.uri) for route in request.routes] == ["sip:p1.example;lr", "sip:bob@10.0.0.2"]
    assert str(next_hop(request)) == "sip:strict.example"


def test_target_refresh_requests_carry_our_contact() -> None:
    dialog = callee()
    assert dialog.make_request("UPDATE").headers["Contact"] == "<sip:bob@10.0.0.2>"
    assert dialog.make_request("INVITE").headers["Contact"] == "<sip:bob@10.0.0.2>"
    assert "Contact" not in dialog.make_request("INFO").headers


def test_numbers_only_rise_and_an_ack_brings_that_of_its_invite() -> None:
    dialog = callee()
    numbers = [dialog.make_request("INFO").cseq.number for _ in range(3)]
    assert numbers == [1, 2, 3]
    assert dialog.make_request("ACK", cseq=2).cseq.number == 2
    assert dialog.make_request("INFO").cseq.number == 4


def test_the_last_number_is_not_exceeded() -> None:
    dialog = callee()
    dialog.local_cseq = CSEQ_LIMIT - 1
    assert dialog.make_request("INFO").cseq.number == CSEQ_LIMIT
    with pytest.raises(InvalidState):
        dialog.make_request("INFO")


@given(st.lists(st.integers(0, 40)))
def test_requests_are_taken_in_rising_order_with_gaps_and_never_otherwise(numbers: list[int]) -> None:
    dialog = callee()
    taken = [5]
    for number in numbers:
        request = invite()
        request.headers["CSeq"] = f"{number} INVITE"
        assert dialog.accept_order(request) == (number > taken[-1])
        if number > taken[-1]:
            taken.append(number)
    assert dialog.remote_cseq == taken[-1]


def test_the_peers_contact_moves_the_target() -> None:
    dialog = callee()
    dialog.refresh_target(invite(contact="<sip:alice@10.0.0.99:5070>"))
    assert str(dialog.remote_target) == "sip:alice@10.0.0.99:5070"


@pytest.mark.parametrize("contact", ["*", "<garbage"])
def test_a_contact_that_cannot_be_read_moves_nothing(contact: str) -> None:
    dialog = callee()
    dialog.refresh_target(invite(contact=contact))
    assert str(dialog.remote_target) == "sip:alice@10.0.0.1"


def test_peers_of_rfc_2543_have_no_tags() -> None:
    dialog = Dialog.from_request(invite(tag=""), local_tag="bob")
    assert dialog.id == DialogId("c1", "bob", "")
    assert dialog.make_request("BYE").to.tag is None


def test_a_2xx_without_tag_and_contact_still_makes_a_dialog() -> None:
    request = invite()
    response = Response.to(request, 200)
    response.headers.remove("To")
    response.headers.add("To", "<sip:bob@example.com>")
    dialog = Dialog.from_response(request, response)
    assert dialog.remote_tag == ""
    assert str(dialog.remote_target) == "sip:bob@example.com"


def test_a_dialog_is_secure_only_when_uri_and_way_are() -> None:
    secure = invite("sips:bob@example.com")
    assert Dialog.from_request(secure, local_tag="b", is_secure=True).is_secure
    assert not Dialog.from_request(secure, local_tag="b", is_secure=False).is_secure
    assert not Dialog.from_request(invite(), local_tag="b", is_secure=True).is_secure


def test_display_names_travel_on() -> None:
    assert callee().make_request("INFO").to.display_name == "Alice"


def test_a_terminated_dialog_still_sends_bye_and_ack_and_nothing_else() -> None:
    dialog = caller()
    dialog.terminate()
    dialog.make_request("BYE")
    dialog.make_request("ACK", cseq=5)
    with pytest.raises(InvalidState):
        dialog.make_request("INFO")


def test_a_dialog_shows_its_names_and_no_more() -> None:
    assert repr(caller()) == "<Dialog c1 alice bob CONFIRMED>"
