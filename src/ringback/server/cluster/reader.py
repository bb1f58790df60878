# SPDX-License-Identifier: Apache-2.0
"""How does one worker follow the feed? As fast as it reads, and from where it was.

What a worker changed itself is not sent back to it; it is told how many of its changes are in what it was
sent, so that it knows which of two changes of one key came later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from ringback.server.cluster.state import RESET, Change, Revised, decode, encode

if TYPE_CHECKING:
    from ringback.server.cluster.feed import Feed
    from ringback.server.cluster.link import Link

#: Changes that are written in one turn of the loop.
BATCH = 1000


class Reader:
    """The supervisor's side of one worker's share in the feed."""

    __slots__ = (
        "_changes",
        "_feed",
        "_is_pumping",
        "_loop",
        "_number",
        "_revision",
        "_sent",
        "_taken",
        "link",
    )

    def __init__(self, feed: Feed, number: int, link: Link) -> None:
        self._feed = feed
        self._number = number
        self.link = link
        self._loop = asyncio.get_running_loop()
        self._changes: Iterator[Revised] = iter(())
        self._revision = -1
        self._is_pumping = False
        #: Changes that this worker made: those put in order, and those it knows to be.
        self._taken = 0
        self._sent = 0

    def take(self, data: bytes) -> Change:
        """A change that the worker made."""
        change = decode(data)
        self._taken += 1
        self._feed.apply(change, origin=self._number)
        return change

    def wake(self) -> None:
        """There may be something to send, or room for it."""
        if not self._is_pumping:
            self._is_pumping = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._is_pumping = False
        if not self.link.is_writable:
            return
        sent = self._sent
        batch = list(islice(self._changes, BATCH))
        if not batch:
            if self._revision == self._feed.revision:
                return
            self._changes = self._feed.changes(self._revision)
            batch = list(islice(self._changes, BATCH))
        for revision, origin, change in batch:
            self._revision = revision
            if origin == self._number:
                self._sent += 1
                continue
            if change is RESET:
                self._sent = self._taken
            if self._sent != sent:
                sent = self._sent
                self.link.send_taken(sent)
            self.link.send_change(encode(change))
        if self._sent != sent:
            self.link.send_taken(self._sent)
        self.wake()
