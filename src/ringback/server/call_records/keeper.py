# SPDX-License-Identifier: Apache-2.0
"""Who keeps the records of calls? One listener of the bulletin in the process that writes to the store.

    async with kept_records(directory, system.bulletin, lambda: settings.records):
        ...                                                # calls begin and end

A record is handed to the thread of the store and nothing waits for it. While the disk cannot be written some
thousands wait; those that are too many are counted and left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any

from ringback.server.first_start import open_records
from ringback.server.storage.store import StorageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from ringback.server.bulletin import Bulletin
    from ringback.server.call_records.settings import RecordSettings
    from ringback.server.storage.records import RecordStore

logger = logging.getLogger("ringback.records")

DAY = 86_400.0
#: Records after which it is looked whether there are too many, and seconds after which whether some are old.
TRIM_AFTER, TRIM_EVERY = 1000, 3600.0


class RecordKeeper:
    """Writes what is posted as "call.ended", and the verdicts that follow as "call.judged"."""

    def __init__(
        self,
        bulletin: Bulletin,
        store: RecordStore,
        settings: Callable[[], RecordSettings],
        *,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self.left_out = 0
        """Records that were too many for the disk."""
        self._store = store
        self._wall_clock = wall_clock
        self._since_trim = 0
        self._stop = bulletin.listen(self._hear, only=("call.ended", "call.judged"))

    async def run(self) -> None:
        """Forget what is too old, now and once an hour."""
        while True:
            self._trim()
            await asyncio.sleep(TRIM_EVERY)

    def close(self) -> None:
        """Hear no more; what was heard is written when this returns, if the disk can be."""
        self._stop()
        self._store.close()

    def _hear(self, event: dict[str, Any]) -> None:
        if not self._settings().enabled:
            return
        if event["kind"] == "call.judged":
            self._store.judge(event["id"], event["verdicts"])
            return
        if not self._store.put(event["call"]):
            self.left_out += 1
            if self.left_out == 1:
                logger.warning("records of calls are left out: the store takes no more")
            return
        self._since_trim += 1
        if self._since_trim >= TRIM_AFTER:
            self._trim()

    def _trim(self) -> None:
        self._since_trim = 0
        settings = self._settings()
        self._store.trim(before=self._wall_clock() - settings.keep_days * DAY, most=settings.max_records)


@contextlib.asynccontextmanager
async def kept_records(
    directory: Path, bulletin: Bulletin, settings: Callable[[], RecordSettings]
) -> AsyncIterator[RecordKeeper | None]:
    """Keep records in this data directory. A database that cannot be opened stops no call: then there are
    none.
    """
    try:
        store = await asyncio.to_thread(open_records, directory)
    except StorageError as error:
        logger.error("calls are not written down: %s", error)  # noqa: TRY400 (nothing of ours failed)
        yield None
        return
    keeper = RecordKeeper(bulletin, store, settings)
    trimming = asyncio.create_task(keeper.run())
    try:
        yield keeper
    finally:
        trimming.cancel()
        await asyncio.to_thread(keeper.close)
