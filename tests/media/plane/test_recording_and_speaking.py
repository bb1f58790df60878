# SPDX-License-Identifier: Apache-2.0
"""What can be done with a bridged call: record it, play to one end, press keys; and who is silent."""

from __future__ import annotations

import asyncio
import resource
import wave
from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest
from plane_calls import Call
from plane_peers import Opener, PhonePeer, talk
from test_transcoding import PCMA, PCMU, hears_tone, strength, tone

from ringback.media.errors import UnreadableAudio, UnwritableAudio
from ringback.media.files import write_pcm
from ringback.media.local_plane import LocalPlane
from ringback.media.plane import LegProfile, MediaEvent, MediaEventKind, PlaneUnavailable


async def plain_call(plane: LocalPlane, phone: Opener, **profile: object) -> tuple[PhonePeer, PhonePeer]:
    call = Call(plane)
    caller, callee = await phone("anna"), await phone("bob")
    call.add("caller", caller)
    call.add("callee", callee)
    await call.join("caller", "callee")
    return caller, callee


def channels(path: Path) -> tuple[bytes, bytes]:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (2, 8_000, 2)
        samples = array("h", file.readframes(file.getnframes()))
    return samples[::2].tobytes(), samples[1::2].tobytes()


def has_tone(pcm: bytes) -> bool:
    """A tenth of a second of it without a gap: on a machine with other work a packet may come too late."""
    return any(strength(pcm[at : at + 1_600]) > 0.9 for at in range(0, len(pcm) - 1_600, 320))


@pytest.mark.parametrize("callee_codec", [PCMU, PCMA])
async def test_a_recording_has_the_caller_on_the_left_and_the_callee_on_the_right(
    local_plane: LocalPlane, phone: Opener, tmp_path: Path, callee_codec: object
) -> None:
    call = Call(local_plane)
    caller, callee = await phone("anna"), await phone("bob")
    call.add("caller", caller)
    call.add("callee", callee, LegProfile(codecs=("PCMA",)))
    answered = f"{callee_codec.format.payload_type} {callee_codec.format.encoding}/8000"  # type: ignore[attr-defined]
    await call.join("caller", "callee", offered=("0 PCMU/8000",), answered=(answered,))
    path = tmp_path / "call.wav"
    await local_plane.record("call", str(path))
    await hears_tone(callee, caller, spoken=PCMU, heard=callee_codec)
    await local_plane.stop_recording("call")
    left, right = channels(path)
    assert len(left) > 7_000
    assert has_tone(left)
    assert max(map(abs, array("h", right))) < 200, "the callee said nothing"
    await talk(caller, callee) if callee_codec is PCMU else None


async def test_a_recording_follows_the_call_to_another_phone(
    local_plane: LocalPlane, phone: Opener, tmp_path: Path
) -> None:
    call = Call(local_plane)
    caller, first, second = await phone("anna"), await phone("bob1"), await phone("bob2")
    call.add("caller", caller)
    call.add("callee-1", first)
    call.add("callee-2", second)
    await call.join("caller", "callee-1")
    path = tmp_path / "call.wav"
    await local_plane.record("call", str(path))
    await call.join("caller", "callee-2")
    await hears_tone(caller, second, spoken=PCMU, heard=PCMU)
    await local_plane.delete("call")
    _, right = channels(path)
    assert has_tone(right)


