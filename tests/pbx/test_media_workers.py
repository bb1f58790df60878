# SPDX-License-Identifier: Apache-2.0
"""Media workers as processes: they carry calls, die, and are replaced."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringback.media.plane import LegProfile, MediaEvent, MediaEventKind, MediaPlane, PlaneUnavailable
from ringback.media.rtpengine import RtpenginePlane
from ringback.net.sockets import RealNetwork
from ringback.pbx.media_workers import MediaWorkers, begin, needs_workers, plane_for
from ringback.server.config import MediaSettings, Settings
from ringback.server.identity import Identity

sys.path.insert(0, str(Path(__file__).parents[1] / "media" / "plane"))

from plane_calls import Call
from plane_peers import PhonePeer, talk

IDENTITY = Identity("example.test", ("192.0.2.10",), "example.test", b"secret")
PLAIN = LegProfile(host="127.0.0.1")
BRIDGES = 6


async def until(condition: object) -> None:
    async with asyncio.timeout(20):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.02)


@pytest.fixture
async def workers(tmp_path: Path) -> AsyncIterator[MediaWorkers]:
    settings = Settings(media=MediaSettings(workers=2, first_port=21_000, last_port=21_999))
    made = MediaWorkers(settings, IDENTITY, tmp_path)
    made.listen()
    made.begin()
    await until(lambda: all(place.kept.is_serving for place in made.places))
    yield made
    await made.close()
    assert not list(tmp_path.glob("*.sock"))


@pytest.fixture
async def plane(workers: MediaWorkers) -> AsyncIterator[MediaPlane]:
    made = plane_for(Settings(), workers.paths, RealNetwork())
    assert made is not None
    await begin(made)
    yield made
    await made.close()


async def joined(plane: MediaPlane, name: str) -> Call:
    call = Call(plane, name)
    call.add("caller", await PhonePeer.open("anna"), PLAIN)
    call.add("callee", await PhonePeer.open("bob"), PLAIN)
    await call.join("caller", "callee")
    return call


async def test_killed_workers_are_replaced_and_every_call_hears_again(
    workers: MediaWorkers, plane: MediaPlane
) -> None:
    events: list[MediaEvent] = []
    plane.on_event = events.append
    calls = [await joined(plane, f"call-{number}") for number in range(BRIDGES)]
    await asyncio.gather(*(talk(*call.peers.values()) for call in calls))
    before = await workers.status()
    assert sum(worker["bridges"] for worker in before["workers"]) == BRIDGES
    assert all(worker["bridges"] for worker in before["workers"]), "both have some"
    ports = [peer.remote[1] for call in calls for peer in call.peers.values() if peer.remote]
    assert len({*ports}) == 2 * BRIDGES
    assert all(21_000 <= port <= 21_999 for port in ports)

    for worker in before["workers"]:
        os.kill(worker["process"], signal.SIGKILL)
    await until(lambda: len(events) == BRIDGES)
    assert {each.kind for each in events} == {MediaEventKind.LOST}
    assert {each.bridge for each in events} == {call.name for call in calls}

    for call in calls:  # what signalling does then
        await call.join("caller", "callee", version=2)
    await asyncio.gather(*(talk(*call.peers.values()) for call in calls))
    after = await workers.status()
    assert [worker["starts"] for worker in after["workers"]] == [2, 2]
    for call in calls:
        await plane.delete(call.name)
        for peer in call.peers.values():
            peer.close()
    assert sum(worker["bridges"] for worker in (await workers.status())["workers"]) == 0


async def test_sound_is_not_sent_to_the_signalling_ports(workers: MediaWorkers, plane: MediaPlane) -> None:
    call = Call(plane)
    caller, callee = await PhonePeer.open("anna"), await PhonePeer.open("bob")
    call.add("caller", caller, PLAIN)
    call.add("callee", callee, PLAIN)
    await workers.tell_signalling_ports({callee.port})
    await call.offer("caller", "callee", caller.sdp())
    with pytest.raises(Exception, match="one of ours"):
        await call.answer("callee", "caller", callee.sdp())
    caller.close()
    callee.close()


async def test_a_worker_that_cannot_begin_is_tried_again(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 0))
        media = MediaSettings(webrtc_port=taken.getsockname()[1], first_port=22_000, last_port=22_099)
        workers = MediaWorkers(Settings(media=media), IDENTITY, tmp_path)
        workers.listen()
        workers.begin()
        await until(lambda: workers.places[0].kept.starts >= 2)
        assert not workers.places[0].kept.is_serving
    await until(lambda: workers.places[0].kept.is_serving)
    await workers.close()


async def test_a_deep_directory_is_no_hindrance(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    workers = MediaWorkers(Settings(), IDENTITY, deep)
    workers.listen()
    assert all(len(path) < 100 for path in workers.paths)
    assert all(Path(path).stat().st_mode & 0o777 == 0o600 for path in workers.paths)
    await workers.close()
    assert not any(Path(path).exists() for path in workers.paths)


async def test_an_rtpengine_that_is_not_there_is_no_reason_not_to_serve(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ringback.media.rtpengine_control.PATIENCE", (0.05,))
    settings = Settings(media=MediaSettings(engine="rtpengine", rtpengine="127.0.0.1:1"))
    assert not needs_workers(settings)
    plane = plane_for(settings, (), RealNetwork())
    assert isinstance(plane, RtpenginePlane)
    await begin(plane)
    with pytest.raises(PlaneUnavailable):
        await plane.offer(
            "call",
            "a",
            "b",
            b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n",
            source_profile=PLAIN,
            target_profile=PLAIN,
        )
    await plane.close()


def test_nobody_carries_sound_where_that_is_not_wanted() -> None:
    settings = Settings(media=MediaSettings(anchor="never"))
    assert not needs_workers(settings)
    assert plane_for(settings, (), RealNetwork()) is None
