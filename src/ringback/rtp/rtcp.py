# SPDX-License-Identifier: Apache-2.0
"""What do the two ends report about the stream? RTCP packets, RFC 3550 section 6.

A compound packet is parsed into the packets it is made of. Types we do not read (feedback, extended reports,
application-defined) are kept as `OtherRtcp`. Every length is checked against what was received.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from ringback.rtp.packet import VERSION
from ringback.sip.errors import PeerError

#: More packets than this in one datagram is no report but an attack.
MAXIMUM_PACKETS = 32


class RtcpType(IntEnum):
    """RFC 3550 section 12.1."""

    SENDER_REPORT = 200
    RECEIVER_REPORT = 201
    SOURCE_DESCRIPTION = 202
    GOODBYE = 203


class SdesItem(IntEnum):
    """RFC 3550 section 12.2."""

    END = 0
    CNAME = 1
    NAME = 2
    EMAIL = 3
    PHONE = 4
    LOC = 5
    TOOL = 6
    NOTE = 7
    PRIV = 8


_HEADER = struct.Struct("!BBH")
_SSRC = struct.Struct("!I")
_SENDER = struct.Struct("!IQIII")
_BLOCK = struct.Struct("!IIIIII")
_PADDING = 0x20


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What a receiver says of one source (section 6.4.1). `fraction_lost` counts 256ths."""

    ssrc: int
    fraction_lost: int
    lost: int
    highest_sequence: int
    jitter: int
    last_sender_report: int
    delay_since_last: int

    @classmethod
    def parse(cls, data: bytes, offset: int) -> ReportBlock:
        ssrc, losses, highest, jitter, last, delay = _BLOCK.unpack_from(data, offset)
        lost = losses & 0xFFFFFF
        signed = lost - 0x1000000 if lost & 0x800000 else lost
        return cls(ssrc, losses >> 24, signed, highest, jitter, last, delay)

    def to_bytes(self) -> bytes:
        lost = max(-0x800000, min(self.lost, 0x7FFFFF)) & 0xFFFFFF
        return _BLOCK.pack(
            self.ssrc,
            self.fraction_lost << 24 | lost,
            self.highest_sequence,
            self.jitter,
            self.last_sender_report,
            self.delay_since_last,
        )


@dataclass(frozen=True, slots=True)
class SenderReport:
    """SR (section 6.4.1). `ntp` is the 64 bit timestamp."""

    ssrc: int
    ntp: int
    rtp_timestamp: int
    packets: int
    octets: int
    reports: tuple[ReportBlock, ...] = ()

    def to_bytes(self) -> bytes:
        head = _SENDER.pack(self.ssrc, self.ntp, self.rtp_timestamp, self.packets, self.octets)
        return _framed(RtcpType.SENDER_REPORT, len(self.reports), head + _blocks(self.reports))


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """RR (section 6.4.2)."""

    ssrc: int
    reports: tuple[ReportBlock, ...] = ()

    def to_bytes(self) -> bytes:
        head = _SSRC.pack(self.ssrc)
        return _framed(RtcpType.RECEIVER_REPORT, len(self.reports), head + _blocks(self.reports))


@dataclass(frozen=True, slots=True)
class SdesChunk:
    """What is said of one source: pairs of item type and text."""

    ssrc: int
    items: tuple[tuple[int, bytes], ...]

    def to_bytes(self) -> bytes:
        items = b"".join(bytes((kind, len(text))) + text for kind, text in self.items)
        body = _SSRC.pack(self.ssrc) + items + b"\0"
        return body + bytes(-len(body) % 4)


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """SDES (section 6.5)."""

    chunks: tuple[SdesChunk, ...]

    def to_bytes(self) -> bytes:
        body = b"".join(chunk.to_bytes() for chunk in self.chunks)
        return _framed(RtcpType.SOURCE_DESCRIPTION, len(self.chunks), body)


@dataclass(frozen=True, slots=True)
class Goodbye:
    """BYE (section 6.6). It ends a source, never a call: anybody can forge it (RELIABILITY row 42)."""

    ssrcs: tuple[int, ...]
    reason: bytes = b""

    def to_bytes(self) -> bytes:
        body = struct.pack(f"!{len(self.ssrcs)}I", *self.ssrcs)
        if self.reason:
            body += bytes((len(self.reason),)) + self.reason
        return _framed(RtcpType.GOODBYE, len(self.ssrcs), body + bytes(-len(body) % 4))


@dataclass(frozen=True, slots=True)
class OtherRtcp:
    """A packet of a type we do not read."""

    packet_type: int
    count: int
    body: bytes

    def to_bytes(self) -> bytes:
        return _framed(self.packet_type, self.count, self.body)


RtcpPacket = SenderReport | ReceiverReport | SourceDescription | Goodbye | OtherRtcp


