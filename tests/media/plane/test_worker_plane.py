# SPDX-License-Identifier: Apache-2.0
"""The way to a media worker: whatever crosses it is the same on the other side, and its end is noticed."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plane_calls import Call
from plane_peers import Opener, talk

from ringback.media.errors import NoFreePort, UnreadableAudio, UnwritableAudio
from ringback.media.facilities import Facilities
from ringback.media.media_worker import MediaWorker
from ringback.media.plane import (
    BROWSER,
    BridgeStatistics,
    LegProfile,
    LegStatistics,
    MediaEvent,
    MediaEventKind,
    PlaneUnavailable,
    Security,
    StreamNumbers,
)
from ringback.media.plane_protocol import (
    MAXIMUM_BYTES,
    Frames,
    MalformedFrame,
    frame,
    read_error,
    read_event,
    read_profile,
    read_sdp,
    read_statistics,
    written_error,
    written_event,
    written_profile,
    written_sdp,
    written_statistics,
)
from ringback.media.worker_plane import WorkerPlane
from ringback.net.sockets import RealNetwork
from ringback.sdp.errors import UnacceptableSession, WarnCode
from ringback.sip.flow import Address


def crossed(message: dict[str, object]) -> dict[str, object]:
    """A message as the other end gets it, octet by octet."""
    frames = Frames()
    (found,) = [each for octet in frame(message) for each in frames.feed(bytes((octet,)))]
    return found


@given(st.binary(max_size=200))
def test_a_description_crosses_whatever_its_octets(sdp: bytes) -> None:
    assert read_sdp(crossed({"sdp": written_sdp(sdp)})["sdp"]) == sdp  # type: ignore[arg-type]


def test_profiles_statistics_and_events_cross() -> None:
    profile = LegProfile(Security.SDES, host="::1", signalling_host="10.0.0.1", codecs=("opus", "PCMU"))
    assert read_profile(crossed(written_profile(profile))) == profile
    assert read_profile(crossed(written_profile(BROWSER))) == BROWSER
    statistics = BridgeStatistics(
        "call",
        (
            LegStatistics("a"),
            LegStatistics(
                "b",
                Address("::1", 5004),
                Security.DTLS,
                "AEAD_AES_128_GCM",
                (StreamNumbers("audio", "opus", 1, 2, 3, 4, 5, 6.5, 7.5, 4.1),),
            ),
        ),
        is_transcoded=True,
        verdicts=("one-way",),
    )
    assert read_statistics(crossed(written_statistics(statistics))) == statistics
    event = MediaEvent("call", "a", MediaEventKind.DIGIT, "#")
    assert read_event(crossed(written_event(event))) == event


@pytest.mark.parametrize(
    "error",
    [
        NoFreePort("full"),
        UnreadableAudio("no"),
        UnwritableAudio("no"),
        PlaneUnavailable("gone"),
        ValueError("x is no key"),
    ],
)
def test_errors_cross_with_their_kind(error: Exception) -> None:
    found = read_error(crossed(written_error(error)))
    assert (type(found), str(found)) == (type(error), str(error))


def test_a_refusal_crosses_with_its_warning() -> None:
    error = UnacceptableSession(
        "m= is malformed", warning=WarnCode.INCOMPATIBLE_MEDIA_FORMAT, section="RFC 8866 5.14"
    )
    found = read_error(crossed(written_error(error)))
    assert isinstance(found, UnacceptableSession)
    assert (found.detail, found.warning, found.section) == (error.detail, error.warning, error.section)


def test_other_errors_say_that_there_is_no_media() -> None:
    assert type(read_error(crossed(written_error(KeyError("x"))))) is PlaneUnavailable


@pytest.mark.parametrize(
    "data", [(MAXIMUM_BYTES + 1).to_bytes(4, "big"), b"\0\0\0\2[]", b"\0\0\0\1{", b"\0\0\0\1\xff"]
)
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedFrame):
        list(Frames().feed(data))


# --- over a real socket, with the worker in this process


class Workplace:
    """A media worker that can be ended and begun again on the same socket."""

    def __init__(self, path: Path) -> None:
        self.listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listening.bind(str(path))
        self.listening.listen(8)
        self._path = path
        self.worker: MediaWorker | None = None

    async def begin(self) -> None:
        self.worker = MediaWorker(Facilities(RealNetwork(), host="127.0.0.1"))
        await self.worker.serve(self.listening.dup())

    async def end(self) -> None:
        if self.worker is not None:
            await self.worker.close()

    async def connect(self, protocol: Callable[[], asyncio.Protocol]) -> object:
        return await asyncio.get_running_loop().create_unix_connection(protocol, str(self._path))


@pytest.fixture
async def workplace(tmp_path: Path) -> AsyncIterator[Workplace]:
    place = Workplace(tmp_path / "media.sock")
    await place.begin()
    yield place
    await place.end()
    place.listening.close()
    await asyncio.sleep(0)


@pytest.fixture
async def plane(workplace: Workplace) -> AsyncIterator[WorkerPlane]:
    made = WorkerPlane([workplace.connect])
    await made.start()
    yield made
    await made.close()
    await asyncio.sleep(0)


async def test_a_call_through_a_worker(plane: WorkerPlane, phone: Opener, tmp_path: Path) -> None:
    events: list[MediaEvent] = []
    plane.on_event = events.append
    call = Call(plane)
    caller, callee = await phone("anna"), await phone("bob")
    call.add("caller", caller)
    call.add("callee", callee)
    with pytest.raises(UnacceptableSession):
        await call.offer("caller", "callee", b"hello")
    await call.join("caller", "callee")
    await talk(caller, callee)
    await plane.record("call", str(tmp_path / "call.wav"))
    await plane.press("call", "callee", "5")
    await plane.stop_recording("call")
    with pytest.raises(ValueError, match="x"):
        await plane.press("call", "callee", "x")
    with pytest.raises(UnreadableAudio):
        await plane.play("call", "callee", str(tmp_path / "nothing.wav"))
    caller.send(1, payload_type=101, payload=bytes((9, 0x8A, 1, 0)))
    async with asyncio.timeout(10):
        while not events:
            await asyncio.sleep(0.01)
    assert events == [MediaEvent("call", "caller", MediaEventKind.DIGIT, "9")]
    await plane.drop("call", "nobody")
    assert len((await plane.statistics("call")).legs) == 2
    assert len((await plane.delete("call")).legs) == 2
    assert (await plane.delete("call")).legs == ()


async def test_a_worker_that_ends_is_noticed_and_its_successor_serves(
    plane: WorkerPlane, workplace: Workplace, phone: Opener
) -> None:
    events: list[MediaEvent] = []
    plane.on_event = events.append
    call = Call(plane)
    caller, callee = await phone("anna"), await phone("bob")
    call.add("caller", caller)
    call.add("callee", callee)
    await call.join("caller", "callee")
    await workplace.end()
    async with asyncio.timeout(10):
        while not events:
            await asyncio.sleep(0.01)
    assert [(each.bridge, each.kind) for each in events] == [("call", MediaEventKind.LOST)]
    offering = asyncio.create_task(call.offer("caller", "callee", caller.sdp()))
    await workplace.begin()
    await offering
    await call.answer("callee", "caller", callee.sdp())
    await talk(caller, callee)


async def test_bridges_end_with_the_process_that_made_them(workplace: Workplace, phone: Opener) -> None:
    plane = WorkerPlane([workplace.connect])
    await plane.start()
    call = Call(plane)
    call.add("caller", await phone("anna"))
    call.add("callee", await phone("bob"))
    await call.join("caller", "callee")
    assert workplace.worker is not None
    assert workplace.worker.bridges == 1
    await plane.close()
    async with asyncio.timeout(10):
        while workplace.worker.connections:
            await asyncio.sleep(0.01)
    assert workplace.worker.bridges == 0


async def test_nonsense_ends_only_the_connection_it_came_on(
    plane: WorkerPlane, workplace: Workplace, phone: Opener
) -> None:
    reader, writer = await asyncio.open_unix_connection(workplace.listening.getsockname())
    for message in ({"number": 1, "verb": "shout"}, {"number": 2}, {"number": 3, "verb": "offer"}):
        writer.write(frame(message))
    frames, answers = Frames(), []
    while len(answers) < 3:
        answers += frames.feed(await reader.read(65_536))
    assert {each["error"] for each in answers} == {"PlaneUnavailable"}
    writer.write(b"\xff" * 8)
    assert await reader.read() == b""
    writer.close()
    call = Call(plane)
    call.add("caller", await phone("anna"))
    call.add("callee", await phone("bob"))
    await call.join("caller", "callee")


async def test_nobody_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ringback.media.worker_plane.PATIENCE_WITH_REPLACEMENT", 0.05)

    async def connect(protocol: Callable[[], asyncio.Protocol]) -> object:
        return await asyncio.get_running_loop().create_unix_connection(protocol, str(tmp_path / "none"))

    plane = WorkerPlane([connect])
    with pytest.raises(PlaneUnavailable):
        await plane.start()
    with pytest.raises(PlaneUnavailable):
        await plane.offer("call", "a", "b", b"", source_profile=BROWSER, target_profile=BROWSER)
    await plane.close()
