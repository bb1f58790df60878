# SPDX-License-Identifier: Apache-2.0
"""The same bridges with Debian's rtpengine: offer, answer, sound both ways, numbers, and its sudden death."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("av")
pytest.importorskip("aiortc")

from browser_peer import BrowserPeer, _loopback_candidates  # noqa: F401 (a fixture)
from plane_calls import Call
from plane_peers import PhonePeer, talk
from test_transcoding import PCMU, strength, tone

from ringback.media.plane import BROWSER, LegProfile, MediaEvent, MediaEventKind, PlaneUnavailable, Security
from ringback.media.rtpengine import RtpenginePlane
from ringback.net.sockets import RealNetwork
from ringback.sdp.errors import UnacceptableSession
from ringback.sip.flow import Address

PLAIN = LegProfile(signalling_host="127.0.0.1")
SDES = LegProfile(Security.SDES, signalling_host="127.0.0.1")
PROGRAM = shutil.which("rtpengine", path="/usr/bin:/usr/sbin")

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(PROGRAM is None, reason="apt-get install --no-install-recommends rtpengine-daemon"),
]


class Program:
    """A real rtpengine on loopback."""

    def __init__(self, log: Path) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = Address("127.0.0.1", probe.getsockname()[1])
        self._log = log
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                str(PROGRAM),
                *("--config-file=none", "--table=-1", "--interface=127.0.0.1", "--num-threads=2"),
                *(f"--listen-ng={self.address}", "--port-min=49000", "--port-max=49900"),
                *("--foreground", "--log-stderr", "--log-level=5", "--delete-delay=0"),
                stderr=log,
            )

    async def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            self._process = None


@pytest.fixture
async def program(tmp_path: Path) -> AsyncIterator[Program]:
    running = Program(tmp_path / "rtpengine.log")
    await running.start()
    yield running
    await running.kill()


@pytest.fixture
async def plane(program: Program) -> AsyncIterator[RtpenginePlane]:
    made = RtpenginePlane(program.address, RealNetwork(), random_bytes=os.urandom, look_interval=0.2)
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(PlaneUnavailable):
                await made.start()
                break
    yield made
    await made.close()


@pytest.fixture
def peers() -> Iterator[list[PhonePeer]]:
    opened: list[PhonePeer] = []
    yield opened
    for peer in opened:
        peer.close()


async def joined(
    plane: RtpenginePlane,
    peers: list[PhonePeer],
    caller: PhonePeer,
    callee: PhonePeer,
    profiles: tuple[LegProfile, LegProfile] = (PLAIN, PLAIN),
) -> bytes:
    """A call from one to the other; the offer that the callee got."""
    peers += (caller, callee)
    one, other = profiles
    offer = await plane.offer(
        "call", "caller", "callee", caller.sdp(), source_profile=one, target_profile=other
    )
    callee.take(offer)
    answer = await plane.answer(
        "call", "callee", "caller", callee.sdp(), source_profile=other, target_profile=one
    )
    caller.take(answer)
    return offer


async def test_two_plain_phones_hear_each_other_through_rtpengine(
    plane: RtpenginePlane, peers: list[PhonePeer]
) -> None:
    caller, callee = await PhonePeer.open("anna"), await PhonePeer.open("bob")
    await joined(plane, peers, caller, callee)
    await talk(caller, callee)
    assert caller.remote != ("127.0.0.1", callee.port)

    numbers = await plane.delete("call")

    legs = {leg.name: leg for leg in numbers.legs}
    assert legs["caller"].streams[0].packets_received >= 5
    assert legs["callee"].streams[0].packets_sent >= 5
    assert legs["caller"].streams[0].codec == "PCMU"
    assert legs["caller"].address == Address("127.0.0.1", caller.port)
    assert not numbers.is_transcoded
    assert (await plane.statistics("call")).legs == ()


async def test_a_phone_with_sdes_speaks_with_one_without(
    plane: RtpenginePlane, peers: list[PhonePeer]
) -> None:
    caller = await PhonePeer.open("anna")
    callee = await PhonePeer.open("bob", suite="AES_CM_128_HMAC_SHA1_80")
    offer = await joined(plane, peers, caller, callee, (PLAIN, SDES))
    await talk(caller, callee)
    assert b"RTP/SAVP " in offer
    assert b"NULL_HMAC" not in offer, "a suite without encryption"
    keys = re.findall(rb"inline:([^\s|]+)", offer)
    assert keys
    assert all(len(key) % 4 == 0 for key in keys), "baresip misreads base64 without its ="
    keys = re.findall(rb"inline:([^|\s]+)", offer)
    assert keys
    assert all(len(key) % 4 == 0 for key in keys), "a key without its last =, which some misread"
    legs = {leg.name: leg.security for leg in (await plane.statistics("call")).legs}
    assert legs == {"caller": Security.PLAIN, "callee": Security.SDES}


async def test_a_caller_with_sdes_gets_its_own_suite_back(
    plane: RtpenginePlane, peers: list[PhonePeer]
) -> None:
    caller = await PhonePeer.open("anna", suite="AEAD_AES_128_GCM")
    callee = await PhonePeer.open("bob")
    await joined(plane, peers, caller, callee, (SDES, PLAIN))
    await talk(caller, callee)


async def test_what_a_browser_is_offered_is_dtls_with_ice(
    plane: RtpenginePlane, peers: list[PhonePeer]
) -> None:
    caller = await PhonePeer.open("anna")
    peers.append(caller)
    offer = await plane.offer(
        "call", "caller", "callee", caller.sdp(), source_profile=PLAIN, target_profile=BROWSER
    )
    for line in (b"UDP/TLS/RTP/SAVPF", b"a=fingerprint:", b"a=ice-ufrag:", b"a=rtcp-mux", b"a=mid:"):
        assert line in offer
    assert b"a=crypto" not in offer


@pytest.mark.usefixtures("_loopback_candidates")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("calls", ["browser", "phone"])
async def test_a_browser_and_a_phone_hear_each_other(
    plane: RtpenginePlane, peers: list[PhonePeer], calls: str
) -> None:
    desk, web = await PhonePeer.open("bob"), BrowserPeer()
    peers.append(desk)
    call = Call(plane)
    call.add("phone", desk, PLAIN)
    call.profiles["web"] = replace(BROWSER, signalling_host="127.0.0.1")
    if calls == "browser":
        await call.offer("web", "phone", await web.offer())
        await web.take_answer(await call.answer("phone", "web", desk.sdp("0 PCMU/8000")))
    else:
        offer = await call.offer("phone", "web", desk.sdp("0 PCMU/8000"))
        await call.answer("web", "phone", await web.answer(offer))
    number = 0
    async with asyncio.timeout(20):
        while not (web.heard and strength(bytes(web.heard[-2_400:])) > 0.8 and len(desk.received) > 25):
            desk.send(1, payload=PCMU.encode(tone(number)))
            number += 1
            await asyncio.sleep(0.02)
    await web.close()
    await asyncio.sleep(0)


async def test_a_missing_codec_is_added_and_transcoded(plane: RtpenginePlane, peers: list[PhonePeer]) -> None:
    caller, callee = await PhonePeer.open("anna"), await PhonePeer.open("bob")
    peers += (caller, callee)
    offer = await plane.offer(
        "call",
        "caller",
        "callee",
        caller.sdp("0 PCMU/8000"),
        source_profile=PLAIN,
        target_profile=LegProfile(codecs=("PCMA",)),
    )
    callee.take(offer)
    answer = await plane.answer(
        "call", "callee", "caller", callee.sdp("8 PCMA/8000"), source_profile=PLAIN, target_profile=PLAIN
    )
    caller.take(answer)
    async with asyncio.timeout(10):
        while not any(each[1] & 0x7F == 8 for each in callee.received):
            caller.send(1)
            await asyncio.sleep(0.02)
    assert (await plane.statistics("call")).is_transcoded


async def test_of_two_phones_that_answer_the_last_one_is_heard(
    plane: RtpenginePlane, peers: list[PhonePeer]
) -> None:
    caller, first, second = (
        await PhonePeer.open("anna"),
        await PhonePeer.open("bob1"),
        await PhonePeer.open("bob2"),
    )
    peers += (caller, first, second)
    for name, phone in (("callee-1", first), ("callee-2", second)):
        offer = await plane.offer(
            "call", "caller", name, caller.sdp(), source_profile=PLAIN, target_profile=PLAIN
        )
        phone.take(offer)
    for name, phone in (("callee-1", first), ("callee-2", second)):
        answer = await plane.answer(
            "call", name, "caller", phone.sdp(), source_profile=PLAIN, target_profile=PLAIN
        )
    caller.take(answer)
    await plane.drop("call", "callee-1")

    before = len(caller.of(first))
    first.send(5)
    await talk(caller, second)

    assert len(caller.of(first)) == before
    assert first.of(caller) == []


async def test_an_offer_made_again_keeps_the_ports(plane: RtpenginePlane, peers: list[PhonePeer]) -> None:
    caller, callee = await PhonePeer.open("anna"), await PhonePeer.open("bob")
    offer = await joined(plane, peers, caller, callee)
    again = await plane.offer(
        "call",
        "caller",
        "callee",
        caller.sdp(version=2, direction="sendonly"),
        source_profile=PLAIN,
        target_profile=PLAIN,
    )
    assert b"a=sendonly" in again
    assert again.split(b"m=audio ")[1].split()[0] == offer.split(b"m=audio ")[1].split()[0]


async def test_what_is_no_description_is_refused_and_breaks_nothing(
    plane: RtpenginePlane, peers: list[PhonePeer]
) -> None:
    for body in (
        b"",
        b"hello",
        b"v=0\r\n" * 3000,
        b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nm=audio\r\n",
        b"v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nc=IN IP4 224.0.0.1\r\nt=0 0\r\nm=audio 5004 RTP/AVP 0\r\n",
    ):
        with pytest.raises(UnacceptableSession):
            await plane.offer("call", "caller", "callee", body, source_profile=PLAIN, target_profile=PLAIN)
    with pytest.raises(UnacceptableSession):
        await plane.answer("call", "callee", "caller", b"v=0", source_profile=PLAIN, target_profile=PLAIN)
    caller, callee = await PhonePeer.open("anna"), await PhonePeer.open("bob")
    await joined(plane, peers, caller, callee)


async def test_calls_of_a_dead_rtpengine_are_lost_and_new_ones_work(
    program: Program, plane: RtpenginePlane, peers: list[PhonePeer]
) -> None:
    events: list[MediaEvent] = []
    plane.on_event = events.append
    await joined(plane, peers, await PhonePeer.open("anna"), await PhonePeer.open("bob"))
    await program.kill()
    with pytest.raises(PlaneUnavailable):
        await plane.offer(
            "other", "caller", "callee", peers[0].sdp(), source_profile=PLAIN, target_profile=PLAIN
        )
    await program.start()
    async with asyncio.timeout(30):
        while not events:
            await asyncio.sleep(0.1)
    assert [(event.bridge, event.kind) for event in events] == [("call", MediaEventKind.LOST)]

    caller, callee = await PhonePeer.open("anna"), await PhonePeer.open("bob")
    await joined(plane, peers, caller, callee)
    await talk(caller, callee)
