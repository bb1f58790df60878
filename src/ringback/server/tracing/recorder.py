# SPDX-License-Identifier: Apache-2.0
"""What did this process say and hear of late? The trace in memory, and what is fed from it.

    recorder = Recorder(settings.trace, Place(data / "trace"))
    recorder.watch(driver)
    recorder.flush()
    messages, left_out = await find(Query(call_ids=(b"a84b4c76e66710",)), recorder.ring, recorder.place)
    await recorder.close()

A batch of messages costs one call of `take`, which copies it to where it stays: 2 us for the 13 messages of a
call. Some hundred messages later, or half a second, they become a chunk, which goes into the ring and to the
sinks (files, HEP). Each sink has a thread.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any

from ringback.kernel import Tape
from ringback.net.driver import StackDriver, Tap
from ringback.server.tracing.background import Background
from ringback.server.tracing.chunk import chunk_from
from ringback.server.tracing.files import FileSink
from ringback.server.tracing.hep import HepSink
from ringback.server.tracing.memory import Memory, Piece
from ringback.server.tracing.place import Place
from ringback.server.tracing.ring import Ring
from ringback.server.tracing.selection import Selection, selection_of
from ringback.server.tracing.settings import TraceSettings
from ringback.sip.flow import Flow

logger = logging.getLogger("ringback.trace")

#: So many messages are a chunk, and how long they may wait for others.
MESSAGES, GATHERING = 256, 0.5
#: Which part of a processor writing files may use. Hiding secrets, formatting and writing take 1.5 us a
#: message, so this is 4 000 messages a second; with more the files would not go back for long anyway.
SHARE = 0.006


class Recorder:
    """The trace of one process. All methods belong to the event loop; none of them blocks."""

    def __init__(
        self,
        settings: TraceSettings,
        place: Place | None,
        *,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """`place`: where files go; None for a trace in memory only."""
        self.settings = settings
        self.place = place
        #: Numbers of messages mean something together with this only.
        self.name = secrets.token_hex(4)
        self._memory = Memory(settings.memory)
        self.ring = Ring(memory=self._room(), age=settings.age)
        self._wall_clock = wall_clock
        self._driver: StackDriver | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tape = Tape(self._gather, self._turn, MESSAGES)
        self._piece: Piece | None = None
        self._next = 0
        self._selection: Selection | None = selection_of(settings)
        self._sinks: dict[str, Background] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._expiry: asyncio.TimerHandle | None = None

    # --- on and off

    def watch(self, driver: StackDriver) -> None:
        """Keep what this driver sends and receives, while we are on. Call it in the running loop."""
        self._driver, self._loop = driver, asyncio.get_running_loop()
        self.switch(self.settings)

    def switch(self, settings: TraceSettings) -> None:
        """Other settings from now on. What was kept before stays, as far as the limits allow."""
        self.flush()
        before, self.settings = self.settings, settings
        self._selection = selection_of(settings)
        self._memory.limit(settings.memory)
        self.ring.limit(memory=self._room(), age=settings.age)
        if self._driver is not None:
            self._driver.tap = self.take if settings.enabled else None
            self._feed(before)

    async def close(self) -> None:
        """Write what waits; a slow disk is waited for a moment only."""
        self.flush()
        if self._driver is not None:
            self._driver.tap = None
        for timer in (self._timer, self._expiry):
            if timer is not None:
                timer.cancel()
        sinks, self._sinks = self._sinks, {}
        for sink in sinks.values():
            await asyncio.to_thread(sink.close)

    def status(self) -> dict[str, Any]:
        """For `ringback status` and the console."""
        settings = self.settings
        return {
            "enabled": settings.enabled,
            "sampling": settings.sampling,
            "domains": list(settings.domains),
            "users": list(settings.users),
            "devices": list(settings.devices),
            "messages": len(self.ring),
            "seen": self._next,
            "bytes": self.ring.size,
            "memory": settings.memory,
            "dropped": self.ring.dropped,
            "oldest_at": self.ring.oldest_at,
            "sinks": {name: sink.status() for name, sink in self._sinks.items()},
        }

    @property
    def take(self) -> Tap:
        """What the driver calls with every batch."""
        return self._tape.take if self._selection is None else self._take_chosen

    def flush(self) -> None:
        """Make a chunk of what was taken: who looks at the ring calls this before."""
        if self._loop is None or self._piece is None:
            return
        wall = self._wall_clock() - self._loop.time()
        chunk = chunk_from(self._tape, self._piece, first=self._next, wall=wall)
        if chunk is None:
            return
        self._next += len(chunk)
        self.ring.add(chunk)
        for sink in self._sinks.values():
            sink.put(chunk)
        if self._expiry is None:
            self._expire()

    @property
    def next_number(self) -> int:
        """What the next message will be called."""
        return self._next

    # --- inside

    def _room(self) -> int:
        """Octets of chunks: of the oldest piece and of the newest some may lie idle."""
        return self.settings.memory - 2 * self._memory.piece_size

    def _take_chosen(self, sent: bool, batch: Sequence[tuple[bytes, Flow]], now: float) -> None:
        assert self._selection is not None, "else it is not called"
        wants = self._selection.wants
        self._tape.take(sent, [each for each in batch if wants(*each)], now)

    def _gather(self) -> None:
        """The first message of a chunk came: it does not wait for ever for others."""
        if self._timer is None and self._loop is not None:
            self._timer = self._loop.call_later(GATHERING, self._gathered)

    def _gathered(self) -> None:
        self._timer = None
        self.flush()

    def _turn(self, size: int) -> None:
        """There are many messages, or the next one, of this size, finds no room."""
        self.flush()
        if self._tape.room < size:
            self._piece = self._memory.piece(size)
            self._tape.load(self._piece.octets)

    def _expire(self) -> None:
        """An idle server gives the memory back."""
        assert self._loop is not None
        now = self._wall_clock()
        due = self.ring.expire(now)
        self._expiry = None
        if due is not None:
            self._expiry = self._loop.call_later(max(1.0, due - now), self._expire)
        elif not self._tape:
            self._piece = None
            self._tape.load(bytearray())
            self._memory.clear()

    def _feed(self, before: TraceSettings) -> None:
        """The sinks that these settings want, made anew where theirs changed."""
        settings = self.settings
        is_first = not self._sinks
        wanted = {
            "files": settings.enabled and settings.files > 0 and self.place is not None,
            "hep": settings.enabled and settings.hep != "",
        }
        changed = {
            "files": (before.files, before.file_size) != (settings.files, settings.file_size),
            "hep": before.hep != settings.hep,
        }
        for name, is_wanted in wanted.items():
            if name in self._sinks and (changed[name] or not is_wanted):
                self._sinks.pop(name).close(patience=0.0)
            if is_wanted and name not in self._sinks:
                share = (
                    SHARE if name == "files" else 1.0
                )  # a collector was asked for, files come by themselves
                self._sinks[name] = Background(self._sink(name), name=name, share=share)
        if is_first and self._sinks:
            logger.debug("messages are kept; also by: %s", ", ".join(self._sinks))

    def _sink(self, name: str) -> FileSink | HepSink:
        if name == "files":
            assert self.place is not None, "asked for where files are wanted"
            return FileSink(self.place, files=self.settings.files, file_size=self.settings.file_size)
        return HepSink(self.settings.hep)
