# SPDX-License-Identifier: Apache-2.0
"""What does a browser's call to a plain telephone cost, Opus one way and G.711 the other? Beside aiortc.

python bench/transcode_cost.py [--calls 8] [--seconds 8]

The browsers are aiortc in a process of their own: Opus, DTLS-SRTP, talking all the time. Measured is the process at
the other end, in turns:

    ringback   the whole bridge: DTLS-SRTP leg, jitter buffers, Opus <-> G.711, and the plain RTP leg of the telephone
    aiortc     the browser's leg alone: decode to 8 kHz, encode from 8 kHz, G.711 by audioop; no leg for the telephone

"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Iterator
from fractions import Fraction
from itertools import cycle
from multiprocessing.connection import Connection

import av
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from bench_rtp_peer import offer, open_sockets, packet, received

from ringback.media.pcm import audioop
from ringback.media.prompts import PROMPTS, prompt
from ringback.media.session import AudioSession
from ringback.net.sockets import RealNetwork

RATE, FRAME = 8_000, 160
TARGET = 0.5


def voice() -> Iterator[bytes]:
    """Somebody who never stops to talk."""
    pcm = b"".join(prompt(name) for name in PROMPTS)
    return cycle([pcm[at : at + 2 * FRAME] for at in range(0, len(pcm) - 2 * FRAME + 1, 2 * FRAME)])


class Speaker(MediaStreamTrack):
    """What an aiortc end says: frames of 8 kHz, on time."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._voice = voice()
        self._sent = 0
        self._began = time.monotonic()

    async def recv(self) -> av.AudioFrame:
        await asyncio.sleep(max(0.0, self._began + self._sent / RATE - time.monotonic()))
        frame = av.AudioFrame(format="s16", layout="mono", samples=FRAME)
        frame.planes[0].update(audioop.ulaw2lin(audioop.lin2ulaw(next(self._voice), 2), 2))
        frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), self._sent
        self._sent += FRAME
        return frame


class AiortcEnd:
    """A browser, or what a program made of aiortc does with one: everything heard becomes G.711."""

    def __init__(self) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.connection.addTrack(Speaker())
        self.connection.on("track", self._track)
        self.heard = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def offer(self) -> str:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return str(self.connection.localDescription.sdp)

    async def answer(self, text: str) -> str:
        await self.connection.setRemoteDescription(RTCSessionDescription(text, "offer"))
        await self.connection.setLocalDescription(await self.connection.createAnswer())
        return str(self.connection.localDescription.sdp)

    async def accept(self, text: str) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(text, "answer"))

    def _track(self, track: MediaStreamTrack) -> None:
        self._tasks.append(asyncio.create_task(self._listen(track)))

    async def _listen(self, track: MediaStreamTrack) -> None:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
        with contextlib.suppress(MediaStreamError):
            while True:
                for frame in resampler.resample(await track.recv()):
                    pcm = bytes(frame.planes[0])[: 2 * frame.samples]
                    self.heard += len(audioop.lin2ulaw(pcm, 2))


# --- the browsers ------------------------------------------------------------------------------------


def browsers(pipe: Connection, calls: int) -> None:
    asyncio.run(_browsers(pipe, calls))


async def _browsers(pipe: Connection, calls: int) -> None:
    ends = [AiortcEnd() for _ in range(calls)]
    pipe.send([await end.offer() for end in ends])
    for end, answer in zip(ends, await _next(pipe), strict=True):
        await end.accept(answer)
    await _next(pipe)
    pipe.send([end.heard / RATE for end in ends])
    await asyncio.gather(*(end.connection.close() for end in ends))


async def _next(pipe: Connection):  # type: ignore[no-untyped-def]
    loop, came = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(pipe.fileno(), came.set)
    await came.wait()
    loop.remove_reader(pipe.fileno())
    return pipe.recv()


# --- what is measured --------------------------------------------------------------------------------


def subject(pipe: Connection, which: str, offers: list[str], ports: list[int], seconds: float) -> None:
    asyncio.run((_ringback if which == "ringback" else _aiortc)(pipe, offers, ports, seconds))


