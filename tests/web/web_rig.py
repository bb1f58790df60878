# SPDX-License-Identifier: Apache-2.0
"""A whole web server for tests: a listener, the tunnel, uvicorn and the app, with a store of its own.

    async with WebRig(tmp_path) as rig:
        rig.server.verbs["calls"] = lambda arguments: {"calls": []}
        owner = await rig.signed_in("owner")
        status, answer = await owner.call("GET", "/api/v1/calls")

Only the telephone server behind it is played: `rig.server.verbs` says what it answers.
"""

import asyncio
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import aiohttp
from argon2 import PasswordHasher

from ringback.net.driver import StackDriver
from ringback.net.hosts_file import HostsFile
from ringback.net.resolver import Resolver
from ringback.net.sockets import RealNetwork
from ringback.server.config import Settings
from ringback.server.first_start import open_store, sealer_of
from ringback.server.storage.audit import AuditStore
from ringback.server.storage.entrances import LinkStore, SessionStore, TokenStore
from ringback.server.storage.people import PeopleStore, Person, new_identifier
from ringback.server.storage.records import RecordStore
from ringback.server.storage.recovery import RecoveryStore
from ringback.server.storage.sqlite import FILE_NAME, SqliteStore
from ringback.server.storage.webhooks import WebhookStore
from ringback.sip.errors import RingbackError
from ringback.sip.flow import Address, Transport
from ringback.sip.identifiers import Identifiers
from ringback.sip.stack import SipStack
from ringback.testing import Names
from ringback.web.events import Events
from ringback.web.house import House
from ringback.web.passwords import Passwords
from ringback.web.serving import Uvicorn, configuration
from ringback.web.throttle import Throttle
from ringback.web.webhook_deliveries import Deliveries
from ringback.web.webhook_post import Sender

NOW = 1_800_000_000.0
PASSWORD = "correct horse battery"
Answer = dict[str, Any]


class PlayedServer:
    """Answers verbs as the test says, and remembers what it was asked."""

    def __init__(self) -> None:
        self.verbs: dict[str, Callable[[Answer], Answer]] = {"ping": lambda _: {}}
        self.asked: list[tuple[str, Answer]] = []

    async def ask(self, verb: str, *, timeout: float = 10.0, **arguments: Any) -> Answer:
        self.asked.append((verb, arguments))
        if verb not in self.verbs:
            raise RingbackError(f"nobody answers {verb}")
        return self.verbs[verb](arguments)


class Clock:
    """A wall clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class Browser:
    """A client with cookies that sends the secret of its session along, as our pages do."""

    def __init__(self, address: str) -> None:
        self.http = aiohttp.ClientSession(address, cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """One request: the status, and the body as JSON if it is."""
        async with self.http.request(method, path, json=body, headers=headers) as response:
            text = await response.text()
            kind = response.headers.get("Content-Type", "")
            return response.status, json.loads(text) if text and "json" in kind else text

    def remember(self, session: Answer) -> None:
        """What a sign-in answered."""
        self.http.headers["X-Ringback-CSRF"] = session["csrf"]


class WebRig:
    """Everything between the port and the store."""

    def __init__(
        self, directory: Path, *, settings: Settings | None = None, static: Path | None = None
    ) -> None:
        self.directory = directory
        self.settings = settings or Settings()
        self.static = static
        self.server = PlayedServer()
        self.clock = Clock()
        self.browsers: list[Browser] = []

    async def __aenter__(self) -> Self:
        self.sender = Sender(allowed=self.settings.web.webhook_allow)
        self.house = self._house()
        path = self.directory / "web.sock"
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.bind(str(path))
        listening.listen()
        listening.setblocking(False)
        self.uvicorn = Uvicorn(configuration(self.house))
        self._serving = asyncio.create_task(self.uvicorn.serve(sockets=[listening]))
        self.driver = StackDriver(
            SipStack(Identifiers(bytes)),
            RealNetwork(),
            resolver=Resolver(Names(), hosts=HostsFile(Path("/nonexistent"))),
            handler=lambda event: None,
        )
        self.driver.transports.pool.web = path
        endpoint = await self.driver.listen(Transport.WS, Address("127.0.0.1", 0))
        self.port = endpoint.local.port
        self.address = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        for browser in self.browsers:
            await browser.http.close()
        self.uvicorn.should_exit = True
        await self._serving
        await self.driver.close()
        await self.sender.close()
        self.house.store.close()

    def browser(self) -> Browser:
        """Somebody with an empty cookie jar."""
        browser = Browser(self.address)
        self.browsers.append(browser)
        return browser

    async def person(
        self, role: str = "owner", *, name: str = "Olga", email: str = "", number: str = ""
    ) -> Person:
        """Somebody who may sign in with PASSWORD."""
        kept = await self.house.passwords.hash(PASSWORD)
        person = Person(new_identifier(), name, email, number, role, kept, "", self.clock())
        return self.house.people.add_person(person)

    async def signed_in(self, role: str = "owner", **person: str) -> Browser:
        """A new person with this role, in a browser of their own."""
        made = await self.person(role, **{"name": role.capitalize(), **person})
        browser = self.browser()
        status, session = await browser.call(
            "POST", "/api/v1/session", {"login": made.name, "password": PASSWORD}
        )
        assert status == 200, session
        browser.remember(session)
        return browser

    def token(self, person: Person, *scopes: str) -> dict[str, str]:
        """A header that acts for somebody."""
        text, _ = self.house.tokens.make(person.id, "test", frozenset(scopes), now=self.clock())
        return {"Authorization": f"Bearer {text}"}

    def _house(self) -> House:
        store, _ = open_store(self.directory)
        assert isinstance(store, SqliteStore)
        file, sealer = self.directory / FILE_NAME, sealer_of(self.directory)
        events = Events()
        webhooks = WebhookStore.open(file, sealer=sealer)
        house = House(
            server=self.server,
            store=store,
            people=PeopleStore.open(file, sealer=sealer),
            sessions=SessionStore.open(file, sealer=sealer),
            tokens=TokenStore.open(file, sealer=sealer),
            links=LinkStore.open(file, sealer=sealer),
            recovery=RecoveryStore.open(file, sealer=sealer),
            changes=AuditStore.open(file, sealer=sealer),
            records=RecordStore.open(file, sealer=sealer),
            webhooks=webhooks,
            deliveries=Deliveries(webhooks, events, post=self.sender, clock=self.clock),
            events=events,
            passwords=Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)),
            throttle=Throttle(self.clock),
            settings=self.settings,
            directory=self.directory,
            realm="example.com",
            domain="example.com",
            addresses={"wss": "127.0.0.1:8443", "ws": "127.0.0.1:8080", "udp": "127.0.0.1:5060"},
            clock=self.clock,
        )
        if self.static is not None:
            house.static = self.static
        return house
