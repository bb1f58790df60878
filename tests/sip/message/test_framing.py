# SPDX-License-Identifier: Apache-2.0
"""Is a stream cut at the right places, in linear time, however it arrives (RFC 3261 18.3, RFC 5626 3.5.1)?"""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sip.message import Response, check_request, parse_message
from ringback.sip.message.framing import Frame, FramingError, Ping, StreamFramer

EMPTY = b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\n"
FULL = b"MESSAGE sip:a SIP/2.0\r\nl : 5\r\nX: y\r\n\r\nhe\r\n\r"


def byte_by_byte(framer: StreamFramer, data: bytes) -> list[Frame]:
    frames: list[Frame] = []
    for octet in range(len(data)):
        frames += framer.feed(data[octet : octet + 1])
    return frames


def test_messages_are_cut_by_their_content_length():
    assert StreamFramer().feed(EMPTY + FULL + EMPTY) == [EMPTY, FULL, EMPTY]
    assert byte_by_byte(StreamFramer(), EMPTY + FULL + EMPTY) == [EMPTY, FULL, EMPTY]


@pytest.mark.parametrize(
    "line",
    [
        b"Content-Length: 2",
        b"content-length:2",
        b"L:\t2 ",
        b"l  :  2",
        b"CONTENT-LENGTH:\r\n 2",
        b"Content-Length: 0002",
    ],
)
def test_content_length_is_found_in_every_spelling(line: bytes):
    message = b"A b SIP/2.0\r\nX: l:9\r\n" + line + b"\r\nY: z\r\n\r\nab"

    assert StreamFramer().feed(message + EMPTY) == [message, EMPTY]


def test_without_content_length_there_is_no_body():
    head = b"OPTIONS sip:a SIP/2.0\r\nX: y\r\n Content-Length: 7\r\n\r\n"

    assert StreamFramer().feed(head + EMPTY) == [head, EMPTY]


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (b"-1", 400),
        (b"+1", 400),
        (b"1_0", 400),
        (b"0x1", 400),
        (b"", 400),
        (b"1\r\n 2", 400),
        (b"5, 5", 400),
        ("٣".encode(), 400),
        (b"9" * 5000, 400),
        (b"65537", 513),
        (b"4294967296", 513),
        (b"18446744073709551615", 513),
    ],
)
def test_a_length_nobody_can_obey_ends_the_stream_and_can_be_answered(value: bytes, status: int):
    framer = StreamFramer()
    head = (
        b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nContent-Length: "
        + value
        + b"\r\n\r\n"
    )

    with pytest.raises(FramingError) as caught:
        framer.feed(EMPTY + head + b"body")

    assert (caught.value.status, caught.value.data, caught.value.frames) == (status, head, [EMPTY])
    request = parse_message(caught.value.data)
    assert Response.to(request, status).headers["Via"] == "SIP/2.0/TCP h;branch=z9hG4bK1"
    with pytest.raises(FramingError):
        check_request(request) if request.defect is None else framer.feed(EMPTY)


def test_two_content_lengths_end_the_stream():
    for second in (b"Content-Length: 5", b"L: 0"):
        with pytest.raises(FramingError, match="twice"):
            StreamFramer().feed(EMPTY[:-2] + second + b"\r\n\r\n")


def test_after_an_error_nothing_is_taken_any_more():
    framer = StreamFramer()
    with pytest.raises(FramingError):
        framer.feed(b"A b SIP/2.0\r\nl: x\r\n\r\n")

    with pytest.raises(FramingError):
        framer.feed(EMPTY)
    assert framer.pending == 0


def test_keep_alives_between_messages():
    assert StreamFramer().feed(b"\r\n\r\n") == [Ping.PING]
    assert StreamFramer().feed(b"\r\n") == [Ping.PONG]
    assert StreamFramer().feed(b"\r\n\r\n" + EMPTY + b"\r\n" + EMPTY + b"\r\n\r\n\r\n") == [
        Ping.PING,
        EMPTY,
        Ping.PONG,
        EMPTY,
        Ping.PING,
        Ping.PONG,
    ]


def test_a_ping_that_arrives_in_pieces_is_still_a_ping():
    framer = StreamFramer()

    assert [framer.feed(b"\r\n"), framer.feed(b"\r"), framer.feed(b"\n")] == [[Ping.PONG], [], [Ping.PING]]
    assert [framer.feed(b"\r\n"), framer.feed(EMPTY), framer.feed(b"\r\n")] == [
        [Ping.PONG],
        [EMPTY],
        [Ping.PONG],
    ]


def test_after_our_ping_the_next_single_crlf_is_its_answer():
    framer = StreamFramer()
    seen = []
    for _ in range(3):
        framer.expect_pong()
        seen += framer.feed(b"\r\n")

    assert seen == [Ping.PONG] * 3


def test_a_head_without_end_is_refused_at_the_limit():
    framer = StreamFramer(1000)

    with pytest.raises(FramingError) as caught:
        byte_by_byte(framer, b"OPTIONS sip:a SIP/2.0\r\n" + b"x" * 2000)

    assert (caught.value.status, len(caught.value.data)) == (513, 1000)


def test_what_waits_for_its_rest_is_known():
    framer = StreamFramer()
    framer.feed(EMPTY + b"BYE sip:a SIP/2.0\r\nVia: x\r\n")

    assert (framer.pending, framer.unfinished()) == (27, b"BYE sip:a SIP/2.0\r\nVia: x\r\n")


def test_64_kilobytes_byte_by_byte_take_linear_time():
    for message in (
        b"A b SIP/2.0\r\nl: 65000\r\n\r\n" + b"\r" * 65000,
        b"A b SIP/2.0\r\nX: " + b"\r\n " * 21000 + b"y\r\n\r\n",
        b"A b SIP/2.0\r\n" + b"l" * 65000 + b": 0\r\n\r\n",
    ):
        started = time.process_time()

        assert byte_by_byte(StreamFramer(), message) == [message]
        assert time.process_time() - started < 1.0


def test_many_small_messages_in_one_piece_take_linear_time():
    started = time.process_time()

    assert len(StreamFramer().feed(EMPTY * 20000)) == 20000
    assert time.process_time() - started < 2.0


PIECES = st.sampled_from(
    [
        b"\r\n",
        b"\r",
        b"\n",
        EMPTY,
        FULL,
        b"l: 3\r\n",
        b"Content-Length: x\r\n",
        b"A b SIP/2.0\r\n",
        b"ab",
        b" ",
    ]
)


@given(st.lists(PIECES, max_size=12).map(b"".join), st.data())
def test_whole_and_in_pieces_give_the_same_but_for_pongs(stream: bytes, data: st.DataObject):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    assert outcome(pieces) == outcome([stream]) == outcome([stream[i : i + 1] for i in range(len(stream))])


def outcome(pieces: list[bytes]) -> list[object]:
    framer, frames = StreamFramer(200), []
    try:
        for piece in pieces:
            frames += framer.feed(piece)
    except FramingError as error:
        frames += [*error.frames, (error.status, error.data)]
    return [frame for frame in frames if frame is not Ping.PONG]
