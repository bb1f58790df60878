# SPDX-License-Identifier: Apache-2.0
"""Messages that are too long, too many, doubled or bent, sent to a whole server: RELIABILITY 2.1, rows 1 to 7."""

import asyncio
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reliability_rig import QUIET, answers_to, assert_alive, changed, request, statuses, stranger
from server_rig import DOMAIN, Rig, on_a_server

from ringback.sip.errors import PeerError
from ringback.sip.message.parser import MAX_LINE, check_request, parse_message
from ringback.testing import messages

#: Field: how a value of some size is written. What is free text passes up to the limit.
FREE_TEXT = {
    b"Subject": b"%b",
    b"User-Agent": b"%b",
    b"X-Unknown": b"%b",
    b"Call-ID": b"%b",
    b"Organization": b"%b",
}
STRUCTURED = {
    b"CSeq": b"1 %b",
    b"From": b"<sip:a@example.com>;tag=%b",
    b"To": b"<sip:%b@example.com>",
    b"Via": b"SIP/2.0/UDP 198.51.100.9:5060;branch=z9hG4bK%b",
    b"Contact": b"<sip:%b@example.com>",
    b"Route": b"<sip:%b.example.com;lr>",
    b"Max-Forwards": b"%b",
    b"Authorization": b'Digest username="%b"',
    b"Require": b"%b",
}


def with_field(data: bytes, name: bytes, value: bytes) -> bytes:
    line = name + b": " + value
    return (
        changed(data, name, line)
        if b"\r\n" + name + b":" in data
        else data.replace(b"\r\n\r\n", b"\r\n" + line + b"\r\n\r\n", 1)
    )


@pytest.mark.parametrize("name", [*FREE_TEXT, *STRUCTURED])
def test_each_field_is_taken_up_to_its_limit_and_refused_beyond(name: bytes) -> None:
    """Row 1: one octet, the limit, one more, and as much as a datagram can carry."""
    shape = FREE_TEXT.get(name) or STRUCTURED[name]
    room = MAX_LINE - len(name) - len(shape) + 2

    async def test(rig: Rig) -> None:
        peer = await stranger(rig)
        seen = {}
        for size in (1, room, room + 1, 60_000):
            value = shape % (b"a" * size)
            seen[size] = await answers_to(peer, with_field(request(peer=peer), name, value))
        assert all(len(answers) == 1 for answers in seen.values()), seen
        assert seen[room + 1] == seen[60_000] == [400]
        if name in FREE_TEXT:
            assert seen[1] == seen[room] == [200]
        assert all(status < 500 or status == 501 for (status,) in seen.values())
        await assert_alive(rig)
        assert rig.state == QUIET

    on_a_server(test)


@pytest.mark.parametrize("size", [64, 65, 8_000, 30_000])
def test_a_method_has_64_characters_at_most(size: int) -> None:
    """Row 1: the method in the Request-Line and in CSeq; RFC 4475 has a valid one of 44 characters."""

    async def test(rig: Rig) -> None:
        peer = await stranger(rig)
        (status,) = await answers_to(peer, request(peer=peer, method="M" * size))
        assert status == (405 if size <= 64 else 400)
        await assert_alive(rig)

    on_a_server(test)


@pytest.mark.parametrize("tcp", [False, True], ids=["UDP", "TCP"])
def test_a_message_of_more_than_64_kilobytes_is_refused(tcp: bool) -> None:
    """Row 1: on a stream the sender is told and the connection ends; a datagram cannot be so long."""

    async def test(rig: Rig) -> None:
        peer = await stranger(rig, tcp=tcp)
        large = request(peer=peer, method="MESSAGE", body=b"x" * 65_400, content_type="text/plain")
        assert await answers_to(peer, large) == ([513] if tcp else [])
        assert (peer.ended is not None) is tcp
        await assert_alive(rig)

    on_a_server(test)


