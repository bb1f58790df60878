# SPDX-License-Identifier: Apache-2.0
"""Which devices have had their time? Guests after an hour, and others that were made for a while: they are
removed, and their registrations with them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from ringback.pbx.directory import Directory
from ringback.server.storage.store import StorageError, Store

logger = logging.getLogger("ringback.pbx")

LONGEST_PAUSE, SHORTEST_PAUSE = 60.0, 1.0


class DeviceUpkeep:
    """Looks each minute, and when the next one ends."""

    __slots__ = ("_changed", "_directory", "_store", "_wall_clock")

    def __init__(
        self,
        store: Store,
        directory: Directory,
        changed: Callable[[], Awaitable[None]],
        *,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """`changed` makes the running server read the devices again."""
        self._store = store
        self._directory = directory
        self._changed = changed
        self._wall_clock = wall_clock

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self.look()
            except StorageError as error:
                logger.warning("devices whose time is over could not be removed yet: %s", error)
            await asyncio.sleep(self.pause())

    async def look(self) -> None:
        """Remove those whose time is over, and note who was here."""
        now = self._wall_clock()
        over = [each.id for each in self._directory.devices() if 0 < each.expires_at <= now]
        if over:
            await asyncio.to_thread(self._remove, over)
            await self._changed()
        self._store.see_devices()

    def pause(self) -> float:
        """Seconds until the next look."""
        ends = [each.expires_at for each in self._directory.devices() if each.expires_at]
        left = min(ends, default=float("inf")) - self._wall_clock()
        return min(max(left, SHORTEST_PAUSE), LONGEST_PAUSE)

    def _remove(self, devices: Sequence[str]) -> None:
        for device in devices:
            self._store.remove_device(device)
