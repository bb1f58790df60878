# SPDX-License-Identifier: Apache-2.0
"""Who is at the other end of a media benchmark? A process of plain sockets that sends, receives and looks at the clock."""

from __future__ import annotations

import socket
import struct

HEADER = struct.Struct("!BBHII")
_TIMESPEC = struct.Struct("qq")
#: Linux: the kernel notes when a datagram came, so that it does not matter when we get to read it.
SO_TIMESTAMPNS = 35


def open_sockets(number: int) -> list[socket.socket]:
    sockets = []
    for _ in range(number):
        own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        own.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        own.bind(("127.0.0.1", 0))
        own.setblocking(False)
        sockets.append(own)
    return sockets


def offer(own_port: int, payload_type: int, rtpmap: str) -> bytes:
    """What a caller says of its socket; reports come to the same port."""
    return (
        f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        f"m=audio {own_port} RTP/AVP {payload_type}\r\na=rtpmap:{payload_type} {rtpmap}\r\na=rtcp:{own_port}\r\n"
    ).encode()


def packet(payload_type: int, number: int, ticks: int, source: int, payload: bytes) -> bytes:
    return HEADER.pack(0x80, payload_type, number & 0xFFFF, number * ticks & 0xFFFFFFFF, source) + payload


def received(own: socket.socket) -> list[tuple[float, bytes]]:
    """All RTP that waits, with the moment it came."""
    found = []
    while True:
        try:
            data, ancillary, _, _ = own.recvmsg(2_048, 64)
        except BlockingIOError:
            return found
        if len(data) >= HEADER.size and not 192 <= data[1] <= 223:
            seconds, nanoseconds = _TIMESPEC.unpack(ancillary[0][2][: _TIMESPEC.size])
            found.append((seconds + nanoseconds / 1e9, data))
