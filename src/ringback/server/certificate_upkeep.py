# SPDX-License-Identifier: Apache-2.0
"""Keeps the certificate of a running server good: renews ours, notices that its owner put another one in
place.

New connections get the new certificate, open ones keep theirs; a file that cannot be used changes nothing.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import ssl
from collections.abc import Callable
from pathlib import Path

from ringback.server.certificates import CertificateError, CertificateFiles, expiry, load_into
from ringback.server.storage.store import StorageError

logger = logging.getLogger("ringback.certificates")

INTERVAL = 60.0
WARN_BEFORE = datetime.timedelta(days=14)

Clock = Callable[[], datetime.datetime]
Find = Callable[[], CertificateFiles]


class CertificateUpkeep:
    """Looks after one TLS context. `find` says which files to use now, and makes new ones when due."""

    __slots__ = ("_clock", "_context", "_find", "_stamp", "_warned_on")

    def __init__(self, context: ssl.SSLContext, *, find: Find, clock: Clock) -> None:
        self._context = context
        self._find = find
        self._clock = clock
        self._stamp = _stamp(find())
        self._warned_on: datetime.date | None = None

    async def run(self) -> None:
        """Look once a minute, until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            await asyncio.to_thread(self.look)

    def look(self) -> bool:
        """Look once; True when another certificate is in use now."""
        try:
            files = self._find()
            stamp = _stamp(files)
            if stamp == self._stamp:
                self._warn_if_it_ends_soon(files)
                return False
            self._stamp = stamp
            load_into(self._context, files)
        except (CertificateError, StorageError) as error:
            logger.warning("the certificate stays as it was: %s", error)
            return False
        logger.info("the certificate in %s is in use now", files.certificate)
        return True

    def _warn_if_it_ends_soon(self, files: CertificateFiles) -> None:
        """Once a day. Ours never come here: they are renewed long before."""
        now, end = self._clock(), expiry(files.certificate)
        if end - now < WARN_BEFORE and self._warned_on != now.date():
            self._warned_on = now.date()
            logger.warning("the certificate in %s ends on %s", files.certificate, end.date())


def _stamp(files: CertificateFiles) -> tuple[object, ...]:
    """Changes when a file was replaced."""
    return tuple((str(file), _modified(file)) for file in (files.certificate, files.key))


def _modified(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino
