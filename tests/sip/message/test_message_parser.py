# SPDX-License-Identifier: Apache-2.0
"""Is a message read, judged and limited as RFC 3261 says, and in bounded time?"""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.sip.errors import MalformedMessage, PeerError
from ringback.sip.message import Request, Response, check_request, check_response, parse_message
from ringback.sip.message.parser import MAX_LINE, MAX_LINES, MAX_MESSAGE, MAX_METHOD

HEAD = (
    b"OPTIONS sip:bob@biloxi.com SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bK776asdhds\r\n"
    b"Max-Forwards: 70\r\n"
    b"To: Bob <sip:bob@biloxi.com>\r\n"
    b"From: Alice <sip:alice@atlanta.com>;tag=1928301774\r\n"
    b"Call-ID: a84b4c76e66710@pc33.atlanta.com\r\n"
    b"CSeq: 314159 OPTIONS\r\n"
)


def request(*lines: bytes, without: bytes = b"", body: bytes = b"") -> bytes:
    kept = [line for line in HEAD.split(b"\r\n")[:-1] if not without or not line.startswith(without)]
    return b"\r\n".join([*kept, *lines, b"", body])


def with_first_line(line: bytes) -> bytes:
    return line + b"\r\n" + HEAD.partition(b"\r\n")[2] + b"\r\n"


def status_of(data: bytes) -> int | None:
    message = parse_message(data)
    try:
        check_request(message) if isinstance(message, Request) else check_response(message)
    except PeerError as error:
        return error.status
    return None


def test_a_request_is_read():
    message = parse_message(request(b"Content-Length: 4", body=b"body"))

    assert isinstance(message, Request)
    assert (message.method, message.target, message.body, message.defect) == (
        "OPTIONS",
        "sip:bob@biloxi.com",
        b"body",
        None,
    )
    assert (message.cseq.number, message.from_tag, message.to_tag, message.call_id) == (
        314159,
        "1928301774",
        None,
        "a84b4c76e66710@pc33.atlanta.com",
    )
    check_request(message)


def test_a_response_is_read():
    message = parse_message(b"SIP/2.0 486 Busy  Here\r\n" + HEAD.partition(b"\r\n")[2] + b"\r\n")

    assert isinstance(message, Response)
    assert (message.status, message.reason) == (486, "Busy  Here")
    check_response(message)


@pytest.mark.parametrize("line", [b"SIP/2.0 200", b"SIP/2.0 200 ", b"sip/2.0 200 OK"])
def test_a_reason_may_be_missing_and_the_version_in_any_case(line: bytes):
    assert parse_message(with_first_line(line)).status == 200


def test_empty_lines_before_the_start_line_are_skipped():
    assert parse_message(b"\r\n\r\n" + request()).method == "OPTIONS"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"\0" * 100,
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"INVITE sip:a\r\nVia: x\r\n\r\n",
        b"SIP/2.0\r\n\r\n",
        b"SIP/2.0 99 x\r\n\r\n",
        b"SIP/2.0 700 x\r\n\r\n",
        b"SIP/2.0 +20 x\r\n\r\n",
        b"SIP/2.0 2 00 x\r\n\r\n",
        b"SIP/3.0 200 OK\r\n\r\n",
        "SIP/2.0 ٢٠٠ OK\r\n\r\n".encode(),
        b"OPTIONS sip:a SIP/2.0" + b"\n" + b"Via: x\n\n",
        b"x" * (MAX_MESSAGE + 1),
    ],
)
def test_what_is_no_sip_message_is_refused_as_such(data: bytes):
    with pytest.raises(MalformedMessage):
        parse_message(data)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"OPTIONS sip:bob@biloxi.com sip/2.0", None),
        (b"OPTIONS  sip:bob@biloxi.com SIP/2.0", 400),
        (b"OPTIONS sip:bob@biloxi.com SIP/2.0 ", 400),
        (b" OPTIONS sip:bob@biloxi.com SIP/2.0", 400),
        (b"OPTIONS\tsip:bob@biloxi.com SIP/2.0", 400),
        (b"OPTIONS sip:bob@biloxi.com; lr SIP/2.0", 400),
        (b"OPTIONS <sip:bob@biloxi.com> SIP/2.0", 400),
        (b"OPTIONS sip:bob@biloxi.com SIP/3.0", 505),
        (b"OPTIONS sip:bob@biloxi.com SIP/1.0", 505),
        (b"OPTIONS sip:b\xc3\xb6b@biloxi.com SIP/2.0", 400),
        (b"OPTIONS bob SIP/2.0", 400),
        (b"OPTIONS unknown:bob SIP/2.0", None),
        (b"OPTIONS tel:+1 SIP/2.0", None),
        (b"OPTIONS sip:biloxi.com?a=b SIP/2.0", 400),
        (b"OPT{IONS sip:bob@biloxi.com SIP/2.0", 400),
        (b"options sip:bob@biloxi.com SIP/2.0", 501),
        (b"BYE sip:bob@biloxi.com SIP/2.0", 400),
    ],
)
def test_request_lines_get_their_verdict(line: bytes, status: int | None):
    assert status_of(with_first_line(line)) == status


