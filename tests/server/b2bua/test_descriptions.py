# SPDX-License-Identifier: Apache-2.0
"""Descriptions that continue what was told before: RFC 3264 section 8."""

from ringback.server.b2bua.descriptions import Told, stream_count, without_hold

BOB = b"v=0\r\no=bob 7 1 IN IP4 10.0.0.2\r\ns=-\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\n"
CAROL = b"v=0\r\no=carol 9 4 IN IP4 10.0.0.3\r\ns=-\r\nt=0 0\r\nm=audio 6000 RTP/AVP 8\r\n"
VIDEO = b"m=video 6002 RTP/AVP 97\r\na=rtpmap:97 VP8/90000\r\n"


def test_one_author_is_passed_as_it_is() -> None:
    told = Told()
    later = BOB.replace(b" 1 IN", b" 2 IN").replace(b"5000", b"5010")
    assert told.offer(BOB) == BOB
    assert told.offer(later) == later
    assert told.offer(later) == later


def test_another_author_continues_the_origin_of_the_first() -> None:
    told = Told()
    told.offer(BOB)
    assert told.offer(CAROL) == CAROL.replace(b"o=carol 9 4 IN IP4 10.0.0.3", b"o=bob 7 2 IN IP4 10.0.0.2")
    assert b"o=bob 7 3 IN" in told.offer(CAROL.replace(b"6000", b"6010"))


def test_the_same_words_of_another_author_are_no_new_version() -> None:
    told = Told()
    told.offer(BOB)
    told.offer(CAROL)
    assert b"o=bob 7 2 IN" in told.offer(CAROL.replace(b" 4 IN", b" 5 IN"))


def test_a_version_that_falls_is_raised() -> None:
    told = Told()
    told.offer(BOB.replace(b" 1 IN", b" 5 IN"))
    assert b"o=bob 7 6 IN" in told.offer(BOB.replace(b"5000", b"5002"))


def test_a_stream_that_the_new_end_does_not_know_stays_with_port_0() -> None:
    told = Told()
    told.offer(BOB + VIDEO)
    offer = told.offer(CAROL)
    assert stream_count(offer) == 2
    assert offer.endswith(b"m=video 0 RTP/AVP 97\r\n")


def test_an_answer_has_as_many_streams_as_the_offer() -> None:
    told = Told()
    assert told.answer(CAROL + VIDEO, streams=1) == CAROL
    assert told.answer(CAROL + VIDEO, streams=2).count(b"m=") == 2


def test_who_was_on_hold_is_ready_for_another() -> None:
    assert without_hold(BOB + b"a=recvonly\r\na=ptime:20\r\n") == BOB + b"a=ptime:20\r\n"


def test_lines_that_end_with_lf_alone_are_read() -> None:
    told = Told()
    told.offer(BOB)
    assert b"o=bob 7 2 IN IP4 10.0.0.2\n" in told.offer(CAROL.replace(b"\r\n", b"\n"))