async def _share(pipe: Connection, seconds: float) -> None:
    """CPU share of this process; two seconds are for handshakes and jitter buffers to settle."""
    await asyncio.sleep(2.0)
    before, start = time.process_time(), time.monotonic()
    await asyncio.sleep(seconds)
    pipe.send((time.process_time() - before) / (time.monotonic() - start))


async def _ringback(pipe: Connection, offers: list[str], ports: list[int], seconds: float) -> None:
    network, sessions, answers = RealNetwork(), [], []
    for text, port in zip(offers, ports, strict=True):
        browser = await AudioSession.open(
            network, host="127.0.0.1", codecs=("opus",), accepts_any_security=True
        )
        telephone = await AudioSession.open(network, host="127.0.0.1")
        answers.append(browser.make_answer(text.encode()).decode())
        telephone.make_answer(offer(port, 0, "PCMU/8000"))
        join(browser, telephone)
        sessions += [browser, telephone]
    pipe.send((answers, [each.local.port for each in sessions[1::2]]))
    for session in sessions:
        session.start()
    await _share(pipe, seconds)
    pipe.send([each.statistics.codec for each in sessions[:2]])
    for session in sessions:
        await session.close()


def join(one: AudioSession, other: AudioSession) -> None:
    one.input.add(lambda pcm: other.output.forward(pcm, RATE), RATE)
    other.input.add(lambda pcm: one.output.forward(pcm, RATE), RATE)


async def _aiortc(pipe: Connection, offers: list[str], ports: list[int], seconds: float) -> None:
    ends = [AiortcEnd() for _ in offers]
    pipe.send(([await end.answer(text) for end, text in zip(ends, offers, strict=True)], []))
    await _share(pipe, seconds)
    pipe.send(["opus", "8 kHz"])
    await asyncio.gather(*(end.connection.close() for end in ends))


def measure(which: str, calls: int, seconds: float) -> float:
    """CPU share of a core per call."""
    browser_pipe, browser_end = multiprocessing.Pipe()
    subject_pipe, subject_end = multiprocessing.Pipe()
    sockets = open_sockets(calls)
    ports = [own.getsockname()[1] for own in sockets]
    peers = multiprocessing.Process(target=browsers, args=(browser_end, calls), daemon=True)
    peers.start()
    offers = browser_pipe.recv()
    arguments = (subject_end, which, offers, ports, seconds)
    measured = multiprocessing.Process(target=subject, args=arguments, daemon=True)
    measured.start()
    try:
        answers, targets = subject_pipe.recv()
        browser_pipe.send(answers)
        at_telephone = talk(subject_pipe, list(zip(sockets, targets, strict=False)))
        share = subject_pipe.recv()
        codecs = subject_pipe.recv()
        browser_pipe.send("end")
        heard = browser_pipe.recv()
    finally:
        for process in (peers, measured):
            process.join(2.0)
            process.kill()
    print(
        f"{which:9} {100 * share / calls:5.2f} % of a core a call, {share / calls / 50 * 1e6:4.0f} us per 20 ms "
        f"({calls} calls, {' <-> '.join(codecs)}; browsers heard {sum(heard) / calls:.1f} s each, "
        f"telephones {at_telephone / max(1, len(targets)) / 50:.1f} s)"
    )
    return share / calls


def talk(until: Connection, telephones) -> int:  # type: ignore[no-untyped-def]
    """The telephones speak until the measurement is over; how many packets they heard."""
    payloads, heard, number, start = voice(), 0, 0, time.monotonic()
    while not until.poll():
        payload = audioop.lin2ulaw(next(payloads), 2)
        for source, (own, target) in enumerate(telephones):
            own.sendto(packet(0, number, FRAME, source, payload), ("127.0.0.1", target))
            heard += len(received(own))
        number += 1
        time.sleep(max(0.0, start + number * 0.020 - time.monotonic()))
    return heard


def main() -> int:
    warnings.simplefilter("ignore")
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--calls", type=int, default=8)
    options.add_argument("--seconds", type=float, default=8.0)
    chosen = options.parse_args()
    own = [measure("ringback", chosen.calls, chosen.seconds)]
    theirs = measure("aiortc", chosen.calls, chosen.seconds)
    own.append(measure("ringback", chosen.calls, chosen.seconds))
    print(f"ratio {sum(own) / len(own) / theirs:.2f} (target: at most {TARGET})")
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main())
