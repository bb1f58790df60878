# SPDX-License-Identifier: Apache-2.0
"""RTP packets: RFC 3550 section 5."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.rtp.packet import HeaderExtension, RtpPacket, is_rtcp
from ringback.rtp.serial import difference, extended
from ringback.sip.errors import PeerError

extensions = st.builds(
    HeaderExtension,
    st.integers(0, 0xFFFF),
    st.lists(st.binary(min_size=4, max_size=4), max_size=4).map(b"".join),
)
packets = st.builds(
    RtpPacket,
    payload_type=st.integers(0, 127),
    sequence=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
    ssrc=st.integers(0, 0xFFFFFFFF),
    payload=st.binary(max_size=200),
    marker=st.booleans(),
    csrcs=st.lists(st.integers(0, 0xFFFFFFFF), max_size=15).map(tuple),
    extension=st.none() | extensions,
    padding=st.integers(0, 255),
)


@given(packets)
def test_what_is_printed_is_parsed_again(packet):
    assert RtpPacket.parse(packet.to_bytes()) == packet


@given(st.binary(max_size=80))
def test_garbage_is_refused_or_parsed(data):
    try:
        packet = RtpPacket.parse(data)
    except PeerError:
        return
    assert len(packet.payload) <= len(data) - 12


def test_the_bytes_are_those_of_the_rfc():
    packet = RtpPacket(8, 0x1234, 0x01020304, 0xAABBCCDD, b"xyz", marker=True)
    assert packet.to_bytes() == bytes.fromhex("8088 1234 01020304 aabbccdd") + b"xyz"


@pytest.mark.parametrize(
    "data",
    [
        "",
        "80",
        "8000 0001 00000000 000000",
        "4000 0001 00000000 00000001",
        "8100 0001 00000000 00000001",
        "9000 0001 00000000 00000001",
        "9000 0001 00000000 00000001 bede 0002 00000000",
        "a000 0001 00000000 00000001",
        "a000 0001 00000000 00000001 00",
        "a000 0001 00000000 00000001 0003",
    ],
)
def test_packets_shorter_than_they_say_are_refused(data):
    with pytest.raises(PeerError):
        RtpPacket.parse(bytes.fromhex(data))


def test_rtcp_is_told_from_rtp():
    assert is_rtcp(bytes.fromhex("80c80006"))
    assert not is_rtcp(bytes.fromhex("80e50006"))
    assert not is_rtcp(b"\x80")


@pytest.mark.parametrize(
    ("later", "earlier", "expected"),
    [(5, 3, 2), (3, 5, -2), (2, 65_534, 4), (65_534, 2, -4), (0, 32_768, -32_768)],
)
def test_numbers_are_compared_the_shorter_way_round(later, earlier, expected):
    assert difference(later, earlier, bits=16) == expected


@given(st.integers(0, 1 << 40), st.integers(-(1 << 31) + 1, (1 << 31) - 1))
def test_a_wrapped_number_is_unwrapped_near_its_reference(reference, step):
    value = reference + step
    assert extended(value & 0xFFFFFFFF, reference, bits=32) == value
