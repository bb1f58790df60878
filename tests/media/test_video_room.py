# SPDX-License-Identifier: Apache-2.0
"""In a room everybody sees who speaks: real pictures, in virtual time, encoded and decoded by a real codec."""

import asyncio
import fractions
import random
from collections.abc import Callable
from itertools import pairwise

import pytest

from ringback.media.video_room import VideoRoom
from ringback.media.video_stream import HANDOVER, MOST_PACKETS, VideoStream
from ringback.rtp.packet import RtpPacket
from ringback.rtp.rtcp import ReceiverReport, SenderReport, build_compound, parse_compound
from ringback.rtp.rtcp_feedback import feedback_on, full_intra_request, lost_packets, picture_loss
from ringback.rtp.video_key_frames import begins_key_frame
from ringback.sdp.attributes import AudioFormat, Direction
from ringback.sdp.security import Security
from ringback.sdp.stream import StreamDescription
from ringback.sdp.video_stream import FULL_INTRA, NACK, PICTURE_LOSS, NegotiatedVideo
from ringback.testing import run

PICTURE = 1 / 15
VP8, H264 = AudioFormat(96, "VP8", 90_000), AudioFormat(97, "H264", 90_000, 1, "packetization-mode=1")
ALL = frozenset((NACK, PICTURE_LOSS, FULL_INTRA))


class Wire:
    """A transport whose other end is in the test."""

    def __init__(self) -> None:
        self.on_rtp: Callable[[list[bytes]], None] = lambda packets: None
        self.on_rtcp: Callable[[list[bytes]], None] = lambda packets: None
        self.on_ready: Callable[[], None] | None = None
        self.rtp: list[bytes] = []
        self.rtcp: list[bytes] = []
        self.is_ready = True
        self.destination = self.suite = None
        self.refused = self.malformed = self.srtp_failures = 0

    def connect(self, remote, *, is_offerer, signalling_host=None) -> None:
        raise AssertionError("the session connects")

    def send_rtp(self, packets: list[bytes]) -> None:
        self.rtp += packets

    def send_rtcp(self, packets: list[bytes]) -> None:
        self.rtcp += packets

    def close(self) -> None:
        raise AssertionError("the session closes")


def agreed(*formats: AudioFormat, way: Direction = Direction.SENDRECV, feedback=ALL) -> NegotiatedVideo:
    stream = StreamDescription(1, "video", Security.DTLS.protocol(), 9, formats, way, None, None)
    return NegotiatedVideo(1, formats, {each.payload_type: each for each in formats}, way, feedback, stream)


class Party:
    """A phone with a camera of one colour; its encoder makes a key frame first, and when it is asked to."""

    def __init__(self, number: int, *formats: AudioFormat, **agreement) -> None:
        chance = random.Random(number)
        self.formats = formats or (VP8,)
        self.wire, self.stream = Wire(), VideoStream(chance.randbytes, f"party-{number}")
        self.stream.attach(self.wire)
        self.stream.configure(agreed(*self.formats, **agreement))
        self.stream.start()
        self.level = 30 + 40 * number
        self.ssrc, self.sequence = chance.getrandbits(32), chance.getrandbits(16)
        self.timestamp = chance.getrandbits(32)
        self.is_obedient = True
        self.asked = 0
        self._is_asked = False
        self._encoder = None

    def show(self) -> None:
        """Send a picture, and see what came."""
        self._obey()
        vpx = pytest.importorskip("aiortc.codecs.vpx")
        h264 = pytest.importorskip("aiortc.codecs.h264")
        av = pytest.importorskip("av")
        sends_vp8 = self.formats[0].encoding == "VP8"
        if self._encoder is None:
            self._encoder = vpx.Vp8Encoder() if sends_vp8 else h264.H264Encoder()
        frame = av.VideoFrame(64, 64, "yuv420p")
        for plane, level in zip(frame.planes, (self.level, 128, 128), strict=True):
            plane.update(bytes((level,)) * plane.buffer_size)
        frame.pts, frame.time_base = self.timestamp % 2**31, fractions.Fraction(1, 90_000)
        payloads, _ = self._encoder.encode(frame, force_keyframe=self.is_obedient and self._is_asked)
        self._is_asked = False
        self.send(payloads, self.formats[0].payload_type)

    def send(self, payloads: list[bytes], number: int) -> None:
        self.timestamp = self.timestamp + 6_000 & 0xFFFFFFFF
        for index, payload in enumerate(payloads):
            self.sequence = self.sequence + 1 & 0xFFFF
            packet = RtpPacket(
                number, self.sequence, self.timestamp, self.ssrc, payload, marker=index == len(payloads) - 1
            )
            self.wire.on_rtp([packet.to_bytes()])

    def report(self, *requests) -> None:
        self.wire.on_rtcp([build_compound([ReceiverReport(self.ssrc), *requests])])

    def sees(self, count: int = 4) -> set[int]:
        """Whose pictures the last packets hold, by the level of their colour."""
        codecs = pytest.importorskip("aiortc.codecs")
        jitter = pytest.importorskip("aiortc.jitterbuffer")
        codec = pytest.importorskip("aiortc").RTCRtpCodecParameters(
            mimeType=f"video/{self.formats[0].encoding}", clockRate=90_000, payloadType=96
        )
        decoder = codecs.get_decoder(codec)
        whole: dict[int, bytes] = {}
        levels: list[int] = []
        for packet in map(RtpPacket.parse, self.wire.rtp):
            piece = codecs.depayload(codec, packet.payload)
            whole[packet.timestamp] = whole.get(packet.timestamp, b"") + piece
        for timestamp, data in whole.items():
            for frame in decoder.decode(jitter.JitterFrame(data=data, timestamp=timestamp)):
                levels.append(bytes(frame.planes[0])[0])
        return {round((level - 30) / 40) for level in levels[-count:]}

    def _obey(self) -> None:
        for data in self.wire.rtcp:
            self._is_asked |= feedback_on(self.ssrc, parse_compound(data)).wants_key_frame
        self.asked += self._is_asked
        self.wire.rtcp.clear()


