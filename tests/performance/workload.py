# SPDX-License-Identifier: Apache-2.0
"""The work whose cost per message is kept an eye on: calls and registrations through a whole server, without sockets.

    python workload.py calls=128 registers=100 yardstick=200

For each it says "ready", waits for a line, does the work, says how much and what CPU time it took, and waits again.
The server is the real one (every service, transactions, timers); its network only keeps what is sent. Everything is the
same in each run: identifiers, order, messages. The yardstick is work that never changes, to tell a slower interpreter
from a slower server.
"""

import asyncio
import gc
import hashlib
import sys
import time
from collections.abc import Callable

from ringback.net.network import DatagramsReceived
from ringback.server.app import Server
from ringback.server.config import CallSettings, ProxySettings, Settings, SipSettings
from ringback.server.identity import Identity
from ringback.server.storage import MemoryStore
from ringback.server.subscribers import Subscriber
from ringback.sip.flow import Address

DOMAIN, REALM = "example.com", "example.com"
CALLER, CALLEE = Address("192.0.2.10", 5060), Address("192.0.2.20", 5060)
USERS = 50
#: Calls that arrive together, as they do under load.
TOGETHER = 32

SDP = (
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=call\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0 8 101\r\n"
    b"a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
)
INVITE = (
    b"INVITE sip:%(user)b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;rport;branch=z9hG4bKi%(number)d\r\n"
    b'Max-Forwards: 70\r\nFrom: "Caller" <sip:caller@elsewhere.example>;tag=f%(number)d\r\nTo: <sip:%(user)b@example.com>\r\n'
    b"Call-ID: %(number)d@load\r\nCSeq: 1 INVITE\r\nContact: <sip:caller@192.0.2.10:5060>\r\nUser-Agent: Desk Phone\r\n"
    b"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\nSupported: replaces, outbound\r\nAccept: application/sdp\r\n"
    b"Subject: measured\r\nContent-Type: application/sdp\r\nContent-Length: %(size)d\r\n\r\n%(sdp)b"
)
INSIDE = (
    b"%(method)b sip:phone@192.0.2.20:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;rport;branch=z9hG4bK%(method)b%(number)b\r\n"
    b"Max-Forwards: 70\r\n%(route)b%(common)bCSeq: %(cseq)d %(method)b\r\nContent-Length: 0\r\n\r\n"
)
REGISTER = (
    "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.20:5060;rport;branch=z9hG4bKr{cseq}.{user}\r\nMax-Forwards: 70\r\n"
    "From: <sip:{user}@example.com>;tag=r{user}\r\nTo: <sip:{user}@example.com>\r\nCall-ID: register-{user}\r\nCSeq: {cseq} REGISTER\r\n"
    "Contact: <sip:{user}@192.0.2.20:5060>\r\nExpires: 3600\r\nUser-Agent: Desk Phone\r\n{credentials}Content-Length: 0\r\n\r\n"
)


def digest(*parts: str) -> str:
    return hashlib.md5(":".join(parts).encode(), usedforsecurity=False).hexdigest()


class Silent:
    """A socket or listener that keeps what is sent."""

    def __init__(self, local: Address) -> None:
        self.local = Address(local.host, local.port or 5060)
        self.sent: list[tuple[bytes, Address]] = []

    def send(self, data: bytes, remote: Address) -> None:
        self.sent.append((data, remote))

    def send_batch(self, batch: list[tuple[bytes, Address]]) -> None:
        self.sent += batch

    def close(self) -> None:
        self.sent.clear()


class SilentNetwork:
    """A `ringback.net.network.Network` with one datagram socket that matters."""

    socket: Silent
    receive: DatagramsReceived

    async def bind_datagram(self, local: Address, received: DatagramsReceived) -> Silent:
        self.socket, self.receive = Silent(local), received
        return self.socket

    async def listen(self, local: Address, accepted: object, **_: object) -> Silent:
        return Silent(local)

    async def connect(self, remote: Address, **_: object) -> Silent:
        raise OSError("this network has no streams")

    async def source_address(self, remote_host: str) -> str:
        return "192.0.2.1"


class People:
    """Fifty users."""

    def __init__(self) -> None:
        names = [str(1000 + number) for number in range(USERS)]
        self.users = {name: Subscriber(name, "", {"MD5": digest(name, REALM, "secret")}) for name in names}

    def find(self, user: str) -> Subscriber | None:
        return self.users.get(user)


