# SPDX-License-Identifier: Apache-2.0
"""Does a message change only where it was told to, and is it answered with its own lines?"""

from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_messages import INVITE, OK, SOURCES, compiled, heads, kernels, messages, needs_both, reference

from ringback.kernel import BIT
from ringback.sip.errors import PeerError
from ringback.sip.flow import Address, Flow, Transport
from ringback.sip.message.message import Request
from ringback.sip.message.parameters import split_list
from ringback.sip.message.parser import parse_message
from ringback.sip.message.writer import lines_for_response
from ringback.sip.receiving import stamp_source

BITS = st.lists(st.sampled_from(sorted(BIT.values())), max_size=4).map(lambda bits: sum(set(bits)))
EDITS = st.fixed_dictionaries(
    {},
    optional={
        "target": st.sampled_from(["sip:new@192.0.2.8", "sip:\udcff"]),
        "max_forwards": st.sampled_from([0, 69]),
        "drop_routes": st.integers(0, 5),
        "without": BITS,
        "on_top": st.just(b"Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKnew\r\n"),
        "at_end": st.just(b"Max-Breadth: 60\r\n"),
    },
)
ANSWERS = st.fixed_dictionaries(
    {"to_tag": st.sampled_from([None, "ours"]), "at_end": st.just(b"Content-Length: 0\r\n\r\n")},
    optional={"with_record_route": st.booleans(), "with_timestamp": st.booleans()},
)


def outcome(function: Any, *arguments: Any, **keywords: Any) -> Any:
    """The result, or the type of the exception."""
    try:
        return function(*arguments, **keywords)
    except ValueError as error:
        return type(error)


def values(data: bytes, name: str) -> list[str]:
    """The values of a comma list, over all its lines."""
    return [value for line in parse_message(data).headers.get_all(name) for value in split_list(line)]


@kernels
def test_an_edit_changes_what_it_names_and_no_other_octet(kernel: ModuleType):
    edited = kernel.edit_request(
        INVITE,
        target="sip:bob@10.0.0.1",
        max_forwards=69,
        drop_routes=1,
        without=BIT["timestamp"] | BIT["contact"],
        on_top=b"Via: ours\r\n",
        at_end=b"Last: line\r\n",
    )

    expected = INVITE
    for old, new in (
        (
            b"INVITE sip:bob@192.0.2.7:5070;transport=udp SIP/2.0\r\n",
            b"INVITE sip:bob@10.0.0.1 SIP/2.0\r\nVia: ours\r\n",
        ),
        (b"Max-Forwards: 70", b"Max-Forwards: 69"),
        (b"Route: <sip:proxy.example.com;lr>, <sip:proxy2", b"Route: <sip:proxy2"),
        (b"Timestamp: 54\r\n", b""),
        (b"Contact: <sip:alice@192.0.2.1:5060;transport=udp>;expires=60\r\n", b""),
        (b"Content-Length: 4\r\n", b"Content-Length: 4\r\nLast: line\r\n"),
    ):
        assert old in expected
        expected = expected.replace(old, new, 1)
    assert edited == expected


@kernels
def test_an_edit_of_nothing_changes_nothing(kernel: ModuleType):
    assert kernel.edit_request(INVITE) == INVITE


@kernels
def test_max_forwards_is_added_where_it_is_missing(kernel: ModuleType):
    data = INVITE.replace(b"Max-Forwards: 70\r\n", b"")

    edited = kernel.edit_request(data, max_forwards=70, at_end=b"Last: line\r\n")

    assert edited.endswith(b"Content-Length: 4\r\nMax-Forwards: 70\r\nLast: line\r\n\r\nv=0\n")


@kernels
def test_a_route_line_vanishes_with_its_last_value_and_hidden_commas_separate_nothing(kernel: ModuleType):
    data = INVITE.replace(b"Route: <sip:proxy.example.com;lr>,", b'Route: "a, b" <sip:a,b@c;lr>;x="y,z" ,\t')

    assert kernel.edit_request(data, drop_routes=1).count(b"Route: <sip:proxy2.example.com;lr>\r\n") == 1
    assert b"\r\nRoute:" not in kernel.edit_request(data, drop_routes=2)
    assert b"\r\nRecord-Route:" in kernel.edit_request(data, drop_routes=9)


@kernels
def test_popping_a_via_takes_the_first_value_only(kernel: ModuleType):
    first = kernel.pop_via(OK)
    joined = OK.replace(b"received=192.0.2.9\r\nVia:", b"received=192.0.2.9,")

    assert first == OK.replace(OK.split(b"\r\n")[1] + b"\r\n", b"")
    assert values(kernel.pop_via(joined), "via") == values(first, "via")
    assert values(kernel.pop_via(first), "via") == []
    assert b"Contact" not in kernel.pop_via(OK, BIT["contact"])
    assert b"Via" not in kernel.pop_via(OK, BIT["via"])


@kernels
@pytest.mark.parametrize(
    "data", [b"", b"INVITE sip:a SIP/2.0\r\n", b"a\r\nb: c\r\n", b"a\r\n" + b"b: c\r\n" * 257 + b"\r\n"]
)
def test_what_has_no_head_is_not_edited(kernel: ModuleType, data: bytes):
    with pytest.raises(ValueError, match="header fields"):
        kernel.edit_request(data)
    with pytest.raises(ValueError, match="header fields"):
        kernel.pop_via(data)


