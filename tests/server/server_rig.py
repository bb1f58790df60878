# SPDX-License-Identifier: Apache-2.0
"""A whole server on a network in memory, and phones that speak raw SIP to it."""

import hashlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Literal

from ringback.server.app import Server
from ringback.server.config import CallSettings, ProxySettings, Settings, SipSettings
from ringback.server.identity import Identity
from ringback.server.storage import MemoryStore
from ringback.server.subscribers import Subscriber
from ringback.sip.flow import Address
from ringback.sip.message.message import Request, Response
from ringback.testing import Network, Peer, messages, run

DOMAIN = "ringback.test"
SERVER = Address("10.0.0.1", 5060)
USERS = {"101": "Anna", "102": "Bob", "103": "Carol"}
SECRET = b"a secret of thirty-two bytes....."


def digest(*parts: str) -> str:
    return hashlib.md5(":".join(parts).encode()).hexdigest()


class People:
    """Subscribers for tests: the password of 101 is "secret-101"."""

    def __init__(self) -> None:
        self.users = {
            number: Subscriber(number, name, {"MD5": digest(number, DOMAIN, f"secret-{number}")})
            for number, name in USERS.items()
        }

    def find(self, user: str) -> Subscriber | None:
        return self.users.get(user)


class Rig:
    """One network, one server, its store. `start` may be called again: a restart."""

    def __init__(self, *, settings: Settings | None = None, **options: Any) -> None:
        self.network = Network(seed=1)
        self.store = MemoryStore()
        self.settings = settings or with_proxy()
        self.options = options
        self.server_host = self.network.host("10.0.0.1")
        self.server: Server
        self.chance = 0

    async def start(self) -> "Rig":
        identity = Identity(
            domain=DOMAIN, advertised=("10.0.0.1",), realm=DOMAIN, secret=SECRET, aliases=("alias.test",)
        )
        self.server = Server(
            self.settings,
            identity,
            subscribers=People(),
            store=self.store,
            network=self.server_host,
            dns=self.network.dns,
            random_bytes=self.random_bytes,
            wall_clock=lambda: 1_000_000_000.0 + self.server.driver.now,
            **self.options,
        )
        await self.server.start()
        return self

    def random_bytes(self, size: int) -> bytes:
        self.chance += 1
        return hashlib.shake_128(str(self.chance).encode()).digest(size)

    async def restart(self) -> None:
        await self.server.close()
        await self.start()

    async def device(self, number: str, host: str, *, port: int = 5060, tcp: bool = False) -> "Device":
        """A phone that is not registered yet."""
        place = self.network.host(host)
        if tcp:
            peer = await Peer.connect(place, SERVER)
        else:
            peer = await Peer.bind(place, Address(host, port))
        return Device(number, peer)

    async def phone(self, number: str, host: str, **options: Any) -> "Device":
        """A phone that has registered."""
        port, tcp = options.pop("port", 5060), options.pop("tcp", False)
        device = await self.device(number, host, port=port, tcp=tcp)
        response = await device.register(**options)
        assert response.status == 200, response
        return device

    @property
    def state(self) -> tuple[int, ...]:
        """Everything the server holds besides registrations."""
        status = self.server.status()
        names = ("forwarding", "waiting", "client_transactions", "server_transactions", "dialogs")
        return tuple(int(str(status[name])) for name in names)


