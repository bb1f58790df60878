# SPDX-License-Identifier: Apache-2.0
"""A WebRTC program none of us wrote (aiortc) calls an application and is called by one: sound both ways."""

import asyncio
import contextlib
import fractions
from collections.abc import AsyncIterator, Iterator

import av
import pytest
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from ringback.media.pcm import tone_share
from ringback.media.session import AudioSession
from ringback.media.shared_port import SharedPort
from ringback.media.tones import steady
from ringback.net.sockets import RealNetwork
from ringback.sdp.security import Security
from ringback.sip.flow import Address

RATE, FRAME = 8_000, 160
THEIR_TONE, OUR_TONE = 700, 440
#: Seconds of sound that count, and those before, in which jitter buffers and echoes settle.
MEASURED, SKIPPED = 1.0, 0.5


class Microphone(MediaStreamTrack):
    """A microphone that hums."""

    kind = "audio"

    def __init__(self, hertz: int) -> None:
        super().__init__()
        self._frames: Iterator[bytes] = iter(steady(hertz, 60_000))
        self._sent = 0
        self._began = asyncio.get_running_loop().time()

    async def recv(self) -> av.AudioFrame:
        due = self._began + self._sent / RATE
        await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
        frame = av.AudioFrame(format="s16", layout="mono", samples=FRAME)
        frame.planes[0].update(next(self._frames))
        frame.sample_rate, frame.time_base, frame.pts = RATE, fractions.Fraction(1, RATE), self._sent
        self._sent += FRAME
        return frame


class Browser:
    """aiortc's end of the call and what it hears."""

    def __init__(self) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.heard = bytearray()
        self._listening: set[asyncio.Task[None]] = set()
        self.connection.addTrack(Microphone(THEIR_TONE))
        self.connection.on("track", self._track)

    async def offer(self) -> bytes:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription.sdp.encode()

    async def answer(self, offer: bytes) -> bytes:
        await self.connection.setRemoteDescription(RTCSessionDescription(offer.decode(), "offer"))
        await self.connection.setLocalDescription(await self.connection.createAnswer())
        return self.connection.localDescription.sdp.encode()

    async def accept(self, answer: bytes) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(answer.decode(), "answer"))

    async def close(self) -> None:
        await self.connection.close()
        await asyncio.gather(*self._listening)

    def _track(self, track: MediaStreamTrack) -> None:
        self._listening.add(asyncio.create_task(self._listen(track)))

    async def _listen(self, track: MediaStreamTrack) -> None:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
        with contextlib.suppress(MediaStreamError):
            while True:
                for frame in resampler.resample(await track.recv()):
                    self.heard += bytes(frame.planes[0])[: 2 * frame.samples]


@contextlib.asynccontextmanager
async def both(**options) -> AsyncIterator[tuple[Browser, AudioSession]]:
    browser = Browser()
    session = await AudioSession.open(RealNetwork(), host="127.0.0.1", **options)
    try:
        yield browser, session
    finally:
        await session.close()
        await browser.close()


async def assert_sound_flows(browser: Browser, session: AudioSession) -> None:
    session.start()
    frames = session.frames()
    playing = asyncio.create_task(session.play(steady(OUR_TONE, 60_000)))
    skipped, wanted = (round(2 * RATE * seconds) for seconds in (SKIPPED, MEASURED))
    async with asyncio.timeout(20):
        while session.statistics.packets_received == 0 or not browser.heard:
            await anext(frames)
        begin = len(browser.heard)
        heard = b"".join([await anext(frames) for _ in range((skipped + wanted) // 320)])
        while len(browser.heard) < begin + skipped + wanted:
            await anext(frames)
    playing.cancel()
    assert tone_share(heard[-wanted:], THEIR_TONE) > 0.9
    assert tone_share(bytes(browser.heard[-wanted:]), OUR_TONE) > 0.9
    assert session.statistics.suite == "AEAD_AES_128_GCM"
    assert session.statistics.srtp_failures == 0


async def test_a_browser_calls_an_application_that_takes_any_call():
    async with both(accepts_any_security=True) as (browser, session):
        answer = session.make_answer(await browser.offer())
        assert b"a=ice-lite" in answer
        await browser.accept(answer)
        await assert_sound_flows(browser, session)


async def test_an_application_calls_a_browser():
    async with both(security=Security.DTLS, ice=True, rtcp_mux=True) as (browser, session):
        session.accept_answer(await browser.answer(session.make_offer()))
        await assert_sound_flows(browser, session)


async def test_a_browser_calls_at_the_one_port_for_all():
    shared = await SharedPort.open(RealNetwork(), Address("127.0.0.1", 0))
    async with both(accepts_any_security=True, shared=shared) as (browser, session):
        answer = session.make_answer(await browser.offer())
        assert session.local == shared.socket.local
        await browser.accept(answer)
        await assert_sound_flows(browser, session)
        again = session.make_answer(await browser.offer())
        assert again.split(b"a=fingerprint:")[1] == answer.split(b"a=fingerprint:")[1]
        await browser.accept(again)
        await assert_sound_flows(browser, session)
    shared.close()


async def test_the_first_word_is_not_lost():
    """What an application says at once is kept until the handshake is complete."""
    async with both(accepts_any_security=True) as (browser, session):
        answer = session.make_answer(await browser.offer())
        session.start()
        playing = asyncio.create_task(session.play(steady(OUR_TONE, 1_000)))
        await asyncio.sleep(0.3)
        await browser.accept(answer)
        async with asyncio.timeout(20):
            await playing
        assert session.statistics.packets_sent == pytest.approx(50, abs=3)
        async with asyncio.timeout(20):
            while len(browser.heard) < 2 * RATE:
                await asyncio.sleep(0.02)
        assert tone_share(bytes(browser.heard[1_600:14_400]), OUR_TONE) > 0.8
