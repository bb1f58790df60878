# SPDX-License-Identifier: Apache-2.0
"""Does the kernel read plain messages as the careful parser does, and leave it all the others?"""

import os
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from kernel_messages import (
    INVITE,
    OK,
    SOURCES,
    compiled,
    facts,
    heads,
    kernels,
    messages,
    needs_both,
    reference,
)

from ringback.kernel import BIT, _grammar
from ringback.server.asserted_identity import CLAIMS
from ringback.sip.errors import PeerError
from ringback.sip.flow import Address, Flow, Transport
from ringback.sip.message.fields import FIELDS, KEYS, NEVER_TWICE
from ringback.sip.message.message import Request, Response
from ringback.sip.message.names import METHODS
from ringback.sip.message.parser import (
    _CHECKED,
    MAX_LINE,
    MAX_LINES,
    MAX_MESSAGE,
    check_request,
    check_response,
    parse_message,
)
from ringback.sip.message.uri import NameAddr
from ringback.sip.receiving import stamp_source

VECTORS = Path(os.environ.get("RINGBACK_VECTORS") or Path(__file__).parents[3] / "shared" / "vectors")


def carefully_read(data: bytes, host: str, port: int) -> Request | Response:
    """What the careful parser says; PeerError if it finds a fault."""
    message = parse_message(data)
    if isinstance(message, Response):
        check_response(message)
    else:
        if host:
            stamp_source(message, Flow(Transport.UDP, Address("192.0.2.99", 5060), Address(host, port)))
        check_request(message)
    return message


def uri_of(address: NameAddr) -> str:
    return str(address.uri)


def expected_facts(message: Request | Response) -> dict[str, Any]:
    """The attributes of the Head, from the typed header fields."""
    via, rport = message.top_via, message.top_via.rport
    is_request = isinstance(message, Request)
    return {
        "status": 0 if is_request else message.status,
        "method": message.cseq.method,
        "target": message.target if is_request else "",
        "branch": via.branch,
        "sent_by": via.sent_by.lower(),
        "via_transport": via.transport,
        "via_count": len(message.vias),
        "reply_port": rport if rport is not None else via.port or 5060,
        "call_id": message.call_id,
        "cseq": message.cseq.number,
        "from_tag": message.from_.tag,
        "to_tag": message.to.tag,
        "from_uri": uri_of(message.from_),
        "to_uri": uri_of(message.to),
        "contact_uri": uri_of(message.contacts[0]) if len(message.contacts) == 1 else None,
        "max_forwards": -1 if message.max_forwards is None else message.max_forwards,
        "routes": tuple(map(uri_of, message.routes)),
        "present": sum({BIT.get(key, 0) for key in message.headers.by_key}),
    }


def assert_the_law(kernel: ModuleType, data: bytes, host: str = "", port: int = 0) -> bool:
    """A Head only for what the careful parser takes, and then with its answers. True if there is one."""
    head = kernel.scan(data, host, port)
    if head is None:
        return False
    message = carefully_read(data, host, port)
    found = facts(head)
    assert found is not None
    expected = expected_facts(message)
    assert {name: found[name] for name in expected} == expected
    assert head.data[head.body_start :] == message.body
    stamped = parse_message(head.data)
    assert stamped.headers.lines == message.headers.lines
    assert stamped.body == message.body
    for name, bit in BIT.items():
        assert head.value(bit) == (stamped.headers.get(name) if stamped.headers.count(name) == 1 else None)
    assert kernel.scan(head.data, host, port).data == head.data
    return True


@kernels
def test_a_plain_request_says_what_every_element_asks(kernel: ModuleType):
    head = kernel.scan(INVITE, "198.51.100.7", 1024)

    assert (head.status, head.method, head.target) == (0, "INVITE", "sip:bob@192.0.2.7:5070;transport=udp")
    assert (head.branch, head.sent_by, head.via_transport) == ("z9hG4bK776asdhds", "192.0.2.1:5060", "UDP")
    assert (head.via_count, head.reply_port, head.max_forwards) == (1, 1024, 70)
    assert (head.from_tag, head.to_tag, head.cseq) == ("1928301774", None, 314159)
    assert head.contact_uri == "sip:alice@192.0.2.1:5060;transport=udp"
    assert b"branch=z9hG4bK776asdhds;rport=1024;received=198.51.100.7\r\nMax" in head.data
    assert head.data[head.body_start :] == b"v=0\n"
    assert head.present & BIT["route"]
    assert not head.present & BIT["require"]


@kernels
def test_a_response_is_never_stamped(kernel: ModuleType):
    head = kernel.scan(OK, "198.51.100.7", 1024)

    assert (head.status, head.method, head.target, head.via_count) == (200, "INVITE", "", 2)
    assert head.data is OK


@kernels
def test_what_stands_behind_the_body_is_cut_off(kernel: ModuleType):
    assert kernel.scan(INVITE + b"more").data == INVITE
    assert kernel.scan(INVITE[:-1]) is None


