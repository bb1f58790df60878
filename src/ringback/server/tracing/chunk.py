# SPDX-License-Identifier: Apache-2.0
"""How do some hundred messages lie in memory? Packed: their octets in one piece, all else in arrays.

Objects of their own would cost 300 octets a message more, and the garbage collector would look at each.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import NamedTuple

from ringback.sip.flow import Address, Flow

#: Sockets bound to these hear on every address of the machine.
WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 (compared, not bound)

#: What arrays, a tuple and the object itself take besides the messages.
FIXED = 1000
#: For each message: its end and its flow; for each batch: beginning, time, direction.
EACH, EACH_BATCH = 4 + 8, 4 + 8 + 1
#: For each flow: it may be alive only because we refer to it.
FLOW = 700
#: No SIP message is shorter; keep-alives are (RFC 5626 3.5.1).
SHORTEST = 16

#: (time of the loop, True when we sent them, the messages)
Batch = tuple[float, bool, Sequence[tuple[bytes, Flow]]]


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
    data: bytes
    ends: array[int]
    flows: tuple[Flow, ...]
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
        start = self.ends[index - 1] if index else 0
        return Kept(
            self.times[batch] + self.wall,
            bool(self.ways[batch]),
            self.flows[index],
            self.data[start : self.ends[index]],
        )

    def messages(self) -> Iterator[Kept]:
        """All of them."""
        return (self.message(index) for index in range(len(self.ends)))

    def batches(self) -> list[Batch]:
        """All of them, each in a batch of its own."""
        return [(kept.at - self.wall, kept.sent, [(kept.data, kept.flow)]) for kept in self.messages()]

    def having(self, text: bytes) -> list[int]:
        """Which messages contain this, at 10 GB a second: faster than any index that has to be kept."""
        found: list[int] = []
        place, index = self.data.find(text), 0
        while place >= 0:
            while self.ends[index] <= place:
                index += 1
            found.append(index)
            place = self.data.find(text, self.ends[index])
        return found


def packed(batches: Sequence[Batch], *, first: int, wall: float) -> Chunk | None:
    """A chunk of what was collected; None if that was nothing but keep-alives."""
    times, ways, lists = zip(*batches, strict=True) if batches else ((), (), ())
    messages = list(chain.from_iterable(lists))
    if not messages:
        return None
    pieces, flows = zip(*messages, strict=True)
    sizes = list(map(len, pieces))
    if min(sizes) < SHORTEST:
        return packed(_without_keep_alives(batches), first=first, wall=wall)
    data = b"".join(pieces)
    size = FIXED + len(data) + EACH * len(messages) + EACH_BATCH * len(batches)
    return Chunk(
        first=first,
        data=data,
        ends=array("I", list(accumulate(sizes))),
        flows=flows,
        firsts=array("I", list(accumulate(map(len, lists), initial=0))[:-1]),
        times=array("d", times),
        ways=bytes(ways),
        wall=wall,
        size=size + FLOW * len(set(map(id, flows))),  # by identity: the hash of a flow takes 1 us
    )


def _without_keep_alives(batches: Sequence[Batch]) -> list[Batch]:
    kept = [
        (at, sent, [message for message in batch if len(message[0]) >= SHORTEST])
        for at, sent, batch in batches
    ]
    return [batch for batch in kept if batch[2]]
