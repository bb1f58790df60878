# SPDX-License-Identifier: Apache-2.0
"""How is a call recorded with each end on a channel of its own? They on the left, we on the right.

The left channel is the clock: with each 20 ms that are heard, 20 ms of what was said go beside them. What
was said waits no longer than a moment, so that the two never drift apart.
"""

from __future__ import annotations

import logging
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ringback.media.errors import UnwritableAudio
from ringback.media.files import WaveWriter
from ringback.media.pcm import SAMPLE_BYTES, SAMPLE_RATE, audioop, duration_of
from ringback.media.resampling import Resampler

if TYPE_CHECKING:
    from ringback.media.session import AudioSession

log = logging.getLogger("ringback.media")

#: What was said and not yet written may be so long: more than the two clocks of a call are ever apart.
LONGEST_LEAD = 0.2
_LEAD_BYTES = int(LONGEST_LEAD * SAMPLE_RATE) * SAMPLE_BYTES


class StereoRecording:
    """A recording of both ends, until `stop`, the end of the `with` block or of the call."""

    __slots__ = ("_resampler", "_said", "_session", "_writer", "duration", "failure")

    def __init__(self, session: AudioSession, path: Path | str) -> None:
        self._writer = WaveWriter(path, channels=2)
        self._session = session
        self._said = bytearray()
        self._resampler: tuple[int, Resampler] | None = None
        #: Seconds recorded.
        self.duration = 0.0
        #: Why it ended before it was stopped; a full disk ends the recording, never the call.
        self.failure: UnwritableAudio | None = None
        session.input.add(self._hear)
        session.output.hearers.append(self._say)
        session.recordings.append(self)

    @property
    def path(self) -> Path:
        """The file."""
        return self._writer.path

    @property
    def is_running(self) -> bool:
        """True while it records."""
        return self._writer.is_open and self.failure is None

    def stop(self) -> None:
        """Finish the file. Twice is as good as once."""
        self._detach()
        try:
            self._writer.close()
        except UnwritableAudio as error:
            self._give_up(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _say(self, pcm: bytes, rate: int) -> None:
        if rate != SAMPLE_RATE:
            if self._resampler is None or self._resampler[0] != rate:
                self._resampler = rate, Resampler(rate, SAMPLE_RATE)
            pcm = self._resampler[1].process(pcm)
        self._said += pcm
        if len(self._said) > _LEAD_BYTES:
            del self._said[: len(self._said) - _LEAD_BYTES]

    def _hear(self, frame: bytes) -> None:
        said = bytes(self._said[: len(frame)])
        del self._said[: len(frame)]
        said += bytes(len(frame) - len(said))
        stereo = audioop.add(
            audioop.tostereo(frame, SAMPLE_BYTES, 1, 0),
            audioop.tostereo(said, SAMPLE_BYTES, 0, 1),
            SAMPLE_BYTES,
        )
        try:
            self._writer.write(stereo)
        except UnwritableAudio as error:
            self._detach()
            self._give_up(error)
        else:
            self.duration += duration_of(frame, SAMPLE_RATE)

    def _detach(self) -> None:
        self._session.input.remove(self._hear)
        if self._say in self._session.output.hearers:
            self._session.output.hearers.remove(self._say)

    def _give_up(self, error: UnwritableAudio) -> None:
        if self.failure is None:
            self.failure = error
            log.warning("a recording ended early: %s", error)
