# SPDX-License-Identifier: Apache-2.0
"""One server process from its lock to its last packet: what `ringback serve` runs.

Takes the data directory for itself, prepares it, starts the phone system, answers other commands on the
control socket, reads the settings again when asked, and looks after the certificate.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from ringback.net.network import Network
from ringback.pbx import operator
from ringback.pbx.app import PhoneSystem
from ringback.pbx.certificate_process import CertificateKeeping
from ringback.pbx.decision_places import located
from ringback.pbx.demo import DemoUser, make_demo_users
from ringback.pbx.device_upkeep import DeviceUpkeep
from ringback.pbx.directory import Directory
from ringback.pbx.server_media import ServerMedia
from ringback.pbx.settings_verbs import SettingsVerbs
from ringback.pbx.verb_table import VERBS
from ringback.pbx.web_process import WebProcess
from ringback.pbx.workers import Workers
from ringback.server.bulletin import Bulletin
from ringback.server.call_records.keeper import kept_records
from ringback.server.certificates import CertificateFiles
from ringback.server.config import Settings
from ringback.server.config_file import ConfigurationError, Loaded
from ringback.server.control import Answer, ControlServer, Verb
from ringback.server.data_directory import DirectoryLock, make_directory
from ringback.server.first_start import (
    Installation,
    data_directory,
    open_store_or_snapshot,
    prepare,
)
from ringback.server.reload import Change, applicable, changes
from ringback.server.storage.snapshot import SnapshotStore
from ringback.sip.errors import RingbackError
from ringback.version import VERSION

logger = logging.getLogger("ringback.process")

PATIENCE_AT_CLOSE = 6.0


class System(Protocol):
    """What a server process runs: a `PhoneSystem` in itself, or one in several processes (`Workers`)."""

    directory: Directory
    bulletin: Bulletin

    @property
    def registered(self) -> int: ...
    async def start(self) -> None: ...
    async def close(self) -> None: ...
    def addresses(self) -> dict[str, str]: ...
    async def users_changed(self) -> None: ...
    async def devices_changed(self) -> None: ...
    async def reload(self, settings: Settings, *, certificate: CertificateFiles) -> None: ...
    async def status(self) -> Answer: ...
    def registrations(self) -> list[dict[str, Any]]: ...
    async def ask(self, verb: str, arguments: Mapping[str, Any]) -> Answer: ...


class ServerProcess:
    """A running phone system and what surrounds it. Made by `ServerProcess.start`."""

    def __init__(
        self,
        installation: Installation,
        system: System,
        media: ServerMedia,
        web: WebProcess,
        *,
        load: Callable[[], Loaded],
    ) -> None:
        self.installation = installation
        self.system = system
        self._media = media
        self._web = web
        #: What makes somebody the owner, while there is none.
        self.setup_link = ""
        self.demo_users: list[DemoUser] = []
        self._load = load
        self._settings_verbs = SettingsVerbs(
            installation.directory,
            installation.settings,
            load=load,
            reload=self.reload,
            post=system.bulletin.post,
        )
        self._settings = installation.settings
        self._started = time.monotonic()
        self._reloading = asyncio.Lock()
        self._taking_users = asyncio.Lock()
        self._certificates = CertificateKeeping(
            installation, settings=lambda: self._settings, reload=self._certificate_changed
        )
        self._undo = contextlib.AsyncExitStack()

    @classmethod
    async def start(cls, load: Callable[[], Loaded], network: Network) -> ServerProcess:
        """Everything from reading the settings to listening; what was begun is undone when a step fails."""
        loaded = load()
        directory = data_directory(loaded.settings)
        async with contextlib.AsyncExitStack() as undo:
            make_directory(directory)
            undo.callback(DirectoryLock(directory).release)
            installation = await prepare(loaded, network, clock=_now, open_store=open_store_or_snapshot)
            undo.callback(installation.store.close)
            media = ServerMedia(installation, network)
            undo.push_async_callback(_at_most, PATIENCE_AT_CLOSE, media.close)
            web = WebProcess(installation, file=loaded.file)
            web.listen()
            undo.push_async_callback(_at_most, PATIENCE_AT_CLOSE, web.close)
            system = _system(installation, network, media, web.path)
            process = cls(installation, system, media, web, load=load)
            await process._open(undo)
            process._undo = undo.pop_all()
        return process

    async def _open(self, undo: contextlib.AsyncExitStack) -> None:
        store = self.installation.store
        if self._settings.demo:
            self.demo_users = make_demo_users(store, realm=self.installation.identity.realm)
        self._media.begin()
        directory, bulletin = self.installation.directory, self.system.bulletin
        await undo.enter_async_context(kept_records(directory, bulletin, lambda: self._settings.records))
        await self.system.start()
        undo.push_async_callback(_at_most, PATIENCE_AT_CLOSE, self.system.close)
        await self._media.ready(self.addresses().values())
        store.put_later("addresses", json.dumps(self.addresses()))
        await asyncio.to_thread(partial(store.flush, timeout=1.0))  # other commands read it once we are ready
        verbs = self._verbs()
        control = ControlServer(self.installation.directory, verbs)
        await control.start()
        undo.push_async_callback(control.close)
        self.setup_link = await self._web.setup_link(self.addresses())
        self._web.begin(verbs, self.system.bulletin, self.addresses())
        undo.push_async_callback(_cancelled, asyncio.create_task(self._catch_up()))
        await undo.enter_async_context(self._certificates.running())
        devices = DeviceUpkeep(store, self.system.directory, self._take_devices)
        undo.push_async_callback(_cancelled, asyncio.create_task(devices.run()))

    async def _catch_up(self) -> None:
        """What takes seconds when there are very many users waits until we are ready: what a command changed
        before the socket was there, and the snapshot.
        """
        try:
            await self._take_users()
        except RingbackError as error:
            logger.warning("the users could not be read once more: %s", error)

    async def close(self) -> None:
        """Stop in the reverse order of the start. Registrations are in the store when this returns."""
        await self._undo.aclose()

    @property
    def has_console(self) -> bool:
        """True when browsers get pages here."""
        return self._web.path is not None

    def addresses(self) -> dict[str, str]:
        """Where each transport is reached, as phones are told: "udp" -> "192.168.1.20:5060"."""
        return self.system.addresses()

    async def reload(self) -> list[Change]:
        """Read the settings again. A mistake in them raises, and everything stays as it is."""
        async with self._reloading:
            loaded = await asyncio.to_thread(self._load)
            found = changes(self._settings, loaded.settings)
            new = applicable(self._settings, loaded.settings)
            files = await asyncio.to_thread(
                self._certificates.files, new
            )  # raises before anything has changed
            await self.system.reload(new, certificate=files)  # and so does this
            self._settings = new
            await self._web.reload(new)
            await self._certificates.look()
            logging.getLogger("ringback").setLevel(new.log.level.upper())
            for change in found:
                logger.info("setting changed: %s", change)
            return found

    def status(self) -> Answer:
        """What `ringback status` shows, without the counters of the system."""
        installation, health = self.installation, self.installation.store.health()
        return {
            "version": VERSION,
            "process": os.getpid(),
            "uptime": time.monotonic() - self._started,
            "domain": installation.identity.domain,
            "realm": installation.identity.realm,
            "advertised": list(installation.identity.advertised),
            "addresses": self.addresses(),
            "data": str(installation.directory),
            "users": len(self.system.directory),
            "registrations": self.system.registered,
            "certificate": self._certificates.status(),
            "store": {"pending": health.pending, "dropped": health.dropped, "failure": health.failure},
        }

    def _verbs(self) -> dict[str, Verb]:
        async def status(_: Mapping[str, Any]) -> Answer:
            media, web = await self._media.status(), self._web.status()
            return {**self.status(), **await self.system.status(), "media": media, "web": web}

        async def registrations(_: Mapping[str, Any]) -> Answer:
            return {"registrations": self.system.registrations()}

        async def users_changed(_: Mapping[str, Any]) -> Answer:
            await self._take_users()
            return {"users": len(self.system.directory)}

        async def devices_changed(_: Mapping[str, Any]) -> Answer:
            await self._take_devices()
            return {"devices": len(self.system.directory.devices())}

        async def reload(_: Mapping[str, Any]) -> Answer:
            found = await self.reload()
            return {
                "changes": [{"text": str(change), "needs_restart": change.needs_restart} for change in found]
            }

        return {
            "status": status,
            "registrations": registrations,
            "users-changed": users_changed,
            "devices-changed": devices_changed,
            "reload": reload,
            **self._settings_verbs.verbs(),
            **{verb: partial(self.system.ask, verb) for verb in VERBS},
            **{verb: partial(self._located, verb) for verb in ("explain", "dry-run")},
        }

    async def _located(self, verb: str, arguments: Mapping[str, Any]) -> Answer:
        """Decisions with file and line of the settings they follow, as the file is now."""
        answer = await self.system.ask(verb, arguments)
        try:
            origins = (await asyncio.to_thread(self._load)).origins
        except ConfigurationError:
            origins = {}
        return located(answer, self._settings, origins)

    async def _take_users(self) -> None:
        """One after the other, so that no older snapshot overwrites a newer one."""
        async with self._taking_users:
            await self.system.users_changed()
            self.system.bulletin.post("users.changed")
            await asyncio.to_thread(self._write_snapshot)

    async def _take_devices(self) -> None:
        async with self._taking_users:
            await self.system.devices_changed()
            self.system.bulletin.post("users.changed")

    def _write_snapshot(self) -> None:
        """The users as the store has them, for a start without the store."""
        store, identity = self.installation.store, self.installation.identity
        values = {
            "realm": identity.realm,
            "domain": identity.domain,
            "addresses": json.dumps(self.addresses()),
            operator.VALUE: json.dumps(self.system.directory.operators),
        }
        if not isinstance(store, SnapshotStore):
            self.installation.snapshot.write(store.users(), values, store.devices())

    async def _certificate_changed(self, files: CertificateFiles) -> None:
        """Another certificate is in its place: every process shows it from now on."""
        async with self._reloading:
            await self.system.reload(self._settings, certificate=files)


def _system(installation: Installation, network: Network, media: ServerMedia, web: Path | None) -> System:
    if installation.settings.workers > 1:
        return Workers(installation, media=media.paths, web=web)
    return PhoneSystem(
        installation.settings,
        installation.identity,
        store=installation.store,
        network=network,
        owns_process=True,
        plane=media.plane,
        web=web,
    )


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


async def _at_most(seconds: float, close: Callable[[], Any]) -> None:
    """Close something; what hangs must not keep the process from ending."""
    try:
        await asyncio.wait_for(close(), seconds)
    except TimeoutError:
        logger.warning("not everything could be closed within %g seconds", seconds)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
