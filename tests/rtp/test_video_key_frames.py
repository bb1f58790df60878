# SPDX-License-Identifier: Apache-2.0
"""Key frames are found in what real encoders make: VP8 (RFC 7741) and H.264 (RFC 6184)."""

import fractions

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.rtp.video_key_frames import begins_key_frame
from ringback.rtp.vp8_descriptor import Vp8Descriptor


def pictures(encoder, count: int, forced: set[int]) -> list[tuple[bool, list[bytes]]]:
    """Whether a key frame was asked for, and the payloads, of each picture."""
    av = pytest.importorskip("av")
    made = []
    for number in range(count):
        frame = av.VideoFrame(320, 240, "yuv420p")
        for plane, level in zip(frame.planes, (40 + number * 9 % 200, 90, 160), strict=True):
            row = bytes((level + 3 * x) & 0xFF for x in range(plane.line_size))
            plane.update(row * plane.height)
        frame.pts, frame.time_base = number * 3_000, fractions.Fraction(1, 90_000)
        payloads, _ = encoder.encode(frame, force_keyframe=number in forced)
        made.append((number in forced or number == 0, payloads))
    return made


def check(encoding: str, made: list[tuple[bool, list[bytes]]]) -> None:
    for is_key, payloads in made:
        assert begins_key_frame(encoding, payloads[0]) is is_key
    assert any(len(payloads) > 1 for _, payloads in made)


def test_vp8_key_frames_begin_where_the_encoder_was_asked():
    codecs = pytest.importorskip("aiortc.codecs.vpx")
    made = pictures(codecs.Vp8Encoder(), 12, {5, 9})
    check("VP8", made)
    assert not any(begins_key_frame("VP8", each) for _, payloads in made for each in payloads[1:])


def test_h264_key_frames_begin_where_the_encoder_was_asked():
    codecs = pytest.importorskip("aiortc.codecs.h264")
    check("H264", pictures(codecs.H264Encoder(), 12, {5, 9}))


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("65 88", True),  # an IDR slice on its own
        ("67 42", True),  # SPS on its own
        ("41 9a", False),  # another slice
        ("06 05", False),  # SEI
        ("78 0002 0605 0002 6742 0002 68ce", True),  # STAP-A with an SPS behind SEI
        ("78 0002 419a 0002 419b", False),
        ("7c 85 88", True),  # the first fragment of an IDR slice
        ("7c 05 88", False),  # a later one
        ("7c 81 88", False),  # the first fragment of another slice
        ("78 ffff 65", True),  # an aggregation that claims more than it has
        ("78 00", False),
        ("7c", False),
        ("", False),
    ],
)
def test_h264_packets_of_each_kind(payload, expected):
    assert begins_key_frame("h264", bytes.fromhex(payload)) is expected


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("10 00", True),
        ("10 01", False),  # P: an inter frame
        ("00 00", False),  # not the beginning of a partition
        ("11 00", False),  # the beginning of the second partition
        ("90 80 05 00", True),  # 7 bit PictureID
        ("90 80 8123 00", True),  # 15 bit PictureID
        ("90 e0 8123 07 20 00", True),  # with TL0PICIDX and TID
        ("90 80 81", False),
        ("90", False),
        ("10", False),
        ("", False),
    ],
)
def test_vp8_packets_of_each_kind(payload, expected):
    assert begins_key_frame("VP8", bytes.fromhex(payload)) is expected


@pytest.mark.parametrize("encoding", ["VP9", "AV1", "H265", ""])
def test_of_other_encodings_nothing_is_known(encoding):
    assert not begins_key_frame(encoding, bytes.fromhex("10000000"))


@given(st.sampled_from(["VP8", "H264"]), st.binary(max_size=40))
def test_garbage_is_judged_without_a_crash(encoding, payload):
    assert begins_key_frame(encoding, payload) in (True, False)


@given(
    st.one_of(st.none(), st.integers(0, 0x7F), st.integers(0x80, 0x7FFF)),
    st.one_of(st.none(), st.integers(0, 255)),
    st.integers(-40_000, 40_000),
    st.integers(-300, 300),
    st.binary(min_size=1, max_size=20),
)
def test_pictures_are_numbered_anew_and_nothing_else_changes(
    picture, layer_index, picture_step, layer_step, rest
):
    fields = (0x80 if picture is not None else 0) | (0x40 if layer_index is not None else 0)
    payload = bytes((0x90, fields))
    if picture is not None:
        payload += bytes((picture,)) if picture <= 0x7F else (0x8000 | picture).to_bytes(2, "big")
    if layer_index is not None:
        payload += bytes((layer_index,))
    size = len(payload)
    descriptor = Vp8Descriptor.parse(payload + rest)
    assert (descriptor.length, descriptor.picture, descriptor.layer_index) == (size, picture, layer_index)
    new = descriptor.renumbered(payload + rest, picture_step=picture_step, layer_index_step=layer_step)
    again = Vp8Descriptor.parse(new)
    circle = 1 << descriptor.picture_bits
    assert again.picture == (None if picture is None else (picture + picture_step) % circle)
    assert again.layer_index == (None if layer_index is None else (layer_index + layer_step) % 256)
    assert (again.length, new[size:]) == (size, rest)
