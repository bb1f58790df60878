# SPDX-License-Identifier: Apache-2.0
"""What does the transport layer of one worker know of the others? Their numbers, and their connections.

A connection belongs to the worker that accepted or opened it; its number says which (`first_connection`).
Messages that reach the wrong worker are handed over, and what is sent on another worker's connection goes
through that worker. Which connections of the others are open is told through the change feed: those of
phones that have proved who they are.
"""

import logging
import re
from collections.abc import Callable, Mapping, Sequence

from ringback.kernel import scan
from ringback.net.handover import Handover, Received
from ringback.net.steering import owner_of
from ringback.sip.flow import Flow

log = logging.getLogger("ringback.net")

_CANCEL = b"CANCEL "
_INVITE = b"INVITE "
_DIALLED = re.compile(rb"INVITE sips?:([^@;: ]{1,64})[@;:]", re.IGNORECASE)

#: A connection's number is its worker's number and a count of so many bits.
COUNT_BITS = 48


def worker_of(connection: int) -> int:
    """The number of the worker whose connection this is."""
    return connection >> COUNT_BITS


def first_connection(worker: int, chance: int) -> int:
    """Where a worker begins to number its connections. By chance, since flows are written down and outlive
    processes.
    """
    return (worker << COUNT_BITS) + chance % (1 << (COUNT_BITS - 8)) + 1


class Neighbours:
    """The other workers, as one worker sees them.

    `announce` is told of connections of ours: (flow, True) when its peer is known, (flow, False) when it
    ends.
    """

    def __init__(self, number: int, handover: Handover, *, announce: Callable[[Flow, bool], None]) -> None:
        self.number = number
        self._handover = handover
        self._announce = announce
        self._announced: set[int] = set()
        self._open: dict[int, Flow] = {}
        self._lost: Callable[[Flow, str], None] | None = None
        self._has_invite: Callable[[str, str], bool] = lambda *_: True
        ring = sorted((number, *handover.numbers))
        self._next = ring[(ring.index(number) + 1) % len(ring)]
        self.count = len(ring)
        self._homes: dict[str, int] = {}
        self.given = 0

    def begin(
        self,
        *,
        received: Received,
        send: Callable[[bytes, Flow], object],
        lost: Callable[[Flow, str], None],
        has_invite: Callable[[str, str], bool],
    ) -> None:
        """We serve: take what others hand over, and tell of their connections that are `lost`. `has_invite`
        knows the branches and sent-bys of INVITEs that are worked on here.
        """
        self._lost, self._has_invite = lost, has_invite
        self._handover.begin(received, send, self._passes_on)

    def live_at(self, homes: Mapping[str, int]) -> None:
        """Calls to these users, such as conference rooms, belong to one worker each, whoever reads them."""
        self._homes = dict(homes)

    def is_elsewhere(self, user: str) -> bool:
        """True if calls to this user belong to another worker."""
        return self._homes.get(user, self.number) != self.number

    # --- the driver asks

    def sorting(self, received: Received) -> Received:
        """`received` for our own messages only; the others go where they belong."""

        def sort(batch: Sequence[tuple[bytes, Flow]]) -> None:
            ours = [message for message in batch if not self._gives_away(*message)]
            if ours:
                received(ours)

        return sort

    def send(self, data: bytes, flow: Flow) -> bool:
        """Send on the connection of another worker. False when there is none of that number."""
        owner = worker_of(flow.connection)
        if owner == self.number or not self._handover.knows(owner):
            return False
        self._handover.send(owner, data, flow)
        return True

    def is_alive(self, flow: Flow) -> bool:
        """True for an open connection of another worker."""
        return flow.connection in self._open

    def trusted(self, flow: Flow) -> None:
        """The peer on a connection of ours has proved who it is."""
        if flow.connection and flow.connection not in self._announced:
            self._announced.add(flow.connection)
            self._announce(flow, True)

    def ended(self, flow: Flow) -> None:
        """A connection of ours is over."""
        if flow.connection in self._announced:
            self._announced.discard(flow.connection)
            self._announce(flow, False)

    # --- the feed tells

    def opened(self, flow: Flow) -> None:
        """Another worker has this connection."""
        if worker_of(flow.connection) != self.number:
            self._open[flow.connection] = flow

    def closed(self, connection: int) -> None:
        """Another worker has it no more."""
        flow = self._open.pop(connection, None)
        if flow is not None and self._lost is not None:
            self._lost(flow, "the connection of another worker is over")

    def forget_all(self) -> None:
        """What is open is told anew."""
        self._open.clear()

    def _passes_on(self, data: bytes, flow: Flow, times: int) -> bool:
        """RFC 3261 9.1: a CANCEL copies the top Via of its INVITE, and comes from the same place as a rule.
        If it does not, the worker of the INVITE is asked for, once around; the last to hear is the first
        again, which may have read the INVITE by then.
        """
        head = scan(data) if times else None
        if head is None or self._has_invite(head.branch, head.sent_by):
            return False
        self._handover.pass_on(self._next, data, flow, times - 1)
        self.given += 1
        return True

    def _gives_away(self, data: bytes, flow: Flow) -> bool:
        if data.startswith(_CANCEL):
            return self._passes_on(data, flow, self.count)
        owner = owner_of(data)
        if owner is None and self._homes and data.startswith(_INVITE):
            owner = self._home_of(data)
        if owner is None or owner == self.number or not self._handover.knows(owner):
            return False
        self._handover.give(owner, data, flow)
        self.given += 1
        return True

    def _home_of(self, data: bytes) -> int | None:
        """The worker that a new call belongs to by what was dialled. Who spells a number in a way that is
        not found here (escaped) is not refused: they meet fewer people.
        """
        found = _DIALLED.match(data)
        return self._homes.get(found[1].decode("ascii", "replace")) if found is not None else None

    def status(self) -> dict[str, int]:
        """Counters, for people and tests."""
        return {
            "given_to_other_workers": self.given,
            "lost_between_workers": self._handover.lost,
            "connections_of_other_workers": len(self._open),
        }

    def close(self) -> None:
        """Hand over no more."""
        self._handover.close()
