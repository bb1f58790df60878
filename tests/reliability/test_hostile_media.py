# SPDX-License-Identifier: Apache-2.0
"""Packets of attackers in a call with the server itself, on three hosts: RELIABILITY 2.1, rows 39, 42 and 43."""

import asyncio
import random
import struct
from collections.abc import Awaitable, Callable

import pytest
from reliability_office import DOMAIN, HOST, Caller, Office, offer

from ringback.net.network import DatagramSocket
from ringback.rtp.packet import RtpPacket
from ringback.sip.flow import Address
from ringback.sip.message.message import Response
from ringback.testing import Network, run

PHONE, MALLORY = "10.0.0.11", "10.66.66.66"
RTP_PORT = 40_000
OURS, THEIRS = b"\x2a" * 160, b"\x80" * 160


class EchoCall:
    """A call to *43 whose caller sends one sound, 50 times a second, and keeps what comes back."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.network = office.network
        self.heard: list[bytes] = []
        self.sent = 0
        self.caller: Caller
        self.socket: DatagramSocket
        self.answer: Response

    async def start(self, *, described: str = PHONE) -> None:
        place = self.network.host(PHONE)
        self.socket = await place.bind_datagram(
            Address(PHONE, RTP_PORT),
            lambda batch: self.heard.extend(RtpPacket.parse(data).payload for data, _ in batch),
        )
        self.caller = await self.office.caller(PHONE)
        self.answer = await self.caller.ask("INVITE", f"sip:*43@{DOMAIN}", body=offer(described, RTP_PORT))
        assert self.answer.status == 200
        self._in_dialog("ACK", self.answer.cseq.number)
        self.target = Address(HOST.host, int(self.answer.body.split(b"m=audio ")[1].split(b" ")[0]))

    async def speak(self, seconds: float, *, payload: bytes = OURS) -> None:
        for _ in range(round(seconds * 50)):
            packet = RtpPacket(0, self.sent & 0xFFFF, self.sent * 160 & 0xFFFFFFFF, 4711, payload)
            self.socket.send(packet.to_bytes(), self.target)
            self.sent += 1
            await asyncio.sleep(0.02)

    @property
    def echoes(self) -> int:
        """Frames of ours that came back."""
        return sum(OURS[:80] in payload for payload in self.heard)

    async def hang_up(self) -> None:
        self._in_dialog("BYE", self.answer.cseq.number + 1)
        bye = await self.caller.heard(200)
        assert bye.status == 200
        self.socket.close()
        self.caller.peer.close()

    def _in_dialog(self, method: str, cseq: int) -> None:
        self.caller.peer.request(
            method, str(self.answer.contacts[0].uri), remote=HOST, from_=self.answer.headers["From"],
            to=self.answer.headers["To"], call_id=self.answer.call_id, cseq=cseq,
        )  # fmt: skip


def in_a_call(test: Callable[[EchoCall], Awaitable[None]]) -> None:
    """The call, what the test does to it, and that it still echoes, ends, and leaves nothing behind."""

    async def main() -> None:
        network = Network(7)
        async with Office(network, media={"first_port": 10_000, "last_port": 10_039}) as office:
            call = EchoCall(office)
            await call.start()
            await test(call)
            before = call.echoes
            await call.speak(2)
            assert call.echoes >= before + 60
            await call.hang_up()
            await office.assert_quiet()

    run(main())


async def spray(call: EchoCall, source: str, seconds: float, make: Callable[[int], bytes]) -> None:
    """Packets to every media port there is, from many ports of one host."""
    place = call.network.host(source)
    sockets = [await place.bind_datagram(Address(source, 0), lambda batch: None) for _ in range(3)]
    for number in range(round(seconds * 50)):
        for port in range(10_000, 10_040):
            sockets[number % 3].send(make(number), Address(HOST.host, port))
        await asyncio.sleep(0.02)
    for opened in sockets:
        opened.close()


def theirs(number: int) -> bytes:
    """A loud packet that might be anybody's."""
    return RtpPacket(0, number & 0xFFFF, number * 160 & 0xFFFFFFFF, 4711, THEIRS).to_bytes()


def test_an_attacker_who_sprays_all_ports_gets_nothing_and_is_not_heard() -> None:
    """Row 39: RTP bleed and inject, with the SSRC of the caller: 0 packets to the attacker, 0 of its frames echoed."""
    to_mallory: list[bytes] = []

    async def test(call: EchoCall) -> None:
        call.network.watchers.append(
            lambda each: to_mallory.append(each[4]) if each[3].host == MALLORY else None
        )
        await asyncio.gather(spray(call, MALLORY, 3, theirs), call.speak(3))
        assert not any(THEIRS[:80] in payload for payload in call.heard)
        await spray(call, MALLORY, 1, theirs)
        assert not any(THEIRS[:80] in payload for payload in call.heard)

    in_a_call(test)
    assert to_mallory == []


def test_an_attacker_who_is_there_first_gets_nothing() -> None:
    """Row 39: spraying before the call begins, and while the caller is still silent."""
    to_mallory: list[bytes] = []

    async def main() -> None:
        network = Network(8)
        network.watchers.append(lambda each: to_mallory.append(each[4]) if each[3].host == MALLORY else None)
        async with Office(network, media={"first_port": 10_000, "last_port": 10_039}) as office:
            call = EchoCall(office)
            spraying = asyncio.create_task(spray(call, MALLORY, 4, theirs))
            await asyncio.sleep(0.5)
            await call.start()
            await asyncio.sleep(1)
            await call.speak(3)
            await spraying
            assert not any(THEIRS[:80] in payload for payload in call.heard)
            assert call.echoes > 80
            await call.hang_up()
            await office.assert_quiet()

    run(main())
    assert to_mallory == []


def test_behind_a_nat_the_signalling_host_is_learned_and_nobody_else() -> None:
    """Row 39: a private address in the offer; the attacker is louder and faster than the phone."""
    to_mallory: list[bytes] = []

    async def main() -> None:
        network = Network(9)
        network.watchers.append(lambda each: to_mallory.append(each[4]) if each[3].host == MALLORY else None)
        async with Office(network, media={"first_port": 10_000, "last_port": 10_039}) as office:
            call = EchoCall(office)
            await call.start(described="192.168.1.5")
            await asyncio.gather(spray(call, MALLORY, 3, theirs), call.speak(3))
            assert call.echoes > 80
            assert not any(THEIRS[:80] in payload for payload in call.heard)
            await call.hang_up()
            await office.assert_quiet()

    run(main())
    assert to_mallory == []


def _nack(number: int) -> bytes:
    return struct.pack("!BBHII", 0x81, 205, 0xFFFF, 4711, number)


REPORTS: dict[str, Callable[[int], bytes]] = {
    "BYE of the caller": lambda number: struct.pack("!BBHI", 0x81, 203, 1, 4711),
    "BYE of everybody": lambda number: struct.pack("!BBH", 0x9F, 203, 31) + struct.pack("!31I", *range(31)),
    "NACK with a huge length": _nack,
    "four octets": lambda number: b"\x80\xc9\x00\x00",
    "no octets": lambda number: b"",
    "length beyond the end": lambda number: b"\x80\xc8\xff\xff" + b"\0" * 20,
    "extended reports that repeat": lambda number: b"\x80\xcf\x00\x01\x00\x00\x00\x01" * 180,
    "sender report of the far future": lambda number: struct.pack(
        "!BBHIIIIII", 0x80, 200, 6, 4711, 0xFFFFFFFF, 0, 0, 0, 0
    ),
    "random": lambda number: random.Random(number).randbytes(number % 1400),
}


@pytest.mark.parametrize("host", [PHONE, MALLORY], ids=["the caller's host", "another host"])
@pytest.mark.parametrize("name", REPORTS)
def test_no_report_ends_a_call(name: str, host: str) -> None:
    """Row 42: forged RTCP, from outside and from the very host of the caller; also on the port for RTP."""

    async def test(call: EchoCall) -> None:
        await asyncio.gather(spray(call, host, 0.4, REPORTS[name]), call.speak(1))

    in_a_call(test)


def bomb(number: int, chance: random.Random) -> bytes:
    """A packet that jumps."""
    return RtpPacket(
        chance.choice((0, 0, 8, 13, 101, 127)),
        chance.randrange(1 << 16),
        chance.choice((0, 0xFFFFFFFF, chance.randrange(1 << 32), number * 160)),
        chance.choice((4711, 1, 0xFFFFFFFF)),
        chance.randbytes(chance.choice((0, 1, 4, 160, 1400))),
    ).to_bytes()


@pytest.mark.parametrize("name", ["jumps", "keys", "payload flips", "one source after the other"])
def test_no_stream_of_the_peer_itself_breaks_or_fills_anything(name: str) -> None:
    """Row 43: jumps of sequence and time, 1500 key presses a second, sixty times the usual rate."""
    chance = random.Random(1)
    makers: dict[str, Callable[[int], bytes]] = {
        "jumps": lambda number: bomb(number, chance),
        "keys": lambda number: RtpPacket(
            101, number & 0xFFFF, number * 8, 4711, b"\x05\x8a\x00\xa0"
        ).to_bytes(),
        "payload flips": lambda number: RtpPacket(
            number % 128, number & 0xFFFF, number * 160, 4711, THEIRS
        ).to_bytes(),
        "one source after the other": lambda number: RtpPacket(
            0, number & 0xFFFF, 0, number, THEIRS
        ).to_bytes(),
    }

    async def test(call: EchoCall) -> None:
        for number in range(3000):
            call.socket.send(makers[name](number), call.target)
            if number % 30 == 0:
                await asyncio.sleep(0.02)
        await asyncio.sleep(1)
        assert len(call.heard) < 400, "what comes back keeps its pace"

    in_a_call(test)
