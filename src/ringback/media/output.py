# SPDX-License-Identifier: Apache-2.0
"""What is said next? Files and tones being played, then what was written, then another call, then silence.

The sender pulls; nobody pushes. So sound is never sent faster than it is heard, and a source that ends tells
its player at the moment its last piece was taken. Sound of any sample rate is turned into that of the codec
as it is taken.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator

from ringback.media.errors import MediaError
from ringback.media.live_sound import LiveSound
from ringback.media.pcm import SAMPLE_BYTES, SAMPLE_RATE, duration_of
from ringback.media.resampling import Resampler
from ringback.sip.errors import InvalidState

#: Seconds of written sound that may wait.
LONGEST_QUEUE = 60
_ROUNDING = 1e-6

#: Called with PCM and its sample rate.
Hear = Callable[[bytes, int], None]


class Playing:
    """One source being played. `finished` is done when its last frame was taken, or it was stopped."""

    __slots__ = ("_frames", "_waiting", "finished", "rate")

    def __init__(self, frames: Iterator[bytes], rate: int) -> None:
        self._frames = frames
        self._waiting = b""
        self.rate = rate
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(self, size: int) -> bytes:
        """Up to `size` bytes; less only at the end."""
        while len(self._waiting) < size:
            try:
                frame = next(self._frames, None)
            except MediaError as error:
                self._fail(error)
                break
            if frame is None:
                break
            self._waiting += frame
        taken, self._waiting = self._waiting[:size], self._waiting[size:]
        return taken

    def finish(self) -> None:
        if not self.finished.done():
            self.finished.set_result(None)

    def _fail(self, error: MediaError) -> None:
        if not self.finished.done():
            self.finished.set_exception(error)


class Output:
    """Where the sound to be sent comes from. `rate` is that of the codec, whoever sends sets it."""

    __slots__ = ("_chunks", "_live", "_playing", "_queued", "_ready", "_resampler", "hearers", "rate")

    def __init__(self) -> None:
        self._playing: deque[Playing] = deque()
        #: What was written, and its rate; views, so that taking 20 ms off a minute copies 20 ms.
        self._chunks: deque[tuple[memoryview, int]] = deque()
        #: Seconds in `_chunks`.
        self._queued = 0.0
        self._live = LiveSound(SAMPLE_RATE)
        self._resampler: Resampler | None = None
        #: Resampled already: at most a few samples more than were asked for.
        self._ready = b""
        self.rate = SAMPLE_RATE
        #: Told of all that is sent, silence included.
        self.hearers: list[Hear] = []

    @property
    def is_idle(self) -> bool:
        """True when there is nothing to say."""
        return not (self._playing or self._chunks or self._live)

    @property
    def queued(self) -> float:
        """Seconds of written sound that wait."""
        return self._queued

    def play(self, frames: Iterator[bytes], rate: int = SAMPLE_RATE) -> Playing:
        """Play a source after those that are playing."""
        playing = Playing(frames, rate)
        self._playing.append(playing)
        return playing

    def stop(self, playing: Playing) -> None:
        """Play no more of this source."""
        if playing in self._playing:
            self._playing.remove(playing)
        playing.finish()

    def write(self, pcm: bytes, rate: int = SAMPLE_RATE) -> None:
        """Say this after what was written before; InvalidState when too much waits already."""
        if len(pcm) % SAMPLE_BYTES:
            raise InvalidState("PCM of 16 bits comes in pairs of bytes")
        seconds = duration_of(pcm, rate)
        if self._queued + seconds > LONGEST_QUEUE + _ROUNDING:
            raise InvalidState(f"more than {LONGEST_QUEUE} s of sound wait to be sent")
        if pcm:
            self._chunks.append((memoryview(pcm), rate))
            self._queued += seconds

    def forward(self, pcm: bytes, rate: int) -> None:
        """Sound of another call, as it comes: it waits for at most 60 ms, then the oldest is left out."""
        if self._live.rate != self.rate:
            self._live = LiveSound(self.rate)
        self._live.put(pcm, rate)

    def clear(self) -> None:
        """Forget all that waits: the other end has begun to speak, or the call is over."""
        self._chunks.clear()
        self._queued = 0.0
        self._live.clear()
        self._ready = b""
        self._resampler = None
        while self._playing:
            self._playing.popleft().finish()

    def take(self, size: int) -> bytes:
        """The next `size` bytes; shorter, or empty, when there is no more to say."""
        taken = self._ready
        while len(taken) < size:
            piece, rate = self._next(size - len(taken))
            if not piece:
                taken += self._end_of_filter()
                break
            taken += self._converted(piece, rate)
        taken, self._ready = taken[:size], taken[size:]
        if len(taken) < size and self._live:
            taken += self._live.take(size - len(taken))
        if self.hearers:
            heard = taken + bytes(size - len(taken))
            for hearer in tuple(self.hearers):
                hearer(heard, self.rate)
        return taken

    def _next(self, size: int) -> tuple[bytes, int]:
        """A piece, and its rate: as much as `size` bytes will be made of, or less."""
        while self._playing:
            playing = self._playing[0]
            wanted = self._wanted(size, playing.rate)
            piece = playing.take(wanted)
            if len(piece) < wanted:
                self._playing.popleft()
                playing.finish()
            if piece:
                return piece, playing.rate
        return self._next_written(size) if self._chunks else (b"", self.rate)

    def _next_written(self, size: int) -> tuple[bytes, int]:
        chunk, rate = self._chunks.popleft()
        wanted = self._wanted(size, rate)
        if len(chunk) > wanted:
            self._chunks.appendleft((chunk[wanted:], rate))
            chunk = chunk[:wanted]
        self._queued = max(0.0, self._queued - len(chunk) / (SAMPLE_BYTES * rate)) if self._chunks else 0.0
        return bytes(chunk), rate

    def _wanted(self, size: int, rate: int) -> int:
        """Bytes at `rate` that make `size` bytes of ours, rounded up to whole samples."""
        return size if rate == self.rate else -(-size // SAMPLE_BYTES * rate // self.rate) * SAMPLE_BYTES

    def _converted(self, piece: bytes, rate: int) -> bytes:
        resampler = self._resampler
        if resampler is not None and (resampler.old, resampler.new) == (rate, self.rate):
            return resampler.process(piece)
        tail = self._end_of_filter()
        if rate == self.rate:
            return tail + piece
        self._resampler = resampler = Resampler(rate, self.rate)
        return tail + resampler.process(piece)

    def _end_of_filter(self) -> bytes:
        """What the resampler of the source that has ended still holds."""
        resampler, self._resampler = self._resampler, None
        return resampler.flush() if resampler is not None and resampler.new == self.rate else b""