class Device:
    """A phone: a peer with a number and a password."""

    def __init__(self, number: str, peer: Peer) -> None:
        self.number = number
        self.peer = peer
        self.password = f"secret-{number}"
        self.cseq = 0
        self.call_id = f"register-{number}-{peer.local}"

    @property
    def contact(self) -> str:
        parameter = "" if self.peer.transport == "UDP" else f";transport={self.peer.transport.lower()}"
        return f"sip:{self.number}@{self.peer.local}{parameter}"

    @property
    def address(self) -> str:
        return f"sip:{self.number}@{DOMAIN}"

    def send(self, method: str, target: str, **parts: Any) -> bytes:
        """A request as this user, without credentials."""
        self.cseq += 1
        headers = list(parts.pop("headers", ()))
        if method in ("INVITE", "SUBSCRIBE", "REFER") and not any(name == "Contact" for name, _ in headers):
            headers.append(("Contact", f"<{self.contact}>"))
        parts.setdefault("from_", f"<{self.address}>;tag=from-{self.number}-{self.cseq}")
        parts.setdefault("cseq", self.cseq)
        return self.peer.request(method, target, remote=SERVER, headers=headers, **parts)

    def resend_with_credentials(self, sent: bytes, challenge: Response, **claims: str) -> bytes:
        """The same request again with a new branch, the next CSeq and an answer to `challenge`."""
        data = self.with_credentials(sent, challenge, **claims)
        self.peer.send(data, SERVER)
        return data

    def with_credentials(self, sent: bytes, challenge: Response, **claims: str) -> bytes:
        name = "Authorization" if challenge.status == 401 else "Proxy-Authorization"
        method, target = sent.split(b" ")[:2]
        line = answer_to(
            challenge,
            self.number,
            claims.pop("password", self.password),
            method.decode(),
            target.decode(),
            **claims,
        )
        self.cseq += 1
        head, _, body = sent.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        lines = [
            b"CSeq: %d %s" % (self.cseq, method) if each.startswith(b"CSeq:") else each for each in lines
        ]
        lines = [
            each.replace(b";rport", b"n;rport", 1) if each.startswith(b"Via:") else each for each in lines
        ]
        return b"\r\n".join([*lines, f"{name}: {line}".encode(), b"", b""]) + body

    async def ask(self, method: str, target: str, **parts: Any) -> bytes:
        """A request with credentials, after the challenge. What was sent last."""
        sent = self.send(method, target, **parts)
        challenge = await self.peer.expect(401 if method == "REGISTER" else 407, skip=(100,))
        if method == "INVITE":
            self.peer.send(ack_to(sent, challenge), SERVER)
        return self.resend_with_credentials(sent, challenge)

    async def register(
        self,
        *,
        contact: str | None = None,
        expires: int | None = 600,
        headers: Iterable[tuple[str, str]] = (),
        **parts: Any,
    ) -> Response:
        """REGISTER; the final response."""
        lines = [("Contact", contact or f"<{self.contact}>")] if contact != "" else []
        lines += [("Expires", str(expires))] if expires is not None else []
        await self.ask(
            "REGISTER",
            f"sip:{DOMAIN}",
            to=parts.pop("to", f"<{self.address}>"),
            call_id=parts.pop("call_id", self.call_id),
            headers=[*lines, *headers],
            **parts,
        )
        return await final(self.peer)

    async def call(self, target: str, **parts: Any) -> "Leg":
        """An INVITE with credentials, up to the 100."""
        sent = await self.ask("INVITE", target, **parts)
        await self.peer.expect(100)
        return Leg(self, sent)


class Leg:
    """The caller's side of a call."""

    def __init__(self, device: Device, invite: bytes) -> None:
        self.device = device
        self.invite = invite
        self.answer: Response | None = None

    async def answered(self, status: int = 200, *, skip: Iterable[int] = (180, 183)) -> Response:
        """Wait for the final response, and ACK it."""
        self.answer = await self.device.peer.expect(status, skip=tuple(skip))
        assert self.answer is not None
        if status >= 300:
            self.device.peer.send(ack_to(self.invite, self.answer), SERVER)
        else:
            self.device.peer.send(in_dialog("ACK", self.invite, self.answer, self.device), SERVER)
        return self.answer

    def cancel(self, *, reason: str | None = None) -> None:
        """Give up."""
        lines = self.invite.partition(b"\r\n\r\n")[0].split(b"\r\n")
        kept = [
            line
            for line in lines[1:]
            if line.split(b":")[0] in (b"Via", b"From", b"To", b"Call-ID", b"Route")
        ]
        cseq = next(line for line in lines if line.startswith(b"CSeq:")).replace(b"INVITE", b"CANCEL")
        start = lines[0].replace(b"INVITE", b"CANCEL", 1)
        extra = [f"Reason: {reason}".encode()] if reason else []
        self.device.peer.send(
            b"\r\n".join([start, *kept, cseq, b"Max-Forwards: 70", *extra, b"Content-Length: 0", b"", b""]),
            SERVER,
        )

    def request(self, method: str, **options: Any) -> bytes:
        """A request in the dialog."""
        assert self.answer is not None
        data = in_dialog(method, self.invite, self.answer, self.device, **options)
        self.device.peer.send(data, SERVER)
        return data


async def talk(rig: Rig) -> tuple[Device, Device, Leg]:
    """Anna has called Bob, and both talk."""
    anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
    leg = await anna.call(f"sip:102@{DOMAIN}")
    await bob.peer.expect("INVITE")
    bob.peer.reply(200, headers=[("Contact", f"<{bob.contact}>")])
    await leg.answered(200)
    await bob.peer.expect("ACK")
    return anna, bob, leg


