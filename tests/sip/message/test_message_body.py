# SPDX-License-Identifier: Apache-2.0
"""Are bodies and their parts found as RFC 2046 5.1 says, within limits and in linear time?"""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sip.errors import PeerError
from ringback.sip.message.body import MAX_PARTS, ContentType, Part, find_part, split_parts

MIXED = ContentType.parse("multipart/mixed;boundary=b")
SDP = ContentType("application", "sdp")


def body(*parts: bytes, boundary: bytes = b"b") -> bytes:
    return (
        b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + boundary + b"--\r\n"
    )


def test_media_types():
    kind = ContentType.parse('Multipart / Mixed ; Boundary = "a b"')

    assert (kind.media_type, kind.parameter("boundary"), str(kind)) == (
        "multipart/mixed",
        "a b",
        'multipart/mixed;Boundary="a b"',
    )
    assert ContentType.parse("text/*").covers(ContentType("text", "plain"))
    assert ContentType.parse("*/*").covers(SDP)
    assert not ContentType.parse("text/*").covers(SDP)
    assert str(SDP.with_parameter("charset", "utf-8")) == "application/sdp;charset=utf-8"


def test_parts_have_fields_types_and_bytes():
    data = (
        b"preamble\r\n"
        + body(b"Content-Type: application/sdp\r\nX: a\r\n b\r\n\r\nv=0\r\n", b"\r\n\x00\r\n--bad")
        + b"epilogue --b"
    )

    assert split_parts(MIXED, data) == (
        Part({"content-type": "application/sdp", "x": "a b"}, SDP, b"v=0\r\n"),
        Part({}, ContentType("text", "plain"), b"\x00\r\n--bad"),
    )


def test_a_part_of_a_type_is_found_however_deep():
    inner = body(b"Content-Type: application/sdp\r\n\r\nv=0", boundary=b"c")
    data = body(b"\r\nhello", b'Content-Type: multipart/alternative;boundary="c"\r\n\r\n' + inner)

    assert find_part(MIXED, data, "application/sdp") == b"v=0"
    assert find_part(MIXED, data, "text/html") is None
    assert find_part(SDP, b"v=0", "application/sdp") == b"v=0"
    assert find_part(ContentType("text", "plain"), b"x", "application/sdp") is None
    assert (find_part(None, b"x", "application/sdp"), find_part(SDP, b"", "application/sdp")) == (None, None)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("multipart/mixed", body(b"\r\nx")),
        ('multipart/mixed;boundary=""', body(b"\r\nx")),
        ('multipart/mixed;boundary="b "', body(b"\r\nx")),
        ("multipart/mixed;boundary=" + "b" * 71, body(b"\r\nx")),
        ("multipart/mixed;boundary=b", b""),
        ("multipart/mixed;boundary=b", b"--b--"),
        ("multipart/mixed;boundary=b", b"--b\r\n\r\nx"),
        ("multipart/mixed;boundary=b", b"--b\r\n\r\nx\r\n--b"),
        ("multipart/mixed;boundary=b", b"--b\n\nx\n--b--\n"),
        ("multipart/mixed;boundary=b", body(b"Content-Type: x\r\n\r\ny")),
    ],
)
def test_broken_multiparts_are_bad_requests(kind: str, data: bytes):
    with pytest.raises(PeerError) as caught:
        split_parts(ContentType.parse(kind), data)
    assert caught.value.status == 400


def test_depth_and_number_of_parts_are_limited():
    assert len(split_parts(MIXED, body(*[b"\r\nx"] * MAX_PARTS))) == MAX_PARTS
    with pytest.raises(PeerError) as many:
        split_parts(MIXED, body(*[b"\r\nx"] * (MAX_PARTS + 1)))
    data = b"Content-Type: text/plain\r\n\r\nx"
    for level in range(3):
        data = b"Content-Type: multipart/mixed;boundary=b%d\r\n\r\n" % level + body(
            data, boundary=b"b%d" % level
        )
    split_parts(ContentType.parse("multipart/mixed;boundary=b2"), data)
    with pytest.raises(PeerError) as deep:
        split_parts(MIXED, body(data))

    assert (many.value.status, deep.value.status) == (413, 413)


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n--" * 16000,
        b"\r\n--b " * 10000,
        b"--b" + b" " * 60000,
        b"--b\r\n" + b"\r\n" * 30000,
        b"-" * 65000,
    ],
)
def test_broken_multiparts_take_linear_time(data: bytes):
    started = time.process_time()

    with pytest.raises(PeerError):
        split_parts(MIXED, data)

    assert time.process_time() - started < 0.25


@given(
    st.lists(
        st.sampled_from(
            [
                b"--b",
                b"--",
                b"\r\n",
                b"\r\n\r\n",
                b"x",
                b":",
                b"Content-Type: multipart/mixed;boundary=b",
                b" ",
            ]
        ),
        max_size=20,
    )
)
def test_garbage_raises_peer_error_or_parses(pieces: list[bytes]):
    try:
        parts = split_parts(MIXED, b"".join(pieces))
    except PeerError:
        return
    assert 1 <= len(parts) <= MAX_PARTS
