# SPDX-License-Identifier: Apache-2.0
"""What runs in the web process? uvicorn on the socket it inherits, the app, and a link to the supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ringback.server.cluster.link import Answer, Link, LinkLost, Verb
from ringback.server.config import Settings
from ringback.server.first_start import open_store, sealer_of
from ringback.server.storage.audit import AuditStore
from ringback.server.storage.entrances import LinkStore, SessionStore, TokenStore
from ringback.server.storage.people import PeopleStore
from ringback.server.storage.records import RecordStore
from ringback.server.storage.recovery import RecoveryStore
from ringback.server.storage.sqlite import FILE_NAME, SqliteStore
from ringback.server.storage.webhooks import WebhookStore
from ringback.web.events import Events
from ringback.web.house import House
from ringback.web.passwords import Passwords
from ringback.web.problems import ServerAway
from ringback.web.serving import PATIENCE_AT_CLOSE, Uvicorn, configuration
from ringback.web.throttle import Throttle
from ringback.web.webhook_deliveries import Deliveries
from ringback.web.webhook_post import Sender

logger = logging.getLogger("ringback.process")


class LinkedServer:
    """The running phone system, at the other end of the link."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def ask(self, verb: str, *, timeout: float = 10.0, **arguments: Any) -> dict[str, Any]:
        """Ask a verb. Raises `RingbackError` when it refuses, `ServerAway` when it does not answer."""
        try:
            return await self._link.ask(verb, arguments, timeout=timeout)
        except (TimeoutError, LinkLost) as error:
            raise ServerAway("The telephone server does not answer just now.") from error


class WebServer:
    """The process. `run` ends when the supervisor says so, or is gone."""

    def __init__(self) -> None:
        self._link: Link | None = None
        self._ended = asyncio.Event()
        self._events = Events()
        self._house: House | None = None
        self._server: Uvicorn | None = None
        self._serving: asyncio.Task[None] | None = None
        self._undo = contextlib.AsyncExitStack()

    async def run(self, sock: socket.socket) -> None:
        """Serve until the link ends."""
        self._link = await Link.open(sock, self, self._verbs())
        self._link.on_event = self._events.post
        try:
            await self._ended.wait()
        finally:
            await self._close()

    # --- what comes over the link

    def change_received(self, data: bytes) -> None:
        """Changes are for those that signal."""

    def taken(self, count: int) -> None:
        """The same."""

    def writable(self) -> None:
        """We ask; it answers."""

    def link_lost(self) -> None:
        self._ended.set()

    def _verbs(self) -> dict[str, Verb]:
        return {"start": self._start, "settings": self._settings, "ping": self._ping, "stop": self._stop}

    # --- verbs

    async def _start(self, arguments: Mapping[str, Any]) -> Answer:
        _allow_many_sockets()
        settings = Settings.model_validate_json(arguments["settings"])
        _set_log_level(settings)
        assert self._link is not None
        sender = Sender(allowed=settings.web.webhook_allow)
        self._undo.push_async_callback(sender.close)
        server = LinkedServer(self._link)
        house = self._house = await asyncio.to_thread(
            _house, arguments, settings, server, self._events, sender
        )
        self._undo.callback(house.store.close)
        self._undo.push_async_callback(house.deliveries.close)
        await house.deliveries.start()
        self._server = Uvicorn(configuration(house))
        listening = socket.socket(fileno=arguments["listening"])
        listening.setblocking(False)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listening]))
        self._serving.add_done_callback(lambda _: self._ended.set())
        return {"process": os.getpid()}

    async def _settings(self, arguments: Mapping[str, Any]) -> Answer:
        if self._house is not None:
            self._house.settings = Settings.model_validate_json(arguments["settings"])
            _set_log_level(self._house.settings)
        return {}

    async def _ping(self, _: Mapping[str, Any]) -> Answer:
        """We are not stuck."""
        return {}

    async def _stop(self, _: Mapping[str, Any]) -> Answer:
        await self._close()
        return {}

    async def _close(self) -> None:
        """Answers that are under way go out; then the stores."""
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            serving, self._serving = self._serving, None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(serving, PATIENCE_AT_CLOSE + 1)
        await self._undo.aclose()


def _house(
    arguments: Mapping[str, Any], settings: Settings, server: LinkedServer, events: Events, sender: Sender
) -> House:
    """Open everything; this may block."""
    directory = Path(arguments["directory"])
    file, sealer = directory / FILE_NAME, sealer_of(directory)
    store, _ = open_store(directory)
    assert isinstance(store, SqliteStore)
    webhooks = WebhookStore.open(file, sealer=sealer)
    return House(
        server=server,
        store=store,
        people=PeopleStore.open(file, sealer=sealer),
        sessions=SessionStore.open(file, sealer=sealer),
        tokens=TokenStore.open(file, sealer=sealer),
        links=LinkStore.open(file, sealer=sealer),
        recovery=RecoveryStore.open(file, sealer=sealer),
        changes=AuditStore.open(file, sealer=sealer),
        records=RecordStore.open(file, sealer=sealer),
        webhooks=webhooks,
        deliveries=Deliveries(webhooks, events, post=sender, clock=time.time),
        events=events,
        passwords=Passwords(),
        throttle=Throttle(),
        settings=settings,
        directory=directory,
        realm=arguments["realm"],
        domain=arguments["domain"],
        addresses=dict(arguments["addresses"]),
        file=Path(arguments["file"]) if arguments["file"] else None,
    )


def _set_log_level(settings: Settings) -> None:
    logging.getLogger("ringback").setLevel(settings.log.level.upper())
    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # its warnings are about what strangers send


def _allow_many_sockets() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
