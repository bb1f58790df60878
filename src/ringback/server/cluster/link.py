# SPDX-License-Identifier: Apache-2.0
"""How do the supervisor and a worker talk? Frames over a local stream: changes, events, and questions with
answers.

The stream is a socket that only these two processes hold; its end is the end of the other process. Changes
leave together with those that come two milliseconds later, questions at once with all that waits.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from ringback.sip.errors import RingbackError

logger = logging.getLogger("ringback.cluster")

_FRAME = struct.Struct("!IB")
_COUNT = struct.Struct("!Q")
_CHANGE, _TAKEN, _QUESTION, _ANSWER, _EVENT = 1, 2, 3, 4, 5

#: Changes wait so long for others to leave with them: a wake-up of both processes for each would cost more
#: than all the rest.
GATHERING = 0.002

#: Octets that may wait for the other process. 100 000 registrations take 35 MB: with 64 KB the two would wake
#: each other for every two hundred of them.
BUFFER = 1_048_576

Answer = dict[str, Any]
Verb = Callable[[Mapping[str, Any]], Awaitable[Answer]]


class LinkLost(RingbackError):
    """The other process is gone."""


class Listener(Protocol):
    """Who is told what comes over a link."""

    def change_received(self, data: bytes) -> None: ...
    def taken(self, count: int) -> None: ...
    def writable(self) -> None: ...
    def link_lost(self) -> None: ...


class Link(asyncio.Protocol):
    """One end. `verbs` answer the questions of the other end."""

    def __init__(self, listener: Listener, verbs: Mapping[str, Verb]) -> None:
        self._listener = listener
        self._verbs = verbs
        self._transport: asyncio.Transport | None = None
        #: The beginning of a frame, and how long it will be.
        self._received = bytearray()
        self._wanted = 0
        self._frames: list[bytes] = []
        self._flushing: asyncio.TimerHandle | None = None
        self._questions: dict[int, asyncio.Future[Answer]] = {}
        self._numbers = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_full = False
        self.on_event: Callable[[Answer], None] | None = None
        """Who hears what the other end tells without being asked."""
        self.lost_events = 0

    @classmethod
    async def open(cls, sock: socket.socket, listener: Listener, verbs: Mapping[str, Verb]) -> Link:
        """Speak over this end; the link closes it."""
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, BUFFER)
        _, link = await asyncio.get_running_loop().create_unix_connection(
            lambda: cls(listener, verbs), sock=sock
        )
        return link

    @property
    def is_open(self) -> bool:
        """True while the other process is there."""
        return self._transport is not None

    @property
    def is_writable(self) -> bool:
        """True while the other process reads as fast as we write."""
        return self._transport is not None and not self._is_full

    def send_change(self, data: bytes) -> None:
        """One change."""
        self._put(_CHANGE, data, delay=GATHERING)

    def send_taken(self, count: int) -> None:
        """So many changes of the other end are in what was sent to it."""
        self._put(_TAKEN, _COUNT.pack(count), delay=GATHERING)

    def send_event(self, event: Mapping[str, Any]) -> None:
        """Tell the other process something. What it does not read in time is lost, and counted."""
        if self.is_writable:
            self._put(_EVENT, _json(event), delay=GATHERING)
        else:
            self.lost_events += 1

    async def ask(self, verb: str, arguments: Answer, *, timeout: float = 5.0) -> Answer:
        """Ask the other process. Raises `LinkLost`, `TimeoutError`, or what its verb complained of as
        `RingbackError`.
        """
        if self._transport is None:
            raise LinkLost("the other process is gone")
        number = next(self._numbers)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._questions[number] = answer
        self._put(_QUESTION, _json({"number": number, "verb": verb, "arguments": arguments}))
        try:
            async with asyncio.timeout(timeout):
                found = await answer
        finally:
            del self._questions[number]
        if "error" in found:
            raise RingbackError(str(found["error"]))
        return found

    def close(self) -> None:
        """End the link."""
        if self._transport is not None:
            self._flush()
            self._transport.close()

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(high=BUFFER)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._received:
            self._received += data
            if len(self._received) < self._wanted:
                return
            data = bytes(self._received)
            self._received.clear()
        at, end, self._wanted = 0, len(data), _FRAME.size
        while end - at >= _FRAME.size:
            length, kind = _FRAME.unpack_from(data, at)
            if end - at - _FRAME.size < length:
                self._wanted += length
                break
            at += _FRAME.size
            self._take(kind, data[at : at + length])
            at += length
        self._received += data[at:]

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        self._listener.writable()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        for answer in self._questions.values():
            if not answer.done():
                answer.set_exception(LinkLost("the other process is gone"))
        for task in self._tasks:
            task.cancel()
        self._listener.link_lost()

    # --- inside

    def _put(self, kind: int, data: bytes, *, delay: float = 0.0) -> None:
        if self._transport is None:
            return
        self._frames += (_FRAME.pack(len(data), kind), data)
        if self._flushing is None or not delay:
            self._flush_soon(delay)

    def _flush_soon(self, delay: float) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
        self._flushing = asyncio.get_running_loop().call_later(delay, self._flush)

    def _flush(self) -> None:
        self._flushing = None
        if self._transport is not None and self._frames:
            self._transport.write(b"".join(self._frames))
        self._frames.clear()

    def _take(self, kind: int, data: bytes) -> None:
        if kind == _CHANGE:
            self._listener.change_received(data)
        elif kind == _TAKEN:
            self._listener.taken(_COUNT.unpack(data)[0])
        elif kind == _QUESTION:
            task = asyncio.get_running_loop().create_task(self._answer(json.loads(data)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif kind == _EVENT:
            if self.on_event is not None:
                self.on_event(json.loads(data))
        else:
            found = json.loads(data)
            answer = self._questions.get(found.pop("number"))
            if answer is not None and not answer.done():
                answer.set_result(found)

    async def _answer(self, question: Answer) -> None:
        """Nothing that a verb raises ends the process."""
        try:
            found = await self._verbs[question["verb"]](question["arguments"])
        except RingbackError as error:
            found = {"error": str(error)}
        except Exception as error:
            logger.exception("our own code failed in %s", question["verb"])
            found = {"error": f"{question['verb']} failed: {error!r}"}
        self._put(_ANSWER, _json({"number": question["number"], **found}))


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value).encode("ascii")