@pytest.mark.parametrize("name", [b"Via", b"From", b"To", b"Call-ID", b"CSeq"])
def test_each_mandatory_field_must_be_there_once(name: bytes):
    assert status_of(request(without=name)) == 400
    if name != b"Via":
        assert status_of(request(next(line for line in HEAD.split(b"\r\n") if line.startswith(name)))) == 400


def test_max_forwards_may_be_missing_for_rfc_2543_but_not_be_there_twice():
    assert status_of(request(without=b"Max-Forwards")) is None
    assert status_of(request(b"max-forwards: 70")) == 400


@pytest.mark.parametrize(
    "line",
    [
        b"Max-Forwards: 256",
        b"Max-Forwards: -1",
        b"Max-Forwards: ",
        b"Max-Forwards: 7_0",
        "Max-Forwards: ٧".encode(),
        b"Max-Forwards: " + b"0" * 5000,
        b"CSeq: 2147483648 OPTIONS",
        b"CSeq: +5 OPTIONS",
        b"CSeq: 1_0 OPTIONS",
        b"CSeq: OPTIONS",
        b"CSeq: 1 BYE",
        b"CSeq: 1 options",
        b"Call-ID: a b",
        b"Call-ID: ",
        b"Call-ID: a@b@c",
        b"From: ",
        b'From: "x <sip:a@b>',
        b"To: sip:a@b;tag=1;tag=2",
        b"Via: SIP/2.0/UDP",
        b"Via: SIP/2.0/UDP h,",
        b"Via:",
        b"To: <sip:a@b>;tag",
        b'From: <sip:a@b>;tag=""',
        b"X Y: z",
        b"no colon",
        b": x",
        b"X\xc3\xb6: y",
        b"Contact: ,",
        b"Contact: <sip:a@b>, *",
        b"Contact: *\r\nContact: <sip:a@b>",
        b"Route: sip:a b",
        b"Expires: soon",
        b"Expires: 4294967296",
        b"Content-Type: text",
        b"Require: a b",
        b"Content-Length: 1",
        b"Content-Length: x",
        b"Content-Length: 0\r\nl: 0",
        b"Subject: a\x00b",
        b"Subject: a\nb",
        b"Subject: a\rb",
        b"Subject: a\x0bb",
        b"Subject: a\x1bb",
        b'Subject: "\\\\\x00"',
        b"Subject: a\r",
    ],
)
def test_each_of_these_lines_makes_a_request_bad(line: bytes):
    assert status_of(request(line, without=line.partition(b":")[0])) == 400


@pytest.mark.parametrize(
    "line",
    [
        b"Max-Forwards: 255",
        b"Max-Forwards: 0068",
        b"CSeq: 2147483647 OPTIONS",
        b"CSeq: 0009\r\n  OPTIONS",
        b"Contact: *",
        b"Supported:",
        b"X: \xff\xfe",
        b"X: a\tb",
        b'X: "\\\x00\\\x07\\\x7f"',
        b"Date: nonsense",
        b"Authorization: nonsense,,,",
        b"X:" + b"y" * (MAX_LINE - 1),
        b"Route: " + b", ".join([b"<sip:a;lr>"] * 32),
        b"Via: " + b", ".join([b"SIP/2.0/UDP a"] * 69),
    ],
)
def test_none_of_these_lines_makes_a_request_bad(line: bytes):
    name = line.partition(b":")[0]
    assert status_of(request(line, without=b"" if name == b"Via" else name)) is None