NUMBERS = {
    "2147483648": b"2147483648",
    "4294967296": b"4294967296",
    "9 x 5000": b"9" * 5000,
    "underscore": b"1_0",
    "plus": b"+5",
    "minus": b"-1",
    "arabic": "٣".encode(),
    "superscript": "²".encode(),
    "full width": "１".encode(),
    "hexadecimal": b"0x1",
    "exponent": b"1e3",
    "point": b"1.0",
    "vertical tab": b"5\x0b",
    "no-break space": "\u00a05".encode(),
    "empty": b"",
}
NUMBER_FIELDS = {
    b"CSeq": b"%b OPTIONS",
    b"Max-Forwards": b"%b",
    b"Content-Length": b"%b",
}


@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS)
@pytest.mark.parametrize("name", NUMBER_FIELDS, ids=bytes.decode)
def test_a_number_is_ascii_digits_within_its_bounds(name: bytes, number: bytes) -> None:
    """Row 2: what Python's int() would read, and what no RFC calls a number."""

    async def test(rig: Rig) -> None:
        peer = await stranger(rig)
        line = name + b": " + NUMBER_FIELDS[name] % number
        assert await answers_to(peer, with_field(request(peer=peer), name, line[len(name) + 2 :])) == [400]
        await assert_alive(rig)

    on_a_server(test)


def test_leading_zeros_are_digits() -> None:
    """Row 2: 1*DIGIT has no shortest form (RFC 3261 25.1); ten thousand of them are too many."""

    async def test(rig: Rig) -> None:
        peer = await stranger(rig)
        for zeros, expected in ((4, 200), (10_000, 400)):
            line = b"CSeq: " + b"0" * zeros + b"1 OPTIONS"
            assert await answers_to(peer, changed(request(peer=peer), b"CSeq", line)) == [expected]

    on_a_server(test)


LENGTHS = {
    "negative": [b"Content-Length: -1"],
    "too long": [b"Content-Length: 99"],
    "overflow of 32 bits": [b"Content-Length: 4294967300"],
    "overflow of 64 bits": [b"Content-Length: 18446744073709551620"],
    "hexadecimal": [b"Content-Length: 0x4"],
    "twice the same": [b"Content-Length: 4", b"Content-Length: 4"],
    "twice different": [b"Content-Length: 4", b"Content-Length: 400"],
    "long and compact": [b"Content-Length: 4", b"l: 0"],
    "list": [b"Content-Length: 4, 4"],
    "blank before the colon": [b"Content-Length: 4", b"l : 9"],
}


@pytest.mark.parametrize("lines", LENGTHS.values(), ids=LENGTHS)
def test_a_content_length_that_cannot_be_is_400_in_a_datagram(lines: list[bytes]) -> None:
    """Row 3: over UDP; more octets than it says are left out without a word (RFC 3261 18.3)."""

    async def test(rig: Rig) -> None:
        peer = await stranger(rig)
        good = request(peer=peer, body=b"body", content_type="text/plain")
        assert await answers_to(peer, changed(good, b"Content-Length", *lines)) == [400]
        more = request(peer=peer, body=b"body", content_type="text/plain") + b"INVITE sip:x SIP/2.0\r\n\r\n"
        assert await answers_to(peer, more) == [200]

    on_a_server(test)


@pytest.mark.parametrize("name", [name for name in LENGTHS if name != "too long"])
def test_a_content_length_that_cannot_be_ends_a_stream_that_comes_byte_by_byte(name: str) -> None:
    """Row 3: over TCP, split at every byte; nothing behind it is taken for a message."""

    async def test(rig: Rig) -> None:
        rig.network.conditions = type(rig.network.conditions)(segment=False)
        peer = await stranger(rig, tcp=True)
        bad = changed(
            request(peer=peer, body=b"body", content_type="text/plain"), b"Content-Length", *LENGTHS[name]
        )
        for byte in bad + request(peer=peer):
            peer.send(bytes((byte,)))
        answers = await statuses(peer, 40.0)
        assert answers in ([400], [513])
        assert peer.ended is not None
        await assert_alive(rig)

    on_a_server(test)


