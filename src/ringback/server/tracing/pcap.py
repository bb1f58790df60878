# SPDX-License-Identifier: Apache-2.0
"""How are messages opened in Wireshark? As a pcap file, with the packets made up around them.

The file has raw IP packets (LINKTYPE_RAW). UDP stays UDP. A connection, also an encrypted one, becomes a TCP
stream in clear with the ports it had, except that our TLS and WebSocket ports are written as 5060, or
Wireshark would try to decrypt.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address

from ringback.server.tracing.message import Message, parted

LINKTYPE_RAW = 101
SNAPLEN = 262_144
UDP, TCP = 17, 6
#: A message in a packet; longer ones become several, as TCP would send them.
LARGEST_UDP, SEGMENT = 65_000, 1_400
PLAIN_PORT = 5060

_CONTENT_LENGTH = re.compile(r"(?im)^(?:content-length|l)[ \t]*:[ \t]*[0-9]+")

SYN, ACK, PUSH = 0x02, 0x10, 0x08
WINDOW = 65_535
TIME_TO_LIVE = 64

Host = IPv4Address | IPv6Address
End = tuple[Host, int]

#: In the place of an address that cannot be read.
NOWHERE = IPv4Address("0.0.0.0")  # noqa: S104 (written, not bound)


def pcap(messages: Sequence[Message]) -> bytes:
    """The file."""
    connections: dict[frozenset[End], _Connection] = {}
    packets: list[bytes] = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, SNAPLEN, LINKTYPE_RAW)]
    for message in messages:
        data = _payload(message)
        local, remote = _end(message["local"]), _end(message["remote"])
        if message["transport"] == "UDP":
            source, target = (local, remote) if message["direction"] == "sent" else (remote, local)
            datagrams = [_udp(source, target, data[:LARGEST_UDP])]
        else:
            local = (local[0], PLAIN_PORT) if message["transport"] != "TCP" else local
            source, target = (local, remote) if message["direction"] == "sent" else (remote, local)
            connection = connections.setdefault(frozenset((source, target)), _Connection())
            datagrams = connection.packets(source, target, data)
        packets += [_captured(message["at"], datagram) for datagram in datagrams]
    return b"".join(packets)


def _payload(message: Message) -> bytes:
    """The message with the Content-Length it has now: where a key was struck out of a body it is another one,
    and a stream could not be read on (RFC 3261 18.3).
    """
    head, body = parted(str(message["text"]))
    length = f"Content-Length: {len(body.encode())}"
    return f"{_CONTENT_LENGTH.sub(length, head, count=1)}{body}".encode()


@dataclass(slots=True)
class _Connection:
    """The numbers of one made-up TCP connection (RFC 9293): next to be sent, of each side."""

    sequence: dict[End, int] = field(default_factory=dict)

    def packets(self, source: End, target: End, data: bytes) -> list[bytes]:
        """One message, behind a handshake where it is the first."""
        made: list[bytes] = []
        if not self.sequence:
            self.sequence = {source: 1, target: 1}
            made += [
                _tcp((source, target), 0, 0, SYN, b""),
                _tcp((target, source), 0, 1, SYN | ACK, b""),
                _tcp((source, target), 1, 1, ACK, b""),
            ]
        for place in range(0, len(data), SEGMENT):
            piece = data[place : place + SEGMENT]
            made.append(
                _tcp((source, target), self.sequence[source], self.sequence[target], ACK | PUSH, piece)
            )
            self.sequence[source] = (self.sequence[source] + len(piece)) & 0xFFFFFFFF
        return made


def _captured(at: float, packet: bytes) -> bytes:
    seconds, fraction = divmod(round(at * 1_000_000), 1_000_000)
    return struct.pack("<IIII", seconds & 0xFFFFFFFF, fraction, len(packet), len(packet)) + packet


def _udp(source: End, target: End, data: bytes) -> bytes:
    head = struct.pack("!HHH", source[1], target[1], 8 + len(data))
    check = _checksum(_pseudo(source, target, UDP, 8 + len(data)) + head + b"\0\0" + data) or 0xFFFF
    return _ip(source, target, UDP, head + struct.pack("!H", check) + data)


def _tcp(way: tuple[End, End], sequence: int, acknowledged: int, flags: int, data: bytes) -> bytes:
    source, target = way
    head = struct.pack("!HHIIBBH", source[1], target[1], sequence, acknowledged, 5 << 4, flags, WINDOW)
    check = _checksum(_pseudo(source, target, TCP, 20 + len(data)) + head + b"\0\0\0\0" + data)
    return _ip(source, target, TCP, head + struct.pack("!HH", check, 0) + data)


def _ip(source: End, target: End, protocol: int, payload: bytes) -> bytes:
    """RFC 791, RFC 8200."""
    first, second = _same_family(source[0], target[0])
    if first.version == 6:
        head = struct.pack("!IHBB", 6 << 28, len(payload), protocol, TIME_TO_LIVE)
        return head + first.packed + second.packed + payload
    head = struct.pack("!BBHHHBB", 0x45, 0, 20 + len(payload), 0, 0, TIME_TO_LIVE, protocol)
    check = _checksum(head + b"\0\0" + first.packed + second.packed)
    return head + struct.pack("!H", check) + first.packed + second.packed + payload


def _pseudo(source: End, target: End, protocol: int, length: int) -> bytes:
    """What the checksums of RFC 768 and RFC 9293 cover besides the payload."""
    first, second = _same_family(source[0], target[0])
    return first.packed + second.packed + struct.pack("!II", length, protocol)


def _checksum(data: bytes) -> int:
    """RFC 1071. A sum of 16-bit words is what a large number is modulo 65 535."""
    number = int.from_bytes(data + b"\0" * (len(data) & 1), "big")
    return 0xFFFF - (number % 0xFFFF or (0xFFFF if number else 0))


def _same_family(first: Host, second: Host) -> tuple[Host, Host]:
    """Both in IPv6 where one is: an IPv4 address is mapped (RFC 4291 2.5.5.2)."""
    if first.version == second.version:
        return first, second
    return _mapped(first), _mapped(second)


def _mapped(host: Host) -> IPv6Address:
    return host if isinstance(host, IPv6Address) else IPv6Address(b"\0" * 10 + b"\xff\xff" + host.packed)


def _end(text: str) -> End:
    host, _, port = text.rpartition(":")
    number = int(port) if port.isascii() and port.isdecimal() else 0
    try:
        return ip_address(host.strip("[]").partition("%")[0]), min(number, 0xFFFF)
    except ValueError:
        return NOWHERE, min(number, 0xFFFF)
