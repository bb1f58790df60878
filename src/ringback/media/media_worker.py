# SPDX-License-Identifier: Apache-2.0
"""What does a media worker do? It listens on a local socket and runs a plane for each who connects.

Bridges belong to the connection that made them: when a signalling process ends, its bridges end. Requests of
one connection run side by side, those of one bridge one after the other.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from ringback.media.facilities import Facilities
from ringback.media.local_plane import LocalPlane
from ringback.media.plane import MediaEvent
from ringback.media.plane_protocol import (
    Frames,
    MalformedFrame,
    Message,
    frame,
    read_profile,
    read_sdp,
    written_error,
    written_event,
    written_sdp,
    written_statistics,
)

log = logging.getLogger("ringback.media")

#: Signalling processes that may be connected, and requests of one that may be under way.
MOST_CONNECTIONS = 256
MOST_REQUESTS = 4_000
#: Octets that may wait for somebody who does not read.
MOST_WAITING = 8_388_608


class MediaWorker:
    """Serves whoever connects, until `close`."""

    def __init__(self, facilities: Facilities) -> None:
        self.facilities = facilities
        self.connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None

    async def serve(self, listening: socket.socket) -> None:
        """Take connections on this socket from now on."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: _Connection(self), sock=listening)

    async def close(self) -> None:
        """End all bridges."""
        if self._server is not None:
            self._server.close()
        await asyncio.gather(*(connection.end() for connection in list(self.connections)))

    @property
    def bridges(self) -> int:
        """How many bridges there are."""
        return sum(connection.plane.bridges for connection in self.connections)


class _Connection(asyncio.Protocol):
    """One signalling process."""

    def __init__(self, worker: MediaWorker) -> None:
        self._worker = worker
        self.plane = LocalPlane(worker.facilities)
        self.plane.on_event = self._tell
        self._frames = Frames()
        self._transport: asyncio.Transport | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._verbs: dict[str, Callable[[Message], Awaitable[Message]]] = {
            "offer": self._offer,
            "answer": self._answer,
            "drop": self._drop,
            "delete": self._delete,
            "statistics": self._statistics,
            "record": self._record,
            "stop_recording": self._stop_recording,
            "play": self._play,
            "press": self._press,
        }

    async def end(self) -> None:
        """Its bridges end."""
        if self._transport is not None:
            self._transport.close()
        for task in self._tasks:
            task.cancel()
        await self.plane.close()

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if len(self._worker.connections) >= MOST_CONNECTIONS:
            transport.abort()
            return
        self._worker.connections.add(self)
        self._start(self.plane.start())

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._frames.feed(data):
                self._start(self._take(message))
        except MalformedFrame as error:
            self._cut_off(str(error))
        if len(self._tasks) > MOST_REQUESTS:
            self._cut_off("too many requests at once")

    def connection_lost(self, exc: Exception | None) -> None:
        self._worker.connections.discard(self)
        self._transport = None
        for task in self._tasks:
            task.cancel()
        # A task of the loop, not of ours: those have just been cancelled.
        closing = asyncio.ensure_future(self.plane.close())
        _closing.add(closing)
        closing.add_done_callback(_closing.discard)

    # --- requests

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take(self, message: Message) -> None:
        """Nothing that a request does ends the process."""
        try:
            answer = await self._verbs[message["verb"]](message)
        except Exception as error:
            if type(error).__module__.split(".")[0] != "ringback" and not isinstance(error, ValueError):
                log.exception("our own code failed in %s", message.get("verb"))
            answer = written_error(error)
        self._send({"number": message.get("number"), **answer})

    def _tell(self, event: MediaEvent) -> None:
        self._send(written_event(event))

    def _send(self, message: Message) -> None:
        if self._transport is None:
            return
        if self._transport.get_write_buffer_size() > MOST_WAITING:
            self._cut_off("it does not read")
            return
        self._transport.write(frame(message))

    def _cut_off(self, reason: str) -> None:
        log.error("a signalling process is cut off: %s", reason)
        if self._transport is not None:
            self._transport.abort()

    # --- verbs

    async def _offer(self, message: Message) -> Message:
        return {"sdp": written_sdp(await self.plane.offer(**_negotiation(message)))}

    async def _answer(self, message: Message) -> Message:
        return {"sdp": written_sdp(await self.plane.answer(**_negotiation(message)))}

    async def _drop(self, message: Message) -> Message:
        await self.plane.drop(message["bridge"], message["leg"])
        return {}

    async def _delete(self, message: Message) -> Message:
        return {"statistics": written_statistics(await self.plane.delete(message["bridge"]))}

    async def _statistics(self, message: Message) -> Message:
        return {"statistics": written_statistics(await self.plane.statistics(message["bridge"]))}

    async def _record(self, message: Message) -> Message:
        await self.plane.record(message["bridge"], message["path"])
        return {}

    async def _stop_recording(self, message: Message) -> Message:
        await self.plane.stop_recording(message["bridge"])
        return {}

    async def _play(self, message: Message) -> Message:
        await self.plane.play(message["bridge"], message["leg"], message["path"])
        return {}

    async def _press(self, message: Message) -> Message:
        await self.plane.press(message["bridge"], message["leg"], message["digits"])
        return {}


#: Planes that are being closed; the loop alone would let them be collected.
_closing: set[asyncio.Future[None]] = set()


def _negotiation(message: Message) -> dict[str, Any]:
    return {
        "bridge": message["bridge"],
        "source": message["source"],
        "target": message["target"],
        "sdp": read_sdp(message["sdp"]),
        "source_profile": read_profile(message["source_profile"]),
        "target_profile": read_profile(message["target_profile"]),
    }