def build_compound(packets: Sequence[RtcpPacket]) -> bytes:
    """One datagram. A report comes first, as section 6.1 asks: the caller's order is kept."""
    return b"".join(packet.to_bytes() for packet in packets)


def parse_compound(data: bytes, *, may_be_reduced: bool = False) -> list[RtcpPacket]:
    """The packets of one datagram; PeerError when it fails the checks of RFC 3550 appendix A.2.

    `may_be_reduced`: also those that do without a report (RFC 5506 section 3.4.1).
    """
    packets: list[RtcpPacket] = []
    offset = 0
    while offset < len(data):
        if len(packets) >= MAXIMUM_PACKETS:
            raise PeerError("too many RTCP packets in one datagram", section="RFC 3550 6.1")
        packet, offset = _parse_one(data, offset)
        packets.append(packet)
    if not packets or not (may_be_reduced or isinstance(packets[0], SenderReport | ReceiverReport)):
        raise PeerError("RTCP does not start with a report", section="RFC 3550 6.1")
    return packets


def _parse_one(data: bytes, offset: int) -> tuple[RtcpPacket, int]:
    if len(data) - offset < _HEADER.size:
        raise PeerError("RTCP packet too short", section="RFC 3550 6.4")
    first, packet_type, words = _HEADER.unpack_from(data, offset)
    end = offset + 4 * (words + 1)
    if first >> 6 != VERSION or end > len(data):
        raise PeerError("RTCP packet with a wrong version or length", section="RFC 3550 6.4")
    body = data[offset + _HEADER.size : end]
    if first & _PADDING:
        body = _unpadded(body, is_last=end == len(data))
    return _parse_body(packet_type, first & 0x1F, body), end


def _unpadded(body: bytes, *, is_last: bool) -> bytes:
    padding = body[-1] if body else 0
    if not is_last or not 0 < padding <= len(body) or padding % 4:
        raise PeerError("RTCP padding is malformed", section="RFC 3550 6.4.1")
    return body[: len(body) - padding]


def _parse_body(packet_type: int, count: int, body: bytes) -> RtcpPacket:
    try:
        match packet_type:
            case RtcpType.SENDER_REPORT:
                ssrc, ntp, timestamp, packets, octets = _SENDER.unpack_from(body)
                blocks = _parse_blocks(body, _SENDER.size, count)
                return SenderReport(ssrc, ntp, timestamp, packets, octets, blocks)
            case RtcpType.RECEIVER_REPORT:
                (ssrc,) = _SSRC.unpack_from(body)
                return ReceiverReport(ssrc, _parse_blocks(body, _SSRC.size, count))
            case RtcpType.SOURCE_DESCRIPTION:
                return _parse_source_description(body, count)
            case RtcpType.GOODBYE:
                return _parse_goodbye(body, count)
    except (struct.error, IndexError):
        raise PeerError("RTCP packet shorter than what it says it holds", section="RFC 3550 6.4") from None
    return OtherRtcp(packet_type, count, body)


def _parse_blocks(body: bytes, start: int, count: int) -> tuple[ReportBlock, ...]:
    return tuple(ReportBlock.parse(body, start + index * _BLOCK.size) for index in range(count))


def _parse_source_description(body: bytes, count: int) -> SourceDescription:
    chunks: list[SdesChunk] = []
    offset = 0
    for _ in range(count):
        (ssrc,) = _SSRC.unpack_from(body, offset)
        items, offset = _parse_items(body, offset + 4)
        chunks.append(SdesChunk(ssrc, items))
    return SourceDescription(tuple(chunks))


def _parse_items(body: bytes, offset: int) -> tuple[tuple[tuple[int, bytes], ...], int]:
    """The items of one chunk, and where the next chunk starts: its end is padded to a word (section 6.5)."""
    items: list[tuple[int, bytes]] = []
    while (kind := body[offset]) != SdesItem.END:
        length = body[offset + 1]
        text = body[offset + 2 : offset + 2 + length]
        if len(text) < length:
            raise IndexError
        items.append((kind, text))
        offset += 2 + length
    return tuple(items), (offset // 4 + 1) * 4


def _parse_goodbye(body: bytes, count: int) -> Goodbye:
    ssrcs = struct.unpack_from(f"!{count}I", body)
    rest = body[4 * count :]
    reason = rest[1 : 1 + rest[0]] if rest else b""
    if rest and len(reason) < rest[0]:
        raise IndexError
    return Goodbye(ssrcs, reason)


def _framed(packet_type: int, count: int, body: bytes) -> bytes:
    return _HEADER.pack(VERSION << 6 | count, packet_type, len(body) // 4) + body


def _blocks(reports: Sequence[ReportBlock]) -> bytes:
    return b"".join(report.to_bytes() for report in reports)
