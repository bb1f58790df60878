# SPDX-License-Identifier: Apache-2.0
"""WebRTC programs none of us wrote (aiortc) see each other in a room: sound and video on one transport."""

import asyncio
import contextlib
import fractions

import av
import pytest
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from ringback.media.room import Room
from ringback.media.session import AudioSession
from ringback.net.sockets import RealNetwork
from ringback.sdp.session import SessionDescription

SOUND_RATE, PICTURES = 8_000, 15


class Microphone(MediaStreamTrack):
    """Sound that can be switched on."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.is_on = False
        self._sent = 0
        self._began = asyncio.get_running_loop().time()

    async def recv(self) -> av.AudioFrame:
        due = self._began + self._sent / SOUND_RATE
        await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
        frame = av.AudioFrame(format="s16", layout="mono", samples=160)
        wave = b"".join(
            (4_000 if n // 8 % 2 else -4_000).to_bytes(2, "little", signed=True) for n in range(160)
        )
        frame.planes[0].update(wave if self.is_on else bytes(320))
        frame.sample_rate, frame.time_base = SOUND_RATE, fractions.Fraction(1, SOUND_RATE)
        frame.pts = self._sent
        self._sent += 160
        return frame


class Camera(MediaStreamTrack):
    """Pictures of one grey."""

    kind = "video"

    def __init__(self, level: int) -> None:
        super().__init__()
        self._level, self._sent = level, 0

    async def recv(self) -> av.VideoFrame:
        await asyncio.sleep(1 / PICTURES)
        frame = av.VideoFrame(160, 120, "yuv420p")
        for plane, level in zip(frame.planes, (self._level, 128, 128), strict=True):
            plane.update(bytes((level,)) * plane.buffer_size)
        self._sent += 1
        frame.pts, frame.time_base = self._sent * 90_000 // PICTURES, fractions.Fraction(1, 90_000)
        return frame


class Browser:
    """aiortc's end of a call, and the session that answers it."""

    def __init__(self, level: int) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.microphone = Microphone()
        self.levels: list[int] = []
        self._watching: set[asyncio.Task[None]] = set()
        self.connection.addTrack(self.microphone)
        self.connection.addTrack(Camera(level))
        self.connection.on("track", self._track)

    async def enter(self, room: Room) -> None:
        self.session = await AudioSession.open(RealNetwork(), host="127.0.0.1", accepts_any_security=True)
        await self.connection.setLocalDescription(await self.connection.createOffer())
        offer = self.connection.localDescription.sdp.encode()
        await self.session.take_video(offer)
        answer = self.session.make_answer(offer)
        ports = [media.line.port for media in SessionDescription.parse(answer).media]
        assert ports == [self.session.local.port] * 2
        await self.connection.setRemoteDescription(RTCSessionDescription(answer.decode(), "answer"))
        self.session.start()
        room.video.join(room.join(self.session), self.session.video.stream)

    async def wait_sees(self, level: int, pictures: int = 5) -> None:
        self.levels.clear()
        async with asyncio.timeout(20):
            while len(self.levels) < pictures or any(
                abs(each - level) > 8 for each in self.levels[-pictures:]
            ):
                await asyncio.sleep(0.02)

    async def close(self) -> None:
        await self.session.close()
        await self.connection.close()
        await asyncio.gather(*self._watching)

    def _track(self, track: MediaStreamTrack) -> None:
        if track.kind == "video":
            self._watching.add(asyncio.create_task(self._watch(track)))

    async def _watch(self, track: MediaStreamTrack) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                self.levels.append(bytes(frame.planes[0])[0])


@pytest.mark.timeout(90)
async def test_three_see_who_speaks():
    room = Room(has_tones=False)
    anna, bob, carol = parties = [Browser(level) for level in (60, 130, 200)]
    for party in parties:
        await party.enter(room)
    anna.microphone.is_on = True
    await bob.wait_sees(60)
    await carol.wait_sees(60)
    anna.microphone.is_on, carol.microphone.is_on = False, True
    await anna.wait_sees(200)
    await bob.wait_sees(200)
    await carol.wait_sees(60)
    assert anna.session.statistics.srtp_failures == 0
    for party in parties:
        assert party.session.video.stream.malformed == 0
        assert party.session._stream.receiver.unknown == 0  # no picture is taken for sound
    for party in parties:
        await party.close()
    room.close()
