# SPDX-License-Identifier: Apache-2.0
"""How is a message kept at the least cost? Its octets are copied, at once, behind those that came before.

To refer to it takes fewer instructions and costs as much: its memory cannot be used again for the next one.
What is dear is new memory (a page costs 4 us on a virtual machine), so the buffer stays, and a chunk is small
enough for the allocator to use the memory of the one that was forgotten. All told 9 to 16 us a call of 13
messages.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from io import BytesIO
from itertools import accumulate

from ringback.server.tracing.chunk import EACH, EACH_BATCH, FIXED, FLOW, SHORTEST, Batch, Chunk, packed
from ringback.sip.flow import Flow

#: So many messages are a chunk: 60 KB as a rule, 6 MB when all are as large as can be.
MESSAGES = 100
#: A buffer that became larger is not kept.
LARGEST_BUFFER = 1_000_000


class Gathering:
    """What came since the last chunk was made. `begun` is called with the first message, `full` when it is
    time to take a chunk.
    """

    __slots__ = (
        "_begun",
        "_buffer",
        "_counts",
        "_flows",
        "_full",
        "_sizes",
        "_times",
        "_ways",
        "_write",
        "_write_all",
    )

    def __init__(self, begun: Callable[[], object], full: Callable[[], object]) -> None:
        self._begun, self._full = begun, full
        self._times: list[float] = []
        self._ways = bytearray()
        self._counts: list[int] = []
        self._sizes: list[int] = []
        self._flows: list[Flow] = []
        self._open_buffer()

    def take(self, sent: bool, batch: Sequence[tuple[bytes, Flow]], now: float) -> None:
        """`StackDriver.tap`: the path of every message."""
        count = len(batch)
        if count == 1:
            ((data, flow),) = batch
            self._write(data)
            self._sizes.append(len(data))
            self._flows.append(flow)
        elif count:
            pieces, flows = zip(*batch, strict=True)
            self._write_all(pieces)
            self._sizes += map(len, pieces)
            self._flows += flows
        else:
            return
        if not self._times:
            self._begun()
        self._times.append(now)
        self._ways.append(sent)
        self._counts.append(count)
        if len(self._sizes) > MESSAGES:
            self._full()

    def chunk(self, *, first: int, wall: float) -> Chunk | None:
        """All of it as a chunk, whose first message has this number; None when nothing came."""
        if not self._sizes:
            return None
        made = self._made(first, wall)
        is_odd = min(self._sizes) < SHORTEST
        self._times, self._ways = [], bytearray()
        self._counts, self._sizes, self._flows = [], [], []
        if self._buffer.tell() > LARGEST_BUFFER:
            self._open_buffer()
        self._buffer.seek(0)
        return packed(_without_keep_alives(made), first=first, wall=wall) if is_odd else made

    def _made(self, first: int, wall: float) -> Chunk:
        with self._buffer.getbuffer() as view:
            data = bytes(view[: self._buffer.tell()])
        size = FIXED + len(data) + EACH * len(self._sizes) + EACH_BATCH * len(self._times)
        return Chunk(
            first=first,
            data=data,
            ends=array("I", list(accumulate(self._sizes))),
            flows=tuple(self._flows),
            firsts=array("I", list(accumulate(self._counts, initial=0))[:-1]),
            times=array("d", self._times),
            ways=bytes(self._ways),
            wall=wall,
            size=size + FLOW * len(set(map(id, self._flows))),  # by identity: the hash of a flow takes 1 us
        )

    def _open_buffer(self) -> None:
        self._buffer = BytesIO()
        self._write, self._write_all = self._buffer.write, self._buffer.writelines


def _without_keep_alives(chunk: Chunk) -> list[Batch]:
    return [batch for batch in chunk.batches() if len(batch[2][0][0]) >= SHORTEST]
