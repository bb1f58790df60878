# SPDX-License-Identifier: Apache-2.0
"""HEP version 3: what a decoder that was written from its specification reads in our datagrams."""

import socket
import struct
from typing import NamedTuple

import pytest
from traced import ANNA, BEGAN, BEN, CAROL, INVITE, chunk_of, sip

from ringback.server.tracing.chunk import Kept
from ringback.server.tracing.hep import HepSink, hep_packet


class Capture(NamedTuple):
    """What a collector stores."""

    family: int
    protocol: int
    source: str
    destination: str
    at: float
    kind: int
    correlation: bytes
    payload: bytes


def decoded(packet: bytes) -> Capture:
    """HEP3 is "HEP3", its length, and chunks of vendor, type, length (its own head counted), value."""
    assert packet[:4] == b"HEP3"
    assert struct.unpack_from("!H", packet, 4) == (len(packet),)
    chunks: dict[int, bytes] = {}
    place = 6
    while place < len(packet):
        vendor, kind, length = struct.unpack_from("!HHH", packet, place)
        assert vendor == 0
        assert length >= 6
        chunks[kind] = packet[place + 6 : place + length]
        place += length
    assert place == len(packet)
    family = chunks[1][0]
    form, first, second = (socket.AF_INET, 3, 4) if family == 2 else (socket.AF_INET6, 5, 6)
    hosts = [socket.inet_ntop(form, chunks[each]) for each in (first, second)]
    ports = [int.from_bytes(chunks[each], "big") for each in (7, 8)]
    assert len(chunks[7]) == len(chunks[8]) == 2
    seconds, fraction = (int.from_bytes(chunks[each], "big") for each in (9, 10))
    return Capture(
        family, chunks[2][0], f"{hosts[0]} {ports[0]}", f"{hosts[1]} {ports[1]}", seconds + fraction / 1e6,
        chunks[11][0], chunks[0x11], chunks[15],
    )  # fmt: skip


def test_a_received_datagram() -> None:
    assert decoded(hep_packet(Kept(BEGAN + 0.25, False, ANNA, INVITE))) == Capture(
        2, 17, "192.0.2.9 5060", "192.0.2.1 5060", BEGAN + 0.25, 1, b"c1", INVITE
    )


def test_a_message_that_was_sent_over_tls() -> None:
    capture = decoded(hep_packet(Kept(BEGAN, True, CAROL, INVITE)))
    assert capture[:4] == (10, 6, "2001:db8::1 5061", "2001:db8::9 40000")


def test_secrets_do_not_leave_and_what_is_too_long_is_cut() -> None:
    secret = sip("REGISTER", more="Authorization: Digest response=5ecre7\r\n", body="x" * 65_400)
    packet = hep_packet(Kept(BEGAN, False, ANNA, secret))
    assert b"5ecre7" not in packet
    assert len(packet) <= 65_507
    decoded(packet)


def test_a_collector_gets_every_message_of_a_chunk() -> None:
    chunk = chunk_of((1.0, False, [(INVITE, ANNA), (INVITE, BEN)]), wall=BEGAN)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as collector:
        collector.bind(("127.0.0.1", 0))
        collector.settimeout(5)
        sink = HepSink(f"127.0.0.1:{collector.getsockname()[1]}")
        assert sink.write(chunk, 0) == 2
        sources = [decoded(collector.recv(70_000)).source for _ in range(2)]
        sink.close()
    assert sources == ["192.0.2.9 5060", "192.0.2.10 5060"]


def test_a_collector_without_an_address_is_a_failure_of_the_sink() -> None:
    chunk = chunk_of((1.0, False, [(INVITE, ANNA)]), wall=BEGAN)
    with pytest.raises(OSError, match="is no name"):
        HepSink("a..b:9060").write(chunk, 0)
