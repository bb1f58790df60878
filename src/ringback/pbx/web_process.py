# SPDX-License-Identifier: Apache-2.0
"""Who starts the web process, and what passes between it and the phone system? The supervisor's end of both.

The process serves the console on a local socket, which the supervisor opens and keeps: who asks while a dead
one is replaced waits there for its successor. Over its link it asks what it shows, and hears what happens. It
dies without a call noticing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ringback.pbx.kept_process import Beginning, KeptProcess
from ringback.server.bulletin import Bulletin
from ringback.server.cluster.link import Link, Verb
from ringback.server.config import Settings
from ringback.server.first_start import Installation, sealer_of
from ringback.server.storage.entrances import LinkStore
from ringback.server.storage.people import PeopleStore
from ringback.server.storage.sqlite import FILE_NAME
from ringback.server.storage.store import StorageError
from ringback.sip.errors import RingbackError

logger = logging.getLogger("ringback.process")

COMMAND = (sys.executable, "-P", "-m", "ringback.cli.web_worker")
SOCKET_NAME = "web.sock"
#: Visitors who wait for a process that is replaced.
BACKLOG = 128
#: A socket address holds 107 bytes on Linux; deep directories need another place.
LONGEST_PATH = 100
#: A start costs 1.5 s of CPU: while it must fail (the disk is full), it is not tried more often than this.
DELAYS = (0.0, 0.2, 1.0, 5.0, 15.0, 30.0)
#: How long a set-up link works.
LINK_LIFETIME = 900.0


class WebProcess:
    """The process, whichever it is, from `listen` and `begin` to `close`. Without a console: nothing."""

    def __init__(
        self, installation: Installation, *, file: Path | None = None, command: Sequence[str] = COMMAND
    ) -> None:
        """`file`: the settings file, if there is one."""
        self.path: Path | None = None
        self._installation = installation
        self._settings = installation.settings
        self._file = file
        self._command = command
        self._own_directory: Path | None = None
        self._listening: socket.socket | None = None
        self._kept: KeptProcess | None = None
        self._addresses: dict[str, str] = {}
        self._stop_hearing: Callable[[], None] = lambda: None

    def listen(self) -> None:
        """Open the socket, for this user alone. Those who signal can connect now.

        What lies there is of a server that died: the caller holds the lock of the directory.
        """
        if not self._settings.web.console:
            return
        path = self._place()
        path.unlink(missing_ok=True)
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            self._listening.bind(str(path))
        finally:
            os.umask(before)
        self._listening.listen(BACKLOG)
        self.path = path

    def begin(self, verbs: Mapping[str, Verb], bulletin: Bulletin, addresses: dict[str, str]) -> None:
        """Start it; nobody waits for it. `verbs` answer what it asks."""
        if self._listening is None:
            return
        self._addresses = addresses
        self._kept = KeptProcess(
            "the web process", self._command, self, {**verbs, "ping": _pong}, delays=DELAYS
        )
        self._stop_hearing = bulletin.listen(self._tell)
        self._kept.begin()

    async def close(self) -> None:
        """End it, and take the socket away."""
        self._stop_hearing()
        if self._kept is not None:
            await self._kept.close()
        if self._listening is not None and self.path is not None:
            self._listening.close()
            with contextlib.suppress(OSError):
                self.path.unlink()
        if self._own_directory is not None:
            shutil.rmtree(self._own_directory, ignore_errors=True)

    async def reload(self, settings: Settings) -> None:
        """These hold now."""
        self._settings = settings
        if self._kept is not None and self._kept.link is not None and self._kept.is_serving:
            with contextlib.suppress(RingbackError, TimeoutError):
                await self._kept.link.ask("settings", {"settings": settings.model_dump_json()})

    def status(self) -> dict[str, Any] | None:
        """For `ringback status`; None without a console."""
        if self._kept is None:
            return None
        return {
            "process": self._kept.pid,
            "starts": self._kept.starts,
            "serving": self._kept.is_serving,
        }

    async def setup_link(self, addresses: Mapping[str, str]) -> str:
        """A new set-up link while there is no owner, else nothing."""
        if self._listening is None:
            return ""
        try:
            secret = await asyncio.to_thread(make_setup_secret, self._installation.directory)
        except StorageError as error:
            logger.warning("there is no set-up link: %s", error)
            return ""
        return link_to(secret, addresses) if secret else ""

    # --- what its keeper asks

    def beginning(self) -> Beginning:
        """All that it needs to know; the secret of the installation it reads for itself."""
        assert self._listening is not None
        identity = self._installation.identity
        arguments = {
            "listening": self._listening.fileno(),
            "directory": str(self._installation.directory),
            "file": str(self._file) if self._file is not None else None,
            "settings": self._settings.model_dump_json(),
            "domain": identity.domain,
            "realm": identity.realm,
            "addresses": self._addresses,
        }
        return Beginning(arguments, (self._listening.fileno(),))

    def linked(self, link: Link) -> None:
        """There is nothing to say before it starts."""

    def change_received(self, data: bytes) -> None:
        """It changes nothing this way."""

    def taken(self, count: int) -> None:
        """The same."""

    def writable(self) -> None:
        """Events that find no room are counted by the link; pages read again what they show."""

    def link_lost(self) -> None:
        """Its keeper notices by itself."""

    # --- inside

    def _tell(self, event: dict[str, Any]) -> None:
        if self._kept is None or self._kept.link is None or not self._kept.is_serving:
            return
        link = self._kept.link
        if link.lost_events and link.is_writable:
            link.lost_events = 0
            link.send_event({"kind": "events.lost", "at": time.time()})
        link.send_event(event)

    def _place(self) -> Path:
        path = self._installation.directory / SOCKET_NAME
        if len(os.fsencode(path)) > LONGEST_PATH:
            self._own_directory = Path(tempfile.mkdtemp(prefix="ringback-"))
            path = self._own_directory / SOCKET_NAME
        return path


def make_setup_secret(directory: Path, *, reset: str | None = None) -> str:
    """What makes a set-up link: for the owner to be, or with `reset` a new password for this person. Empty
    when there is an owner already. Blocks; raises `StorageError`.
    """
    file, sealer = directory / FILE_NAME, sealer_of(directory)
    if reset is None and PeopleStore.open(file, sealer=sealer).has_owner():
        return ""
    kind = "setup" if reset is None else "reset"
    links = LinkStore.open(file, sealer=sealer)
    return links.make(kind, reset or "", now=time.time(), lifetime=LINK_LIFETIME, short=True)


def link_to(secret: str, addresses: Mapping[str, str]) -> str:
    """The link as people open it."""
    return f"https://{addresses.get('wss', 'localhost:8443')}/setup/{secret}"


async def _pong(_: Mapping[str, Any]) -> dict[str, Any]:
    """The phone system is here."""
    return {}
