# SPDX-License-Identifier: Apache-2.0
"""A whole phone system, with its directory, its store and its built-in numbers; and callers of raw bytes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from server_rig import ack_to, answer_to

from ringback.net.network import Network
from ringback.net.sockets import RealNetwork
from ringback.pbx.accounts import new_user
from ringback.pbx.app import PhoneSystem
from ringback.pbx.process import ServerProcess
from ringback.server.config import Settings
from ringback.server.config_file import Loaded, load_settings
from ringback.server.first_start import open_store
from ringback.server.identity import Identity
from ringback.server.storage import MemoryStore
from ringback.sip.flow import Address
from ringback.sip.message.message import Response
from ringback.sip.message.parser import parse_message
from ringback.testing import Network as MemoryNetwork
from ringback.testing import Peer

DOMAIN = "office.test"
HOST = Address("10.0.0.1", 5060)
STATE = ("forwarding", "applications", "waiting", "client_transactions", "server_transactions", "dialogs")
PASSWORD = "secret-of-everybody"
SDP = b"v=0\r\no=- 1 1 IN IP4 %b\r\ns=-\r\nc=IN IP4 %b\r\nt=0 0\r\nm=audio %d RTP/AVP 0\r\n"


def offer(host: str, port: int = 40_000) -> bytes:
    """A plain offer of G.711."""
    return SDP % (host.encode(), host.encode(), port)


class Caller:
    """Somebody with an account who writes SIP by hand."""

    def __init__(
        self,
        peer: Peer,
        server: Address,
        *,
        number: str = "101",
        domain: str = DOMAIN,
        password: str = PASSWORD,
    ) -> None:
        self.peer = peer
        self.server = server
        self.number = number
        self.domain = domain
        self.password = password
        self._cseq = 0

    @property
    def contact(self) -> str:
        return f"<sip:{self.number}@{self.peer.local}>"

    def send(
        self, method: str, target: str, *, headers: Iterable[tuple[str, str]] = (), **parts: Any
    ) -> bytes:
        """A request as this user, without credentials."""
        self._cseq += 1
        address = f"<sip:{self.number}@{self.domain}>"
        parts.setdefault("from_", f"{address};tag={self.number}{self._cseq}")
        parts.setdefault("to", address if method == "REGISTER" else f"<{target}>")
        lines = list(headers)
        if not any(name in ("Contact", "m") for name, _ in lines):
            lines.append(("Contact", self.contact))
        return self.peer.request(method, target, remote=self.server, headers=lines, cseq=self._cseq, **parts)

    async def ask(self, method: str, target: str, *, until: int = 200, **parts: Any) -> Response:
        """A request with credentials after the challenge; the first response of status `until` or higher."""
        headers = list(parts.pop("headers", ()))
        parts.setdefault("call_id", f"{method}-{self._cseq}@{self.peer.local}")
        parts.setdefault("from_", f"<sip:{self.number}@{self.domain}>;tag=t{self._cseq}")
        sent = self.send(method, target, headers=headers, **parts)
        self.last = sent
        challenge = await self.heard(200)
        if challenge.status not in (401, 407):
            return challenge
        if method == "INVITE":
            self.peer.send(ack_to(sent, challenge), self.server)
        name = "Authorization" if challenge.status == 401 else "Proxy-Authorization"
        proof = answer_to(challenge, self.number, self.password, method, target)
        self.last = self.send(method, target, headers=[*headers, (name, proof)], **parts)
        return await self.heard(until)

    async def heard(self, least: int) -> Response:
        """The next response of at least this status."""
        while True:
            message = parse_message(await self.peer.hear())
            if isinstance(message, Response) and message.status >= least:
                return message

    async def register(self, **parts: Any) -> Response:
        """REGISTER this peer as a phone of the user."""
        return await self.ask("REGISTER", f"sip:{self.domain}", **parts)

    def acknowledge(self, response: Response) -> None:
        """The ACK to a failure."""
        self.peer.send(ack_to(self.last, response), self.server)


class Office:
    """A phone system at 10.0.0.1 on a network in memory; the users 101 to 103 have one password."""

    def __init__(self, network: MemoryNetwork, **settings: Any) -> None:
        self.network = network
        self.host = network.host(HOST.host)
        loop = asyncio.get_running_loop()  # other threads ask for the time too
        store = MemoryStore()
        for number in ("101", "102", "103"):
            store.put_user(new_user(number, f"User {number}", password=PASSWORD, realm=DOMAIN))
        self.system = PhoneSystem(
            Settings.model_validate({"sip": {"domain": DOMAIN, "host": [HOST.host]}, **settings}),
            Identity(domain=DOMAIN, advertised=(HOST.host,), realm=DOMAIN, secret=b"s" * 32),
            store=store,
            network=self.host,
            wall_clock=lambda: 1e9 + loop.time(),
        )
        self.idle_sockets = 0

    async def __aenter__(self) -> Office:
        await self.system.start()
        self.idle_sockets = self.host.open_sockets
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.system.close()

    async def caller(self, host: str = "10.0.0.11", number: str = "101") -> Caller:
        """A user at a phone."""
        return Caller(await Peer.bind(self.network.host(host), Address(host, 5060)), HOST, number=number)

    async def assert_quiet(self) -> None:
        """After a while nothing is left: no transaction, no call, no media port."""
        await asyncio.sleep(70)
        status = self.system.server.status()
        left = {name: status[name] for name in STATE if status[name]}
        assert left == {}
        assert self.host.open_sockets == self.idle_sockets


class RealOffice:
    """The process that `ringback serve` runs, in this process, on loopback, with a data directory."""

    def __init__(self, data: Path, *, network: Network | None = None, **flags: object) -> None:
        self.data = data
        self._network = network or RealNetwork()
        ports = {"sip_port": 0, "tls_port": 0, "http_port": 0, "https_port": 0}
        self._flags = {"data": str(data), "host": ("127.0.0.1",), "domain": DOMAIN, **ports, **flags}
        self.process: ServerProcess

    def load(self) -> Loaded:
        return load_settings(self._flags, {})

    async def __aenter__(self) -> RealOffice:
        self.process = await ServerProcess.start(self.load, self._network)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.process.close()

    @property
    def server(self) -> Address:
        host, _, port = self.process.addresses()["udp"].rpartition(":")
        return Address(host, int(port))

    async def add_user(self, number: str, name: str, password: str) -> None:
        self.process.installation.store.put_user(
            new_user(number, name, password=password, realm=self.process.installation.identity.realm)
        )
        await self.process.system.users_changed()

    async def caller(self, number: str, password: str) -> Caller:
        peer = await Peer.bind(self._network, Address("127.0.0.1", 0))
        return Caller(peer, self.server, number=number, password=password)


def stored_text(data: Path) -> str:
    """Everything that a reader of the database file would see."""
    store, _ = open_store(data)
    with closing(store):
        return repr((store.users(), store.bindings(now=time.time())))