async def film(parties: list[Party], seconds: float) -> None:
    for _ in range(round(seconds / PICTURE)):
        for party in parties:
            party.show()
        await asyncio.sleep(PICTURE)


def room_of(parties: list[Party]) -> VideoRoom:
    room = VideoRoom()
    for party in parties:
        room.join(party, party.stream)
    return room


def done(room: VideoRoom, parties: list[Party]) -> None:
    room.close()
    for party in parties:
        party.stream.close()
    assert len(room) == 0


def assert_continuous(party: Party) -> None:
    packets = [RtpPacket.parse(data) for data in party.wire.rtp]
    assert {(each.ssrc, each.payload_type) for each in packets} == {
        (party.stream.ssrc, party.formats[0].payload_type)
    }
    for before, after in pairwise(packets):
        assert (after.sequence - before.sequence) % 65_536 == 1
        assert 0 <= (after.timestamp - before.timestamp) % 2**32 <= 5 * 90_000


@pytest.mark.parametrize("codec", [VP8, H264])
def test_everybody_sees_who_speaks_and_he_the_one_before(codec):
    async def main():
        parties = [Party(number, codec) for number in range(3)]
        room = room_of(parties)
        anna, bob, carol = parties
        await film(parties, 1)
        assert (anna.sees(), bob.sees(), carol.sees()) == ({1}, {0}, {0})
        room.speaker_changed(carol)
        await film(parties, 1)
        assert (anna.sees(), bob.sees(), carol.sees()) == ({2}, {2}, {0})
        room.speaker_changed(bob)
        await film(parties, 1)
        assert (anna.sees(), bob.sees(), carol.sees()) == ({1}, {2}, {1})
        assert room.seen_by(anna) is bob
        for party in parties:
            assert_continuous(party)
        done(room, parties)

    run(main())


def test_a_switch_begins_with_a_whole_picture():
    async def main():
        parties = [Party(number) for number in range(3)]
        room = room_of(parties)
        await film(parties, 1)
        asked = parties[1].asked
        sent = len(parties[2].wire.rtp)
        room.speaker_changed(parties[1])
        await film(parties, 0.5)
        assert parties[1].asked == asked + 1
        switched = [RtpPacket.parse(data) for data in parties[2].wire.rtp[sent:]]
        whole = [begins_key_frame("VP8", each.payload) for each in switched]
        assert whole.count(True) == 1
        assert whole.index(True) <= 2  # so soon it was there
        assert parties[2].sees(100) == {0, 1}
        done(room, parties)

    run(main())


