# SPDX-License-Identifier: Apache-2.0
"""Whatever sources are passed on in turn, whoever watches gets one stream without a seam."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.media.video_forwarding import ContinuousRow, SourcePacket
from ringback.rtp.packet import HeaderExtension, RtpPacket
from ringback.rtp.serial import difference
from ringback.rtp.vp8_descriptor import Vp8Descriptor
from ringback.sdp.attributes import AudioFormat

SSRC, NUMBER = 0xCAFE, 96
FORMAT = AudioFormat(101, "VP8", 90_000)
STEP = 3_000  # a picture at 30 a second


def vp8(picture: int, index: int) -> bytes:
    return (
        bytes((0x90, 0xC0)) + (0x8000 | picture & 0x7FFF).to_bytes(2, "big") + bytes((index & 0xFF, 1, 2, 3))
    )


def turn(
    source: int, sequence: int, timestamp: int, picture: int, pictures: int, each: int
) -> list[RtpPacket]:
    """So many packets of one source, `each` for a picture."""
    return [
        RtpPacket(
            101,
            sequence + n & 0xFFFF,
            timestamp + n // each * STEP & 0xFFFFFFFF,
            source,
            vp8(picture + n // each, picture + n // each),
            marker=n % each == each - 1,
        )
        for n in range(pictures * each)
    ]


turns = st.lists(
    st.builds(
        turn,
        st.integers(0, 0xFFFFFFFF),
        st.integers(0, 0xFFFF),
        st.integers(0, 0xFFFFFFFF),
        st.integers(0, 0x7FFF),
        st.integers(1, 30),
        st.integers(1, 4),
    ),
    min_size=1,
    max_size=6,
)


def read(packet: RtpPacket) -> SourcePacket:
    return SourcePacket.read(packet.to_bytes(), FORMAT)


def row(chance: bytes = b"\xff\xfe\xff\xff") -> ContinuousRow:
    return ContinuousRow(SSRC, lambda size: chance[:size])


def passed(row: ContinuousRow, packets: list[RtpPacket], begin: float) -> list[RtpPacket]:
    row.begin(read(packets[0]), begin)
    sent = []
    for packet in packets:
        now = begin + difference(packet.timestamp, packets[0].timestamp, bits=32) / 90_000
        data = row.rewritten(read(packet), NUMBER, now)
        if data is not None:
            sent.append(RtpPacket.parse(data))
    return sent


@given(turns, st.binary(min_size=4, max_size=4), st.floats(0.0, 2.0))
def test_sources_in_turn_make_one_stream(turns, chance, pause):
    out, now, sent = row(chance), 100.0, []
    for packets in turns:
        sent += passed(out, packets, now)
        now += len({each.timestamp for each in packets}) / 30 + pause
    assert {(each.ssrc, each.payload_type) for each in sent} == {(SSRC, NUMBER)}
    for before, after in pairwise(sent):
        assert difference(after.sequence, before.sequence, bits=16) == 1
        step = difference(after.timestamp, before.timestamp, bits=32)
        one, two = Vp8Descriptor.parse(before.payload), Vp8Descriptor.parse(after.payload)
        assert two.picture == (one.picture + (step > 0)) & 0x7FFF
        assert two.layer_index == (one.layer_index + (step > 0)) & 0xFF
        assert (step == 0) == (not before.marker)
        assert step == 0 or STEP // 2 <= step <= STEP + 90_000 * pause + 1


@given(st.permutations(range(12)), st.integers(0, 0xFFFF), st.sets(st.integers(1, 11), max_size=4))
def test_order_and_holes_of_a_source_stay_as_they_are(order, sequence, lost):
    packets = turn(1, sequence, 5, 6, 12, 1)
    out = row()
    out.begin(read(packets[0]), 0.0)
    kept = [number for number in order if number not in lost]
    sent = [RtpPacket.parse(out.rewritten(read(packets[number]), NUMBER, 0.0)) for number in kept]
    first = sent[kept.index(0)].sequence
    assert [(each.sequence - first) % 65_536 for each in sent] == kept


@given(turns.filter(lambda made: len({each[0].ssrc for each in made}) == len(made) > 1))
def test_nothing_is_sent_of_a_source_after_its_turn_or_from_before_it(turns):
    out = row()
    for packets in turns:
        passed(out, packets, 0.0)
    for packets in turns[:-1]:
        assert out.rewritten(read(packets[-1]), NUMBER, 1.0) is None
    first = turns[-1][0]
    early = RtpPacket(101, first.sequence - 1 & 0xFFFF, first.timestamp, first.ssrc, first.payload)
    assert out.rewritten(read(early), NUMBER, 1.0) is None


@given(turns)
def test_a_packet_that_is_asked_for_again_is_found_by_its_new_number(turns):
    out = row()
    for packets in turns:
        sent = passed(out, packets, 0.0)
    assert [out.original(each.sequence) for each in sent] == [each.sequence for each in turns[-1]]
    assert out.original(sent[0].sequence - 1 & 0xFFFF) is None
    assert out.original(sent[-1].sequence + 1 & 0xFFFF) is None


def test_a_long_turn_goes_round_the_circle():
    packets = turn(1, 60_000, 0xFFFFF000, 0, 40_000, 1)
    sent = passed(row(), packets, 0.0)
    assert len(sent) == 40_000
    assert all(difference(b.sequence, a.sequence, bits=16) == 1 for a, b in pairwise(sent))


@pytest.mark.parametrize("payload", [b"", b"\x90", b"\x90\x80", b"\x10"])
def test_payloads_that_are_no_vp8_pass_as_they_are(payload):
    packet = RtpPacket(101, 5, 6, 7, payload)
    out = row()
    out.begin(read(packet), 0.0)
    assert RtpPacket.parse(out.rewritten(read(packet), NUMBER, 0.0)).payload == payload


def test_what_nobody_agreed_on_does_not_pass():
    """Header extensions and contributing sources stay behind; padding and marker are part of the stream."""
    extension = HeaderExtension(0xBEDE, b"\x10\x31\0\0")
    packet = RtpPacket(101, 5, 6, 7, b"\x10\x00abc", True, (8, 9), extension, padding=4)
    out = row()
    out.begin(read(packet), 0.0)
    sent = RtpPacket.parse(out.rewritten(read(packet), NUMBER, 0.0))
    assert (sent.payload, sent.marker, sent.padding) == (packet.payload, True, 4)
    assert (sent.csrcs, sent.extension) == ((), None)


def test_a_packet_without_payload_fills_its_number():
    """Browsers send padding to measure the path (RFC 3550 section 5.1)."""
    out = row()
    packets = [RtpPacket(101, 5 + n, 6, 7, b"" if n else b"\x10\x00", padding=200 * n) for n in range(2)]
    sent = passed(out, packets, 0.0)
    assert [each.padding for each in sent] == [0, 200]
    assert sent[1].sequence == sent[0].sequence + 1 & 0xFFFF
