# SPDX-License-Identifier: Apache-2.0
"""What does a receiver of video ask of its sender? RTCP feedback: RFC 4585 (NACK, PLI), RFC 5104 (FIR).

It travels in compound packets behind a report, as everything does that RFC 5506 was not agreed on for.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ringback.rtp.rtcp import OtherRtcp, RtcpPacket

TRANSPORT_FEEDBACK, PAYLOAD_FEEDBACK = 205, 206
_NACK = 1
_PICTURE_LOSS, _FULL_INTRA = 1, 4
#: Lost packets that one datagram may ask for; who lost more needs a new picture.
MOST_LOST = 128

_SOURCES = struct.Struct("!II")
_LOST = struct.Struct("!HH")
_ENTRY = struct.Struct("!IB3x")


@dataclass(frozen=True, slots=True)
class Feedback:
    """All that one datagram asks for. `lost` are sequence numbers of packets to be sent again."""

    wants_key_frame: bool = False
    lost: tuple[int, ...] = ()


def feedback_on(ssrc: int, packets: Iterable[RtcpPacket]) -> Feedback:
    """What a compound packet asks of the source `ssrc`."""
    wants_key_frame = False
    lost: dict[int, None] = {}
    for packet in packets:
        if not isinstance(packet, OtherRtcp) or len(packet.body) < _SOURCES.size:
            continue
        _, media = _SOURCES.unpack_from(packet.body)
        kind = (packet.packet_type, packet.count)
        if kind == (PAYLOAD_FEEDBACK, _PICTURE_LOSS):
            wants_key_frame |= media == ssrc
        elif kind == (PAYLOAD_FEEDBACK, _FULL_INTRA):
            wants_key_frame |= ssrc in _entries(packet.body)
        elif kind == (TRANSPORT_FEEDBACK, _NACK) and media == ssrc:
            lost.update(dict.fromkeys(_lost(packet.body)))
    return Feedback(wants_key_frame, tuple(lost)[:MOST_LOST])


def picture_loss(sender: int, media: int) -> OtherRtcp:
    """PLI: the pictures cannot be understood any more (RFC 4585 section 6.3.1)."""
    return OtherRtcp(PAYLOAD_FEEDBACK, _PICTURE_LOSS, _SOURCES.pack(sender, media))


def full_intra_request(sender: int, media: int, number: int) -> OtherRtcp:
    """FIR: a whole picture is needed; `number` grows with every new request (RFC 5104 section 4.3.1)."""
    body = _SOURCES.pack(sender, 0) + _ENTRY.pack(media, number & 0xFF)
    return OtherRtcp(PAYLOAD_FEEDBACK, _FULL_INTRA, body)


def lost_packets(sender: int, media: int, sequences: Sequence[int]) -> OtherRtcp:
    """Generic NACK: send these again (RFC 4585 section 6.2.1)."""
    body = b"".join(_LOST.pack(first, following) for first, following in _masks(sequences[:MOST_LOST]))
    return OtherRtcp(TRANSPORT_FEEDBACK, _NACK, _SOURCES.pack(sender, media) + body)


def _entries(body: bytes) -> set[int]:
    end = len(body) - len(body) % _ENTRY.size
    return {_ENTRY.unpack_from(body, at)[0] for at in range(_SOURCES.size, end, _ENTRY.size)}


def _lost(body: bytes) -> list[int]:
    found: list[int] = []
    for at in range(_SOURCES.size, len(body) - 3, _LOST.size):
        first, following = _LOST.unpack_from(body, at)
        found.append(first)
        found += [first + step + 1 & 0xFFFF for step in range(16) if following >> step & 1]
        if len(found) >= MOST_LOST:
            break
    return found


def _masks(sequences: Sequence[int]) -> list[tuple[int, int]]:
    """Each number with a mask of those among the next sixteen."""
    masks: list[tuple[int, int]] = []
    for sequence in sequences:
        step = (sequence - masks[-1][0] - 1) & 0xFFFF if masks else 0xFFFF
        if step < 16:
            masks[-1] = (masks[-1][0], masks[-1][1] | 1 << step)
        else:
            masks.append((sequence, 0))
    return masks
