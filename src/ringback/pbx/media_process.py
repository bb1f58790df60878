# SPDX-License-Identifier: Apache-2.0
"""What runs in a media worker's process? Sockets, keys and clocks for other people's sound; no SIP.

Its supervisor says over the link it inherits what to do; signalling connects to the local socket it inherits.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import resource
import socket
from collections.abc import Mapping
from typing import Any

from ringback.media.codecs import CODECS, is_available
from ringback.media.facilities import Facilities
from ringback.media.media_worker import MediaWorker
from ringback.media.ports import PortRange
from ringback.media.shared_port import SharedPort
from ringback.net.sockets import RealNetwork
from ringback.pbx.media_setup import MediaSetup
from ringback.server.cluster.link import Answer, Link, Verb
from ringback.server.identity import advertised_among
from ringback.sip.flow import Address

logger = logging.getLogger("ringback.process")


class MediaProcess:
    """One media worker. `run` ends when the supervisor says so, or is gone."""

    def __init__(self) -> None:
        self._link: Link | None = None
        self._ended = asyncio.Event()
        self._worker: MediaWorker | None = None
        self._signalling_ports: tuple[int, ...] = ()

    async def run(self, sock: socket.socket) -> None:
        """Serve until the link ends."""
        self._link = await Link.open(sock, self, self._verbs())
        await self._ended.wait()

    # --- what comes over the link

    def change_received(self, data: bytes) -> None:
        """Changes are for those that signal."""

    def taken(self, count: int) -> None:
        """The same."""

    def writable(self) -> None:
        """We only answer."""

    def link_lost(self) -> None:
        self._ended.set()

    def _verbs(self) -> dict[str, Verb]:
        return {
            "start": self._start,
            "signalling_ports": self._take_ports,
            "status": self._status,
            "ping": self._ping,
            "stop": self._stop,
        }

    # --- verbs

    async def _start(self, arguments: Mapping[str, Any]) -> Answer:
        setup = MediaSetup.from_json(arguments)
        logging.getLogger("ringback").setLevel(setup.log_level.upper())
        self._signalling_ports = setup.signalling_ports
        _allow_many_sockets()
        network = RealNetwork()
        ports = PortRange(setup.first_port, setup.last_port)
        ports.skip(setup.skipped)
        self._worker = MediaWorker(
            Facilities(
                network,
                host=setup.host,
                ports=ports,
                shared=await _shared_port(network, setup),
                advertised_for=lambda host: advertised_among(setup.advertised, host),
                signalling_ports=lambda: self._signalling_ports,
            )
        )
        _load_codecs()
        await self._worker.serve(socket.socket(fileno=setup.listening))
        gc.collect()
        gc.freeze()
        return {"process": os.getpid()}

    async def _take_ports(self, arguments: Mapping[str, Any]) -> Answer:
        self._signalling_ports = tuple(arguments["ports"])
        return {}

    async def _status(self, _: Mapping[str, Any]) -> Answer:
        return {"bridges": self._worker.bridges if self._worker is not None else 0}

    async def _ping(self, _: Mapping[str, Any]) -> Answer:
        """We are not stuck."""
        return {}

    async def _stop(self, _: Mapping[str, Any]) -> Answer:
        if self._worker is not None:
            await self._worker.close()
        return {}


def _load_codecs() -> None:
    """Now, and not in the middle of a call, where it would be heard; the log says which do not load."""
    for name in CODECS:
        is_available(name)


async def _shared_port(network: RealNetwork, setup: MediaSetup) -> SharedPort | None:
    if not setup.webrtc_port:
        return None
    advertise = advertised_among(setup.advertised, setup.host)
    return await SharedPort.open(network, Address(setup.host, setup.webrtc_port), advertise=advertise)


def _allow_many_sockets() -> None:
    """A call takes four or eight; the usual soft limit of 1024 would end at 128 calls."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
