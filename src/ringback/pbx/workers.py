# SPDX-License-Identifier: Apache-2.0
"""A phone system in several processes: what `ringback serve --workers N` runs instead of a `PhoneSystem`.

This process speaks no SIP. It opens the ports, starts the workers and replaces those that die, puts their
changes into one order, and is the only one that writes to the store.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import socket
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from ringback.net.handover import inbox_pair
from ringback.net.neighbours import worker_of
from ringback.pbx import operator
from ringback.pbx.directory import Directory, Revoked
from ringback.pbx.registrations import described
from ringback.pbx.verb_table import VERBS
from ringback.pbx.worker_place import WorkerPlace
from ringback.pbx.worker_setup import WorkerSetup, certificate_to_json
from ringback.server.bulletin import Bulletin
from ringback.server.certificates import CertificateFiles
from ringback.server.cluster.feed import Feed
from ringback.server.cluster.link import Answer, LinkLost
from ringback.server.cluster.ports import SharedPorts
from ringback.server.cluster.shared_binding import expiry_of, pack_row, unpack_record
from ringback.server.cluster.state import BINDING, CONNECTION, Change, binding_key, parts
from ringback.server.config import Settings
from ringback.server.first_start import Installation
from ringback.server.listening import Listening
from ringback.server.storage.devices import DeviceRecord
from ringback.sip.errors import RingbackError
from ringback.sip.flow import Transport

logger = logging.getLogger("ringback.process")

#: What a worker process runs. Nothing is imported from the directory that the user happens to be in.
COMMAND = (sys.executable, "-P", "-m", "ringback.cli.worker")

#: How often expired registrations are swept out.
SWEEP_INTERVAL = 60.0


class Workers:
    """`settings.workers` processes that are one server."""

    def __init__(
        self,
        installation: Installation,
        *,
        command: Sequence[str] = COMMAND,
        wall_clock: Callable[[], float] = time.time,
        media: Sequence[str] = (),
        web: Path | None = None,
    ) -> None:
        """`media`, `web`: the local sockets of the media workers and of the web process."""
        self._installation = installation
        self._settings = installation.settings
        self._certificate = installation.certificate
        self._store = installation.store
        self._wall_clock = wall_clock
        self._media = tuple(media)
        self._web = web
        self._secret = secrets.token_bytes(32)
        self._feed = Feed()
        self._ports = SharedPorts(self._settings.workers)
        self._inboxes: list[tuple[socket.socket, socket.socket]] = []
        self.places = [
            WorkerPlace(number, self, self._feed, command) for number in range(self._settings.workers)
        ]
        self._sweep: asyncio.TimerHandle | None = None
        self.directory = Directory(self._store)
        self.bulletin = Bulletin(wall_clock=wall_clock)

    # --- what the process asks of a phone system

    async def start(self) -> None:
        """Open the ports and start the workers; all of them serve when this returns."""
        try:
            await self._start()
        except BaseException:
            await self.close()
            raise
        self._arm_sweep()

    async def _start(self) -> None:
        self.directory.load()
        now = self._wall_clock()
        self._store.remove_expired(now=now)
        for row in self._store.rows(now=now):
            self._feed.apply(Change(binding_key(row[0], row[1]), pack_row(row)))
        await Listening(self._ports, self._settings, self._installation.identity).open()
        self._settings = self._with_ports(self._settings)
        self._inboxes = [inbox_pair() for _ in self.places]
        self._feed.told = self._wake
        started = await asyncio.gather(*(place.start() for place in self.places), return_exceptions=True)
        for outcome in started:
            if isinstance(outcome, BaseException):
                raise outcome

    async def close(self) -> None:
        """End the workers, then give the ports back."""
        if self._sweep is not None:
            self._sweep.cancel()
        await asyncio.gather(*(place.close() for place in self.places))
        self._ports.close()
        for pair in self._inboxes:
            for end in pair:
                end.close()

    def addresses(self) -> dict[str, str]:
        """Where each transport is reached."""
        found: dict[str, str] = {}
        for port in self._ports.ports:
            found.setdefault(port.transport.value.lower(), port.sent_by)
        return found

    @property
    def registered(self) -> int:
        """How many contacts are registered."""
        now = self._wall_clock()
        return sum(expiry_of(value) > now for _, value in self._feed.items(BINDING))

    def registrations(self) -> list[dict[str, Any]]:
        """Which phones are registered now."""
        now = self._wall_clock()
        records = (unpack_record(value) for _, value in self._feed.items(BINDING))
        alive = [record for record in records if record is not None and record.expires_at > now]
        alive.sort(key=lambda record: (record.user, record.key))
        return [described(record, now=now, name=self.directory.name_of(record.user)) for record in alive]

    async def users_changed(self) -> None:
        """Every worker hears of the users before those who may stay no longer are forgotten: none can come
        back in between.
        """
        revoked = await self.directory.refresh()
        await self._ask(self.places, "users", **self._known())
        self._forget(revoked)

    async def devices_changed(self) -> None:
        """The same when only devices, guests or the operators were changed: cheaper where users are many."""
        revoked = await self.directory.refresh_devices()
        await self._ask(self.places, "users", **self._known_devices())
        self._forget(revoked)

    def _forget(self, revoked: Iterable[Revoked]) -> None:
        gone = frozenset(revoked)
        if not gone:
            return
        users = {number for number, _ in gone}
        for key, value in [item for item in self._feed.items(BINDING) if parts(item[0])[1] in users]:
            record = unpack_record(value)
            owner = parts(key)[1]
            if record is None or (owner, None) in gone or (owner, record.device) in gone:
                self._feed.apply(Change(key, None))
        for number, device in gone:
            self._store.remove_bindings_of(number, device=device)

    async def reload(self, settings: Settings, *, certificate: CertificateFiles) -> None:
        """Every worker takes them over. What one refuses, the first one refuses already."""
        settings = self._with_ports(settings)
        arguments = {
            "settings": settings.model_dump_json(),
            "certificate": certificate_to_json(certificate),
        }
        await self._ask(self.places[:1], "reload", **arguments)
        await self._ask(self.places[1:], "reload", **arguments)
        self._settings, self._certificate = settings, certificate

    async def status(self) -> Answer:
        """The counters of all workers in one sum, and those of each."""
        answers = await self._ask(self.places, "status")
        total = _sum([answer["server"] for answer in answers.values()])
        total["registrations"] = self.registered
        traces = [answer["trace"] for answer in answers.values() if answer["trace"]]
        workers = [
            {
                "number": place.number,
                "process": place.process,
                "starts": place.starts,
                "server": answers[place.number]["server"] if place.number in answers else None,
            }
            for place in self.places
        ]
        return {"server": total, "trace": _trace(traces), "workers": workers}

    async def ask(self, verb: str, arguments: Mapping[str, Any]) -> Answer:
        """One answer of all workers. The first refusal is the answer; none there to ask is one, too."""
        there = [place for place in self.places if place.link is not None and place.link.is_open]
        places = there[:1] if VERBS[verb].is_for_one else there
        answers = await self._ask(places, "ask", question=verb, arguments=dict(arguments))
        if not answers:
            raise RingbackError("no worker answers")
        return VERBS[verb].merge([answers[number] for number in sorted(answers)])

    # --- what a place asks of the whole

    def setup(self, number: int) -> WorkerSetup:
        """For a process that begins now."""
        sockets = self._ports.of_worker(number)
        return WorkerSetup(
            number=number,
            count=len(self.places),
            settings=self._settings,
            identity=self._installation.identity,
            certificate=self._certificate,
            secret=self._secret,
            sockets={place: sock.fileno() for place, sock in sockets.items()},
            inbox=self._inboxes[number][0].fileno(),
            ways={other: pair[1].fileno() for other, pair in enumerate(self._inboxes) if other != number},
            users=self._known(),
            media=self._media,
            web=self._web,
        )

    def changed(self, change: Change) -> None:
        """A worker said so, and the others hear of it: now the store."""
        kind, user, key = parts(change.key)
        if kind != BINDING:
            return
        record = unpack_record(change.value) if change.value is not None else None
        if record is not None:
            self._store.put_binding(record)
        else:
            self._store.remove_binding(user, key)

    def ended(self, number: int) -> None:
        """Its connections ended with it."""
        for key in [key for key, _ in self._feed.items(CONNECTION)]:
            if worker_of(int(parts(key)[1])) == number:
                self._feed.apply(Change(key, None))

    def heard(self, event: Answer) -> None:
        """Something has happened in a worker."""
        self.bulletin.pass_on(event)

    # --- inside

    def _wake(self) -> None:
        for place in self.places:
            place.wake()

    def _known(self) -> dict[str, Any]:
        """What `WorkerStore.take_users` takes."""
        realm = self._installation.identity.realm
        users = [
            {"number": user.number, "name": user.name, "realm": realm, "ha1s": dict(user.ha1s)}
            for user in self.directory
        ]
        return {"users": users, **self._known_devices()}

    def _known_devices(self) -> dict[str, Any]:
        names = [each.name for each in fields(DeviceRecord) if each.name != "ha1s"]
        devices = [
            {**{name: getattr(device, name) for name in names}, "ha1s": dict(device.ha1s)}
            for device in self.directory.devices()
        ]
        return {"devices": devices, "values": {operator.VALUE: json.dumps(self.directory.operators)}}

    async def _ask(self, places: Sequence[WorkerPlace], verb: str, **arguments: object) -> dict[int, Answer]:
        """What those workers answer that are there. One that is not hears of it when it starts."""
        asked = [place for place in places if place.link is not None and place.link.is_open]
        answers = await asyncio.gather(
            *(place.link.ask(verb, arguments) for place in asked if place.link is not None),
            return_exceptions=True,
        )
        found: dict[int, Answer] = {}
        for place, answer in zip(asked, answers, strict=True):
            if isinstance(answer, TimeoutError):
                logger.warning("worker %d does not answer", place.number)
            elif isinstance(answer, BaseException) and not isinstance(answer, LinkLost):
                raise answer
            elif not isinstance(answer, BaseException):
                found[place.number] = answer
        return found

    def _with_ports(self, settings: Settings) -> Settings:
        """Port 0 becomes the one that was found."""
        ports = {port.transport: port.local.port for port in self._ports.ports}

        def port(transport: Transport, default: int) -> int:
            return ports.get(transport, default)

        sip = {
            "port": port(Transport.UDP, settings.sip.port),
            "tls_port": port(Transport.TLS, settings.sip.tls_port),
        }
        web = {
            "http_port": port(Transport.WS, settings.web.http_port),
            "https_port": port(Transport.WSS, settings.web.https_port),
        }
        return settings.model_copy(
            update={
                "sip": settings.sip.model_copy(update=sip),
                "web": settings.web.model_copy(update=web),
            }
        )

    def _arm_sweep(self) -> None:
        self._sweep = asyncio.get_running_loop().call_later(SWEEP_INTERVAL, self._expire)

    def _expire(self) -> None:
        now = self._wall_clock()
        for key in [key for key, value in self._feed.items(BINDING) if expiry_of(value) <= now]:
            self._feed.apply(Change(key, None))
        self._store.remove_expired(now=now)
        self._arm_sweep()


def _sum(counters: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Numbers are added, tables number by number, lists joined; of anything else the first counts."""
    total: dict[str, Any] = {}
    for counter in counters:
        for name, value in counter.items():
            if isinstance(value, Mapping):
                total[name] = _sum([total.get(name, {}), value])
            elif isinstance(value, list):
                total[name] = [*total.get(name, ()), *value]
            elif name.startswith("longest"):
                total[name] = max(total.get(name, 0.0), value)
            elif isinstance(value, int | float) and not isinstance(value, bool):
                total[name] = total.get(name, 0) + value
            else:
                total.setdefault(name, value)
    return total


def _trace(traces: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """One file, written by all."""
    if not traces:
        return None
    failures = [trace["failure"] for trace in traces if trace["failure"]]
    return {**_sum(traces), "file": traces[0]["file"], "failure": failures[0] if failures else ""}
