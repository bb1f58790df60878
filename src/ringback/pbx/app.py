# SPDX-License-Identifier: Apache-2.0
"""The phone system: a server, the people in its directory, and what they can dial.

    system = PhoneSystem(settings, identity, store=MemoryStore(), network=RealNetwork())
    await system.start()
    ...
    await system.close()

`process.py` makes the settings, the identity and the store out of flags, files and a data directory.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ringback.media.ports import PortRange
from ringback.net.endpoint import Endpoint
from ringback.net.network import Network
from ringback.pbx.built_in_numbers import BuiltInNumbers
from ringback.pbx.conversation import OwnMedia
from ringback.pbx.dialplan import OfficeDialPlan
from ringback.pbx.directory import Directory
from ringback.pbx.registrations import described
from ringback.server.app import Server
from ringback.server.config import Settings
from ringback.server.identity import Identity
from ringback.server.storage.store import Store


class PhoneSystem:
    """Everything between the sockets and the store. It neither reads files nor catches signals."""

    def __init__(
        self,
        settings: Settings,
        identity: Identity,
        *,
        store: Store,
        network: Network,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._wall_clock = wall_clock
        self.directory = Directory(store)
        self.dial_plan = OfficeDialPlan(self.directory)
        media = OwnMedia(
            network,
            identity,
            PortRange(settings.media.first_port, settings.media.last_port),
            signalling_ports=lambda: {endpoint.local.port for endpoint in self.endpoints},
        )
        self.server = Server(
            settings,
            identity,
            subscribers=self.directory,
            store=store,
            network=network,
            applications=BuiltInNumbers(media, wall_clock=wall_clock),
            dial_plan=self.dial_plan,
            wall_clock=wall_clock,
        )

    @property
    def endpoints(self) -> list[Endpoint]:
        """Where the server listens."""
        return list(self.server.endpoints)

    async def start(self) -> None:
        """Read the users and open the sockets."""
        self.directory.load()
        self._store.remove_expired(now=self._wall_clock())
        await self.server.start()

    async def close(self) -> None:
        """End calls, close sockets. Registrations stay in the store."""
        await self.server.close()

    async def users_changed(self) -> None:
        """The users in the store were changed: read them again, let go of phones that may stay no longer."""
        for number in sorted(await self.directory.refresh()):
            self.server.forget_user(number)

    def reload(self, settings: Settings) -> None:
        """Take over new settings, as far as `reload.applicable` let them through."""
        self.server.reload(settings)

    def registrations(self) -> list[dict[str, Any]]:
        """Which phones are registered now."""
        now = self._wall_clock()
        return [
            described(binding, now=now, name=self.directory.name_of(binding.user))
            for binding in self.server.registrations()
        ]
