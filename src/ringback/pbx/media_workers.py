# SPDX-License-Identifier: Apache-2.0
"""Who starts the media workers, and who may use them? The supervisor, and every process that signals.

Each worker has a local socket in the data directory. The supervisor opens it and keeps it: what is asked
while a worker is replaced waits there for its successor.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from ringback.media.plane import MediaPlane, PlaneUnavailable
from ringback.media.rtpengine import RtpenginePlane
from ringback.media.worker_plane import Connect, WorkerPlane
from ringback.net.network import Network
from ringback.pbx.kept_process import Beginning, KeptProcess
from ringback.pbx.media_setup import MediaSetup
from ringback.server.cluster.link import Link
from ringback.server.config import Settings
from ringback.server.identity import Identity
from ringback.sip.errors import RingbackError
from ringback.sip.flow import Address

logger = logging.getLogger("ringback.process")

COMMAND = (sys.executable, "-P", "-m", "ringback.cli.media_worker")

#: Fewer ports than this are not divided any more.
_FEWEST_PORTS = 4
#: Of its ports a worker takes this share later than the one before it: they do not meet for long.
_ASIDE = 0.382
#: A socket address holds 107 octets on Linux; deep directories need another place.
_LONGEST_PATH = 100
#: Requests of processes that wait for a worker being replaced.
_BACKLOG = 128
#: Where a leg says nothing of itself: all addresses.
_ANYWHERE = "0.0.0.0"  # noqa: S104


class MediaWorkers:
    """`settings.media.workers` processes, from `listen` and `begin` to `close`."""

    def __init__(
        self, settings: Settings, identity: Identity, directory: Path, *, command: Sequence[str] = COMMAND
    ) -> None:
        self._directory = directory
        self._own_directory: Path | None = None
        first, last = settings.media.first_port, settings.media.last_port
        self._setup = MediaSetup(
            number=0,
            listening=-1,
            first_port=first,
            last_port=last,
            skipped=secrets.randbelow(1_000) / 1_000,
            webrtc_port=settings.media.webrtc_port,
            host=_ANYWHERE,
            advertised=identity.advertised,
            signalling_ports=_ports_of(settings),
            log_level=settings.log.level,
        )
        count = min(settings.media.workers, (last - first + 1) // _FEWEST_PORTS) or 1
        self.places = [
            _MediaPlace(number, partial(self._setup_of, number, count), command) for number in range(count)
        ]

    @property
    def paths(self) -> list[str]:
        """Where signalling connects."""
        return [place.path for place in self.places]

    def listen(self) -> None:
        """Open the sockets: signalling can connect now, and is answered after `begin`."""
        for place in self.places:
            place.listen(self._path(place.number))

    def begin(self) -> None:
        """Start them. They serve in half a second; who asks before that waits, and nobody else does."""
        for place in self.places:
            place.kept.begin()

    async def close(self) -> None:
        """End them, and take the sockets away."""
        await asyncio.gather(*(place.close() for place in self.places), return_exceptions=True)
        if self._own_directory is not None:
            shutil.rmtree(self._own_directory, ignore_errors=True)

    async def tell_signalling_ports(self, ports: Collection[int]) -> None:
        """These are ours now: nobody's sound belongs there."""
        self._setup = replace(self._setup, signalling_ports=tuple(sorted(ports)))
        for place in self.places:
            if place.kept.link is not None:
                with contextlib.suppress(RingbackError, TimeoutError):
                    await place.kept.link.ask("signalling_ports", {"ports": self._setup.signalling_ports})

    async def status(self) -> dict[str, Any]:
        """Their processes, how often one was replaced, and what they carry."""
        return {"engine": "own", "workers": [await place.status() for place in self.places]}

    def _setup_of(self, number: int, count: int) -> MediaSetup:
        """Every worker has ports of its own: two that try the same ones would be in each other's way."""
        first, last = self._setup.first_port, self._setup.last_port
        share = (last + 1 - first) // count // 2 * 2
        begin = first + number * share
        return replace(
            self._setup,
            number=number,
            listening=self.places[number].descriptor,
            first_port=begin,
            skipped=(self._setup.skipped + _ASIDE * self.places[number].kept.starts) % 1.0,
            last_port=last if number == count - 1 else begin + share - 1,
            webrtc_port=self._setup.webrtc_port + number if self._setup.webrtc_port else 0,
        )

    def _path(self, number: int) -> str:
        path = str(self._directory / f"media-{number}.sock")
        if len(os.fsencode(path)) <= _LONGEST_PATH:
            return path
        if self._own_directory is None:
            self._own_directory = Path(tempfile.mkdtemp(prefix="ringback-"))
        return str(self._own_directory / f"media-{number}.sock")


