# SPDX-License-Identifier: Apache-2.0
"""How are messages written down one behind another, in memory that is there already?

    tape = Tape(begun, full, most=256)
    tape.take(False, [(data, flow)], now)        # calls full(len(data)), which loads memory
    piece = tape.cut()

What somebody keeps of the traffic is copied once, at once, and needs no object of its own: to refer to a
message would keep its memory from being used for the next one.
"""

from array import array
from collections.abc import Callable, Sequence
from typing import Any, Protocol

#: No SIP message is shorter; keep-alives are (RFC 5626 3.5.1).
SHORTEST = 16

#: (where it begins, where each message ends, their flows; of each batch its first message, its time, whether
#: it was sent)
Cut = tuple[int, "array[int]", list[Any], "array[int]", "array[float]", bytes]


class Memory(Protocol):
    """Octets that can be written: an `mmap`, a `bytearray`."""

    def __len__(self) -> int: ...
    def __setitem__(self, place: slice, octets: bytes, /) -> None: ...


class Tape:
    """Messages that were taken since the last cut.

    begun:
        called when there is a first one
    full:
        called with the size of a message for which there is no room, or when there are `most` of them: has
        to cut, and to load other memory. What has no room then is left out.
    """

    __slots__ = (
        "_begun",
        "_ends",
        "_firsts",
        "_flows",
        "_full",
        "_memory",
        "_most",
        "_start",
        "_times",
        "_ways",
    )

    def __init__(self, begun: Callable[[], object], full: Callable[[int], object], most: int) -> None:
        self._begun, self._full = begun, full
        self._most = most
        self.load(bytearray())
        self._clear()

    def __len__(self) -> int:
        """How many messages were taken."""
        return len(self._flows)

    @property
    def room(self) -> int:
        """Octets that are left of the memory."""
        return len(self._memory) - self._place

    def load(self, memory: Memory) -> None:
        """Write here from now on, from the first octet. Nothing may wait to be cut."""
        self._memory = memory
        self._start = 0

    def take(self, sent: bool, batch: Sequence[tuple[bytes, Any]], now: float) -> None:
        """All messages of a batch, keep-alives apart."""
        is_begun = False
        for data, flow in batch:
            size = len(data)
            if size < SHORTEST:
                continue
            if len(self._flows) >= self._most or size > self.room:
                self._full(size)
                is_begun = False
                if len(self._flows) >= self._most or size > self.room:
                    continue
            if not is_begun:
                is_begun = True
                self._begin(sent, now)
            place = self._place
            self._memory[place : place + size] = data
            self._ends.append(place + size)
            self._flows.append(flow)

    def cut(self) -> Cut | None:
        """What was taken, as it lies in the memory; None if nothing was. The next is written behind it."""
        if not self._flows:
            return None
        piece = self._start, self._ends, self._flows, self._firsts, self._times, bytes(self._ways)
        self._start = self._place
        self._clear()
        return piece

    @property
    def _place(self) -> int:
        return self._ends[-1] if self._ends else self._start

    def _begin(self, sent: bool, now: float) -> None:
        if not self._flows:
            self._begun()
        self._firsts.append(len(self._flows))
        self._times.append(now)
        self._ways.append(sent)

    def _clear(self) -> None:
        self._ends, self._firsts, self._times = array("I"), array("I"), array("d")
        self._flows: list[Any] = []
        self._ways = bytearray()
