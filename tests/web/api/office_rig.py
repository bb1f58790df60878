# SPDX-License-Identifier: Apache-2.0
"""A whole server in the test, with the web application on it, and people who use it without sockets."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from argon2 import PasswordHasher
from fastapi import FastAPI

from ringback.net.sockets import RealNetwork
from ringback.pbx.process import ServerProcess
from ringback.server.config_file import Loaded, load_settings
from ringback.server.control import ask
from ringback.server.first_start import sealer_of
from ringback.server.storage.audit import AuditStore
from ringback.server.storage.entrances import LinkStore, SessionStore, TokenStore
from ringback.server.storage.people import PeopleStore, Person, new_identifier
from ringback.server.storage.records import RecordStore
from ringback.server.storage.recovery import RecoveryStore
from ringback.server.storage.sqlite import FILE_NAME, SqliteStore
from ringback.server.storage.webhooks import WebhookStore
from ringback.web.app import make_app
from ringback.web.events import Events
from ringback.web.house import House
from ringback.web.passwords import Passwords
from ringback.web.sessions import COOKIE
from ringback.web.throttle import Throttle
from ringback.web.webhook_deliveries import Deliveries
from ringback.web.webhook_post import Posted

HOST = "office.example:8443"


@dataclass(slots=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(slots=True)
class Visitor:
    """Somebody with a browser or a token."""

    app: FastAPI
    headers: dict[str, str] = field(default_factory=dict)
    person: Person | None = None

    async def get(self, path: str) -> Answer:
        return await self.ask("GET", path)

    async def post(self, path: str, body: object = None) -> Answer:
        return await self.ask("POST", path, body)

    async def put(self, path: str, body: object) -> Answer:
        return await self.ask("PUT", path, body)

    async def patch(self, path: str, body: object) -> Answer:
        return await self.ask("PATCH", path, body)

    async def delete(self, path: str) -> Answer:
        return await self.ask("DELETE", path)

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """One request through the whole application, middleware and all."""
        raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"host": HOST, "content-type": "application/json", **self.headers, **headers}
        return await through(self.app, method, path, raw, sent)


async def through(app: FastAPI, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """ASGI without a server. What the application raises is raised here, as a server would log it."""
    split = urlsplit(path)
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "https",
        "path": _unquoted(split.path), "raw_path": split.path.encode(), "root_path": "",
        "query_string": split.query.encode(), "client": ("192.0.2.7", 40000), "server": ("192.0.2.1", 8443),
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
    }  # fmt: skip
    sent: list[dict[str, Any]] = []
    incoming = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if incoming:
            return incoming.pop(0)
        await asyncio.Event().wait()  # a browser that waits for its answer
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)  # type: ignore[arg-type]
    start = next(message for message in sent if message["type"] == "http.response.start")
    parts = [message.get("body", b"") for message in sent if message["type"] == "http.response.body"]
    found = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], found, b"".join(parts))


def _unquoted(path: str) -> str:
    from urllib.parse import unquote

    return unquote(path)


class Asking:
    """The server, over its control socket."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def ask(self, verb: str, *, timeout: float = 10.0, **arguments: Any) -> dict[str, Any]:
        return await asyncio.to_thread(ask, self._directory, verb, timeout=timeout, **arguments)


class Mailbox:
    """Where webhooks would be posted to: remembers, and answers as it is told."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, str, bytes]] = []
        self.answers: list[Posted] = []

    async def __call__(
        self, url: str, body: bytes, *, secret: str, event: str, delivery: int, now: float
    ) -> Posted:
        self.posted.append((url, event, body))
        return self.answers.pop(0) if self.answers else Posted(204)


@dataclass(slots=True)
class Office:
    """The rig: `owner()` and the others are visitors."""

    house: House
    app: FastAPI
    process: ServerProcess
    file: Path
    mailbox: Mailbox
    now: list[float]

    def stranger(self) -> Visitor:
        return Visitor(self.app)

    def owner(self) -> Visitor:
        return self.signed_in("owner", "Olga")

    def admin(self) -> Visitor:
        return self.signed_in("admin", "Ada")

    def operator(self) -> Visitor:
        return self.signed_in("operator", "Otto")

    def signed_in(self, role: str, name: str, number: str = "", email: str = "") -> Visitor:
        """Somebody with a session, made the short way."""
        person = (self.house.people.person_with(number) if number else None) or Person(
            new_identifier(), name, email, number, role, password="x", created_at=self.house.clock()
        )
        if self.house.people.person(person.id) is None:
            self.house.people.add_person(person)
        cookie, session = self.house.sessions.make(
            person.id, now=self.house.clock(), lifetime=1e9, address="192.0.2.7", agent="test"
        )
        headers = {"cookie": f"{COOKIE}={cookie}", "x-ringback-csrf": session.csrf}
        return Visitor(self.app, headers, person)

    def with_token(self, visitor: Visitor, *scopes: str) -> Visitor:
        """A program of this visitor."""
        assert visitor.person is not None
        text, _ = self.house.tokens.make(visitor.person.id, "test", frozenset(scopes), now=self.house.clock())
        return Visitor(self.app, {"authorization": f"Bearer {text}"}, visitor.person)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Office]:
    """A server on free ports of this machine, in this loop, and the application on it."""
    file = folder / "ringback.toml"
    file.write_text('# our office\n[sip]\nhost = ["127.0.0.1"]  # only here\n')
    flags: dict[str, object] = {
        "data": str(folder / "data"), "config": str(file),
        "sip_port": 0, "tls_port": 0, "http_port": 0, "https_port": 0,
    }  # fmt: skip

    def load() -> Loaded:
        return load_settings(flags, {"RINGBACK_WEB__CONSOLE": "false", "RINGBACK_MEDIA__ANCHOR": "never"})

    process = await ServerProcess.start(load, RealNetwork())
    mailbox, now = Mailbox(), [time.time()]
    house = _house(process, file, mailbox, now)
    try:
        yield Office(house, make_app(house), process, file, mailbox, now)
    finally:
        house.records.close()
        house.store.close()
        await process.close()


def _house(process: ServerProcess, file: Path, mailbox: Mailbox, now: list[float]) -> House:
    directory = process.installation.directory
    database, sealer = directory / FILE_NAME, sealer_of(directory)
    webhooks, events = WebhookStore.open(database, sealer=sealer), Events()

    def clock() -> float:
        return now[0]

    return House(
        server=Asking(directory),
        store=SqliteStore.open(database, sealer=sealer),
        people=PeopleStore.open(database, sealer=sealer),
        sessions=SessionStore.open(database, sealer=sealer),
        tokens=TokenStore.open(database, sealer=sealer),
        links=LinkStore.open(database, sealer=sealer),
        recovery=RecoveryStore.open(database, sealer=sealer),
        changes=AuditStore.open(database, sealer=sealer),
        records=RecordStore.open(database, sealer=sealer),
        webhooks=webhooks,
        deliveries=Deliveries(webhooks, events, post=mailbox, clock=clock),
        events=events,
        passwords=Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)),
        throttle=Throttle(clock),
        settings=process.installation.settings,
        directory=directory,
        realm=process.installation.identity.realm,
        domain=process.installation.identity.domain,
        addresses=process.addresses(),
        file=file,
        clock=clock,
    )
