# SPDX-License-Identifier: Apache-2.0
"""How is sound sent through a media plane? Compiles `bench/media/media.c`, and joins its peers by a `MediaPlane`."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_accounting import cpu_times, receive_buffer_errors
from bench_program import ROOT, WORK, BenchmarkError, require

from ringback.media.plane import LegProfile, MediaPlane, Security
from ringback.rtp.packet import RtpPacket
from ringback.rtp.srtp import SrtpSession

SOURCE = ROOT / "bench" / "media" / "media.c"
SUITE = "AES_CM_128_HMAC_SHA1_80"
#: Of every peer that speaks SRTP: what each call costs does not depend on it.
KEY = bytes(range(30))
FIRST_NUMBER = 1000
PACKETS_A_SECOND = 50


@dataclass(frozen=True, slots=True)
class Sound:
    """So many calls, each two streams of G.711 in packets of 20 ms; callers speak SRTP when `is_secured`."""

    calls: int
    is_secured: bool = False
    warm_up: float = 2.0
    seconds: float = 8.0

    @property
    def profile(self) -> LegProfile:
        security = Security.SDES if self.is_secured else Security.PLAIN
        return LegProfile(security=security, signalling_host="127.0.0.1")


@dataclass(slots=True)
class Carried:
    """What the generator saw, and what the relay used meanwhile. Delays are milliseconds."""

    counted: dict[str, Any]
    user: float
    system: float
    dropped: int

    @property
    def us_per_packet(self) -> float:
        return (self.user + self.system) / self.counted["sent"] * 1e6

    @property
    def lost(self) -> int:
        return int(self.counted["sent"] - self.counted["received"])


def generator() -> Path:
    """The compiled generator, made anew when its source is newer."""
    WORK.mkdir(parents=True, exist_ok=True)
    program = WORK / "media"
    if program.exists() and program.stat().st_mtime > SOURCE.stat().st_mtime:
        return program
    words = [require("cc", "gcc libc6-dev"), "-O2", "-std=gnu11", "-o", str(program), str(SOURCE)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"the media generator does not compile:\n{done.stderr}")
    return program


def protected_packets(sound: Sound) -> Path:
    """A file with what a caller sends: SRTP, made beforehand."""
    session = SrtpSession(SUITE, local=KEY, remote=KEY)
    count = int((sound.warm_up + sound.seconds + 1) * PACKETS_A_SECOND)
    packets = session.protect_rtp(
        RtpPacket(0, FIRST_NUMBER + number & 0xFFFF, number * 160, 1000, b"\xd5" * 160).to_bytes()
        for number in range(count)
    )
    path = WORK / "callers.srtp"
    path.write_bytes(b"".join(len(packet).to_bytes(2, "big") + packet for packet in packets))
    return path


def description(port: int, *, is_secured: bool = False) -> bytes:
    """What a peer of the generator says of itself."""
    protocol = "RTP/SAVP" if is_secured else "RTP/AVP"
    lines = [
        "v=0",
        f"o=- {port} 1 IN IP4 127.0.0.1",
        "s=-",
        "c=IN IP4 127.0.0.1",
        "t=0 0",
        f"m=audio {port} {protocol} 0",
        "a=rtpmap:0 PCMU/8000",
        "a=ptime:20",
    ]
    if is_secured:
        lines.append(f"a=crypto:1 {SUITE} inline:{base64.b64encode(KEY).decode()}")
    return "".join(f"{line}\r\n" for line in lines).encode()


def port_in(sdp: bytes) -> int:
    """Where the plane wants the stream."""
    found = re.search(rb"^m=audio (\d+) ", sdp, re.MULTILINE)
    assert found is not None, sdp
    return int(found[1])


async def joined(plane: MediaPlane, number: int, ports: tuple[int, int], sound: Sound) -> tuple[int, int]:
    """Make one call; where its caller and its callee shall send."""
    name, plain = f"call-{number}", LegProfile(signalling_host="127.0.0.1")
    offer = await plane.offer(
        name,
        "caller",
        "callee",
        description(ports[0], is_secured=sound.is_secured),
        source_profile=sound.profile,
        target_profile=plain,
    )
    answer = await plane.answer(
        name, "callee", "caller", description(ports[1]), source_profile=plain, target_profile=sound.profile
    )
    return port_in(answer), port_in(offer)


class SoundRun:
    """A generator at work."""

    def __init__(self, sound: Sound) -> None:
        self.sound = sound
        words = [
            str(generator()),
            str(sound.calls),
            str(sound.warm_up),
            str(sound.seconds),
            str(FIRST_NUMBER),
        ]
        if sound.is_secured:
            words.append(str(protected_packets(sound)))
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ports = [self._pair() for _ in range(sound.calls)]

    async def join(self, plane: MediaPlane) -> None:
        """Every call through the plane."""
        for number, ports in enumerate(self.ports):
            self._send(*await joined(plane, number, ports, self.sound))

    def join_directly(self) -> None:
        """Nobody between: what the generator itself adds to the delay."""
        for caller, callee in self.ports:
            self._send(callee, caller)

    def carried(self, relay: int | None) -> Carried:
        """Wait for the end; `relay` is the process whose CPU time counts."""
        assert self.process.stdin is not None
        self.process.stdin.flush()
        self._expect("measuring\n")
        before, dropped = cpu_times(relay) if relay else (0.0, 0.0), receive_buffer_errors()
        self._expect("measured\n")
        after, dropped = cpu_times(relay) if relay else (0.0, 0.0), receive_buffer_errors() - dropped
        counted = json.loads(self._line())
        self.process.wait(10)
        return Carried(counted, after[0] - before[0], after[1] - before[1], dropped)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        with contextlib.suppress(BrokenPipeError):
            self.process.communicate()

    def _pair(self) -> tuple[int, int]:
        caller, callee = self._line().split()
        return int(caller), int(callee)

    def _send(self, caller_sends_to: int, callee_sends_to: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{caller_sends_to} {callee_sends_to}\n")

    def _expect(self, wanted: str) -> None:
        line = self._line()
        if line != wanted:
            raise BenchmarkError(f"the media generator said {line!r} and not {wanted!r}")

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise BenchmarkError("the media generator ended")
        return line