def test_who_comes_later_sees_whole_pictures_at_once():
    async def main():
        parties = [Party(number) for number in range(2)]
        room = room_of(parties)
        await film(parties, 1)
        late = Party(3)
        room.join(late, late.stream)
        await film([*parties, late], 0.6)
        assert late.sees(100) == {0}
        assert_continuous(late)
        done(room, [*parties, late])

    run(main())


def test_one_who_sends_no_whole_picture_is_shown_after_a_while():
    async def main():
        parties = [Party(number) for number in range(3)]
        parties[1].is_obedient = False
        room = room_of(parties)
        await film(parties, 1)
        room.speaker_changed(parties[1])
        await film(parties, 1)
        assert room.seen_by(parties[2]) is parties[0]
        await film(parties, 1.5)
        assert room.seen_by(parties[2]) is parties[1]
        assert_continuous(parties[2])
        done(room, parties)

    run(main())


def test_who_leaves_or_falls_dark_is_followed_by_the_one_who_spoke_before():
    async def main():
        parties = [Party(number) for number in range(3)]
        room = room_of(parties)
        await film(parties, 1)
        room.speaker_changed(parties[2])
        await film(parties, 1)
        await film(parties[:2], 4)
        assert parties[1].sees() == {0}
        await film(parties, 1)
        assert parties[1].sees() == {2}
        room.leave(parties[2])
        await film(parties, 1)
        assert parties[1].sees() == {0}
        assert room.seen_by(parties[2]) is None
        done(room, parties)

    run(main())


def test_a_phone_with_h264_sees_only_those_who_send_it():
    async def main():
        browser, desk, phone = Party(0, VP8, H264), Party(1, H264), Party(2, H264)
        parties = [browser, desk, phone]
        room = room_of(parties)
        room.speaker_changed(browser)
        await film(parties, 1.5)
        assert room.seen_by(phone) is desk
        assert room.seen_by(desk) is phone
        assert phone.sees() == {1}
        assert room.seen_by(browser) is desk  # a browser shows both
        assert {RtpPacket.parse(data).payload_type for data in browser.wire.rtp} == {97}
        done(room, parties)

    run(main())


def test_numbers_of_formats_are_those_of_the_receiver():
    async def main():
        parties = [Party(0, AudioFormat(100, "vp8", 90_000)), Party(1, AudioFormat(111, "VP8", 90_000))]
        room = room_of(parties)
        await film(parties, 1)
        for party in parties:
            assert_continuous(party)
        done(room, parties)

    run(main())


@pytest.mark.parametrize("is_reduced", [False, True])  # RFC 5506: desk phones do without the report
@pytest.mark.parametrize("ask", [picture_loss, lambda by, of: full_intra_request(by, of, 3)])
def test_who_lost_the_picture_gets_a_new_one_from_whoever_is_shown(ask, is_reduced):
    async def main():
        parties = [Party(number) for number in range(3)]
        room = room_of(parties)
        await film(parties, 2)
        asked = [party.asked for party in parties]
        request = ask(parties[2].ssrc, parties[2].stream.ssrc)
        report = [] if is_reduced else [ReceiverReport(parties[2].ssrc)]
        parties[2].wire.on_rtcp([build_compound([*report, request])])
        await film(parties, 1)
        assert [party.asked for party in parties] == [asked[0] + 1, asked[1], asked[2]]
        done(room, parties)

    run(main())


def test_a_flood_of_requests_reaches_nobody():
    async def main():
        parties = [Party(number) for number in range(6)]
        room = room_of(parties)
        await film(parties, 1)
        asked = parties[0].stream.key_frames_asked
        for count in range(100):
            watcher = parties[1 + count % 5]
            for _ in range(10):
                watcher.report(picture_loss(watcher.ssrc, watcher.stream.ssrc))
            await asyncio.sleep(0.02)
        assert parties[0].stream.key_frames_asked - asked <= 5
        done(room, parties)

    run(main())


def test_a_phone_that_knows_only_fir_is_asked_by_that():
    async def main():
        phone, other = Party(0, feedback=frozenset((FULL_INTRA,))), Party(1)
        room = room_of([phone, other])
        phone.send([b"\x10\x00"], 96)
        await asyncio.sleep(0.6)
        requests = [
            (each.packet_type, each.count) for data in phone.wire.rtcp for each in parse_compound(data)[2:]
        ]
        assert (206, 4) in requests
        assert (206, 1) not in requests
        done(room, [phone, other])

    run(main())


