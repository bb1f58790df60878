# SPDX-License-Identifier: Apache-2.0
"""Where do the octets of the ring lie? In large pieces, which are used again.

New memory is dear: a page of 4 KB costs 3 us when it is first touched on a virtual machine, and a call fills
two. Asked for 128 at a time they cost 1 us each; a large page (2 MB) was dearer than all of them where the
machine below had none to give. So while a ring is filled for the first time, the trace of a call costs 4 us
instead of 12. The piece of chunks that are forgotten is the next one. Nothing is taken before it is needed,
and the first piece is touched page by page: a quiet server takes what it uses.
"""

from __future__ import annotations

import contextlib
import mmap
import sys
from collections.abc import Callable

#: What is asked for at once takes 0.2 ms.
PIECE = 524_288
#: Of a small ring; two messages as long as they can be.
SMALLEST_PIECE = 131_072
#: Pieces that wait to be used again; what is more goes back to the system.
MOST_SPARE = 2
#: madvise(2), Linux 5.14: give these pages now. Others give them one by one.
POPULATE_WRITE = 23


class Piece:
    """Octets that chunks lie in. When the last of them is forgotten, so is this, and its octets are free."""

    __slots__ = ("_freed", "octets")

    def __init__(self, octets: mmap.mmap, freed: Callable[[mmap.mmap], object]) -> None:
        self.octets = octets
        self._freed = freed

    def __del__(self) -> None:
        self._freed(self.octets)


class Memory:
    """The pieces of one ring. Belongs to the event loop; a piece may be let go of in any thread."""

    __slots__ = ("_has_begun", "_spare", "piece_size")

    def __init__(self, limit: int) -> None:
        """`limit`: octets of the ring."""
        self._spare: list[mmap.mmap] = []
        self._has_begun = False
        self.limit(limit)

    def limit(self, limit: int) -> None:
        """Another one."""
        self.piece_size = min(PIECE, max(SMALLEST_PIECE, limit >> 4))
        self._spare.clear()

    def piece(self, least: int) -> Piece:
        """A piece with room for this; an odd one if it is larger than messages are."""
        if self._spare and least <= self.piece_size:
            return Piece(self._spare.pop(), self._keep)
        octets = mmap.mmap(-1, max(least, self.piece_size), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if self._has_begun and sys.platform == "linux":
            with contextlib.suppress(OSError):
                octets.madvise(POPULATE_WRITE)
        self._has_begun = True
        return Piece(octets, self._keep)

    def clear(self) -> None:
        """Nothing is kept any more: give everything back."""
        self._spare.clear()
        self._has_begun = False

    def _keep(self, octets: mmap.mmap) -> None:
        if len(octets) == self.piece_size and len(self._spare) < MOST_SPARE:
            self._spare.append(octets)
