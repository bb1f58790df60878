# SPDX-License-Identifier: Apache-2.0
"""Who starts a process of ours, and another one when it dies? One keeper for each, in the supervisor.

The process inherits one end of a link and answers three questions over it: "start" with all it needs to know,
"ping", and "stop". It ends when the link does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ringback.server.cluster.link import Link, Listener, Verb
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


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a process gets: the arguments of its "start", which may be secret, and inherited descriptors."""

    arguments: dict[str, Any] = field(repr=False)
    descriptors: Sequence[int] = ()


class Owner(Listener, Protocol):
    """Whose process it is."""

    def beginning(self) -> Beginning: ...
    def linked(self, link: Link) -> None: ...


class KeptProcess:
    """There is one from `start` to `close`, whichever it is. `name` is for the log; `verbs` answer what it
    asks.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        owner: Owner,
        verbs: Mapping[str, Verb] | None = None,
        *,
        delays: Sequence[float] = DELAYS,
    ) -> None:
        self.link: Link | None = None
        self._name = name
        self._command = command
        self._owner = owner
        self._verbs = verbs or {}
        self._delays = delays
        self._process: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._has_begun = False
        self.starts = 0

    @property
    def is_serving(self) -> bool:
        """True while there is one that has begun."""
        return self._has_begun and self.link is not None and self.link.is_open

    @property
    def pid(self) -> int | None:
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

    def begin(self) -> None:
        """The same, without waiting: what cannot serve yet is tried again and again."""
        self._keeping = asyncio.create_task(self._keep_from_the_start())

    async def close(self) -> None:
        """Let it finish what it does, then end it."""
        if self._keeping is not None:
            self._keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeping
        if self.link is not None and self.link.is_open:
            with contextlib.suppress(RingbackError, TimeoutError):
                await self.link.ask("stop", {}, timeout=PATIENCE_AT_CLOSE)
        await self._end()

    async def _start(self) -> None:
        self._has_begun = False
        beginning = self._owner.beginning()
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command,
                    str(theirs.fileno()),
                    pass_fds=(theirs.fileno(), *beginning.descriptors),
                    stdin=asyncio.subprocess.DEVNULL,
                    start_new_session=True,
                )
            self.starts += 1
            self.link = await Link.open(ours, self._owner, self._verbs)
        except BaseException:
            ours.close()
            raise
        self._owner.linked(self.link)
        await self.link.ask("start", beginning.arguments, timeout=PATIENCE_AT_START)
        self._has_begun = True
        logger.debug("%s is process %d", self._name, self._process.pid)

    async def _keep_from_the_start(self) -> None:
        begun = time.monotonic()
        await self._has_started()
        await self._keep(begun)

    async def _keep(self, begun: float) -> None:
        failures = 0
        while True:
            if self._has_begun:
                code = await self._ended()
                await self._end()
                logger.error("%s has ended (%s) and is replaced", self._name, _reason(code))
            failures = 0 if time.monotonic() - begun > LONG_LIFE else failures + 1
            delays = self._delays
            await asyncio.sleep(delays[min(failures, len(delays)) - 1] if failures else 0.0)
            begun = time.monotonic()
            await self._has_started()

    async def _has_started(self) -> bool:
        """Try once more."""
        try:
            await self._start()
        except (RingbackError, OSError, TimeoutError) as error:
            logger.error("%s cannot be started: %s", self._name, error)  # noqa: TRY400
            await self._end()
        return self._has_begun

    async def _ended(self) -> int:
        """Wait until it does. One that answers nothing for long is stuck, and is ended."""
        assert self._process is not None
        assert self.link is not None
        waiting = asyncio.ensure_future(self._process.wait())
        while not (await asyncio.wait({waiting}, timeout=PING_INTERVAL))[0]:
            try:
                await self.link.ask("ping", {}, timeout=PATIENCE_WITH_SILENCE)
            except TimeoutError:
                logger.error("%s is stuck", self._name)  # noqa: TRY400
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