@pytest.fixture
def _small_disk() -> Iterator[None]:
    """A file may have no more than 8000 octets (RLIMIT_FSIZE; Python ignores SIGXFSZ)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("_small_disk")
async def test_a_full_disk_ends_the_recording_and_keeps_the_call(
    local_plane: LocalPlane, phone: Opener, tmp_path: Path, events: list[MediaEvent]
) -> None:
    caller, callee = await plain_call(local_plane, phone)
    await local_plane.record("call", str(tmp_path / "call.wav"))
    async with asyncio.timeout(10):
        while not events:
            caller.send(1)
            await asyncio.sleep(0.02)
    assert [(each.bridge, each.kind) for each in events] == [("call", MediaEventKind.RECORDING_ENDED)]
    assert events[0].detail
    await talk(caller, callee)


async def test_a_recording_that_cannot_be_made_is_refused(
    local_plane: LocalPlane, phone: Opener, tmp_path: Path
) -> None:
    caller, callee = await plain_call(local_plane, phone)
    with pytest.raises(UnwritableAudio):
        await local_plane.record("call", str(tmp_path / "none" / "call.wav"))
    with pytest.raises(PlaneUnavailable):
        await local_plane.record("nothing", str(tmp_path / "call.wav"))
    await talk(caller, callee)


async def test_a_file_is_heard_in_place_of_the_partner(
    local_plane: LocalPlane, phone: Opener, tmp_path: Path
) -> None:
    caller, callee = await plain_call(local_plane, phone)
    await talk(caller, callee)
    path = tmp_path / "tone.wav"
    write_pcm(path, b"".join(tone(number) for number in range(30)))
    callee.received.clear()
    playing = asyncio.create_task(local_plane.play("call", "callee", str(path)))
    while not playing.done():
        caller.send(1)
        await asyncio.sleep(0.02)
    await playing
    heard = b"".join(PCMU.decode(each[12:]) for each in callee.received if each[8:12] != bytes(4))
    assert strength(heard[4_000:8_000]) > 0.9
    assert len({each[8:12] for each in callee.received}) <= 2
    assert len(callee.of(caller)) <= 3, "the partner was heard meanwhile"
    await talk(caller, callee)
    with pytest.raises(UnreadableAudio):
        await local_plane.play("call", "callee", str(tmp_path / "nothing.wav"))


async def test_pressed_keys_are_events_where_they_are_known(local_plane: LocalPlane, phone: Opener) -> None:
    caller, callee = await plain_call(local_plane, phone)
    await local_plane.press("call", "callee", "4#")
    keys = [each[12] for each in callee.received if each[1] & 0x7F == 101]
    assert list(dict.fromkeys(keys)) == [4, 11]
    await talk(caller, callee)
    with pytest.raises(ValueError, match="x"):
        await local_plane.press("call", "callee", "x")


async def test_pressed_keys_are_tones_where_events_are_not_known(
    local_plane: LocalPlane, phone: Opener
) -> None:
    call = Call(local_plane)
    caller, callee = await phone("anna"), await phone("bob")
    call.add("caller", caller)
    call.add("callee", callee)
    await call.join("caller", "callee", offered=("0 PCMU/8000",), answered=("0 PCMU/8000",))
    await local_plane.press("call", "callee", "5")
    loudest = max(max(map(abs, array("h", PCMU.decode(each[12:])))) for each in callee.received)
    assert loudest > 3_000


async def test_keys_are_told_in_passing(
    local_plane: LocalPlane, phone: Opener, events: list[MediaEvent]
) -> None:
    caller, callee = await plain_call(local_plane, phone)
    for duration in (160, 320, 480):
        payload = bytes((9, 10 | (0x80 if duration == 480 else 0))) + duration.to_bytes(2, "big")
        caller.send(1, payload_type=101, payload=payload)
    await callee.until(lambda: len(callee.of(caller, payload_type=101)) == 3)
    assert events == [MediaEvent("call", "caller", MediaEventKind.DIGIT, "9")]


async def test_who_is_silent_is_told_and_told_again_when_it_is_over(
    local_plane: LocalPlane, phone: Opener, events: list[MediaEvent]
) -> None:
    caller, callee = await plain_call(local_plane, phone)
    now = asyncio.get_running_loop().time()
    local_plane.look(now)
    callee.send(3)
    await caller.until(lambda: caller.of(callee))
    local_plane.look(now + 9.0)
    assert events == []
    local_plane.look(now + 11.0)
    assert [(each.leg, each.kind) for each in events] == [("caller", MediaEventKind.ONE_WAY)]
    local_plane.look(now + 30.0)
    assert [(each.leg, each.kind) for each in events[1:]] == [("callee", MediaEventKind.NO_RTP)]
    await talk(caller, callee)
    local_plane.look(now + 31.0)
    assert sorted(each.leg for each in events[2:]) == ["callee", "caller"]
    assert {each.kind for each in events[2:]} == {MediaEventKind.RESUMED}
    assert (await local_plane.statistics("call")).verdicts == (
        "one-way: callee is heard, caller is not",
        "no RTP from callee for 10 s",
    )
