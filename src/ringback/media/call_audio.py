# SPDX-License-Identifier: Apache-2.0
"""How does a program listen and speak frame by frame? Reading at the rate it likes, writing at the pace of
speech, and knowing how much was really said.

async for frame in audio.read(rate=16_000):       # ends with the call
    if frame.speech_started:
        audio.flush()                              # stop talking: the caller does

await audio.write(Pcm(pcm, rate=24_000))           # returns when only a little of it waits
mark = audio.mark("end of the first sentence")
if await mark.wait():                              # False when it was flushed
    ...
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ringback.media.frames import Frame, Pcm, frame_bytes
from ringback.media.pcm import FRAME_MS, SAMPLE_BYTES, SAMPLE_RATE
from ringback.media.speech_activity import SpeechActivity

if TYPE_CHECKING:
    from ringback.media.input import FrameIterator
    from ringback.media.session import AudioSession

#: Seconds of written sound that may wait: enough for a busy loop, little to throw away at a barge-in.
AHEAD = 0.2
#: Sound is handed over in pieces of so many seconds.
PIECE = 0.1
#: How often we look whether some of it was said, at the least.
GRAIN = 0.02
#: Marks that nobody waits for any more are forgotten; so many may be open.
MOST_MARKS = 1_000

Result = TypeVar("Result")


class WhileAlive(Protocol):
    """Does work for as long as the call lives."""

    async def __call__(self, work: Coroutine[Any, Any, Result]) -> Result: ...


class Mark:
    """A place in what is said."""

    __slots__ = ("_audio", "_decided", "at", "is_flushed", "name")

    def __init__(self, audio: CallAudio, name: str, at: float) -> None:
        self._audio = audio
        self.name = name
        #: Seconds of sound written before it, since the call began.
        self.at = at
        self.is_flushed = False
        self._decided = asyncio.Event()

    @property
    def is_played(self) -> bool:
        """True once everything before it was really sent."""
        return not self.is_flushed and self._audio.position >= self.at - SAMPLE_BYTES / SAMPLE_RATE

    async def wait(self) -> bool:
        """True once it was played; False when it was flushed, or the call ended before it."""
        while not (self.is_played or self.is_flushed or self._audio.is_closed):
            try:
                async with asyncio.timeout(max(GRAIN, self.at - self._audio.position)):
                    await self._decided.wait()
            except TimeoutError:
                continue
        return self.is_played

    def flush(self) -> None:
        """What comes before it will not be said."""
        self.is_flushed = True
        self._decided.set()


class CallAudio:
    """The sound of one call, in both directions."""

    __slots__ = ("_flushes", "_marks", "_odd", "_session", "_while_alive", "_writing", "_written", "dropped")

    def __init__(self, session: AudioSession, while_alive: WhileAlive) -> None:
        self._session = session
        self._while_alive = while_alive
        self._writing = asyncio.Lock()
        self._marks: deque[Mark] = deque(maxlen=MOST_MARKS)
        self._written = 0.0
        self._odd = b""
        self._flushes = 0
        #: Seconds that were written and flushed before they were said.
        self.dropped = 0.0

    # --- listening -------------------------------------------------------------------------------------

    def read(self, *, rate: int = SAMPLE_RATE, frame_ms: int = 20) -> FrameReader:
        """What is heard from now on, in frames of `frame_ms` at `rate`; ends with the call."""
        size = frame_bytes(rate, frame_ms)
        return FrameReader(self._session.frames(rate), rate, size)

    # --- speaking --------------------------------------------------------------------------------------

    async def write(self, sound: Pcm | bytes) -> None:
        """Say this next. Bytes are PCM of 16 bits at 8000 Hz. Returns when nearly all of it was said, or when
        it was flushed; raises CallEnded when the call is over.
        """
        piece = Pcm(sound) if isinstance(sound, bytes) else sound
        await self._while_alive(self._write(piece))

    def mark(self, name: str = "") -> Mark:
        """The place behind all that was written so far."""
        while self._marks and (self._marks[0].is_played or self._marks[0].is_flushed):
            self._marks.popleft()
        mark = Mark(self, name, self._written)
        self._marks.append(mark)
        return mark

    def flush(self) -> float:
        """Say nothing more of what was written or is being played; how many seconds were dropped."""
        dropped = self.queued
        place = self.position
        self._flushes += 1
        self._odd = b""
        self._session.flush()
        self.dropped += dropped
        for mark in self._marks:
            if mark.at > place:
                mark.flush()
        return dropped

    @property
    def queued(self) -> float:
        """Seconds that wait to be said."""
        return self._session.queued

    @property
    def position(self) -> float:
        """Seconds of what was written that are settled: said or dropped."""
        return self._written - self.queued

    @property
    def played(self) -> float:
        """Seconds of what was written that were really sent."""
        return self.position - self.dropped

    @property
    def is_closed(self) -> bool:
        """True when nothing can be heard or said any more."""
        return self._session.is_closed

    # --- inside ----------------------------------------------------------------------------------------

    async def _write(self, sound: Pcm) -> None:
        flushes = self._flushes
        async with self._writing:
            data = self._whole_samples(sound.pcm)
            size = int(sound.rate * PIECE) * SAMPLE_BYTES
            for start in range(0, len(data), size):
                await self._room(flushes)
                if flushes != self._flushes:
                    return
                before = self.queued
                self._session.write(data[start : start + size], sound.rate)
                self._written += self.queued - before
            await self._room(flushes)

    def _whole_samples(self, pcm: bytes) -> bytes:
        """Models cut their sound anywhere: half a sample waits for its other half."""
        data = self._odd + pcm
        whole = len(data) // SAMPLE_BYTES * SAMPLE_BYTES
        self._odd = data[whole:]
        return data[:whole]

    async def _room(self, flushes: int) -> None:
        """Wait until little enough waits: sound has a pace. On hold that is when the call is resumed."""
        while self.queued > AHEAD and flushes == self._flushes and not self.is_closed:  # noqa: ASYNC110
            await asyncio.sleep(max(GRAIN, self.queued - AHEAD))


class FrameReader(AsyncIterator[Frame]):
    """An asynchronous iterator of `Frame`s. It listens from the moment it was made until `aclose`."""

    __slots__ = (
        "_activity",
        "_at",
        "_ended",
        "_frames",
        "_rate",
        "_size",
        "_started",
        "_unjudged",
        "_waiting",
    )

    def __init__(self, frames: FrameIterator, rate: int, size: int) -> None:
        self._frames = frames
        self._rate, self._size = rate, size
        self._activity = SpeechActivity(rate)
        self._waiting = self._unjudged = b""
        self._at = 0.0
        self._started = self._ended = False

    def __aiter__(self) -> FrameReader:
        return self

    async def __anext__(self) -> Frame:
        while len(self._waiting) < self._size:
            self._take(await anext(self._frames))
        pcm, self._waiting = self._waiting[: self._size], self._waiting[self._size :]
        started, self._started = self._started, False
        ended, self._ended = self._ended, False
        frame = Frame(pcm, self._rate, self._at, self._activity.is_speech, started, ended)
        self._at += frame.duration
        return frame

    @property
    def dropped(self) -> int:
        """Pieces of 20 ms that were lost because the program did not keep up."""
        return self._frames.dropped

    async def aclose(self) -> None:
        """Stop listening."""
        await self._frames.aclose()

    def _take(self, piece: bytes) -> None:
        self._waiting += piece
        self._unjudged += piece
        size = frame_bytes(self._rate, FRAME_MS)
        while len(self._unjudged) >= size:
            self._activity.hear(self._unjudged[:size])
            self._unjudged = self._unjudged[size:]
            self._started |= self._activity.started
            self._ended |= self._activity.ended
