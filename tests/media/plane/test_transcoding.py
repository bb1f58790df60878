# SPDX-License-Identifier: Apache-2.0
"""Two ends without a codec in common: each is heard by the other, and its keys arrive."""

from __future__ import annotations

import asyncio
import math
import struct
from array import array

from plane_calls import Call
from plane_peers import Opener, PhonePeer

from ringback.media.g711 import Pcma, Pcmu
from ringback.media.local_plane import LocalPlane
from ringback.media.plane import LegProfile, MediaEvent, MediaEventKind
from ringback.sdp.attributes import AudioFormat

PCMU, PCMA = Pcmu(AudioFormat(0, "PCMU")), Pcma(AudioFormat(8, "PCMA"))
TONE = 440.0


def tone(number: int) -> bytes:
    """20 ms of a tone, the `number`th piece."""
    start = number * 160
    return array(
        "h", (int(8_000 * math.sin(2 * math.pi * TONE * (start + at) / 8_000)) for at in range(160))
    ).tobytes()


def strength(pcm: bytes) -> float:
    """How much of the energy is the tone's."""
    samples = array("h", pcm)
    turn = 2 * math.pi * TONE / 8_000
    real = sum(each * math.cos(turn * at) for at, each in enumerate(samples))
    imaginary = sum(each * math.sin(turn * at) for at, each in enumerate(samples))
    energy = sum(each * each for each in samples)
    return 2 * (real**2 + imaginary**2) / (energy * len(samples)) if energy else 0.0


async def hears_tone(listener: PhonePeer, speaker: PhonePeer, *, spoken: object, heard: object) -> None:
    """`speaker` says a tone, at its pace, until `listener` has heard half a second of it."""
    loop = asyncio.get_running_loop()
    number, begun = 0, loop.time()
    async with asyncio.timeout(10):
        while True:
            speaker.send(1, payload_type=spoken.format.payload_type, payload=spoken.encode(tone(number)))  # type: ignore[attr-defined]
            number += 1
            await asyncio.sleep(begun + number * 0.02 - loop.time())
            wanted = heard.format.payload_type  # type: ignore[attr-defined]
            sounds = [
                each[12:]
                for each in listener.received
                if each[1] & 0x7F == wanted and not 192 <= each[1] <= 223
            ]
            last = b"".join(heard.decode(each) for each in sounds[-25:])  # type: ignore[attr-defined]
            if len(sounds) >= 25 and strength(last) > 0.9:
                return


async def test_pcmu_and_pcma_hear_each_other(local_plane: LocalPlane, phone: Opener) -> None:
    call = Call(local_plane)
    caller, callee = await phone("anna"), await phone("bob")
    call.add("caller", caller)
    call.add("callee", callee, LegProfile(codecs=("PCMA",)))
    offer, answer = await call.join(
        "caller",
        "callee",
        offered=("0 PCMU/8000", "101 telephone-event/8000"),
        answered=("8 PCMA/8000", "101 telephone-event/8000"),
    )
    assert b"a=rtpmap:8 PCMA/8000" in offer
    assert b"PCMA" not in answer
    await hears_tone(callee, caller, spoken=PCMU, heard=PCMA)
    await hears_tone(caller, callee, spoken=PCMA, heard=PCMU)
    numbers = await local_plane.statistics("call")
    assert numbers.is_transcoded
    assert [leg.streams[0].codec for leg in numbers.legs] == ["PCMU", "PCMA"]
    assert all(leg.streams[0].packets_received and leg.streams[0].packets_sent for leg in numbers.legs)


def event_packets(peer: PhonePeer, key: int) -> None:
    """A key as a phone presses it: three packets, one timestamp, the last with the end bit."""
    for duration in (160, 320, 0x8000 | 480):
        end, ticks = duration >> 15, duration & 0x7FFF
        payload = struct.pack("!BBH", key, end << 7 | 10, ticks)
        header = struct.pack("!BBHII", 0x80, 101, 1_000 + ticks, 5_000, peer.ssrc)
        assert peer.remote is not None
        peer.transport.sendto(header + payload, peer.remote)


async def test_keys_pass_between_transcoded_ends_and_are_told(
    local_plane: LocalPlane, phone: Opener, events: list[MediaEvent]
) -> None:
    call = Call(local_plane)
    caller, callee = await phone("anna"), await phone("bob")
    call.add("caller", caller)
    call.add("callee", callee, LegProfile(codecs=("PCMA",)))
    await call.join(
        "caller",
        "callee",
        offered=("0 PCMU/8000", "101 telephone-event/8000"),
        answered=("8 PCMA/8000", "101 telephone-event/8000"),
    )
    event_packets(caller, 7)
    await callee.until(lambda: [each for each in callee.received if each[1] & 0x7F == 101])
    assert {each[12] for each in callee.received if each[1] & 0x7F == 101} == {7}
    assert events == [MediaEvent("call", "caller", MediaEventKind.DIGIT, "7")]


async def test_keys_become_tones_for_an_end_that_knows_no_events(
    local_plane: LocalPlane, phone: Opener
) -> None:
    call = Call(local_plane)
    caller, callee = await phone("anna"), await phone("bob")
    call.add("caller", caller)
    call.add("callee", callee, LegProfile(codecs=("PCMA",)))
    await call.join(
        "caller", "callee", offered=("0 PCMU/8000", "101 telephone-event/8000"), answered=("8 PCMA/8000",)
    )
    event_packets(caller, 5)

    def loudest() -> int:
        sounds = [PCMA.decode(each[12:]) for each in callee.received if each[1] & 0x7F == 8]
        return max((max(map(abs, array("h", each))) for each in sounds), default=0)

    await callee.until(lambda: loudest() > 3_000)


async def test_a_hold_does_not_end_transcoding(local_plane: LocalPlane, phone: Opener) -> None:
    call = Call(local_plane)
    caller, callee = await phone("anna"), await phone("bob")
    call.add("caller", caller)
    call.add("callee", callee, LegProfile(codecs=("PCMA",)))
    await call.join("caller", "callee", offered=("0 PCMU/8000",), answered=("8 PCMA/8000",))
    await hears_tone(callee, caller, spoken=PCMU, heard=PCMA)
    sources = {each[8:12] for each in callee.received if not 192 <= each[1] <= 223}
    for version, direction, back in ((2, "sendonly", "recvonly"), (3, "sendrecv", "sendrecv")):
        await call.offer("callee", "caller", callee.sdp("8 PCMA/8000", version=version, direction=direction))
        await call.answer("caller", "callee", caller.sdp("0 PCMU/8000", version=version, direction=back))
    callee.received.clear()
    await hears_tone(callee, caller, spoken=PCMU, heard=PCMA)
    assert {each[8:12] for each in callee.received if not 192 <= each[1] <= 223} == sources
