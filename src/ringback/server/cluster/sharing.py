# SPDX-License-Identifier: Apache-2.0
"""What does a worker tell the others, and what does it do when they tell it something?

It tells who registered with it, and which of its connections belong to somebody known. It takes over the same
from the others: into its own location, where calls look, and into its table of neighbours. Of two changes of
one contact the later one counts, and the feed says which that is: while a change of ours is on its way to the
feed, what comes from there for the same contact is older.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ringback.net.handover import pack_flow, unpack_flow
from ringback.server.binding import flow_of
from ringback.server.cluster.shared_binding import connection_of, pack_binding, to_binding, unpack_record
from ringback.server.cluster.state import (
    ALL_THERE,
    BINDING,
    CONNECTION,
    RESET,
    Change,
    binding_key,
    connection_key,
    decode,
    encode,
    parts,
)

if TYPE_CHECKING:
    from ringback.net.neighbours import Neighbours
    from ringback.server.binding import Binding
    from ringback.server.flow_token import Restore
    from ringback.server.location import Location
    from ringback.server.storage.store import BindingRecord
    from ringback.sip.flow import Flow

logger = logging.getLogger("ringback.cluster")

REMEMBERED_FLOWS = 16_384


class Sharing:
    """One worker's share in the feed. `send` takes a change to the supervisor."""

    def __init__(self, send: Callable[[bytes], None], *, wall_clock: Callable[[], float]) -> None:
        self._send = send
        self._wall_clock = wall_clock
        self._loop = asyncio.get_running_loop()
        self._location: Location | None = None
        self._neighbours: Neighbours | None = None
        self._restore: Restore = lambda flow: flow
        #: A snapshot that is still coming, or that nobody has taken over yet.
        self._snapshot: dict[str, bytes] | None = {}
        #: Keys of changes of ours that the feed has not confirmed, in their order.
        self._on_the_way: deque[str] = deque()
        self._unconfirmed: Counter[str] = Counter()
        self._confirmed = 0
        self._flows: dict[tuple[object, ...], Flow] = {}
        #: Set when a whole snapshot is here.
        self.complete = asyncio.Event()

    # --- the start: the snapshot comes, the location loads it, `follow` goes on from there

    def attach(self, location: Location, neighbours: Neighbours, *, restore: Restore) -> None:
        """What happens here is told from now on."""
        self._location, self._neighbours, self._restore = location, neighbours, restore
        location.on_changed.append(self._changed)

    def bindings(self) -> Iterator[tuple[str, str, bytes]]:
        """Those of the snapshot: user, key and value."""
        for name, value in (self._snapshot or {}).items():
            kind, user, key = parts(name)
            if kind == BINDING:
                yield user, key, value

    def follow(self) -> None:
        """The location has the snapshot. Connections are told apart from what was stored about them."""
        snapshot, self._snapshot = self._snapshot or {}, None
        for key, value in snapshot.items():
            kind = parts(key)[0]
            if kind == CONNECTION or (kind == BINDING and connection_of(value)):
                self._take(Change(key, value))

    # --- from this worker

    def announce(self, flow: Flow, is_open: bool) -> None:
        """A connection of ours belongs to somebody known, or is over."""
        self._tell(connection_key(flow.connection), pack_flow(flow) if is_open else None)

    def _changed(self, user: str, put: Sequence[Binding], removed: Sequence[str]) -> None:
        difference = self._wall_clock() - self._loop.time()
        for key in removed:
            self._tell(binding_key(user, key), None)
        for binding in put:
            value = pack_binding(binding, expires_at=binding.expires_at + difference)
            self._tell(binding_key(user, binding.key), value)

    def _tell(self, key: str, value: bytes | None) -> None:
        self._on_the_way.append(key)
        self._unconfirmed[key] += 1
        self._send(encode(Change(key, value)))

    # --- from the others

    def confirmed(self, count: int) -> None:
        """So many changes of ours stand before what comes next."""
        while self._confirmed < count and self._on_the_way:
            key = self._on_the_way.popleft()
            self._confirmed += 1
            self._unconfirmed[key] -= 1
            if not self._unconfirmed[key]:
                del self._unconfirmed[key]

    def hear(self, data: bytes) -> None:
        """A change of another worker, or a part of a snapshot."""
        change = decode(data)
        if change == RESET:
            self._snapshot = {}
        elif change == ALL_THERE:
            self._all_there()
        elif self._snapshot is None:
            self._take(change)
        elif change.value is None:
            self._snapshot.pop(change.key, None)
        else:
            self._snapshot[change.key] = change.value

    def _all_there(self) -> None:
        """The first snapshot waits to be loaded; a later one replaces what we missed."""
        if not self.complete.is_set():
            self.complete.set()
            return
        snapshot, self._snapshot = self._snapshot or {}, None
        assert self._location is not None
        assert self._neighbours is not None
        known = [binding_key(binding.user, binding.key) for binding in self._location]
        self._neighbours.forget_all()
        for change in (Change(key, None) for key in known if key not in snapshot):
            self._take(change)
        for key, value in snapshot.items():
            self._take(Change(key, value))

    def _take(self, change: Change) -> None:
        kind, first, second = parts(change.key)
        if kind == CONNECTION:
            self._take_connection(int(first), change.value)
        elif kind == BINDING and change.key not in self._unconfirmed:
            self._take_binding(first, second, change.value)

    def _take_connection(self, number: int, value: bytes | None) -> None:
        assert self._neighbours is not None
        if value is None:
            self._neighbours.closed(number)
        else:
            self._neighbours.opened(unpack_flow(value))

    def _take_binding(self, user: str, key: str, value: bytes | None) -> None:
        assert self._location is not None
        if value is None:
            self._location.apply(user, remove=(key,))
            return
        binding = self._binding(user, value)
        if binding is not None:
            self._location.apply(user, put=(binding,))

    def _binding(self, user: str, value: bytes) -> Binding | None:
        record = unpack_record(value)
        if record is None:
            logger.warning("a binding of user %s cannot be read", user)
            return None
        flow = self._flow(record, connection_of(value))
        expires_at = self._loop.time() + (record.expires_at - self._wall_clock())
        return to_binding(record, expires_at=expires_at, flow=flow)

    def _flow(self, record: BindingRecord, connection: int) -> Flow | None:
        """The same object for the same flow while it is remembered: a phone registers again and again."""
        name = (
            record.transport,
            record.local_host,
            record.local_port,
            record.remote_host,
            record.remote_port,
        )
        flow = self._flows.get((connection, *name))
        if flow is None and (written := flow_of(record)) is not None:
            if len(self._flows) >= REMEMBERED_FLOWS:
                self._flows.clear()
            flow = self._flows[connection, *name] = replace(self._restore(written), connection=connection)
        return flow
