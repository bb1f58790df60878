# SPDX-License-Identifier: Apache-2.0
"""What is said next? Files and tones being played, then what was written, then silence.

The sender pulls; nobody pushes. So sound is never sent faster than it is heard, and a source that ends tells
its player at the moment its last piece was taken.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator

from ringback.media.errors import MediaError
from ringback.media.pcm import SAMPLE_BYTES, SAMPLE_RATE
from ringback.sip.errors import InvalidState

#: Seconds of written sound that may wait.
LONGEST_QUEUE = 60

_QUEUE_BYTES = LONGEST_QUEUE * SAMPLE_RATE * SAMPLE_BYTES


class Playing:
    """One source being played. `finished` is done when its last frame was taken, or it was stopped."""

    __slots__ = ("_frames", "_waiting", "finished")

    def __init__(self, frames: Iterator[bytes]) -> None:
        self._frames = frames
        self._waiting = b""
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
    """Where the sound to be sent comes from."""

    __slots__ = ("_chunks", "_playing", "_queued")

    def __init__(self) -> None:
        self._playing: deque[Playing] = deque()
        self._chunks: deque[bytes] = deque()
        self._queued = 0

    @property
    def is_idle(self) -> bool:
        """True when there is nothing to say."""
        return not self._playing and not self._queued

    @property
    def queued(self) -> float:
        """Seconds of written sound that wait."""
        return self._queued / (SAMPLE_RATE * SAMPLE_BYTES)

    def play(self, frames: Iterator[bytes]) -> Playing:
        """Play a source after those that are playing."""
        playing = Playing(frames)
        self._playing.append(playing)
        return playing

    def stop(self, playing: Playing) -> None:
        """Play no more of this source."""
        if playing in self._playing:
            self._playing.remove(playing)
        playing.finish()

    def write(self, pcm: bytes) -> None:
        """Say this after what was written before; InvalidState when too much waits already."""
        if len(pcm) % SAMPLE_BYTES:
            raise InvalidState("PCM of 16 bits comes in pairs of bytes")
        if self._queued + len(pcm) > _QUEUE_BYTES:
            raise InvalidState(f"more than {LONGEST_QUEUE} s of sound wait to be sent")
        if pcm:
            self._chunks.append(pcm)
            self._queued += len(pcm)

    def clear(self) -> None:
        """Forget all that waits: the other end has begun to speak, or the call is over."""
        self._chunks.clear()
        self._queued = 0
        while self._playing:
            self._playing.popleft().finish()

    def take(self, size: int) -> bytes:
        """The next `size` bytes; shorter, or empty, when there is no more to say."""
        taken = self._take_playing(size)
        while len(taken) < size and self._chunks:
            chunk = self._chunks.popleft()
            wanted = size - len(taken)
            if len(chunk) > wanted:
                self._chunks.appendleft(chunk[wanted:])
                chunk = chunk[:wanted]
            taken += chunk
            self._queued -= len(chunk)
        return taken

    def _take_playing(self, size: int) -> bytes:
        taken = b""
        while self._playing and len(taken) < size:
            playing = self._playing[0]
            piece = playing.take(size - len(taken))
            taken += piece
            if len(taken) < size:
                self._playing.popleft()
                playing.finish()
        return taken