class _MediaPlace:
    """One of the workers, whichever process it is."""

    def __init__(self, number: int, setup: Callable[[], MediaSetup], command: Sequence[str]) -> None:
        self.number = number
        self.path = ""
        self.kept = KeptProcess(f"media worker {number}", command, self)
        self._setup = setup
        self._listening: socket.socket | None = None

    @property
    def descriptor(self) -> int:
        """Of the socket that the process inherits."""
        assert self._listening is not None
        return self._listening.fileno()

    def listen(self, path: str) -> None:
        """Open the socket, for this user alone.

        What lies there is of a server that died: the caller holds the lock of the directory.
        """
        self.path = path
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            self._listening.bind(path)
        finally:
            os.umask(before)
        self._listening.listen(_BACKLOG)

    async def close(self) -> None:
        """End the process, and take the socket away."""
        await self.kept.close()
        if self._listening is not None:
            self._listening.close()
            with contextlib.suppress(OSError):
                os.unlink(self.path)

    async def status(self) -> dict[str, Any]:
        bridges = None
        if self.kept.link is not None:
            with contextlib.suppress(RingbackError, TimeoutError):
                bridges = (await self.kept.link.ask("status", {}, timeout=1.0))["bridges"]
        return {
            "number": self.number,
            "process": self.kept.pid,
            "starts": self.kept.starts,
            "bridges": bridges,
        }

    # --- what its keeper asks

    def beginning(self) -> Beginning:
        return Beginning(asdict(self._setup()), (self.descriptor,))

    def linked(self, link: Link) -> None:
        """There is nothing to say before it starts."""

    def change_received(self, data: bytes) -> None:
        """It changes nothing."""

    def taken(self, count: int) -> None:
        """The same."""

    def writable(self) -> None:
        """Questions are few."""

    def link_lost(self) -> None:
        """Its keeper notices by itself; whoever has calls there notices by their own connections."""


def needs_workers(settings: Settings) -> bool:
    """True when sound may come through processes of ours."""
    return settings.media.engine == "own" and settings.media.anchor != "never"


def plane_for(
    settings: Settings,
    paths: Sequence[str],
    network: Network,
    *,
    random_bytes: Callable[[int], bytes] = os.urandom,
) -> MediaPlane | None:
    """What carries the media of a process that signals: rtpengine, the workers at `paths`, or nobody."""
    if settings.media.engine == "rtpengine":
        host, _, port = settings.media.rtpengine.rpartition(":")
        return RtpenginePlane(Address(host.strip("[]"), int(port)), network, random_bytes=random_bytes)
    return WorkerPlane([_connect_to(path) for path in paths]) if paths else None


async def begin(plane: MediaPlane) -> None:
    """Start it. A plane that is not there yet is no reason not to serve: calls that need none do without."""
    try:
        await plane.start()
    except PlaneUnavailable as error:
        logger.warning("calls whose sound must come through this server fail for now: %s", error)


def _connect_to(path: str) -> Connect:
    async def connect(protocol: Callable[[], asyncio.Protocol]) -> object:
        return await asyncio.get_running_loop().create_unix_connection(protocol, path)

    return connect


def _ports_of(settings: Settings) -> tuple[int, ...]:
    sip, web = settings.sip, settings.web
    return tuple(port for port in (sip.port, sip.tls_port, web.http_port, web.https_port) if port)
