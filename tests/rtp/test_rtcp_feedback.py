# SPDX-License-Identifier: Apache-2.0
"""Requests of a receiver of video: RFC 4585 (NACK, PLI) and RFC 5104 (FIR), as they are on the wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.rtp.rtcp import OtherRtcp, ReceiverReport, build_compound, parse_compound
from ringback.rtp.rtcp_feedback import (
    MOST_LOST,
    Feedback,
    feedback_on,
    full_intra_request,
    lost_packets,
    picture_loss,
)

US, THEM, OTHER = 0x11111111, 0x22222222, 0x33333333


def over_the_wire(*packets):
    return parse_compound(build_compound([ReceiverReport(THEM), *packets]))


def test_a_picture_loss_is_twelve_octets_of_rfc_4585():
    assert picture_loss(THEM, US).to_bytes() == bytes.fromhex("81ce0002 22222222 11111111")


def test_a_full_intra_request_names_the_source_in_its_entry():
    assert full_intra_request(THEM, US, 7).to_bytes() == bytes.fromhex(
        "84ce0004 22222222 00000000 11111111 07000000"
    )


def test_a_nack_puts_neighbours_into_its_mask():
    assert lost_packets(THEM, US, [10, 11, 26, 40]).to_bytes() == bytes.fromhex(
        "81cd0004 22222222 11111111 000a8001 00280000"
    )


@pytest.mark.parametrize("ask", [picture_loss, lambda by, of: full_intra_request(by, of, 1)])
def test_a_key_frame_is_asked_only_of_the_source_that_is_named(ask):
    assert feedback_on(US, over_the_wire(ask(THEM, US))).wants_key_frame
    assert feedback_on(OTHER, over_the_wire(ask(THEM, US))) == Feedback()


@given(st.lists(st.integers(0, 0xFFFF), unique=True, max_size=MOST_LOST))
def test_every_lost_packet_arrives(sequences):
    feedback = feedback_on(US, over_the_wire(lost_packets(THEM, US, sequences)))
    assert sorted(feedback.lost) == sorted(sequences)
    assert not feedback.wants_key_frame


def test_nobody_asks_for_more_than_the_limit():
    body = b"\x22\x22\x22\x22\x11\x11\x11\x11" + b"".join(
        (17 * n).to_bytes(2, "big") + b"\xff\xff" for n in range(300)
    )
    assert len(feedback_on(US, [OtherRtcp(205, 1, body)]).lost) == MOST_LOST


@given(st.sampled_from([205, 206]), st.integers(0, 31), st.binary(max_size=60))
def test_garbage_is_no_request_that_crashes(kind, count, body):
    feedback = feedback_on(US, [OtherRtcp(kind, count, body)])
    assert len(feedback.lost) <= MOST_LOST