@pytest.mark.parametrize(
    "line",
    [
        b"X:" + b"y" * MAX_LINE,
        b"Route: " + b", ".join([b"<sip:a;lr>"] * 33),
        b"Contact: " + b", ".join([b"<sip:a>"] * 33),
        b"Via: " + b", ".join([b"SIP/2.0/UDP a"] * 70),
        b"\r\n".join([b"X: y"] * MAX_LINES),
        b"X: y" + b"\r\n z" * 2000,
    ],
)
def test_more_than_the_limits_is_a_bad_request_that_can_be_answered(line: bytes):
    data = request(line)

    assert status_of(data) == 400
    assert Response.to(parse_message(data), 400).call_id == "a84b4c76e66710@pc33.atlanta.com"


def test_the_length_of_a_method_is_limited():
    for length, status in ((MAX_METHOD, None), (MAX_METHOD + 1, 400), (30000, 400)):
        line = b"M" * length
        assert (
            status_of(with_first_line(line + b" sip:a SIP/2.0").replace(b"9 OPTIONS", b"9 " + line)) == status
        )


def test_octets_behind_content_length_are_ignored_in_a_datagram():
    assert parse_message(request(b"Content-Length: 2", body=b"abcd")).body == b"ab"
    assert parse_message(request(body=b"abcd")).body == b"abcd"


def test_a_datagram_cut_off_within_its_head_is_refused_and_can_be_answered():
    cut = request()[:-30]
    message = parse_message(cut)

    assert status_of(cut) == 400
    assert Response.to(message, 400).headers["Via"] == "SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bK776asdhds"


def test_errors_say_the_rule_that_was_broken():
    with pytest.raises(PeerError) as caught:
        check_request(parse_message(request(without=b"Call-ID")))

    assert (str(caught.value), caught.value.section) == ("Call-ID is missing", "RFC 3261 8.1.1")


def test_the_answer_to_a_request_with_stray_line_ends_has_none():
    data = HEAD.replace(b"Bob <", b"Bob\rX\nInjected: 1\n<") + b"\r\n"
    answer = Response.to(parse_message(data), 400).to_bytes()

    assert status_of(data) == 400
    assert b"Bob X Injected: 1 <" in answer
    assert answer.count(b"\n") == answer.count(b"\r\n") == answer.count(b"\r")


SPELLINGS = [b"X-Secret", b"x-secret", b"X-SECRET", b"X-Secret ", b"X-Secret\t", b"X-Secret \t "]


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_field_that_is_removed_is_gone_in_every_spelling(name: bytes):
    message = parse_message(request(name + b": lol", name + b":\r\n lol"))

    message.headers.remove("X-Secret")

    assert b"lol" not in message.to_bytes()


def test_a_fold_of_blanks_alone_is_not_sent_on():
    message = parse_message(request(b"X: a\r\n \t\r\n b\r\n  \r\n\tc"))

    check_request(message)
    assert b"X: a\r\n b\r\n\tc\r\n" in message.to_bytes()