TWICE = {
    "Call-ID": [b"Call-ID: other@test"],
    "Call-ID compact": [b"i: other@test"],
    "CSeq": [b"CSeq: 2 OPTIONS"],
    "From": [b"From: <sip:eve@example.com>;tag=eve"],
    "From compact": [b"f: <sip:eve@example.com>;tag=eve"],
    "To": [b"To: <sip:eve@example.com>"],
    "To with an empty tag": [b"t: <sip:eve@example.com>;tag="],
    "Max-Forwards": [b"Max-Forwards: 1"],
    "From with a blank": [b"From : <sip:eve@example.com>;tag=eve"],
    "To in capitals": [b"TO: <sip:eve@example.com>"],
    "CSeq the same": [b"CSeq: 1 OPTIONS"],
}


@pytest.mark.parametrize("tcp", [False, True], ids=["UDP", "TCP"])
@pytest.mark.parametrize("lines", TWICE.values(), ids=TWICE)
def test_what_may_stand_once_stands_once(lines: list[bytes], tcp: bool) -> None:
    """Row 4: never the first here and the last on the next hop; the order does not matter."""

    async def test(rig: Rig) -> None:
        peer = await stranger(rig, tcp=tcp)
        behind = request(*lines, peer=peer)
        start, _, rest = request(peer=peer).partition(b"\r\n")
        before = b"\r\n".join([start, *lines, rest])
        assert await answers_to(peer, behind) == await answers_to(peer, before) == [400]
        await assert_alive(rig)

    on_a_server(test)


BREAKS = [b"\n", b"\r", b"\0", b"\x0b", b"\x0c", b"\x1c", b"\x7f", b"\n\r", b"\r\r\n", b"\x08"]
NO_BREAKS = ["\u0085", "\u2028", "\u2029", "\u00a0", "\ufeff"]


@pytest.mark.parametrize("line_end", BREAKS, ids=repr)
def test_nothing_but_crlf_ends_a_line(line_end: bytes) -> None:
    """Row 6: a header field behind any other control character is refused together with the message."""

    async def test(rig: Rig) -> None:
        peer = await stranger(rig)
        answers = await answers_to(peer, request(b"Subject: x" + line_end + b"Require: nothing", peer=peer))
        assert answers == [400]
        assert b"nothing" not in peer.heard[-1]
        await assert_alive(rig)

    on_a_server(test)


@pytest.mark.parametrize("separator", NO_BREAKS, ids=ascii)
def test_what_unicode_calls_a_line_end_is_text(separator: str) -> None:
    """Row 6: str.splitlines() would find a Require behind each of these."""

    async def test(rig: Rig) -> None:
        peer = await stranger(rig)
        line = f"Subject: x{separator}Require: nothing".encode()
        assert await answers_to(peer, request(line, peer=peer)) == [200]

    on_a_server(test)


def reference_names(data: bytes) -> list[bytes]:
    """The header field names for a reader who splits at CRLF and at nothing else."""
    head = data.partition(b"\r\n\r\n")[0]
    lines = head.split(b"\r\n")[1:]
    return [line.partition(b":")[0].rstrip(b" \t").lower() for line in lines if line[:1] not in (b" ", b"\t")]


SEPARATORS = st.sampled_from([b"\r\n", b"\r\n", b"\r\n ", *BREAKS, *(text.encode() for text in NO_BREAKS)])
LINES = st.sampled_from(
    [b"Subject: x", b"Require: y", b"X: y", b'Contact: "a" <sip:a@b>', b"v: SIP/2.0/UDP h", b" fold", b"y: z"]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(SEPARATORS, LINES), max_size=8))
