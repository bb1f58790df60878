# SPDX-License-Identifier: Apache-2.0
"""How do some hundred messages lie in memory? Packed: their octets in one piece, what is known of each in arrays.

Objects of their own would cost 300 octets a message more, and the garbage collector would look at each. Packing
costs 0.25 us a message.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ringback.sip.flow import Address, Flow

#: Sockets bound to these hear on every address of the machine.
WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 (compared, not bound)

#: What arrays, a list and the object itself take besides the messages.
FIXED = 800
#: For each message: its end, time, and flow.
EACH = 4 + 8 + 4
#: For each flow: it may be alive only because we refer to it.
FLOW = 700

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
    times: array[float]
    """By the clock of the loop, which nobody sets."""
    ways: array[int]
    """The place of each message's flow in `flows`, times two, plus one when we sent it."""
    flows: list[Flow]
    wall: float
    """What the wall clock was ahead of the clock of the loop."""

    @property
    def size(self) -> int:
        """Octets of memory."""
        return FIXED + len(self.data) + EACH * len(self.ends) + FLOW * len(self.flows)

    @property
    def last_at(self) -> float:
        """When the last message came."""
        return self.times[-1] + self.wall

    def __len__(self) -> int:
        return len(self.ends)

    def message(self, index: int) -> Kept:
        """One of them."""
        way = self.ways[index]
        start = self.ends[index - 1] if index else 0
        return Kept(
            self.times[index] + self.wall,
            bool(way & 1),
            self.flows[way >> 1],
            self.data[start : self.ends[index]],
        )

    def messages(self) -> Iterator[Kept]:
        """All of them."""
        return (self.message(index) for index in range(len(self.ends)))

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
    """A chunk of what was collected; None if that was nothing but keep-alives (RFC 5626 3.5.1)."""
    pieces: list[bytes] = []
    times: list[float] = []
    ends: list[int] = []
    ways: list[int] = []
    flows: list[Flow] = []
    places: dict[int, int] = {}  # by identity: the hash of a flow takes 1 us
    end = 0
    for at, sent, batch in batches:
        for data, flow in batch:
            if data.isspace():
                continue
            place = places.get(id(flow))
            if place is None:
                place = places[id(flow)] = len(flows) << 1
                flows.append(flow)
            end += len(data)
            pieces.append(data)
            ends.append(end)
            times.append(at)
            ways.append(place + sent)
    if not pieces:
        return None
    return Chunk(first, b"".join(pieces), array("I", ends), array("d", times), array("I", ways), flows, wall)