class Office:
    """A server and both sides of its calls."""

    def __init__(self) -> None:
        self.network = SilentNetwork()
        self.chance = 0
        settings = Settings(
            sip=SipSettings(host=("192.0.2.1",)),
            proxy=ProxySettings(strangers_may_call=True),
            calls=CallSettings(mode="proxy"),
        )
        identity = Identity(domain=DOMAIN, advertised=("192.0.2.1",), realm=REALM, secret=b"s" * 32)
        self.people = People()
        self.server = Server(settings, identity, subscribers=self.people, store=MemoryStore(), network=self.network,
                             random_bytes=self.random_bytes)  # type: ignore[arg-type]  # fmt: skip
        self.nonces: dict[str, str] = {}
        self.cseq = 0
        self.number = 0

    def random_bytes(self, size: int) -> bytes:
        self.chance += 1
        return hashlib.shake_128(self.chance.to_bytes(8, "big")).digest(size)

    async def start(self) -> None:
        await self.server.start()
        self.register_all()  # 401s, with nonces to go on with
        assert self.register_all() == USERS

    def exchange(self, batch: list[tuple[bytes, Address]]) -> list[bytes]:
        """Give the server a batch of datagrams; what it sends at once."""
        self.network.receive(batch)
        sent, self.network.socket.sent = self.network.socket.sent, []
        return [data for data, _ in sent]

    def register_all(self) -> int:
        """One REGISTER of each user; how many were accepted."""
        self.cseq += 1
        requests = [(self.register(user), CALLEE) for user in self.people.users]
        answers = self.exchange(requests)
        for user, answer in zip(self.people.users, answers, strict=True):
            if answer.startswith(b"SIP/2.0 401"):
                challenge = next(line for line in answer.decode().split("\r\n") if "algorithm=MD5" in line)
                self.nonces[user] = challenge.partition('nonce="')[2].partition('"')[0]
        return sum(answer.startswith(b"SIP/2.0 200") for answer in answers)

    def register(self, user: str) -> bytes:
        credentials = ""
        if nonce := self.nonces.get(user):
            count = f"{self.cseq:08x}"
            response = digest(
                digest(user, REALM, "secret"),
                nonce,
                count,
                "c",
                "auth",
                digest("REGISTER", "sip:example.com"),
            )
            credentials = (
                f'Authorization: Digest username="{user}", realm="{REALM}", nonce="{nonce}", uri="sip:example.com", '
                f'response="{response}", algorithm=MD5, cnonce="c", qop=auth, nc={count}\r\n'
            )
        return REGISTER.format(cseq=self.cseq, user=user, credentials=credentials).encode()

    def call_some(self) -> int:
        """A batch of calls from INVITE to the 200 of their BYE; how many were completed."""
        numbers = range(self.number, self.number + TOGETHER)
        self.number += TOGETHER
        invites = [
            INVITE % {b"user": b"%d" % (1000 + n % USERS), b"number": n, b"size": len(SDP), b"sdp": SDP}
            for n in numbers
        ]
        forwarded = [
            data
            for data in self.exchange([(invite, CALLER) for invite in invites])
            if data.startswith(b"INVITE")
        ]
        self.exchange([(answered(data, b"180 Ringing"), CALLEE) for data in forwarded])
        answers = self.exchange([(answered(data, b"200 OK", SDP), CALLEE) for data in forwarded])
        self.exchange([(inside(b"ACK", 1, data), CALLER) for data in answers])
        byes = self.exchange([(inside(b"BYE", 2, data), CALLER) for data in answers])
        done = self.exchange([(answered(data, b"200 OK"), CALLEE) for data in byes])
        return sum(data.startswith(b"SIP/2.0 200") for data in done)


def answered(request: bytes, status: bytes, body: bytes = b"") -> bytes:
    """A response to a forwarded request."""
    head = request[: request.index(b"\r\n\r\n")].split(b"\r\n")
    lines = [
        line if b";tag=" in line or line[:3] != b"To:" else line + b";tag=t"
        for line in head
        if line[:3] in KEPT
    ]
    return (
        b"\r\n".join(
            [
                b"SIP/2.0 " + status,
                *lines,
                b"Contact: <sip:phone@192.0.2.20:5060>",
                b"Content-Length: %d\r\n\r\n" % len(body),
            ]
        )
        + body
    )


KEPT = (b"Via", b"Fro", b"To:", b"Cal", b"CSe", b"Rec")


def inside(method: bytes, cseq: int, answer: bytes) -> bytes:
    """A request inside the dialog that `answer` made."""
    head = answer[: answer.index(b"\r\n\r\n")].split(b"\r\n")
    route = b"".join(b"Route" + line[12:] + b"\r\n" for line in head if line.startswith(b"Record-Route"))
    common = b"".join(line + b"\r\n" for line in head if line[:3] in (b"Fro", b"To:", b"Cal"))
    number = next(line for line in head if line.startswith(b"Call-ID"))[9:].partition(b"@")[0]
    return INSIDE % {b"method": method, b"number": number, b"route": route, b"common": common, b"cseq": cseq}


def yardstick() -> int:
    """Plain Python that splits, stores, compares and joins: what an interpreter does all day."""
    request = INVITE % {b"user": b"1000", b"number": 1, b"size": len(SDP), b"sdp": SDP}
    for _ in range(YARDS):
        head = request[: request.index(b"\r\n\r\n")].decode().split("\r\n")
        fields: dict[str, list[str]] = {}
        for line in head[1:]:
            name, _, value = line.partition(":")
            fields.setdefault(name.strip().lower(), []).append(value.strip())
        seen = [Address(name, len(values)) for name, values in fields.items()]
        assert "\r\n".join(f"{each.host}: {fields[each.host][0]}" for each in sorted(seen)).isascii()
    return YARDS


YARDS = 20


async def main(kinds: list[str]) -> None:
    office = Office()
    await office.start()
    steps = {
        "calls": (office.call_some, TOGETHER),
        "registers": (office.register_all, USERS),
        "yardstick": (yardstick, YARDS),
    }
    for step, expected in steps.values():
        for _ in range(3):
            assert step() == expected, "the warm-up failed"
    gc.collect()
    gc.disable()
    for kind in kinds:
        name, _, count = kind.partition("=")
        measure(*steps[name], int(count))
    await office.server.close()


def measure(step: Callable[[], int], expected: int, count: int) -> None:
    print("ready", flush=True)
    sys.stdin.readline()
    begun, done = time.process_time(), 0
    while done < count:
        succeeded = step()
        assert succeeded == expected, f"{succeeded} of {expected} succeeded"
        done += succeeded
    print(f"done {done} {time.process_time() - begun:.6f}", flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
