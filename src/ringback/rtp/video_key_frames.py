# SPDX-License-Identifier: Apache-2.0
"""Does a picture begin here that can be understood without those before it? RFC 7741 and RFC 6184.

Who joins a stream of video in its middle must wait for such a picture. Nothing is decoded.
"""

from __future__ import annotations

from collections.abc import Iterator

from ringback.rtp.vp8_descriptor import Vp8Descriptor

#: RFC 6184 section 5.2, and the NAL units that a picture of its own begins with (H.264 table 7-1).
_SLICE_IDR, _SEQUENCE_PARAMETERS = 5, 7
_STAP_A, _STAP_B, _FU_A, _FU_B = 24, 25, 28, 29
_STARTS_FRAGMENT = 0x80
#: NAL units of one aggregation that are looked at.
_MOST_UNITS = 16
#: RFC 6386 section 9.1: the lowest bit of a frame says that it is no key frame.
_INTER_FRAME = 0x01


def begins_key_frame(encoding: str, payload: bytes) -> bool:
    """True for the first packet of a key frame; of encodings that are not known no packet is."""
    match encoding.upper():
        case "VP8":
            return _begins_vp8(payload)
        case "H264":
            return any(unit in (_SLICE_IDR, _SEQUENCE_PARAMETERS) for unit in _units(payload))
    return False


def _begins_vp8(payload: bytes) -> bool:
    descriptor = Vp8Descriptor.parse(payload)
    if descriptor is None or not descriptor.is_frame_start or len(payload) <= descriptor.length:
        return False
    return not payload[descriptor.length] & _INTER_FRAME


def _units(payload: bytes) -> Iterator[int]:
    """The types of the NAL units that begin in a packet."""
    if not payload:
        return
    kind = payload[0] & 0x1F
    if kind in (_FU_A, _FU_B):
        if len(payload) > 1 and payload[1] & _STARTS_FRAGMENT:
            yield payload[1] & 0x1F
    elif kind in (_STAP_A, _STAP_B):
        at = 1 if kind == _STAP_A else 3
        for _ in range(_MOST_UNITS):
            if at + 2 >= len(payload):
                return
            yield payload[at + 2] & 0x1F
            at += 2 + int.from_bytes(payload[at : at + 2], "big")
    else:
        yield kind
