# SPDX-License-Identifier: Apache-2.0
"""What is the place of a worker among the workers? A number, sockets, and at most one process.

The sockets outlive the process: what was sent to a dead worker is read by its replacement. `kept_process.py`
sees to it that there is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ringback.pbx.kept_process import Beginning, KeptProcess
from ringback.pbx.worker_setup import WorkerSetup
from ringback.server.cluster.feed import Feed
from ringback.server.cluster.link import Answer, Link
from ringback.server.cluster.reader import Reader
from ringback.server.cluster.state import Change


class Supervisor(Protocol):
    """What a place asks of the whole."""

    def setup(self, number: int) -> WorkerSetup: ...
    def changed(self, change: Change) -> None: ...
    def ended(self, number: int) -> None: ...
    def heard(self, event: Answer) -> None: ...


class WorkerPlace:
    """One of the workers, whichever process it is."""

    def __init__(self, number: int, supervisor: Supervisor, feed: Feed, command: Sequence[str]) -> None:
        self.number = number
        self._supervisor = supervisor
        self._feed = feed
        self._kept = KeptProcess(f"worker {number}", command, self)
        self._reader: Reader | None = None

    @property
    def link(self) -> Link | None:
        """How to ask the process, while there is one."""
        return self._kept.link

    @property
    def process(self) -> int | None:
        """The number of the process, while there is one."""
        return self._kept.pid

    @property
    def is_serving(self) -> bool:
        """True while it does its work."""
        return self._kept.is_serving

    @property
    def starts(self) -> int:
        """How many processes there were."""
        return self._kept.starts

    async def start(self) -> None:
        """The first process; from then on there is one until `close`. Raises when it cannot serve."""
        await self._kept.start()

    async def close(self) -> None:
        """Let it finish what it does, then end it."""
        await self._kept.close()

    def wake(self) -> None:
        """The feed has changed."""
        if self._reader is not None:
            self._reader.wake()

    # --- what its keeper asks

    def beginning(self) -> Beginning:
        setup = self._supervisor.setup(self.number)
        return Beginning({"setup": setup.to_json()}, setup.descriptors)

    def linked(self, link: Link) -> None:
        """What all know is on its way before it is told to start."""
        link.on_event = self._supervisor.heard
        self._reader = Reader(self._feed, self.number, link)
        self._reader.wake()

    # --- what comes over the link

    def change_received(self, data: bytes) -> None:
        if self._reader is not None:
            self._supervisor.changed(self._reader.take(data))

    def taken(self, count: int) -> None:
        """Only workers are told."""

    def writable(self) -> None:
        self.wake()

    def link_lost(self) -> None:
        """It is dead, or about to be."""
        self._reader = None
        self._supervisor.ended(self.number)