async def final(peer: Peer) -> Response:
    """The next final response."""
    while True:
        message = await next_message(peer)
        if isinstance(message, Response) and message.status >= 200:
            return message


async def next_message(peer: Peer, *, timeout: float = 40.0) -> Request | Response:
    from ringback.sip.message.parser import parse_message

    return parse_message(await peer.hear(timeout=timeout))


def answer_to(challenge: Response, user: str, password: str, method: str, target: str, **claims: str) -> str:
    """Credentials for the MD5 challenge, computed here. `claims` replace what is true."""
    given = next(
        each for each in challenge.challenges if each.parameters.get("algorithm") == "MD5"
    ).parameters
    nonce, realm = claims.get("nonce", given["nonce"]), claims.get("realm", given["realm"])
    nc, cnonce, user = claims.get("nc", "00000001"), "0a4f113b", claims.get("username", user)
    uri = claims.get("uri", target)
    ha1 = digest(user, realm, password)
    proof = digest(ha1, nonce, nc, cnonce, "auth", digest(method, uri))
    return (
        f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}", '
        f'response="{proof}", algorithm=MD5, qop=auth, nc={nc}, cnonce="{cnonce}"'
    )


def ack_to(invite: bytes, response: Response) -> bytes:
    """The ACK to a failure (17.1.1.3)."""
    lines = invite.partition(b"\r\n\r\n")[0].split(b"\r\n")
    kept = [line for line in lines[1:] if line.split(b":")[0] in (b"Via", b"From", b"Call-ID", b"Route")]
    cseq = next(line for line in lines if line.startswith(b"CSeq:")).replace(b"INVITE", b"ACK")
    to = f"To: {response.headers['To']}".encode()
    start = lines[0].replace(b"INVITE", b"ACK", 1)
    return b"\r\n".join([start, *kept, to, cseq, b"Max-Forwards: 70", b"Content-Length: 0", b"", b""])


def in_dialog(
    method: str, invite: bytes, answer: Response, device: Device, *, headers: Iterable[tuple[str, str]] = ()
) -> bytes:
    """A request of the caller inside the dialog that `answer` made (12.2.1.1)."""
    from ringback.sip.message.parser import parse_message

    request = parse_message(invite)
    assert isinstance(request, Request)
    if method != "ACK":
        device.cseq += 1
    routes = [("Route", str(route)) for route in reversed(answer.record_routes)]
    return messages.request(
        method,
        str(answer.contacts[0].uri),
        via=f"SIP/2.0/{device.peer.transport} {device.peer.local}",
        from_=request.headers["From"],
        to=answer.headers["To"],
        call_id=request.call_id,
        cseq=request.cseq.number if method == "ACK" else device.cseq,
        headers=[*routes, *headers],
    )


def callee_request(
    method: str, invite: Request, device: Device, *, tag: str = "peer", cseq: int = 1
) -> bytes:
    """A request of the callee inside the dialog; `invite` as the callee got it."""
    routes = [("Route", str(route)) for route in invite.record_routes]
    return messages.request(
        method,
        str(invite.contacts[0].uri),
        via=f"SIP/2.0/{device.peer.transport} {device.peer.local}",
        from_=f"{invite.headers['To']};tag={tag}",
        to=invite.headers["From"],
        call_id=invite.call_id,
        cseq=cseq,
        headers=routes,
    )


def with_proxy(**proxy: Any) -> Settings:
    """Settings of a server on one address that passes calls on."""
    return with_calls("proxy", **proxy)


def with_bridge(**proxy: Any) -> Settings:
    """Settings of a server on one address that is a party to its calls."""
    return with_calls("bridge", **proxy)


def with_calls(mode: Literal["proxy", "bridge"], **proxy: Any) -> Settings:
    """Settings of a server on one address."""
    return Settings(
        sip=SipSettings(domain=DOMAIN, host=("10.0.0.1",)),
        calls=CallSettings(mode=mode),
        proxy=ProxySettings(**proxy),
    )


def on_a_server(
    test: Callable[[Rig], Awaitable[None]], *, settings: Settings | None = None, **options: Any
) -> None:
    """Run a test in virtual time; at its end the server must hold nothing that strangers could have left."""

    async def main() -> None:
        rig = await Rig(settings=settings, **options).start()
        try:
            await test(rig)
        finally:
            await rig.server.close()

    run(main())
