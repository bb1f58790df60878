# SPDX-License-Identifier: Apache-2.0
"""One of several signalling processes: a whole phone system that shares its ports and its registrations.

It hears from its supervisor what to do, over the one link it inherits, and ends when that ends.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import os
import socket
import time
from collections.abc import Mapping
from typing import Any

from ringback.media.plane import MediaPlane
from ringback.net.handover import Handover
from ringback.net.neighbours import Neighbours
from ringback.pbx.app import PhoneSystem
from ringback.pbx.media_workers import begin, plane_for
from ringback.pbx.worker_setup import WorkerSetup, certificate_from_json
from ringback.server.certificate_upkeep import CertificateUpkeep
from ringback.server.certificates import CertificateFiles
from ringback.server.cluster.link import Answer, Link, Verb
from ringback.server.cluster.membership import Membership
from ringback.server.cluster.ports import InheritedNetwork
from ringback.server.cluster.sharing import Sharing
from ringback.server.cluster.worker_store import WorkerStore
from ringback.server.config import Settings

logger = logging.getLogger("ringback.process")

PATIENCE_AT_CLOSE = 3.0


class Worker:
    """One worker's process. `run` ends when the supervisor says so, or is gone."""

    def __init__(self) -> None:
        self._link: Link | None = None
        self._sharing = Sharing(self._send_change, wall_clock=time.time)
        self._store = WorkerStore(self._sharing)
        self._started = asyncio.Event()
        self._ended = asyncio.Event()
        self._system: PhoneSystem | None = None
        self._plane: MediaPlane | None = None
        self._membership: Membership | None = None
        self._upkeep: CertificateUpkeep | None = None
        self._certificate: CertificateFiles | None = None
        self._looking: asyncio.Task[None] | None = None

    async def run(self, sock: socket.socket) -> None:
        """Serve until the link ends."""
        self._link = await Link.open(sock, self, self._verbs())
        await self._ended.wait()

    # --- what comes over the link

    def change_received(self, data: bytes) -> None:
        self._sharing.hear(data)

    def taken(self, count: int) -> None:
        self._sharing.confirmed(count)

    def writable(self) -> None:
        """The supervisor reads again; what we tell waits in the link."""

    def link_lost(self) -> None:
        self._ended.set()

    def _send_change(self, data: bytes) -> None:
        assert self._link is not None
        self._link.send_change(data)

    def _verbs(self) -> dict[str, Verb]:
        return {
            "start": self._start,
            "status": self._status,
            "users": self._users,
            "reload": self._reload,
            "ask": self._ask,
            "stop": self._stop,
            "ping": self._ping,
        }

    # --- verbs

    async def _start(self, arguments: Mapping[str, Any]) -> Answer:
        """Everything is here, and the sockets are open already: begin."""
        setup = WorkerSetup.from_json(arguments["setup"])
        logging.getLogger("ringback").setLevel(setup.settings.log.level.upper())
        self._store.take_users(setup.users)
        await self._sharing.complete.wait()
        membership = self._membership = _membership(setup, self._sharing)
        network = InheritedNetwork(
            {place: socket.socket(fileno=descriptor) for place, descriptor in setup.sockets.items()}
        )
        plane = self._plane = plane_for(setup.settings, setup.media, network)
        if plane is not None:
            await begin(plane)
        system = self._system = PhoneSystem(
            setup.settings,
            setup.identity,
            store=self._store,
            network=network,
            membership=membership,
            owns_process=True,
            plane=plane,
            web=setup.web,
        )
        assert self._link is not None
        system.bulletin.listen(self._link.send_event)
        self._sharing.attach(system.server.location, membership.neighbours, restore=system.server.restored)
        await system.start()
        self._sharing.follow()
        driver = system.server.driver
        membership.neighbours.begin(
            received=driver.receive_batch,
            send=driver.transports.send,
            lost=driver.flow_lost,
            has_invite=driver.stack.has_invite,
        )
        self._begin_upkeep(setup)
        self._started.set()
        return {"process": os.getpid()}

    async def _status(self, _: Mapping[str, Any]) -> Answer:
        await self._started.wait()
        assert self._system is not None
        assert self._membership is not None
        status = await self._system.status()
        return {**status, "server": {**status["server"], **self._membership.neighbours.status()}}

    async def _users(self, arguments: Mapping[str, Any]) -> Answer:
        await self._started.wait()
        assert self._system is not None
        self._store.take_users(arguments)
        await (self._system.users_changed() if "users" in arguments else self._system.devices_changed())
        return {}

    async def _reload(self, arguments: Mapping[str, Any]) -> Answer:
        await self._started.wait()
        assert self._system is not None
        settings = Settings.model_validate_json(arguments["settings"])
        await self._system.reload(settings)
        self._certificate = certificate_from_json(arguments["certificate"])
        if self._upkeep is not None:
            await asyncio.to_thread(self._upkeep.look)
        logging.getLogger("ringback").setLevel(settings.log.level.upper())
        return {}

    async def _ask(self, arguments: Mapping[str, Any]) -> Answer:
        await self._started.wait()
        assert self._system is not None
        return await self._system.ask(arguments["question"], arguments["arguments"])

    async def _ping(self, _: Mapping[str, Any]) -> Answer:
        """We are not stuck."""
        return {}

    async def _stop(self, _: Mapping[str, Any]) -> Answer:
        if self._looking is not None:
            self._looking.cancel()
        if self._system is not None:
            try:
                await asyncio.wait_for(self._system.close(), PATIENCE_AT_CLOSE)
            except TimeoutError:
                logger.warning("not everything could be closed within %g seconds", PATIENCE_AT_CLOSE)
        if self._plane is not None:
            await self._plane.close()
        if self._membership is not None:
            self._membership.neighbours.close()
        return {}

    def _begin_upkeep(self, setup: WorkerSetup) -> None:
        """The supervisor renews the files; each worker looks whether they are others now."""
        context = setup.identity.server_tls
        assert context is not None, "a setup always has one"
        self._certificate = setup.certificate
        self._upkeep = CertificateUpkeep(context, find=self._files, clock=_now)
        self._looking = asyncio.create_task(self._upkeep.run())

    def _files(self) -> CertificateFiles:
        assert self._certificate is not None
        return self._certificate


def _membership(setup: WorkerSetup, sharing: Sharing) -> Membership:
    ways = {number: socket.socket(fileno=descriptor) for number, descriptor in setup.ways.items()}
    handover = Handover(socket.socket(fileno=setup.inbox), ways)
    neighbours = Neighbours(setup.number, handover, announce=sharing.announce)
    return Membership(setup.number, setup.count, setup.secret, neighbours)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
