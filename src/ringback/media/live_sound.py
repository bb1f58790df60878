# SPDX-License-Identifier: Apache-2.0
"""How does sound get from one call into another without piling up? Through a queue of at most 60 ms.

One clock puts in and another one takes out. Where both are those of this program they are as fast as each
other, so nothing piles up for good; after a stall, or an announcement that was heard instead, too much does.
Then the oldest is left out: at once above the limit, and what was to spare for a whole second is, too.
"""

from __future__ import annotations

from ringback.media.pcm import SAMPLE_BYTES
from ringback.media.resampling import Resampler

LONGEST_WAIT = 0.060
#: What is to spare is looked at once in so many seconds.
_PERIOD = 1.0
#: So much may always wait: the two clocks tick at different moments.
_MARGIN = 0.020


class LiveSound:
    """PCM of any rate goes in, PCM of `rate` comes out."""

    __slots__ = ("_period", "_resampler", "_since", "_spare", "_waiting", "left_out", "rate")

    def __init__(self, rate: int) -> None:
        self.rate = rate
        #: Seconds taken at once last.
        self._period = _MARGIN
        self._resampler: Resampler | None = None
        self._waiting = bytearray()
        #: The least that waited after a piece was taken, and the seconds that were taken since then.
        self._spare = LONGEST_WAIT
        self._since = 0.0
        #: Seconds of sound nobody heard.
        self.left_out = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def queued(self) -> float:
        """Seconds that wait."""
        return len(self._waiting) / (SAMPLE_BYTES * self.rate)

    def put(self, pcm: bytes, rate: int) -> None:
        """Sound that was just heard somewhere."""
        if rate != self.rate:
            if self._resampler is None or self._resampler.old != rate:
                self._resampler = Resampler(rate, self.rate)
            pcm = self._resampler.process(pcm)
        self._waiting += pcm
        longest = max(LONGEST_WAIT, 2 * self._period)
        self._leave_out(self.queued - longest)

    def take(self, size: int) -> bytes:
        """The next `size` bytes, or as many as there are."""
        taken = bytes(self._waiting[:size])
        del self._waiting[:size]
        self._period = size / (SAMPLE_BYTES * self.rate)
        self._spare = min(self._spare, self.queued)
        self._since += self._period
        if self._since >= _PERIOD:
            self._leave_out(self._spare - _MARGIN)
            self._spare, self._since = LONGEST_WAIT, 0.0
        return taken

    def clear(self) -> None:
        """Nothing waits."""
        self._waiting.clear()
        self._resampler = None

    def _leave_out(self, seconds: float) -> None:
        if seconds <= 0.0:
            return
        samples = round(seconds * self.rate)
        del self._waiting[: samples * SAMPLE_BYTES]
        self.left_out += samples / self.rate