# --- time -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        b"\r\n".join([b"a:"] * 10000),
        b"\r\n".join(b"a%d:" % number for number in range(8000)),
        b"\r\n".join([b"Via: SIP/2.0/UDP a"] * 1000),
        b"Via: " + b",".join([b"SIP/2.0/UDP a"] * 1000),
        b"Route: " + b",".join([b"<sip:a>"] * 1000),
        b"X:" + b"\r\n " * 20000,
        b"X:" + b" \t" * 30000,
        b"X:" + b"\r\n" * 0 + b" \r\n" * 20000,
        b'To: "' + b'\\"' * 4000,
        b'Route: "' + b'\\"' * 4000 + b",",
        b"Route: " + b"<" * 8000 + b",",
        b"Contact: <sip:" + b"a" * 8000,
        b"Contact: <sip:a@h" + b";a" * 4000,
        b"Contact: <sip:a@h>" + b";a" * 4000,
        b"Contact: <sip:a@h>" + b';a="' * 2000,
        b"Contact: <sip:a@h>" + b';a="\\' * 1500,
        b"Contact: <sip:a@h>" + b" " * 8000 + b"x",
        b"Contact: <tel:" + b"-" * 8000,
        b"Contact: <tel:" + b"1-" * 4000 + b"!",
        b"Contact: <sip:" + b"1." * 120 + b">",
        b"Warning: " + b"300 " * 2000,
        b"Call-ID: " + b"a" * 8000 + b" ",
        b"CSeq: " + b"9" * 8000,
        b"Content-Length: " + b"9" * 8000,
        b"Content-Type: a/b" + b" " * 8000 + b"x",
        b"Via: SIP" + b" " * 8000 + b"/2.0/UDP",
        b"Via: SIP/2.0/UDP h" + b" " * 8000 + b"x",
        b"Retry-After: 1 (" + b"\\" * 8000,
        b"Authorization: Digest " + b"a=b," * 2000,
        b'Authorization: Digest a="' + b"\\" * 8000,
        b"Authorization: " + b"a" * 8000 + b" ",
        b"User-Agent: " + b"a" * 60000,
    ],
)
def test_no_header_takes_more_than_linear_time(line: bytes):
    data = request(line)[:MAX_MESSAGE]
    took = min(time_of_reading(data) for _ in range(3))

    assert took < 0.1


def time_of_reading(data: bytes) -> float:
    """Parse, judge, and answer."""
    started = time.process_time()
    message = parse_message(data)
    try:
        check_request(message)
    except PeerError as error:
        Response.to(message, error.status, to_tag="x").to_bytes()
    return time.process_time() - started


# --- properties -------------------------------------------------------------------------------------

TYPED = [
    "vias", "top_via", "from_", "to", "call_id", "cseq", "contacts", "is_star_contact", "routes",
    "record_routes", "path", "max_forwards", "max_breadth", "expires", "content_type", "require",
    "proxy_require", "supported", "unsupported", "allow", "rseq", "rack", "session_expires", "min_se",
    "challenges", "credentials", "event", "reasons", "retry_after", "from_tag", "to_tag",
]  # fmt: skip
SAFE = [
    *TYPED[:10],
    *("max_forwards", "expires", "content_type", "require", "proxy_require", "from_tag", "to_tag"),
]

FRAGMENTS = st.sampled_from(
    [
        *HEAD.split(b"\r\n")[:-1],
        *(bytes([octet]) for octet in b"\r\n\0\t :;,<>\"\\@=%\x7f\xffa1"),
        *(b"\r\n", b"\r\n ", b"\r\n\r\n", b"SIP/2.0 200 OK"),
        *(b"Contact: ", b"m:", b"*", b"l: 3", b"Route:<sip:a;lr>", b"body"),
    ]
)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(FRAGMENTS, max_size=30).map(b"".join) | st.binary(max_size=200))
def test_garbage_raises_malformed_message_or_parses_and_every_attribute_is_safe(data: bytes):
    try:
        message = parse_message(data)
    except MalformedMessage:
        return
    for name in TYPED:
        try:
            getattr(message, name)
        except PeerError:
            continue
    if isinstance(message, Request):
        assert b"\n" not in Response.to(message, 400, to_tag="t").to_bytes().replace(b"\r\n", b"")


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = bytearray(request(b"Contact: <sip:a@b>", b"Route: <sip:p;lr>", b"Content-Length: 4", body=b"body"))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(data)))
        data[place : place + draw(st.integers(0, 3))] = draw(FRAGMENTS)
    return bytes(data)


@settings(max_examples=300)
@given(mutated())
def test_what_passes_the_check_is_safe_to_read_and_survives_printing(data: bytes):
    try:
        message = parse_message(data)
        check_request(message) if isinstance(message, Request) else check_response(message)
    except PeerError:
        return
    for name in SAFE:
        getattr(message, name)
    printed = message.to_bytes()
    again = parse_message(printed)
    assert again.defect is None
    assert again.to_bytes() == printed
    assert list(again.headers) == list(message.headers) or "content-length" not in message.headers
    assert again.body == message.body


def test_a_message_without_oddities_prints_byte_for_byte():
    data = request(
        b"X:  padded".replace(b"  ", b" "),
        b"subject: f\r\n olded",
        b"Content-Length: 4",
        b"v: SIP/2.0/UDP x",
        body=b"body",
    )

    assert parse_message(data).to_bytes() == data
