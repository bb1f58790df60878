# SPDX-License-Identifier: Apache-2.0
"""Does our DNS client speak with a real server socket, and does it refuse what is not its answer?"""

import asyncio
import contextlib
import itertools
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from ringback.net.dns import DnsAnswer, DnsFailure, NaptrRecord, SrvRecord
from ringback.net.dns_client import SystemDns
from ringback.sip.flow import Address

ZONE = {
    ("pbx.example.com.", "A"): ["192.0.2.1", "192.0.2.2"],
    ("pbx.example.com.", "AAAA"): ["2001:db8::1"],
    ("_sip._udp.example.com.", "SRV"): ["10 60 5070 pbx.example.com."],
    ("example.com.", "NAPTR"): ['10 20 "s" "SIP+D2U" "" _sip._udp.example.com.'],
    ("alias.example.com.", "CNAME"): ["pbx.example.com."],
    ("loop.example.com.", "CNAME"): ["loop.example.com."],
    ("many.example.com.", "A"): [f"10.0.{number // 250}.{number % 250 + 1}" for number in range(200)],
}


def answer(query: bytes) -> dns.message.Message:
    """What an honest server says."""
    question = dns.message.from_wire(query)
    response = dns.message.make_response(question)
    asked = question.question[0]
    kind = asked.rdtype.name
    name = asked.name.to_text()
    link = name
    for _ in range(3):
        for found in ((link, kind), (link, "CNAME")):
            if found in ZONE:
                response.answer.append(dns.rrset.from_text_list(link, 120, "IN", found[1], ZONE[found]))
        link = ZONE.get((link, "CNAME"), [""])[0]
    if not response.answer and not any(known == name for known, _kind in ZONE):
        response.set_rcode(dns.rcode.NXDOMAIN)
    if not response.answer:
        soa = ["ns.example.com. admin.example.com. 1 2 3 4 77"]
        response.authority.append(dns.rrset.from_text_list("example.com.", 300, "IN", "SOA", soa))
    return response


class Server(asyncio.DatagramProtocol):
    """A DNS server on UDP whose answers a test may spoil."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.ports: list[int] = []
        self.spoil: Callable[[bytes], list[bytes]] = lambda wire: [wire]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, remote: tuple[str, int]) -> None:
        self.ids.append(int.from_bytes(data[:2], "big"))
        self.ports.append(remote[1])
        response = answer(data)
        try:
            wire = response.to_wire(max_size=1232)
        except dns.exception.TooBig:
            response.answer.clear()
            response.flags |= dns.flags.TC
            wire = response.to_wire()
        for one in self.spoil(wire):
            self.transport.sendto(one, remote)


async def serve_tcp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError):
        length = int.from_bytes(await reader.readexactly(2), "big")
        wire = answer(await reader.readexactly(length)).to_wire()
        writer.write(len(wire).to_bytes(2, "big") + wire)
        await writer.drain()
    writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    udp, tcp = same_port()
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(Server, sock=udp)
    listening = await asyncio.start_server(serve_tcp, sock=tcp)
    address = Address(*udp.getsockname())
    protocol.ask = SystemDns([address]).query
    protocol.ask_briefly = SystemDns([address], lifetime=0.5).query
    yield protocol
    transport.close()
    listening.close()
    await listening.wait_closed()


def same_port() -> tuple[socket.socket, socket.socket]:
    """A UDP and a TCP socket on one free port."""
    while True:
        udp, tcp = socket.socket(type=socket.SOCK_DGRAM), socket.socket()
        udp.bind(("127.0.0.1", 0))
        try:
            tcp.bind(udp.getsockname())
        except OSError:
            udp.close()
            tcp.close()
        else:
            return udp, tcp


Ask = Callable[[str, str], Awaitable[DnsAnswer]]


async def test_the_four_kinds_of_records(server: Server):
    addresses = await server.ask("pbx.example.com", "A")
    assert (sorted(addresses.records), addresses.ttl) == (["192.0.2.1", "192.0.2.2"], 120.0)
    assert await server.ask("pbx.example.com", "AAAA") == DnsAnswer(("2001:db8::1",), 120.0)
    assert await server.ask("_sip._udp.example.com", "SRV") == DnsAnswer(
        (SrvRecord(10, 60, 5070, "pbx.example.com"),), 120.0
    )
    assert await server.ask("example.com", "NAPTR") == DnsAnswer(
        (NaptrRecord(10, 20, "s", "SIP+D2U", "", "_sip._udp.example.com"),), 120.0
    )


async def test_absence_is_an_answer_with_the_ttl_of_the_soa(server: Server):
    assert await server.ask("nowhere.example.com", "A") == DnsAnswer((), 77.0)
    assert await server.ask("example.com", "A") == DnsAnswer((), 77.0)


async def test_an_alias_is_followed_and_a_loop_of_aliases_is_a_failure(server: Server):
    assert (await server.ask("alias.example.com", "AAAA")).records == ("2001:db8::1",)
    with contextlib.suppress(DnsFailure):
        assert (await server.ask("loop.example.com", "A")).records == ()


async def test_an_answer_too_large_for_udp_comes_over_tcp(server: Server):
    assert len((await server.ask("many.example.com", "A")).records) == 200


async def test_ids_and_ports_are_not_sequential(server: Server):
    for _ in range(8):
        await server.ask("pbx.example.com", "A")
    steps = {later - earlier for earlier, later in itertools.pairwise(server.ids)}
    assert len(steps) > 3
    assert len(set(server.ports)) > 3


async def test_a_spoofed_id_and_a_spoofed_question_are_not_believed(server: Server):
    def with_lies(wire: bytes) -> list[bytes]:
        wrong_id = bytes([wire[0] ^ 1]) + wire[1:]
        wrong_name = wire.replace(b"\x03pbx", b"\x03bad")
        return [wrong_id.replace(b"\xc0\x00\x02\x01", b"\x06\x06\x06\x06"), wrong_name, wire]

    server.spoil = with_lies
    assert set((await server.ask("pbx.example.com", "A")).records) == {"192.0.2.1", "192.0.2.2"}


async def test_garbage_is_a_failure_and_not_another_exception(server: Server):
    server.spoil = lambda wire: [wire[:12], b"", wire[:20] + b"\xff" * 40]
    with pytest.raises(DnsFailure):
        await server.ask_briefly("pbx.example.com", "A")


@pytest.mark.parametrize("name", [".1", "a..b", "x" * 64 + ".example.com", "a." * 200])
async def test_names_that_dns_cannot_carry_are_failures(name: str, server: Server):
    with pytest.raises(DnsFailure):
        await server.ask(name, "SRV")


async def test_without_a_configuration_there_is_no_dns(tmp_path: Path):
    with pytest.raises(DnsFailure, match="no DNS server is configured"):
        await SystemDns(resolv_conf=tmp_path / "none").query("example.com", "A")
