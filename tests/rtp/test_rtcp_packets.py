# SPDX-License-Identifier: Apache-2.0
"""RTCP packets: RFC 3550 section 6. Lengths are what was received, not what is claimed (RELIABILITY 42)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.rtp.rtcp import (
    Goodbye,
    OtherRtcp,
    ReceiverReport,
    ReportBlock,
    SdesChunk,
    SdesItem,
    SenderReport,
    SourceDescription,
    build_compound,
    parse_compound,
)
from ringback.sip.errors import PeerError

number32 = st.integers(0, 0xFFFFFFFF)
blocks = st.builds(
    ReportBlock,
    number32,
    st.integers(0, 255),
    st.integers(-0x800000, 0x7FFFFF),
    number32,
    number32,
    number32,
    number32,
)
several_blocks = st.lists(blocks, max_size=3).map(tuple)
sender_reports = st.builds(
    SenderReport, number32, st.integers(0, (1 << 64) - 1), number32, number32, number32, several_blocks
)
receiver_reports = st.builds(ReceiverReport, number32, several_blocks)
items = st.tuples(st.integers(1, 8), st.binary(max_size=30))
descriptions = st.builds(
    SourceDescription,
    st.lists(st.builds(SdesChunk, number32, st.lists(items, max_size=4).map(tuple)), max_size=3).map(tuple),
)
goodbyes = st.builds(Goodbye, st.lists(number32, max_size=3).map(tuple), st.binary(max_size=20))
others = st.builds(
    OtherRtcp,
    st.integers(204, 207),
    st.integers(0, 31),
    st.lists(st.binary(min_size=4, max_size=4), max_size=4).map(b"".join),
)
compounds = st.tuples(
    sender_reports | receiver_reports,
    st.lists(sender_reports | receiver_reports | descriptions | goodbyes | others, max_size=5),
).map(lambda parts: [parts[0], *parts[1]])


@given(compounds)
def test_what_is_built_is_parsed_again(packets):
    data = build_compound(packets)
    assert len(data) % 4 == 0
    assert parse_compound(data) == packets


@given(
    st.binary(max_size=100)
    | compounds.map(build_compound).flatmap(lambda d: st.integers(0, len(d)).map(lambda n: d[:n]))
)
def test_garbage_and_cut_packets_are_refused_or_parsed(data):
    try:
        parse_compound(data)
    except PeerError:
        return


@given(compounds.map(build_compound), st.integers(0, 10_000), st.integers(0, 255))
def test_a_flipped_byte_never_crashes(data, position, value):
    spoiled = bytearray(data)
    spoiled[position % len(data)] = value
    try:
        parse_compound(bytes(spoiled))
    except PeerError:
        return


def test_the_bytes_of_a_receiver_report_are_those_of_the_rfc():
    block = ReportBlock(0x11223344, 64, -1, 0x00010002, 7, 0xAABBCCDD, 65_536)
    assert build_compound([ReceiverReport(1, (block,))]) == bytes.fromhex(
        "81c90007 00000001 11223344 40ffffff 00010002 00000007 aabbccdd 00010000"
    )


def test_padding_is_taken_off_the_last_packet_only():
    report = bytes.fromhex("80c90001 00000001")
    padded = bytes.fromhex("a1cb0002 00000007 00000004")
    assert parse_compound(report + padded) == [ReceiverReport(1), Goodbye((7,))]
    with pytest.raises(PeerError):
        parse_compound(bytes.fromhex("a0c90002 00000001 00000004") + report)


@pytest.mark.parametrize(
    "data",
    [
        "",
        "80c9",
        "80c90001",
        "80c9ffff 00000001",
        "40c90001 00000001",
        "81c90001 00000001",
        "9fc80006 00000001 0000000000000000 00000000 00000000 00000000",
        "81cb0001 00000001",
        "80c90001 00000001 81ca0002 00000001 01ff6161",
        "80c90001 00000001 81ca0001 00000001",
        "80c90001 00000001 81cb0002 00000001 ff616161",
        "a0c90002 00000001 00000009",
        "80c90001 00000001" * 33,
    ],
)
def test_packets_that_lie_about_their_length_are_refused(data):
    with pytest.raises(PeerError):
        parse_compound(bytes.fromhex(data))


def test_a_name_is_found_in_a_description():
    data = build_compound(
        [ReceiverReport(5), SourceDescription((SdesChunk(5, ((SdesItem.CNAME, b"abc"),)),))]
    )
    assert parse_compound(data)[1].chunks[0].items == ((1, b"abc"),)
