# SPDX-License-Identifier: Apache-2.0
"""Who hears what is received? Any number of listeners, each with a bounded queue; recordings, too."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import TracebackType

from ringback.media.errors import UnwritableAudio
from ringback.media.files import WaveWriter
from ringback.media.pcm import duration_of

log = logging.getLogger("ringback.media")

#: Frames that wait for a listener that does not keep up; then the oldest is dropped.
MOST_WAITING = 50

Hear = Callable[[bytes], None]


class Input:
    """Hands every frame to everybody who listens."""

    __slots__ = ("_hearers", "is_closed")

    def __init__(self) -> None:
        self._hearers: list[Hear | FrameIterator] = []
        self.is_closed = False

    def hear(self, frame: bytes) -> None:
        """20 ms of sound came."""
        for hearer in tuple(self._hearers):
            hearer(frame)

    def add(self, hearer: Hear) -> None:
        self._hearers.append(hearer)

    def remove(self, hearer: Hear) -> None:
        if hearer in self._hearers:
            self._hearers.remove(hearer)

    def frames(self) -> FrameIterator:
        """All frames from now on."""
        iterator = FrameIterator(self)
        if self.is_closed:
            iterator.end()
        else:
            self._hearers.append(iterator)
        return iterator

    def close(self) -> None:
        """No more frames: iterations end."""
        self.is_closed = True
        for hearer in self._hearers:
            if isinstance(hearer, FrameIterator):
                hearer.end()
        self._hearers.clear()


class FrameIterator(AsyncIterator[bytes]):
    """An asynchronous iterator of frames. It listens from the moment it was made until `aclose`."""

    __slots__ = ("_ended", "_input", "_waiting", "_wakeup", "dropped")

    def __init__(self, source: Input) -> None:
        self._input = source
        self._waiting: deque[bytes] = deque(maxlen=MOST_WAITING)
        self._wakeup: asyncio.Event = asyncio.Event()
        self._ended = False
        self.dropped = 0

    def __call__(self, frame: bytes) -> None:
        self.dropped += len(self._waiting) == MOST_WAITING
        self._waiting.append(frame)
        self._wakeup.set()

    def __aiter__(self) -> FrameIterator:
        return self

    async def __anext__(self) -> bytes:
        while not self._waiting:
            if self._ended:
                raise StopAsyncIteration
            self._wakeup.clear()
            await self._wakeup.wait()
        return self._waiting.popleft()

    def end(self) -> None:
        """What waits is still given out, then the iteration ends."""
        self._ended = True
        self._wakeup.set()

    async def aclose(self) -> None:
        """Stop listening."""
        self._input.remove(self)
        self._waiting.clear()
        self.end()


class Recording:
    """What is received, in a WAV file, until `stop` or the end of the `with` block."""

    __slots__ = ("_input", "_writer", "duration", "failure")

    def __init__(self, source: Input, path: Path | str) -> None:
        self._writer = WaveWriter(path)
        self._input = source
        #: Seconds recorded.
        self.duration = 0.0
        #: Why it ended before it was stopped; a full disk ends the recording, never the call.
        self.failure: UnwritableAudio | None = None
        source.add(self._hear)

    @property
    def path(self) -> Path:
        return self._writer.path

    @property
    def is_running(self) -> bool:
        return self._writer.is_open and self.failure is None

    def stop(self) -> None:
        """Finish the file. Twice is as good as once."""
        self._input.remove(self._hear)
        try:
            self._writer.close()
        except UnwritableAudio as error:
            self._give_up(error)

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _hear(self, frame: bytes) -> None:
        try:
            self._writer.write(frame)
            self.duration += duration_of(frame)
        except UnwritableAudio as error:
            self._input.remove(self._hear)
            self._give_up(error)

    def _give_up(self, error: UnwritableAudio) -> None:
        if self.failure is None:
            self.failure = error
            log.warning("a recording ended early: %s", error)
