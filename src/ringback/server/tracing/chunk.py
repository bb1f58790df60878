# SPDX-License-Identifier: Apache-2.0
"""How do some hundred messages lie in memory? Their octets behind one another, all else in arrays.

Objects of their own would cost 300 octets a message more, and the garbage collector would look at each.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ringback.kernel import Tape
from ringback.server.tracing.memory import Piece
from ringback.sip.flow import Address, Flow

#: Sockets bound to these hear on every address of the machine.
WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 (compared, not bound)

#: What arrays, a list and the object itself take besides the messages.
FIXED = 1000
#: For each message: its end and its flow; for each batch: beginning, time, direction.
EACH, EACH_BATCH = 4 + 8, 4 + 8 + 1
#: For each flow: it may be alive only because we refer to it.
FLOW = 700


class Kept(NamedTuple):
    """One message as it was sent or received, secrets and all."""

    at: float
    """Seconds since 1970."""
    sent: bool
    flow: Flow
    data: bytes


def our_end(flow: Flow) -> Address:
    """Our address on a flow: where the socket hears on all of them, the one that peers are told."""
    local = flow.local
    if local.host not in WILDCARDS or not flow.sent_by:
        return local
    host, _, port = flow.sent_by.rpartition(":")
    if not port.isdecimal() or host.count("[") != host.count("]"):
        host = flow.sent_by
    return Address(host.strip("[]"), local.port)


@dataclass(slots=True)
class Chunk:
    """Messages in the order they came. Never changed once it is made."""

    first: int
    """The number of the first message, counted since the server began."""
    piece: Piece
    """Where the octets are, among others."""
    start: int
    ends: array[int]
    """Where in the piece each message ends."""
    flows: Sequence[Flow]
    firsts: array[int]
    """The place of the first message of each batch."""
    times: array[float]
    """Of each batch, by the clock of the loop, which nobody sets."""
    ways: bytes
    """Of each batch: 1 where we sent it."""
    wall: float
    """What the wall clock was ahead of the clock of the loop."""
    size: int
    """Octets of memory."""

    @property
    def last_at(self) -> float:
        """When the last message came."""
        return self.times[-1] + self.wall

    def __len__(self) -> int:
        return len(self.ends)

    def message(self, index: int) -> Kept:
        """One of them."""
        batch = bisect_right(self.firsts, index) - 1
        start = self.ends[index - 1] if index else self.start
        return Kept(
            self.times[batch] + self.wall,
            bool(self.ways[batch]),
            self.flows[index],
            self.piece.octets[start : self.ends[index]],
        )

    def messages(self) -> Iterator[Kept]:
        """All of them."""
        for at, sent, batch in self.batches():
            for data, flow in batch:
                yield Kept(at, sent, flow, data)

    def batches(self) -> Iterator[tuple[float, bool, list[tuple[bytes, Flow]]]]:
        """All of them as they came: what came together has one time and one direction."""
        octets, start, first = self.piece.octets, self.start, 0
        for last, at, way in zip((*self.firsts[1:], len(self)), self.times, self.ways, strict=True):
            batch = []
            for end, flow in zip(self.ends[first:last], self.flows[first:last], strict=True):
                batch.append((octets[start:end], flow))
                start = end
            first = last
            yield at + self.wall, bool(way), batch

    def having(self, text: bytes) -> list[int]:
        """Which messages contain this, at 4 GB a second: faster than any index that has to be kept."""
        found: list[int] = []
        octets, ends = self.piece.octets, self.ends
        place, index = self.start - 1, 0
        while (place := octets.find(text, place + 1, ends[-1])) >= 0:
            index = bisect_right(ends, place, index)
            if place + len(text) <= ends[index]:
                found.append(index)
                place = ends[index] - 1
        return found


def chunk_from(tape: Tape, piece: Piece, *, first: int, wall: float) -> Chunk | None:
    """What was taken since the last time; None if that is nothing."""
    cut = tape.cut()
    if cut is None:
        return None
    start, ends, flows, firsts, times, ways = cut
    size = FIXED + ends[-1] - start + EACH * len(ends) + EACH_BATCH * len(times)
    size += FLOW * len(set(map(id, flows)))  # by identity: the hash of a flow takes 1 us
    return Chunk(first, piece, start, ends, flows, firsts, times, ways, wall, size)