@kernels
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Max-Forwards: 70", b"Max-Forwards : 70"),
        (b"Max-Forwards: 70", b"Max-Forwards: 256"),
        (b"Max-Forwards: 70", b"Max-Forwards: 70\r\n folded"),
        (b"X-Unknown: kept", b"X-Unknown: \0"),
        (b"X-Unknown: kept", b"X-Unknown: " + b"x" * 8192),
        (b"X-Unknown: kept", b"\r\n".join(b"X: %d" % place for place in range(256))),
        (b"CSeq: 314159 INVITE", b"CSeq: 314159 BYE"),
        (b"To: Bob", b"To: <sip:a@b>\r\nTo: Bob"),
        (b"To: Bob <sip:bob@example.com>", b"To: <tel:+1>"),
        (b"branch=z9hG4bK", b"branch=z9hG4b"),
        (b"sip:bob@192.0.2.7", b"sip:bob:secret@192.0.2.7"),
        (b"Contact: <sip:alice@192.0.2.1:5060;transport=udp>;expires=60", b"Contact: *"),
    ],
)
def test_what_is_not_plain_is_left_to_the_careful_parser(kernel: ModuleType, old: bytes, new: bytes):
    assert old in INVITE
    assert kernel.scan(INVITE.replace(old, new, 1)) is None


@kernels
def test_the_stamp_replaces_what_the_peer_claims_and_joins_the_rest(kernel: ModuleType):
    data = INVITE.replace(
        b"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK776asdhds;rport",
        b"v:SIP/2.0/udp Host.Example;received=1.1.1.1;RPORT=7;branch=z9hG4bKa,SIP/2.0/UDP b.example",
    )

    head = kernel.scan(data, "2001:db8::7", 9)

    stamp = (
        b"SIP/2.0/UDP host.example;rport=9;branch=z9hG4bKa;received=2001:db8::7, SIP/2.0/UDP b.example\r\n"
    )
    assert b"\r\nv:" + stamp in head.data


@kernels
@given(messages(), SOURCES)
def test_a_head_is_only_given_for_what_the_careful_parser_takes(
    kernel: ModuleType, data: bytes, source: tuple[str, int]
):
    assert_the_law(kernel, data, *source)


@kernels
@given(heads(), SOURCES)
def test_the_same_for_heads_whose_lines_are_whole(kernel: ModuleType, data: bytes, source: tuple[str, int]):
    assert_the_law(kernel, data, *source)


@needs_both
@given(messages(), SOURCES)
def test_both_kernels_read_the_same(data: bytes, source: tuple[str, int]):
    assert facts(compiled.scan(data, *source)) == facts(reference.scan(data, *source))


@needs_both
@given(heads(), SOURCES)
def test_both_kernels_read_whole_lines_the_same(data: bytes, source: tuple[str, int]):
    assert facts(compiled.scan(data, *source)) == facts(reference.scan(data, *source))


@kernels
@pytest.mark.skipif(not VECTORS.is_dir(), reason="the torture vectors are not here")
def test_the_law_holds_for_the_torture_messages(kernel: ModuleType):
    vectors = sorted(VECTORS.glob("*/*.dat"))

    plain = [path.stem for path in vectors if assert_the_law(kernel, path.read_bytes(), "192.0.2.1", 5060)]

    assert len(vectors) > 50
    assert {"bext01", "cparam01", "dblreq"} <= set(plain)


@kernels
def test_a_fault_that_only_the_careful_parser_names_is_never_plain(kernel: ModuleType):
    data = INVITE.replace(b"sip:bob@192.0.2.7:5070;transport=udp", b"sip:bob@192.0.2.7?subject=x")

    assert kernel.scan(data) is None
    with pytest.raises(PeerError):
        carefully_read(data, "", 0)


def test_the_table_of_the_kernel_agrees_with_those_of_the_message_layer():
    compact = {row.compact: row.name.lower() for row in FIELDS.values() if row.compact}

    assert {method.decode("ascii") for method in _grammar.METHODS} == set(METHODS)
    assert (_grammar.MAX_MESSAGE, _grammar.MAX_LINE, _grammar.MAX_LINES) == (MAX_MESSAGE, MAX_LINE, MAX_LINES)
    assert set(NEVER_TWICE) <= set(_grammar.ONCE)
    assert set(_CHECKED) <= set(_grammar.NAMES)
    assert all(_grammar.MAX_VALUES.get(key, 1) == limit for key, limit in _CHECKED.items())
    assert {short: name for short, name in compact.items() if name in BIT} == _grammar.COMPACT
    assert {name.lower() for name in CLAIMS} <= set(BIT)
    assert len(BIT) <= 62
    assert all(KEYS[name.upper().encode("ascii")] == name for name in _grammar.NAMES if name in FIELDS)
