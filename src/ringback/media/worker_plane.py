# SPDX-License-Identifier: Apache-2.0
"""How does signalling reach the media workers? `WorkerPlane`: a MediaPlane over their local sockets.

A bridge belongs to one worker, chosen by its name. When a worker dies its bridges are told as LOST; it is
connected to again as soon as it was replaced, and offers that come meanwhile wait for that.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Awaitable, Callable, Sequence

from ringback.media.plane import (
    BridgeStatistics,
    LegProfile,
    MediaEvent,
    MediaEventKind,
    OnMediaEvent,
    PlaneUnavailable,
    ignore_event,
)
from ringback.media.plane_protocol import (
    Frames,
    MalformedFrame,
    Message,
    frame,
    read_error,
    read_event,
    read_sdp,
    read_statistics,
    written_profile,
    written_sdp,
)
from ringback.sip.errors import RingbackError

log = logging.getLogger("ringback.media")

#: How long an answer may take, and how long a worker that is being replaced is waited for.
PATIENCE = 5.0
PATIENCE_WITH_REPLACEMENT = 3.0
MOST_REQUESTS = 2_000
#: Seconds between attempts to connect.
_DELAYS = (0.02, 0.05, 0.1, 0.2, 0.5)

#: Opens a connection for the protocol it is given: `loop.create_unix_connection` with its place.
Connect = Callable[[Callable[[], asyncio.Protocol]], Awaitable[object]]


class WorkerPlane:
    """All bridges of this process, in the media workers."""

    def __init__(self, workers: Sequence[Connect]) -> None:
        self.on_event: OnMediaEvent = ignore_event
        self._workers = [_Worker(number, connect, self._tell) for number, connect in enumerate(workers)]

    async def start(self) -> None:
        """Connect to all. PlaneUnavailable when one is not there yet; it is tried again and again."""
        for worker in self._workers:
            worker.start()
        for worker in self._workers:
            await worker.connected()

    async def close(self) -> None:
        for worker in self._workers:
            worker.close()

    async def offer(
        self,
        bridge: str,
        source: str,
        target: str,
        sdp: bytes,
        *,
        source_profile: LegProfile,
        target_profile: LegProfile,
    ) -> bytes:
        worker = self._worker(bridge)
        is_new = bridge not in worker.bridges
        worker.bridges.add(bridge)
        try:
            answer = await worker.ask(
                "offer", bridge, **_negotiation(source, target, sdp, source_profile, target_profile)
            )
        except RingbackError:
            if is_new:
                worker.bridges.discard(bridge)
            raise
        return read_sdp(answer["sdp"])

    async def answer(
        self,
        bridge: str,
        source: str,
        target: str,
        sdp: bytes,
        *,
        source_profile: LegProfile,
        target_profile: LegProfile,
    ) -> bytes:
        answer = await self._worker(bridge).ask(
            "answer", bridge, **_negotiation(source, target, sdp, source_profile, target_profile)
        )
        return read_sdp(answer["sdp"])

    async def drop(self, bridge: str, leg: str) -> None:
        await self._worker(bridge).ask("drop", bridge, leg=leg)

    async def delete(self, bridge: str) -> BridgeStatistics:
        """A bridge that was lost has no numbers left."""
        worker = self._worker(bridge)
        if bridge not in worker.bridges:
            return BridgeStatistics(bridge)
        worker.bridges.discard(bridge)
        return read_statistics((await worker.ask("delete", bridge))["statistics"])

    async def statistics(self, bridge: str) -> BridgeStatistics:
        return read_statistics((await self._worker(bridge).ask("statistics", bridge))["statistics"])

    async def record(self, bridge: str, path: str) -> None:
        await self._worker(bridge).ask("record", bridge, path=path)

    async def stop_recording(self, bridge: str) -> None:
        await self._worker(bridge).ask("stop_recording", bridge)

    async def play(self, bridge: str, leg: str, path: str) -> None:
        await self._worker(bridge).ask("play", bridge, patience=None, leg=leg, path=path)

    async def press(self, bridge: str, leg: str, digits: str) -> None:
        await self._worker(bridge).ask("press", bridge, patience=None, leg=leg, digits=digits)

    def _worker(self, bridge: str) -> _Worker:
        """The same one for every process that asks: by the name alone."""
        return self._workers[zlib.crc32(bridge.encode("utf-8", "surrogateescape")) % len(self._workers)]

    def _tell(self, event: MediaEvent) -> None:
        try:
            self.on_event(event)
        except Exception:
            log.exception("our own code failed at %s", event)


class _Worker(asyncio.Protocol):
    """The connection to one worker, again and again."""

    def __init__(self, number: int, connect: Connect, tell: Callable[[MediaEvent], None]) -> None:
        self.bridges: set[str] = set()
        self._number = number
        self._connect = connect
        self._tell = tell
        self._frames = Frames()
        self._transport: asyncio.Transport | None = None
        self._is_there = asyncio.Event()
        self._connecting: asyncio.Task[None] | None = None
        self._is_closing = False
        self._questions: dict[int, asyncio.Future[Message]] = {}
        self._last = 0

    def start(self) -> None:
        """Connect, as soon as it is there. Twice is as good as once."""
        if self._connecting is not None and not self._connecting.done():
            return
        self._connecting = asyncio.get_running_loop().create_task(self._keep_trying())

    def close(self) -> None:
        self._is_closing = True
        if self._connecting is not None:
            self._connecting.cancel()
        if self._transport is not None:
            self._transport.close()

    async def connected(self) -> None:
        """Wait for it. PlaneUnavailable when it does not come."""
        try:
            async with asyncio.timeout(PATIENCE_WITH_REPLACEMENT):
                await self._is_there.wait()
        except TimeoutError:
            raise PlaneUnavailable(f"media worker {self._number} is not there") from None

    async def ask(
        self, verb: str, bridge: str, *, patience: float | None = PATIENCE, **arguments: object
    ) -> Message:
        """What the worker answers; what it complained of is raised."""
        if len(self._questions) >= MOST_REQUESTS:
            raise PlaneUnavailable(f"media worker {self._number} answers too slowly")
        await self.connected()
        assert self._transport is not None
        self._last += 1
        number = self._last
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._questions[number] = answer
        self._transport.write(frame({"number": number, "verb": verb, "bridge": bridge, **arguments}))
        try:
            async with asyncio.timeout(patience):
                found = await answer
        except TimeoutError:
            raise PlaneUnavailable(f"media worker {self._number} does not answer") from None
        finally:
            del self._questions[number]
        if "error" in found:
            raise read_error(found)
        return found

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._frames = Frames()
        self._is_there.set()

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._frames.feed(data):
                self._take(message)
        except MalformedFrame as error:
            log.error("media worker %d: %s", self._number, error)  # noqa: TRY400
            if self._transport is not None:
                self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """It died, most likely: everything it carried is lost."""
        self._transport = None
        self._is_there.clear()
        for answer in self._questions.values():
            if not answer.done():
                answer.set_exception(PlaneUnavailable(f"media worker {self._number} has ended"))
        if self._is_closing:
            return
        lost, self.bridges = self.bridges, set()
        self.start()
        for bridge in sorted(lost):
            self._tell(MediaEvent(bridge, "", MediaEventKind.LOST, f"media worker {self._number} has ended"))

    def _take(self, message: Message) -> None:
        if "event" in message:
            self._tell(read_event(message))
            return
        answer = self._questions.get(message.get("number", 0))
        if answer is not None and not answer.done():
            answer.set_result(message)

    async def _keep_trying(self) -> None:
        tries = 0
        while self._transport is None:
            try:
                await self._connect(lambda: self)
            except OSError as error:
                log.debug("media worker %d: %s", self._number, error)
                await asyncio.sleep(_DELAYS[min(tries, len(_DELAYS) - 1)])
                tries += 1


def _negotiation(
    source: str, target: str, sdp: bytes, source_profile: LegProfile, target_profile: LegProfile
) -> Message:
    return {
        "source": source,
        "target": target,
        "sdp": written_sdp(sdp),
        "source_profile": written_profile(source_profile),
        "target_profile": written_profile(target_profile),
    }
