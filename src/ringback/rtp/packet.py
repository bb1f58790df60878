# SPDX-License-Identifier: Apache-2.0
"""What is in an RTP packet? RFC 3550 section 5, with the header extension of section 5.3.1."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ringback.sip.errors import PeerError

VERSION = 2
HEADER_BYTES = 12

_HEADER = struct.Struct("!BBHII")
_EXTENSION = struct.Struct("!HH")
_PADDING, _HAS_EXTENSION, _MARKER = 0x20, 0x10, 0x80


@dataclass(frozen=True, slots=True)
class HeaderExtension:
    """The one extension a header may carry; `data` is a whole number of 32 bit words."""

    profile: int
    data: bytes


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """One packet. `padding` counts the octets after the payload, with the last one that holds the count."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False
    csrcs: tuple[int, ...] = ()
    extension: HeaderExtension | None = None
    padding: int = 0

    @classmethod
    def parse(cls, data: bytes) -> RtpPacket:
        """Read a datagram; PeerError when it is no RTP packet (the checks of RFC 3550 appendix A.1)."""
        if len(data) < HEADER_BYTES or data[0] >> 6 != VERSION:
            raise PeerError("no RTP packet", section="RFC 3550 5.1")
        first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
        payload_start = HEADER_BYTES + 4 * (first & 0x0F)
        if len(data) < payload_start:
            raise PeerError("RTP packet shorter than its list of sources", section="RFC 3550 5.1")
        csrcs = struct.unpack_from(f"!{first & 0x0F}I", data, HEADER_BYTES)
        extension = None
        if first & _HAS_EXTENSION:
            extension = _parse_extension(data, payload_start)
            payload_start += _EXTENSION.size + len(extension.data)
        padding = data[-1] if first & _PADDING else 0
        if first & _PADDING and not 0 < padding <= len(data) - payload_start:
            raise PeerError("RTP padding is longer than the packet", section="RFC 3550 5.1")
        return cls(
            payload_type=second & 0x7F,
            sequence=sequence,
            timestamp=timestamp,
            ssrc=ssrc,
            payload=data[payload_start : len(data) - padding],
            marker=bool(second & _MARKER),
            csrcs=csrcs,
            extension=extension,
            padding=padding,
        )

    def to_bytes(self) -> bytes:
        """The datagram."""
        first = VERSION << 6 | len(self.csrcs)
        if self.padding:
            first |= _PADDING
        if self.extension is not None:
            first |= _HAS_EXTENSION
        second = self.payload_type | (_MARKER if self.marker else 0)
        head = _HEADER.pack(first, second, self.sequence, self.timestamp, self.ssrc)
        if first == VERSION << 6:
            return head + self.payload
        return b"".join((head, self._header_tail(), self.payload, self._padding_bytes()))

    def _header_tail(self) -> bytes:
        csrcs = struct.pack(f"!{len(self.csrcs)}I", *self.csrcs)
        if self.extension is None:
            return csrcs
        words = len(self.extension.data) // 4
        return csrcs + _EXTENSION.pack(self.extension.profile, words) + self.extension.data

    def _padding_bytes(self) -> bytes:
        return bytes(self.padding - 1) + bytes((self.padding,)) if self.padding else b""


def is_rtcp(data: bytes) -> bool:
    """True for a datagram that is RTCP rather than RTP where both use one port (RFC 5761 section 4)."""
    return len(data) >= 2 and 192 <= data[1] <= 223


def _parse_extension(data: bytes, start: int) -> HeaderExtension:
    if len(data) < start + _EXTENSION.size:
        raise PeerError("RTP packet shorter than its header extension", section="RFC 3550 5.3.1")
    profile, words = _EXTENSION.unpack_from(data, start)
    end = start + _EXTENSION.size + 4 * words
    if len(data) < end:
        raise PeerError("RTP packet shorter than its header extension", section="RFC 3550 5.3.1")
    return HeaderExtension(profile, data[start + _EXTENSION.size : end])
