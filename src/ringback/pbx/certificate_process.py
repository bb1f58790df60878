# SPDX-License-Identifier: Apache-2.0
"""Who sees to the certificate of a running server? Two tasks: one looks at the files, one asks a public
authority for new ones, where the settings say so.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from ringback.server.acme.upkeep import AcmeUpkeep
from ringback.server.certificate_upkeep import CertificateUpkeep
from ringback.server.certificates import CertificateFiles, described, fingerprint_of
from ringback.server.config import Settings
from ringback.server.first_start import Installation, certificate_files, shown_authority
from ringback.sip.errors import RingbackError


class CertificateKeeping:
    """`settings` gives those in force; `reload(files)` tells every process which files count now."""

    def __init__(
        self,
        installation: Installation,
        *,
        settings: Callable[[], Settings],
        reload: Callable[[CertificateFiles], Awaitable[None]],
    ) -> None:
        self._installation = installation
        self._settings = settings
        self._reload = reload
        context = installation.identity.server_tls
        assert context is not None, "prepare always makes one"
        self._upkeep = CertificateUpkeep(context, find=lambda: self.files(settings()), clock=_now)
        self._acme = AcmeUpkeep(installation.directory, settings=settings, changed=self._changed, clock=_now)

    def status(self) -> dict[str, Any]:
        """What is shown now; `authority` is the fingerprint of our own one, if it is of that."""
        settings = self._settings()
        authority = shown_authority(settings, self._installation.directory)
        source = "own authority" if authority else "file" if settings.tls.certificate else "ACME"
        try:
            found: dict[str, Any] = described(self.files(settings).certificate)
        except RingbackError as error:
            return {"source": source, "authority": "", "problem": str(error)}
        fingerprint = fingerprint_of(authority) if authority is not None else ""
        return {**found, "source": source, "authority": fingerprint, "problem": self._acme.failure}

    def files(self, settings: Settings) -> CertificateFiles:
        """Those to show under these settings. Raises `CertificateError`."""
        identity = self._installation.identity
        names = (identity.domain, *identity.aliases)
        return certificate_files(settings, self._installation.directory, names, now=_now())

    async def look(self) -> None:
        """The settings are others: look now."""
        await asyncio.to_thread(self._upkeep.look)
        self._acme.wake()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Both tasks run inside."""
        tasks = [asyncio.create_task(self._upkeep.run()), asyncio.create_task(self._acme.run())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _changed(self) -> None:
        """The authority's files are in place."""
        await self._reload(await asyncio.to_thread(self.files, self._settings()))
        await asyncio.to_thread(self._upkeep.look)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
