# SPDX-License-Identifier: Apache-2.0
"""A call with video: negotiated beside the sound, on one transport or two, refused without harm, and closed."""

import asyncio
import random

import pytest

from ringback.media.ports import PortRange
from ringback.media.room import Room
from ringback.media.session import AudioSession
from ringback.media.tones import steady
from ringback.rtp.packet import RtpPacket
from ringback.rtp.rtcp import parse_compound
from ringback.rtp.rtcp_feedback import feedback_on
from ringback.sdp.session import SessionDescription
from ringback.sip.flow import Address
from ringback.testing import Network, run

SERVER = "10.9.9.9"
KEY, INTER = b"\x10\x00 whole", b"\x10\x01 change"


class DeskPhone:
    """Sound of an AudioSession, and video on sockets of its own: plain RTP."""

    def __init__(self, network: Network, number: int) -> None:
        self.network, self.name = network, f"10.0.0.{number}"
        self.host = network.host(self.name)
        self.number = number
        self.pictures: list[RtpPacket] = []
        self.requests = 0

    async def open(self) -> None:
        chance = random.Random(self.number).randbytes
        self.sound = await AudioSession.open(self.host, host=self.name, random_bytes=chance)
        self.rtp = await self.host.bind_datagram(Address(self.name, 6_000), self._picture)
        self.rtcp = await self.host.bind_datagram(Address(self.name, 6_001), self._report)

    def offer(self, way: str = "sendrecv", port: int = 6_000) -> bytes:
        video = f"m=video {port} RTP/AVP 99\r\na=rtpmap:99 VP8/90000\r\na=rtcp-fb:* nack pli\r\na={way}\r\n"
        return self.sound.make_offer() + video.encode()

    async def call(self, leg: AudioSession) -> SessionDescription:
        offer = self.offer()
        await leg.take_video(offer)
        answer = SessionDescription.parse(leg.make_answer(offer))
        self.sound._last_sent = SessionDescription.parse(offer)
        self.sound.accept_answer(answer.to_bytes())
        self.target = Address(SERVER, answer.media[1].line.port)
        self.sound.start()
        leg.start()
        return answer

    def show(self, sequence: int, payload: bytes) -> None:
        packet = RtpPacket(99, sequence, sequence * 3_000, self.number, payload, marker=True)
        self.rtp.send(packet.to_bytes(), self.target)

    def _picture(self, batch) -> None:
        self.pictures += [RtpPacket.parse(data) for data, _ in batch]

    def _report(self, batch) -> None:
        for data, _ in batch:
            self.requests += feedback_on(self.number, parse_compound(data)).wants_key_frame

    async def close(self) -> None:
        await self.sound.close()
        self.rtp.close()
        self.rtcp.close()


async def opened(network: Network, seed: int = 9, **options) -> AudioSession:
    return await AudioSession.open(
        network.host(SERVER),
        host=SERVER,
        random_bytes=random.Random(seed).randbytes,
        accepts_any_security=True,
        **options,
    )


async def met(network: Network, count: int) -> tuple[Room, list[DeskPhone], list[AudioSession]]:
    room, phones, legs = Room(has_tones=False), [], []
    for number in range(1, count + 1):
        phone, leg = DeskPhone(network, number), await opened(network, number)
        await phone.open()
        await phone.call(leg)
        member = room.join(leg, str(number))
        assert leg.video is not None
        room.video.join(member, leg.video.stream)
        phones.append(phone)
        legs.append(leg)
    return room, phones, legs


async def parted(room: Room, phones: list[DeskPhone], legs: list[AudioSession]) -> None:
    for each in (*phones, *legs):
        await each.close()
    room.close()


def test_desk_phones_see_who_speaks():
    async def main():
        room, phones, legs = await met(Network(1), 3)
        talking = asyncio.create_task(phones[1].sound.play(steady(500, 4_000)))
        for number in range(60):
            for phone in phones:
                phone.show(number, INTER if number % 15 else KEY)
            await asyncio.sleep(1 / 30)
        talking.cancel()
        assert room.speaker is room.members[1]
        for place, shown in enumerate([1, 0, 1]):
            assert room.video.seen_by(room.members[place]) is room.members[shown]
            assert len(phones[place].pictures) > 40
            assert {each.payload_type for each in phones[place].pictures} == {99}
            assert len({each.ssrc for each in phones[place].pictures}) == 1
        assert sum(phone.requests for phone in phones) >= 2
        await parted(room, phones, legs)

    run(main())


def test_the_ports_of_the_video_are_free_after_the_call():
    async def main():
        network = Network(2)
        ports = PortRange(20_000, 20_003)
        for _ in range(3):
            phone, leg = DeskPhone(network, 1), await opened(network, ports=ports)
            await phone.open()
            answer = await phone.call(leg)
            assert {media.line.port for media in answer.media} == {20_000, 20_002}
            assert leg.ports == {20_000, 20_001, 20_002, 20_003}
            await phone.close()
            await leg.close()

    run(main())


def test_without_free_ports_there_is_only_sound():
    async def main():
        network = Network(3)
        phone, leg = DeskPhone(network, 1), await opened(network, ports=PortRange(20_000, 20_001))
        await phone.open()
        answer = await phone.call(leg)
        assert [media.line.port for media in answer.media] == [20_000, 0]
        await phone.close()
        await leg.close()

    run(main())


@pytest.mark.parametrize("change", [{"way": "inactive"}, {"port": 0}])
def test_video_can_be_stopped_and_taken_up_again(change):
    async def main():
        network = Network(4)
        room, phones, legs = await met(network, 2)
        phones[0].show(1, KEY)
        await asyncio.sleep(0.1)
        assert len(phones[1].pictures) == 1
        legs[0].make_answer(phones[0].offer(**change))
        phones[0].show(2, KEY)
        await asyncio.sleep(0.1)
        assert len(phones[1].pictures) == 1
        legs[0].make_answer(phones[0].offer())
        phones[0].show(3, KEY)
        await asyncio.sleep(0.1)
        assert len(phones[1].pictures) == 2
        await parted(room, phones, legs)

    run(main())


def test_pictures_of_a_stranger_are_not_shown():
    async def main():
        network = Network(5)
        room, phones, legs = await met(network, 2)
        phones[0].show(1, KEY)
        await asyncio.sleep(0.1)
        mallory = await network.host("10.66.66.66").bind_datagram(
            Address("10.66.66.66", 6_000), lambda batch: None
        )
        for number in range(2, 12):
            mallory.send(RtpPacket(99, number, number, 1, b"\x10\x00 forged").to_bytes(), phones[0].target)
        await asyncio.sleep(0.1)
        assert [each.payload for each in phones[1].pictures] == [KEY]
        mallory.close()
        await parted(room, phones, legs)

    run(main())


def test_video_is_not_sent_to_ourselves():
    async def main():
        network = Network(6)
        own = {Address("10.0.0.1", 6_000)}
        phone, leg = DeskPhone(network, 1), await opened(network, is_self=own.__contains__)
        await phone.open()
        answer = await phone.call(leg)
        assert answer.media[1].line.port == 0
        assert answer.media[0].line.port != 0
        await phone.close()
        await leg.close()

    run(main())


@pytest.mark.parametrize("offer", [None, b"", b"nonsense", b"v=0\r\n"])
def test_a_malformed_offer_opens_nothing(offer):
    async def main():
        leg = await opened(Network(7))
        await leg.take_video(offer)
        assert leg.ports == {leg.local.port, leg.local.port + 1}
        assert leg.video.offering() is None
        await leg.close()

    run(main())
