# SPDX-License-Identifier: Apache-2.0
from ringback.kernel import scan
from ringback.sip.message.message import Request
from ringback.sip.message.uri import NameAddr, Uri, parse_uri
from ringback.sip.routing import (
    is_loose_router,
    next_hop,
    route_request,
    route_uris,
    turn_from_strict_router,
)

LOOSE_1, LOOSE_2 = "<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>"
STRICT = "<sip:old.example.com;method=INVITE?Subject=x>"


def request(target: str = "sip:bob@192.0.2.9", *routes: str) -> Request:
    return Request.new(
        "BYE",
        target,
        from_="<sip:alice@example.com>;tag=a",
        to="<sip:bob@example.com>;tag=b",
        call_id="c",
        cseq=1,
        headers=[("Route", route) for route in routes],
    )


def routed(*route_set: str) -> Request:
    message = request("sip:whoever@example.com", "<sip:stale.example.com;lr>")
    route_request(message, parse_uri("sip:bob@192.0.2.9"), [NameAddr.parse(route) for route in route_set])
    return message


def is_ours(uri: Uri) -> bool:
    return getattr(uri, "host", "") == "us.example.com"


def test_without_routes_the_request_uri_is_the_next_hop() -> None:
    message = routed()
    assert message.target == "sip:bob@192.0.2.9"
    assert message.headers.get_all("Route") == []
    assert str(next_hop(message)) == "sip:bob@192.0.2.9"


def test_a_loose_router_gets_the_request_with_the_target_in_the_request_uri() -> None:
    message = routed(LOOSE_1, LOOSE_2)
    assert message.target == "sip:bob@192.0.2.9"
    assert message.headers.get_all("Route") == [LOOSE_1, LOOSE_2]
    assert str(next_hop(message)) == "sip:p1.example.com;lr"


def test_a_strict_router_finds_itself_in_the_request_uri_and_the_target_last() -> None:
    message = routed(STRICT, LOOSE_2)
    assert message.target == "sip:old.example.com"
    assert message.headers.get_all("Route") == [LOOSE_2, "<sip:bob@192.0.2.9>"]
    assert str(next_hop(message)) == "sip:old.example.com"
    assert str(next_hop(message.copy())) == "sip:old.example.com"


def test_routing_again_forgets_the_strict_router() -> None:
    message = routed(STRICT)
    route_request(message, parse_uri("sip:bob@192.0.2.9"), [])
    assert str(next_hop(message)) == "sip:bob@192.0.2.9"


def test_what_a_strict_router_turned_is_turned_back() -> None:
    message = request("sip:us.example.com;lr", LOOSE_1, "<sip:bob@192.0.2.9>")
    turn_from_strict_router(message, is_ours)
    assert message.target == "sip:bob@192.0.2.9"
    assert message.headers.get_all("Route") == [LOOSE_1]


def test_a_request_for_somebody_else_is_not_turned() -> None:
    message = request("sip:bob@192.0.2.9", LOOSE_1)
    turn_from_strict_router(message, is_ours)
    assert message.target == "sip:bob@192.0.2.9"
    assert message.headers.get_all("Route") == [LOOSE_1]


def test_the_uris_of_the_route_are_the_same_whoever_reads_them() -> None:
    lines = [LOOSE_1 + ", " + LOOSE_2, '"Old" ' + STRICT.partition("?")[0] + ">;x=y"]
    made = request("sip:bob@192.0.2.9", *lines)
    made.headers.prepend("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK-1")
    head = scan(made.to_bytes())
    assert head is not None
    expected = ["sip:p1.example.com;lr", "sip:p2.example.com;lr", "sip:old.example.com;method=INVITE"]
    assert list(route_uris(made)) == list(route_uris(Request.read(head))) == expected


def test_lr_makes_a_loose_router_with_or_without_a_value() -> None:
    assert is_loose_router(parse_uri("sip:p.example.com;lr"))
    assert is_loose_router(parse_uri("sip:p.example.com;lr=on"))
    assert not is_loose_router(parse_uri("sip:p.example.com"))
