# SPDX-License-Identifier: Apache-2.0
"""The phone system: a server, the people in its directory, and what they can dial.

    system = PhoneSystem(settings, identity, store=MemoryStore(), network=RealNetwork())
    await system.start()
    ...
    await system.close()

`process.py` makes the settings, the identity and the store out of flags, files and a data directory.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ringback.media.plane import MediaPlane
from ringback.media.ports import PortRange
from ringback.net.endpoint import Endpoint
from ringback.net.network import Network
from ringback.pbx.built_in_numbers import BuiltInNumbers
from ringback.pbx.collector import Collector
from ringback.pbx.conference import Conferences, homes_of
from ringback.pbx.dialplan import OfficeDialPlan
from ringback.pbx.directory import Directory, Revoked
from ringback.pbx.explain_verbs import verdicts_on
from ringback.pbx.judge import Judge
from ringback.pbx.own_media import OwnMedia
from ringback.pbx.registrations import described
from ringback.pbx.verb_table import VERBS
from ringback.server.app import Server
from ringback.server.bulletin import Bulletin
from ringback.server.certificates import CertificateFiles
from ringback.server.cluster.membership import Membership
from ringback.server.conference_settings import rooms_of
from ringback.server.config import Settings
from ringback.server.first_start import data_directory
from ringback.server.identity import Identity
from ringback.server.storage.store import StorageError, Store
from ringback.server.trace import Tracing
from ringback.server.tracing.place import Place
from ringback.server.tracing.recorder import Recorder

logger = logging.getLogger("ringback.pbx")

#: So many users' digests are read at once, about a millisecond; and how long the loop then does other things.
WAKE_SLICE = 200
PAUSE = 0.005


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
        membership: Membership | None = None,
        owns_process: bool = False,
        plane: MediaPlane | None = None,
        web: Path | None = None,
    ) -> None:
        """`owns_process`: nothing else happens in this process; its garbage collector is ours to set.

        `plane` carries the sound of bridged calls; whoever made it starts and closes it. `web` is the local
        socket of the web process.
        """
        self._settings = settings
        self._store = store
        self._wall_clock = wall_clock
        self.directory = Directory(store)
        self.data = data_directory(settings)
        self.bulletin = Bulletin(wall_clock=wall_clock)
        rooms = rooms_of(settings.conference.rooms)
        self.dial_plan = OfficeDialPlan(self.directory, rooms, operators=lambda: self.directory.operators)
        self.conferences = Conferences(
            rooms, folder=data_directory(settings) / "recordings", wall_clock=wall_clock
        )
        if membership is not None:
            membership.neighbours.live_at(homes_of(rooms, membership.neighbours.count))
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
            applications=BuiltInNumbers(media, conferences=self.conferences, wall_clock=wall_clock),
            dial_plan=self.dial_plan,
            wall_clock=wall_clock,
            membership=membership,
            plane=plane,
            bulletin=self.bulletin,
            web=web,
        )
        self.tracing = Tracing()
        place = Place(data_directory(settings) / "trace", *_position(membership)) if owns_process else None
        self.recorder = Recorder(settings.trace, place, wall_clock=wall_clock)
        self.judge = Judge(self.bulletin, partial(verdicts_on, self))
        self._waking: asyncio.TimerHandle | None = None
        self._collector = Collector(lambda: self.server.stack.statistics.received) if owns_process else None

    @property
    def endpoints(self) -> list[Endpoint]:
        """Where the server listens."""
        return list(self.server.endpoints)

    async def start(self) -> None:
        """Read the users and open the sockets."""
        self.directory.load()
        self._store.remove_expired(now=self._wall_clock())
        await self.tracing.switch(self._settings.log.trace_file)
        try:
            await self.server.start()
        except BaseException:
            await self.tracing.close()
            raise
        self.tracing.watch(self.server.driver)
        self.recorder.watch(self.server.driver)
        self.judge.start()
        self._wake()
        if self._collector is not None:
            self._collector.start()

    async def close(self) -> None:
        """End calls, close sockets. Registrations stay in the store."""
        if self._waking is not None:
            self._waking.cancel()
        if self._collector is not None:
            await self._collector.close()
        await self.judge.close()
        await self.server.close()
        await self.recorder.close()
        await self.tracing.close()

    def addresses(self) -> dict[str, str]:
        """Where each transport is reached, as phones are told: "udp" -> "192.168.1.20:5060"."""
        found: dict[str, str] = {}
        for endpoint in self.endpoints:
            found.setdefault(endpoint.transport.value.lower(), endpoint.sent_by)
        return found

    async def users_changed(self) -> None:
        """The users in the store were changed: read them again, let go of phones that may stay no longer."""
        self._forget(await self.directory.refresh())

    async def devices_changed(self) -> None:
        """The same when only devices, guests or the operators were changed: cheaper where users are many."""
        self._forget(await self.directory.refresh_devices())

    def _forget(self, revoked: Iterable[Revoked]) -> None:
        for number, device in revoked:
            self.server.forget_user(number, device=device)

    async def reload(self, settings: Settings, *, certificate: CertificateFiles | None = None) -> None:
        """Take over new settings, as far as `reload.applicable` let them through. A trace that cannot be
        written raises, and nothing has changed. Whoever made the TLS context puts the `certificate` into it.
        """
        await self.tracing.switch(settings.log.trace_file)
        if settings.trace != self._settings.trace:
            self.recorder.switch(settings.trace)
        self._settings = settings
        self.server.reload(settings)

    async def status(self) -> dict[str, Any]:
        """Counters, for people and tests."""
        await self.server.look_at_calls()
        server = self.server.status()
        if self._collector is not None:
            server["collector"] = self._collector.status()
        return {"server": server, "conferences": self.conferences.status(), "trace": self.tracing.status()}

    async def ask(self, verb: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one of the VERBS. Raises `RingbackError` to refuse."""
        return await VERBS[verb].perform(self, arguments)

    @property
    def registered(self) -> int:
        """How many contacts are registered."""
        return len(self.server.location)

    def registrations(self) -> list[dict[str, Any]]:
        """Which phones are registered now."""
        now = self._wall_clock()
        return [
            described(binding, now=now, name=self.directory.name_of(binding.user))
            for binding in self.server.registrations()
        ]

    def _wake(self) -> None:
        """Read the digests of all users, some at a time. Those that cannot be read are tried when needed."""
        try:
            is_more = self.directory.wake(WAKE_SLICE)
        except StorageError as error:
            logger.warning("passwords are read one by one: %s", error)
            return
        self._waking = asyncio.get_running_loop().call_later(PAUSE, self._wake) if is_more else None


def _position(membership: Membership | None) -> tuple[int, int]:
    """The number of this worker, and how many there are."""
    return (membership.number, membership.count) if membership is not None else (0, 1)