def test_a_lost_packet_is_sent_again_from_memory_or_asked_for():
    async def main():
        source, watcher = parties = [Party(number) for number in range(2)]
        room = room_of(parties)
        await film(parties, 1)
        lost = watcher.wire.rtp[-3]
        number = RtpPacket.parse(lost).sequence
        watcher.wire.rtp.clear()
        watcher.report(lost_packets(watcher.ssrc, watcher.stream.ssrc, [number]))
        assert watcher.wire.rtp == [lost]
        source.sequence = source.sequence + 1 & 0xFFFF  # one that never came here
        source.show()
        source.wire.rtcp.clear()
        number = RtpPacket.parse(watcher.wire.rtp[-1]).sequence - 1 & 0xFFFF
        for _ in range(5):
            watcher.report(lost_packets(watcher.ssrc, watcher.stream.ssrc, [number]))
        asked = [feedback_on(source.ssrc, parse_compound(data)).lost for data in source.wire.rtcp]
        assert asked == [(source.sequence - 1 & 0xFFFF,)]
        done(room, parties)

    run(main())


def test_one_party_cannot_send_more_than_its_share():
    async def main():
        source, watcher = parties = [Party(number) for number in range(2)]
        room = room_of(parties)
        for _ in range(2_000):
            source.send([b"\x10\x00"], 96)
        assert len(watcher.wire.rtp) <= MOST_PACKETS
        assert source.stream.excess >= 2_000 - MOST_PACKETS
        assert len(source.stream.kept) <= 256
        done(room, parties)

    run(main())


def test_a_source_that_begins_anew_is_followed_when_the_old_one_is_silent():
    async def main():
        source, watcher = parties = [Party(number) for number in range(2)]
        room = room_of(parties)
        await film(parties, 1)
        source.ssrc ^= 1
        source.show()
        assert source.stream.excess > 0  # two at once are one too many
        await asyncio.sleep(HANDOVER)
        await film(parties, 1)
        assert watcher.sees() == {0}
        assert_continuous(watcher)
        done(room, parties)

    run(main())


def test_both_ends_get_reports():
    async def main():
        source, watcher = parties = [Party(number) for number in range(2)]
        room = room_of(parties)
        for _ in range(30):
            source.send([b"\x10\x00"], 96)
            await asyncio.sleep(PICTURE)
        reports = [parse_compound(data)[0] for data in source.wire.rtcp]
        block = reports[-1].reports[0]
        assert (block.ssrc, block.lost) == (source.ssrc, 0)
        sent = [parse_compound(data)[0] for data in watcher.wire.rtcp][-1]
        assert isinstance(sent, SenderReport)
        assert sent.ssrc == watcher.stream.ssrc
        assert sent.packets == pytest.approx(len(watcher.wire.rtp), abs=15)
        done(room, parties)

    run(main())


@pytest.mark.parametrize("way", [Direction.SENDONLY, Direction.INACTIVE])
def test_nothing_is_taken_of_whoever_is_not_to_send(way):
    async def main():
        source, watcher = parties = [Party(0, way=way), Party(1)]
        room = room_of(parties)
        source.send([b"\x10\x00"], 96)
        assert watcher.wire.rtp == []
        done(room, parties)

    run(main())


def test_video_that_ends_in_the_middle_is_seen_no_more_and_can_come_back():
    async def main():
        parties = [Party(number) for number in range(3)]
        room = room_of(parties)
        await film(parties, 1)
        parties[0].stream.configure(None)
        await film(parties, 1)
        assert parties[2].sees() == {1}
        before = len(parties[0].wire.rtp)
        await film(parties, 1)
        assert len(parties[0].wire.rtp) == before
        parties[0].stream.configure(agreed(VP8))
        room.speaker_changed(parties[0])
        await film(parties, 1)
        assert parties[2].sees() == {0}
        done(room, parties)

    run(main())


@pytest.mark.parametrize("garbage", [b"", b"\x80", bytes(12), b"\x80\x60" + bytes(9), b"\xff" * 40])
def test_garbage_is_counted_and_has_no_effect(garbage):
    async def main():
        parties = [Party(number) for number in range(2)]
        room = room_of(parties)
        await film(parties, 0.5)
        parties[0].wire.on_rtp([garbage])
        parties[0].wire.on_rtcp([garbage])
        await film(parties, 0.5)
        assert parties[0].stream.malformed >= 1
        assert parties[1].sees() == {0}
        done(room, parties)

    run(main())
