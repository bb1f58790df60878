# SPDX-License-Identifier: Apache-2.0
"""How does a byte stream behave in memory? In order, without loss, in any pieces, until it breaks."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from ringback.net.network import Gate, StreamAccepted, StreamReader
from ringback.sip.flow import Address

if TYPE_CHECKING:
    from ringback.testing.network import Conditions, Network

#: How long a cut may last before a connection with unacknowledged data breaks (TCP_USER_TIMEOUT).
USER_TIMEOUT = 15.0
RETRY = 0.5


class MemoryStream:
    """One end of a connection; a `ringback.net.network.Stream`."""

    def __init__(self, network: "Network", local: Address, remote: Address) -> None:
        self._network = network
        self._local = local
        self._remote = remote
        self._reader: StreamReader | None = None
        self._peer: MemoryStream | None = None
        self._segments: deque[bytes] = deque()
        self._queued = 0
        self._unread: list[bytes] = []
        self._due = 0.0
        self._stuck_since: float | None = None
        self._closing = False
        self._lost: str | None = None
        self._released: Callable[[], None] | None = None
        #: Set it to let this end read nothing more (a zero window).
        self.stalled = False
        #: Called when all that was written has arrived.
        self.drained: Callable[[], None] | None = None

    def join(self, peer: "MemoryStream") -> None:
        """Make two ends one connection."""
        self._peer, peer._peer = peer, self

    def on_end(self, released: Callable[[], None]) -> None:
        """Call back once when this end is over."""
        self._released = released

    @property
    def local(self) -> Address:
        """Our end."""
        return self._local

    @property
    def remote(self) -> Address:
        """The peer's end."""
        return self._remote

    @property
    def queued(self) -> int:
        """Bytes written and not yet delivered."""
        return self._queued

    @property
    def over(self) -> bool:
        """True when this end has ended."""
        return self._lost is not None

    def set_reader(self, reader: StreamReader) -> None:
        """Deliver data and the end of the connection to `reader` from now on."""
        self._reader = reader
        unread, self._unread = self._unread, []
        for data in unread:
            reader.data_received(data)
        if self._lost is not None:
            reader.connection_lost(self._lost)

    def pause(self) -> None:
        """Read nothing until `resume`."""
        self.stalled = True

    def resume(self) -> None:
        """Read again."""
        self.stalled = False

    def write(self, data: bytes) -> None:
        """Send; the data arrives in order, in pieces the seed decides."""
        if self.over or self._closing or not data:
            return
        for segment in self._split(bytes(data)):
            self._segments.append(segment)
            self._queued += len(segment)
            self._schedule()

    def after_turn(self, callback: Callable[[], None]) -> None:
        """Each delivery is a turn of its own."""
        callback()

    def close(self) -> None:
        """End the connection when everything written has arrived."""
        if not self.over and not self._closing:
            self._closing = True
            self._schedule()

    def abort(self) -> None:
        """Reset the connection."""
        if not self.over:
            self._end_soon("aborted")
            peer = self._peer
            if peer is not None:
                peer._end_soon("connection reset by peer")

    def reset(self, detail: str) -> None:
        """Both ends lose the connection now, whatever was on its way."""
        self._end_soon(detail)
        if self._peer is not None:
            self._peer._end_soon(detail)

    def _split(self, data: bytes) -> list[bytes]:
        chance, conditions = self._network.chance, self._conditions()
        if not conditions.segment or len(data) < 2 or chance.random() < 0.5:
            return [data]
        cuts = sorted(chance.randrange(1, len(data)) for _ in range(chance.randrange(1, 4)))
        return [
            data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True) if start < end
        ]

    def _conditions(self) -> "Conditions":
        return self._network.conditions_of(self._local.host, self._remote.host)

    def _schedule(self) -> None:
        """One delivery for each segment (and one for the end), never before the one ahead of it."""
        loop = asyncio.get_running_loop()
        self._due = max(self._due, loop.time() + self._network.delay_of(self._conditions()))
        loop.call_at(self._due, self._deliver)

    def _deliver(self) -> None:
        peer = self._peer
        if self.over or peer is None or peer.over:
            return
        if peer.stalled or self._network.is_cut(self._local.host, self._remote.host):
            self._wait_for_way(asyncio.get_running_loop().time())
            return
        self._stuck_since = None
        if self._segments:
            segment = self._segments.popleft()
            self._queued -= len(segment)
            self._network.record("stream", self._local, self._remote, segment)
            peer._take(segment)
            if not self._queued and self.drained is not None:
                self.drained()
        elif self._closing:
            self._end("closed")
            peer._end("closed by the peer")

    def _wait_for_way(self, now: float) -> None:
        if self._stuck_since is None:
            self._stuck_since = now
        if now - self._stuck_since >= USER_TIMEOUT:
            self.reset("timed out")
        else:
            asyncio.get_running_loop().call_later(RETRY, self._deliver)

    def _take(self, segment: bytes) -> None:
        if self.over:
            return
        if self._reader is None:
            self._unread.append(segment)
        else:
            self._reader.data_received(segment)

    def _end_soon(self, detail: str) -> None:
        """As with real sockets, the end is told from the loop, never from inside a call of the owner."""
        asyncio.get_running_loop().call_soon(self._end, detail)

    def _end(self, detail: str) -> None:
        if self.over:
            return
        self._lost = detail
        self._segments.clear()
        self._queued = 0
        if self._released is not None:
            self._released()
        if self._reader is not None:
            self._reader.connection_lost(detail)


class MemoryListener:
    """A listening socket in memory; a `ringback.net.network.Listener`."""

    def __init__(
        self,
        local: Address,
        accepted: StreamAccepted,
        tls: bool,
        gate: Gate | None,
        closed: Callable[[], object],
    ) -> None:
        self._local = local
        self._accepted = accepted
        self._gate = gate
        self._closed = closed
        self.tls = tls

    @property
    def local(self) -> Address:
        """Where this listener is bound."""
        return self._local

    def close(self) -> None:
        """Accept no more."""
        self._closed()

    def welcome(self, stream: MemoryStream) -> None:
        """Accept a connection, or reset it when the gate says no."""
        gate = self._gate
        if gate is None:
            self._accepted(stream)
        elif gate.admit(stream.remote):
            stream.on_end(lambda: gate.release(stream.remote))
            self._accepted(stream)
        else:
            stream.abort()
