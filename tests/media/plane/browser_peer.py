# SPDX-License-Identifier: Apache-2.0
"""A WebRTC peer that none of us wrote: aiortc, with a tone as its microphone and a frame counter as its ear."""

from __future__ import annotations

import asyncio
import fractions
import math
from array import array

import aioice.ice
import av
import pytest
from aiortc import (
    AudioStreamTrack,
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
    VideoStreamTrack,
)
from aiortc.mediastreams import MediaStreamError

RATE = 48_000
SAMPLES = RATE // 50


class Microphone(AudioStreamTrack):
    """A tone."""

    def __init__(self, frequency: float) -> None:
        super().__init__()
        self._frequency = frequency
        self._at = 0

    async def recv(self) -> av.AudioFrame:
        await super().recv()  # keeps the pace
        samples = array(
            "h",
            (
                int(8_000 * math.sin(2 * math.pi * self._frequency * (self._at + each) / RATE))
                for each in range(SAMPLES)
            ),
        )
        frame = av.AudioFrame(format="s16", layout="mono", samples=SAMPLES)
        frame.planes[0].update(samples.tobytes())
        frame.sample_rate, frame.pts = RATE, self._at
        frame.time_base = fractions.Fraction(1, RATE)
        self._at += SAMPLES
        return frame


class BrowserPeer:
    """One RTCPeerConnection."""

    def __init__(self, *, frequency: float = 440.0, has_video: bool = False, codec: str = "PCMU") -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.connection.addTrack(Microphone(frequency))
        known = RTCRtpSender.getCapabilities("audio").codecs
        self.connection.getTransceivers()[0].setCodecPreferences(
            [each for each in known if each.mimeType.lower() == f"audio/{codec.lower()}"]
        )
        if has_video:
            self.connection.addTrack(VideoStreamTrack())
        self.heard = bytearray()
        self.rate = 0
        self.pictures = 0
        self._tasks: list[asyncio.Task[None]] = []
        self.connection.on("track", lambda track: self._tasks.append(asyncio.create_task(self._take(track))))

    async def offer(self) -> bytes:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription.sdp.encode()

    async def answer(self, offer: bytes) -> bytes:
        await self.connection.setRemoteDescription(RTCSessionDescription(_repeated(offer), "offer"))
        await self.connection.setLocalDescription(await self.connection.createAnswer())
        return self.connection.localDescription.sdp.encode()

    async def take_answer(self, answer: bytes) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(_repeated(answer), "answer"))

    async def _take(self, track: MediaStreamTrack) -> None:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=8_000)
        try:
            while True:
                frame = await track.recv()
                if track.kind == "video":
                    self.pictures += 1
                    continue
                for each in resampler.resample(frame):
                    self.heard += bytes(each.planes[0])[: each.samples * 2]
                    del self.heard[: max(0, len(self.heard) - 8_000)]
        except MediaStreamError:
            return

    async def close(self) -> None:
        await self.connection.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _repeated(sdp: bytes) -> str:
    """What a bundle says once (RFC 8829 section 5.3.1), aiortc wants in each of its m= lines."""
    head, *sections = sdp.decode().split("m=")
    names = ("a=ice-ufrag:", "a=ice-pwd:", "a=candidate:", "a=end-of", "a=fingerprint:", "a=setup:")
    first = sections[0].split("\r\n")
    transport = "".join(f"{line}\r\n" for line in first if line.startswith(names))
    port = first[0].split(" ")[1]
    written = []
    for section in sections:
        if "a=ice-ufrag:" in section:
            written.append(section)
        else:
            kind, _, rest = section.split(" ", 2)
            written.append(f"{kind} {port} {rest}".replace("a=bundle-only\r\n", "") + transport)
    return "m=".join([head, *written])


@pytest.fixture
def _loopback_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    """aioice leaves loopback out; a test has nothing else."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])
