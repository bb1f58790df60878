# SPDX-License-Identifier: Apache-2.0
"""The pcap file, read by a reader of its own: RFC 791, 8200, 768, 9293 and their checksums."""

import struct
from ipaddress import ip_address
from typing import NamedTuple

from traced import ANNA, BEGAN, CAROL, INVITE, OFFER, seen, sip

from ringback.server.tracing.pcap import pcap


class Packet(NamedTuple):
    """What Wireshark shows of a packet."""

    at: float
    protocol: int
    source: str
    destination: str
    flags: int
    sequence: int
    data: bytes


def folded_sum(data: bytes) -> int:
    """0xFFFF over anything with a right checksum in it (RFC 1071)."""
    total = 0
    for place in range(0, len(data), 2):
        total += int.from_bytes(data[place : place + 2].ljust(2, b"\0"), "big")
        total = (total & 0xFFFF) + (total >> 16)
    return total


def packets_of(file: bytes) -> list[Packet]:
    magic, major, minor, _, _, _, linktype = struct.unpack_from("<IHHiIII", file)
    assert (magic, major, minor, linktype) == (0xA1B2C3D4, 2, 4, 101)
    found, place = [], 24
    while place < len(file):
        seconds, fraction, size, whole = struct.unpack_from("<IIII", file, place)
        assert size == whole
        found.append(packet_of(seconds + fraction / 1e6, file[place + 16 : place + 16 + size]))
        place += 16 + size
    return found


def packet_of(at: float, raw: bytes) -> Packet:
    if raw[0] >> 4 == 4:
        assert raw[0] == 0x45
        assert int.from_bytes(raw[2:4], "big") == len(raw)
        assert folded_sum(raw[:20]) == 0xFFFF
        protocol, hosts, rest = raw[9], (raw[12:16], raw[16:20]), raw[20:]
    else:
        assert raw[0] >> 4 == 6
        assert int.from_bytes(raw[4:6], "big") == len(raw) - 40
        protocol, hosts, rest = raw[6], (raw[8:24], raw[24:40]), raw[40:]
    pseudo = b"".join(hosts) + struct.pack("!II", len(rest), protocol)
    assert folded_sum(pseudo + rest) == 0xFFFF, "the checksum of the transport"
    ports = struct.unpack_from("!HH", rest)
    ends = [f"{ip_address(host)} {port}" for host, port in zip(hosts, ports, strict=True)]
    if protocol == 17:
        assert int.from_bytes(rest[4:6], "big") == len(rest)
        return Packet(at, protocol, ends[0], ends[1], 0, 0, rest[8:])
    assert protocol == 6
    return Packet(at, protocol, ends[0], ends[1], rest[13], int.from_bytes(rest[4:8], "big"), rest[20:])


def test_datagrams_have_the_ends_they_had() -> None:
    odd = INVITE + b"x"
    packets = packets_of(pcap(seen((0.25, False, INVITE, ANNA), (1.0, True, odd, ANNA))))
    assert packets[0] == Packet(BEGAN + 0.25, 17, "192.0.2.9 5060", "192.0.2.1 5060", 0, 0, INVITE)
    assert (packets[1].source, packets[1].destination) == ("192.0.2.1 5060", "192.0.2.9 5060")


def test_a_connection_is_a_tcp_stream_in_clear() -> None:
    long = sip("INVITE", body="x" * 5000)
    packets = packets_of(
        pcap(seen((0.0, False, INVITE, CAROL), (1.0, True, INVITE, CAROL), (2.0, False, long, CAROL)))
    )
    assert [(packet.flags, packet.source) for packet in packets[:3]] == [
        (0x02, "2001:db8::9 40000"), (0x12, "2001:db8::1 5060"), (0x10, "2001:db8::9 40000")
    ]  # fmt: skip
    for end, wanted in (("2001:db8::9 40000", INVITE + long), ("2001:db8::1 5060", INVITE)):
        stream, following = b"", 1
        for packet in packets[3:]:
            if packet.source == end:
                assert packet.sequence == following
                stream, following = stream + packet.data, following + len(packet.data)
        assert stream == wanted


def test_the_length_of_a_body_is_right_when_a_key_was_struck_out_of_it() -> None:
    message = sip("INVITE", body=OFFER + "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:5ecre7\r\n")
    (packet,) = packets_of(pcap(seen((0.0, False, message, ANNA))))
    head, _, body = packet.data.partition(b"\r\n\r\n")
    assert b"5ecre7" not in body
    assert b"Content-Length: %d" % len(body) in head


def test_addresses_that_are_none_or_of_two_families_stop_nothing() -> None:
    (message,) = seen((0.0, False, INVITE, ANNA))
    odd = [
        {**message, "remote": "nowhere:x"},
        {**message, "remote": "[2001:db8::9]:5060"},
        {**message, "local": ""},
    ]
    packets = packets_of(pcap(odd))
    assert [packet.source for packet in packets] == ["0.0.0.0 0", "2001:db8::9 5060", "192.0.2.9 5060"]
    assert packets[1].destination == "::ffff:c000:201 5060"
    assert packets_of(pcap([])) == []
