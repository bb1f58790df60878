# SPDX-License-Identifier: Apache-2.0
"""How is a bridged call recorded? Each end on a channel of its own, whoever the two ends are meanwhile.

The first leg that talks is on the left. Two clocks fill the two channels; the one that is behind for more
than a moment gets silence, so that they never drift apart. A full disk ends the recording, not the call.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ringback.media.errors import UnwritableAudio
from ringback.media.files import WaveWriter
from ringback.media.input import Input
from ringback.media.pcm import FRAME_BYTES, SAMPLE_RATE, audioop

if TYPE_CHECKING:
    from ringback.media.join import Join

log = logging.getLogger("ringback.media")

#: How far one channel may be ahead of the other one: 100 ms.
_MOST_AHEAD = 5 * FRAME_BYTES


class BridgeRecording:
    """A WAV file that follows a bridge. UnwritableAudio when it cannot be made."""

    def __init__(self, path: Path) -> None:
        self._writer = WaveWriter(path, channels=2)
        self._channels = (bytearray(), bytearray())
        self._left: str | None = None
        self._join: Join | None = None
        self._taps: list[tuple[Input, Callable[[bytes], None], Callable[[], None]]] = []
        #: Told why, when it ends by itself.
        self.on_failure: Callable[[str], None] = lambda reason: None

    def follow(self, join: Join) -> None:
        """Record these two from now on."""
        if self._join is not None and self._join is not join:
            self.leave(self._join)
        if self._join is None:
            self._join = join
            join.watch(on=True)
        self._release()
        names = [leg.name for leg in join.legs]
        if self._left not in names:
            self._left = names[1]  # who was called answers; who calls is on the left
        for leg in join.legs:
            heard = join.listen(leg)
            if heard is not None:
                source, stop = heard
                hear = partial(self._hear, 0 if leg.name == self._left else 1)
                source.add(hear, SAMPLE_RATE)
                self._taps.append((source, hear, stop))

    def leave(self, join: Join) -> None:
        """These two are no longer there."""
        if self._join is join:
            self._release()
            self._join = None
            join.watch(on=False)

    def stop(self) -> None:
        """Finish the file. Twice is as good as once."""
        if self._join is not None:
            self.leave(self._join)
        try:
            self._writer.close()
        except UnwritableAudio as error:
            self._fail(error)

    def _release(self) -> None:
        for source, hear, stop in self._taps:
            source.remove(hear)
            stop()
        self._taps.clear()

    def _hear(self, side: int, pcm: bytes) -> None:
        own, other = self._channels[side], self._channels[1 - side]
        own += pcm
        if len(own) - len(other) > _MOST_AHEAD:
            other += bytes(len(own) - len(other) - _MOST_AHEAD)
        size = min(len(own), len(other))
        if size:
            left, right = (bytes(channel[:size]) for channel in self._channels)
            for channel in self._channels:
                del channel[:size]
            self._write(left, right)

    def _write(self, left: bytes, right: bytes) -> None:
        stereo = audioop.add(audioop.tostereo(left, 2, 1, 0), audioop.tostereo(right, 2, 0, 1), 2)
        try:
            self._writer.write(stereo)
        except UnwritableAudio as error:
            if self._join is not None:
                self.leave(self._join)
            with contextlib.suppress(UnwritableAudio):
                self._writer.close()
            self._fail(error)

    def _fail(self, error: UnwritableAudio) -> None:
        log.warning("a recording ended early: %s", error)
        self.on_failure(str(error))