def test_we_read_the_header_fields_a_crlf_only_reader_reads_or_refuse(
    parts: list[tuple[bytes, bytes]],
) -> None:
    """Row 6: the same names in the same order, or a defect; never a field that only we see."""
    head = messages.request().removesuffix(b"\r\n\r\n")
    data = b"".join([head, *(separator + line for separator, line in parts), b"\r\n\r\n"])
    try:
        message = parse_message(data)
        check_request(message)  # type: ignore[arg-type]
    except PeerError:
        return
    assert [name.lower() for name, _ in message.headers.lines] == reference_names(data)


MANY = {
    "header fields": lambda: [b"X-%d: y" % number for number in range(10_000)],
    "empty header fields": lambda: [b"X:"] * 20_000,
    "Vias in one line": lambda: [b"Via: " + b",".join([b"SIP/2.0/UDP h"] * 550)],
    "Vias in many lines": lambda: [b"Via: SIP/2.0/UDP h"] * 1000,
    "Routes": lambda: [b"Route: " + b",".join([b"<sip:a;lr>"] * 700)],
    "Routes in many lines": lambda: [b"Route: <sip:a;lr>"] * 1000,
    "Record-Routes": lambda: [b"Record-Route: <sip:a;lr>"] * 1000,
    "Contacts": lambda: [b"Contact: " + b",".join([b"<sip:a@b>"] * 700)],
    "Requires": lambda: [b"Require: " + b",".join([b"abc"] * 1000)],
    "Accepts": lambda: [b"Accept: a/b"] * 1000,
    "folds": lambda: [b"Subject: x" + b"\r\n y" * 10_000],
    "folds of blanks": lambda: [b"Subject: x" + b"\r\n \t" * 10_000],
    "parameters": lambda: [b"Contact: <sip:a@b>" + b";a" * 4000],
    "URI parameters": lambda: [b"Route: <sip:a@b" + b";a" * 4000 + b">"],
}


@pytest.mark.parametrize("lines", MANY.values(), ids=MANY)
def test_too_many_of_anything_is_refused_at_once(lines) -> None:  # type: ignore[no-untyped-def]
    """Row 7: 256 header fields, 70 Vias, 32 Routes and Contacts; the time it takes is the parser's test."""

    async def test(rig: Rig) -> None:
        peer = await stranger(rig)
        data = request(*lines(), peer=peer)[:65_000]
        started = asyncio.get_running_loop().time()
        (status,) = await answers_to(peer, data)
        assert status in (200, 400, 403, 420)
        assert asyncio.get_running_loop().time() - started <= 1.0
        await assert_alive(rig)

    on_a_server(test)


def test_the_limits_of_lists_are_the_limits() -> None:
    """Row 7: as many as allowed pass, one more does not."""

    async def test(rig: Rig) -> None:
        peer = await stranger(rig)
        for name, value, limit in (
            (b"X-A", b"y", 256 - 7),
            (b"Via", b"SIP/2.0/UDP h;branch=z9hG4bKx", 69),
            (b"Contact", b"<sip:a@b>", 32),
            (b"Record-Route", b"<sip:a;lr>", 70),
            (b"Require", b"x", 32),
        ):
            for count, is_refused in ((limit, False), (limit + 1, True)):
                lines = [name + b": " + value] * count
                (status,) = await answers_to(peer, request(*lines, peer=peer))
                assert (status == 400) is is_refused, (name, count, status)

    on_a_server(test)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 300), st.integers(0, 4))
def test_any_bytes_anywhere_in_a_message_are_a_message_or_refused(junk: bytes, place: int, cut: int) -> None:
    """Rows 1 to 7: whatever is in it, the parser says PeerError or reads it."""
    good = messages.request("INVITE", f"sip:102@{DOMAIN}", body=b"v=0\r\n")
    place = min(place, len(good))
    with contextlib.suppress(PeerError):
        message = parse_message(good[:place] + junk + good[place + cut :])
        check_request(message)  # type: ignore[arg-type]
