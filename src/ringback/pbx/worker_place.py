# SPDX-License-Identifier: Apache-2.0
"""Who starts a worker, and another one when it dies? Its place among the workers, in the supervisor.

A place has a number, the sockets that belong to it, and at most one process. The sockets outlive the process:
what was sent to a dead worker is read by its replacement.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Sequence
from typing import Protocol

from ringback.pbx.worker_setup import WorkerSetup
from ringback.server.cluster.feed import Feed
from ringback.server.cluster.link import Link
from ringback.server.cluster.reader import Reader
from ringback.server.cluster.state import Change
from ringback.sip.errors import RingbackError

logger = logging.getLogger("ringback.process")

PATIENCE_AT_START = 30.0
#: A little more than a worker takes at most, and less than the whole process.
PATIENCE_AT_CLOSE = 4.0

#: How often a worker is asked whether it still works, and how long it may be silent then.
PING_INTERVAL = 10.0
PATIENCE_WITH_SILENCE = 20.0

#: A worker that lived for so long died of something new; others are replaced ever more slowly.
LONG_LIFE = 10.0
DELAYS = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Supervisor(Protocol):
    """What a place asks of the whole."""

    def setup(self, number: int) -> WorkerSetup: ...
    def changed(self, change: Change) -> None: ...
    def ended(self, number: int) -> None: ...


class WorkerPlace:
    """One of the workers, whichever process it is."""

    def __init__(self, number: int, supervisor: Supervisor, feed: Feed, command: Sequence[str]) -> None:
        self.number = number
        self.link: Link | None = None
        self._supervisor = supervisor
        self._feed = feed
        self._command = command
        self._reader: Reader | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._is_closing = False
        self.starts = 0
        self.is_serving = False

    @property
    def process(self) -> int | None:
        """The number of the process, while there is one."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """The first process; from then on there is one until `close`. Raises when it cannot serve."""
        begun = time.monotonic()
        try:
            await self._start()
        except BaseException:
            await self.close()
            raise
        self._keeping = asyncio.create_task(self._keep(begun))

    async def close(self) -> None:
        """Let it finish what it does, then end it."""
        self._is_closing = True
        if self._keeping is not None:
            self._keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeping
        if self.link is not None and self.link.is_open:
            with contextlib.suppress(RingbackError, TimeoutError):
                await self.link.ask("stop", {}, timeout=PATIENCE_AT_CLOSE)
        await self._end()

    def wake(self) -> None:
        """The feed has changed."""
        if self._reader is not None:
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
        self.is_serving = False
        self._supervisor.ended(self.number)

    # --- inside

    async def _start(self) -> None:
        setup = self._supervisor.setup(self.number)
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                str(theirs.fileno()),
                pass_fds=(theirs.fileno(), *setup.descriptors),
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        self.starts += 1
        self.link = await Link.open(ours, self, {})
        self._reader = Reader(self._feed, self.number, self.link)
        self._reader.wake()
        await self.link.ask("start", {"setup": setup.to_json()}, timeout=PATIENCE_AT_START)
        self.is_serving = True
        logger.debug("worker %d is process %d", self.number, self._process.pid)

    async def _keep(self, begun: float) -> None:
        failures = 0
        while True:
            code = await self._ended()
            await self._end()
            failures = 0 if time.monotonic() - begun > LONG_LIFE else failures + 1
            logger.error("worker %d has ended (%s) and is replaced", self.number, _reason(code))
            await asyncio.sleep(DELAYS[min(failures, len(DELAYS)) - 1] if failures else 0.0)
            begun = time.monotonic()
            try:
                await self._start()
            except (RingbackError, OSError, TimeoutError) as error:
                logger.error("worker %d cannot be replaced: %s", self.number, error)  # noqa: TRY400
                await self._end()

    async def _ended(self) -> int:
        """Wait until it does. One that answers nothing for long is stuck, and is ended."""
        assert self._process is not None
        assert self.link is not None
        waiting = asyncio.ensure_future(self._process.wait())
        while not (await asyncio.wait({waiting}, timeout=PING_INTERVAL))[0]:
            try:
                await self.link.ask("ping", {}, timeout=PATIENCE_WITH_SILENCE)
            except TimeoutError:
                logger.error("worker %d is stuck", self.number)  # noqa: TRY400
                self._process.kill()
            except RingbackError:
                pass  # it is about to end
        return waiting.result()

    async def _end(self) -> None:
        """No process and no link is left."""
        if self.link is not None:
            self.link.close()
        if self._process is not None:
            try:
                await asyncio.wait_for(self._process.wait(), 1.0)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()


def _reason(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
