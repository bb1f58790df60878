# SPDX-License-Identifier: Apache-2.0
"""Who hears what is received? Any number of listeners, each at the rate it likes; recordings, too."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import TracebackType

from ringback.media.errors import UnwritableAudio
from ringback.media.files import WaveWriter
from ringback.media.pcm import SAMPLE_RATE, duration_of
from ringback.media.resampling import Resampler

log = logging.getLogger("ringback.media")

#: Frames that wait for a listener that does not keep up; then the oldest is dropped.
MOST_WAITING = 50

Hear = Callable[[bytes], None]
HearAny = Callable[[bytes, int], None]


class _Branch:
    """All who listen at one rate: what they hear is resampled once."""

    __slots__ = ("_resampler", "hearers", "rate")

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.hearers: list[Hear | FrameIterator] = []
        self._resampler: Resampler | None = None

    def hear(self, pcm: bytes, rate: int) -> None:
        if rate != self.rate:
            if self._resampler is None or self._resampler.old != rate:
                self._resampler = Resampler(rate, self.rate)
            pcm = self._resampler.process(pcm)
        for hearer in tuple(self.hearers):
            hearer(pcm)


class Input:
    """Hands every frame to everybody who listens."""

    __slots__ = ("_branches", "hearers", "is_closed")

    def __init__(self) -> None:
        self._branches: dict[int, _Branch] = {}
        #: Called with every frame as it was decoded, and its rate.
        self.hearers: list[HearAny] = []
        self.is_closed = False

    def hear(self, frame: bytes, rate: int = SAMPLE_RATE) -> None:
        """20 ms of sound came."""
        for hearer in tuple(self.hearers):
            hearer(frame, rate)
        for branch in tuple(self._branches.values()):
            branch.hear(frame, rate)

    def add(self, hearer: Hear | FrameIterator, rate: int = SAMPLE_RATE) -> None:
        """Call `hearer` with every frame, at `rate`."""
        branch = self._branches.get(rate)
        if branch is None:
            branch = self._branches[rate] = _Branch(rate)
        branch.hearers.append(hearer)

    def remove(self, hearer: Hear | FrameIterator) -> None:
        for branch in tuple(self._branches.values()):
            if hearer in branch.hearers:
                branch.hearers.remove(hearer)
            if not branch.hearers:
                del self._branches[branch.rate]

    def frames(self, rate: int = SAMPLE_RATE) -> FrameIterator:
        """All frames from now on, at `rate`."""
        iterator = FrameIterator(self)
        if self.is_closed:
            iterator.end()
        else:
            self.add(iterator, rate)
        return iterator

    def close(self) -> None:
        """No more frames: iterations end."""
        self.is_closed = True
        for branch in self._branches.values():
            for hearer in branch.hearers:
                if isinstance(hearer, FrameIterator):
                    hearer.end()
        self._branches.clear()
        self.hearers.clear()


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

    def __init__(self, source: Input, path: Path | str, rate: int = SAMPLE_RATE) -> None:
        self._writer = WaveWriter(path, rate=rate)
        self._input = source
        #: Seconds recorded.
        self.duration = 0.0
        #: Why it ended before it was stopped; a full disk ends the recording, never the call.
        self.failure: UnwritableAudio | None = None
        source.add(self._hear, rate)

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
            self.duration += duration_of(frame, self._writer.rate)
        except UnwritableAudio as error:
            self._input.remove(self._hear)
            self._give_up(error)

    def _give_up(self, error: UnwritableAudio) -> None:
        if self.failure is None:
            self.failure = error
            log.warning("a recording ended early: %s", error)
