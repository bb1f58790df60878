# SPDX-License-Identifier: Apache-2.0
"""Who carries the sound of a server's calls, from its start to its end? Its media workers, or an rtpengine.

The workers start beside everything else. In a server of one process the plane that reaches them is here, too;
in one of several each has its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ringback.net.network import Network
from ringback.pbx.media_workers import MediaWorkers, begin, needs_workers, plane_for
from ringback.server.first_start import Installation


class ServerMedia:
    """Made before the phone system, which uses `plane` or `paths`; then `begin`, `ready`, at last `close`."""

    def __init__(self, installation: Installation, network: Network) -> None:
        settings = installation.settings
        self._settings = settings
        self._workers: MediaWorkers | None = None
        if needs_workers(settings):
            self._workers = MediaWorkers(settings, installation.identity, installation.directory)
            self._workers.listen()
        self.plane = plane_for(settings, self.paths, network) if settings.workers == 1 else None

    @property
    def paths(self) -> list[str]:
        """The local sockets of the workers."""
        return self._workers.paths if self._workers is not None else []

    def begin(self) -> None:
        """Start the workers; nobody waits for them."""
        if self._workers is not None:
            self._workers.begin()

    async def ready(self, addresses: Iterable[str]) -> None:
        """`addresses` are where we listen for SIP: no sound goes there."""
        if self._workers is not None:
            ports = {int(address.rpartition(":")[2]) for address in addresses}
            await self._workers.tell_signalling_ports(ports)
        if self.plane is not None:
            await begin(self.plane)

    async def close(self) -> None:
        """End what was begun."""
        if self.plane is not None:
            await self.plane.close()
        if self._workers is not None:
            await self._workers.close()

    async def status(self) -> dict[str, Any]:
        """For `ringback status`."""
        if self._workers is not None:
            return await self._workers.status()
        if self._settings.media.engine == "rtpengine":
            return {"engine": "rtpengine", "address": self._settings.media.rtpengine}
        return {"engine": "none"}