@kernels
@given(heads(), EDITS)
def test_an_edited_request_says_what_it_said_but_for_the_edit(
    kernel: ModuleType, data: bytes, edit: dict[str, Any]
):
    head = kernel.scan(data)
    if head is None or head.status:
        return
    gone = edit.get("without", 0)

    edited = kernel.edit_request(head.data, **edit)

    before, after = parse_message(head.data), parse_message(edited)
    assert after.body == before.body
    kept = [] if gone & BIT["route"] else values(head.data, "route")
    assert values(edited, "route") == kept[edit.get("drop_routes", 0) :]
    ours = [name for option, name in (("on_top", "via"), ("at_end", "max-breadth")) if option in edit]
    if "max_forwards" in edit:
        assert after.max_forwards == edit["max_forwards"]
        ours.append("max-forwards")
    for key in set(before.headers.by_key) | set(after.headers.by_key):
        if key != "route" and key not in ours:
            assert after.headers.raw(key) == ([] if BIT.get(key, 0) & gone else before.headers.raw(key))


@kernels
def test_a_response_repeats_the_lines_of_the_request_in_our_order(kernel: ModuleType):
    response = kernel.respond(
        INVITE,
        b"SIP/2.0 180 Ringing",
        to_tag="ours",
        at_end=b"Content-Length: 0\r\n\r\n",
        with_record_route=True,
        with_timestamp=True,
        host="198.51.100.7",
        port=1024,
    )

    assert response == (
        b"SIP/2.0 180 Ringing\r\n"
        b"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK776asdhds;rport=1024;received=198.51.100.7\r\n"
        b"Record-Route: <sip:first.example.com;lr>\r\n"
        b'From: "Alice" <sip:alice@example.com>;tag=1928301774\r\n'
        b"To: Bob <sip:bob@example.com>;tag=ours\r\n"
        b"Call-ID: a84b4c76e66710@pc33.example.com\r\n"
        b"CSeq: 314159 INVITE\r\n"
        b"Timestamp: 54\r\n"
        b"Content-Length: 0\r\n"
        b"\r\n"
    )


@kernels
def test_a_tag_that_is_there_stays(kernel: ModuleType):
    data = INVITE.replace(b"bob@example.com>", b"bob@example.com>;TAG=theirs")

    response = kernel.respond(data, b"SIP/2.0 200 OK", to_tag="ours", at_end=b"\r\n")

    assert b"To: Bob <sip:bob@example.com>;TAG=theirs\r\n" in response


@kernels
@pytest.mark.parametrize("name", [b"Via", b"From", b"To", b"Call-ID", b"CSeq"])
def test_no_answer_without_what_every_answer_needs(kernel: ModuleType, name: bytes):
    data = INVITE.replace(b"\r\n" + name + b":", b"\r\nX-Other:")

    assert kernel.respond(data, b"SIP/2.0 503 No", to_tag=None, at_end=b"\r\n") is None


@kernels
@pytest.mark.parametrize(
    "odd", [b"X: \0", b"X : y", b"no colon", b" fold", b"To: <sip:a@b>", b"X: \r", b"X: \x7f"]
)
def test_no_answer_to_what_is_not_plain(kernel: ModuleType, odd: bytes):
    data = INVITE.replace(b"X-Unknown: kept", odd)

    assert kernel.respond(data, b"SIP/2.0 503 No", to_tag="t", at_end=b"\r\n") is None


@kernels
@given(messages(), ANSWERS, SOURCES)
def test_a_response_has_the_lines_that_the_message_layer_gives_it(
    kernel: ModuleType, data: bytes, answer: dict[str, Any], source: tuple[str, int]
):
    response = kernel.respond(data, b"SIP/2.0 200 OK", **answer, host=source[0], port=source[1])
    try:
        request = parse_message(data)
        if response is None or not isinstance(request, Request):
            return
        if source[0]:
            stamp_source(request, Flow(Transport.UDP, Address("192.0.2.99", 5060), Address(*source)))
    except PeerError:
        return  # a later Via line, which an answer only repeats, may be bent
    unwanted = {
        b"Record-Route": not answer.get("with_record_route"),
        b"Timestamp": not answer.get("with_timestamp"),
    }

    method = "INVITE" if answer.get("with_record_route") else "BYE"
    lines = lines_for_response(request.headers, method, 200, answer["to_tag"], is_clean=True)
    if answer.get("with_timestamp"):
        lines += [(b"Timestamp", value) for value in request.headers.raw("timestamp")]

    kept = [line for line in lines if not unwanted.get(line[0])]
    assert response == b"\r\n".join([b"SIP/2.0 200 OK", *map(b": ".join, kept), answer["at_end"]])


@needs_both
@given(messages(), EDITS, BITS)
def test_both_kernels_edit_the_same(data: bytes, edit: dict[str, Any], gone: int):
    assert outcome(compiled.edit_request, data, **edit) == outcome(reference.edit_request, data, **edit)
    assert outcome(compiled.pop_via, data, gone) == outcome(reference.pop_via, data, gone)


@needs_both
@given(messages(), ANSWERS, SOURCES)
def test_both_kernels_answer_the_same(data: bytes, answer: dict[str, Any], source: tuple[str, int]):
    keywords = {**answer, "host": source[0], "port": source[1]}

    ours = compiled.respond(data, b"SIP/2.0 503 Busy", **keywords)

    assert ours == reference.respond(data, b"SIP/2.0 503 Busy", **keywords)
