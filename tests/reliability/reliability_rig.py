# SPDX-License-Identifier: Apache-2.0
"""Attackers for the whole server in memory: raw bytes in, statuses out, and a look at what is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from server_rig import DOMAIN, SERVER, Device, Leg, Rig

from ringback.sip.flow import Address
from ringback.sip.message.message import Response
from ringback.sip.message.parser import parse_message
from ringback.testing import Peer, messages

STRANGER = "198.51.100.9"
QUIET = (0, 0, 0, 0, 0)


async def stranger(rig: Rig, host: str = STRANGER, *, port: int = 5060, tcp: bool = False) -> Peer:
    """Somebody without an account."""
    place = rig.network.host(host)
    return await Peer.connect(place, SERVER) if tcp else await Peer.bind(place, Address(host, port))


def request(*lines: bytes, peer: Peer, method: str = "OPTIONS", **parts: object) -> bytes:
    """A valid request of `peer` with more header lines, which may be anything."""
    target = str(parts.pop("target", f"sip:{DOMAIN}"))
    data = messages.request(method, target, via=f"SIP/2.0/{peer.transport} {peer.local}", **parts)  # type: ignore[arg-type]
    head, gap, body = data.partition(b"\r\n\r\n")
    return b"".join([head, *(b"\r\n" + line for line in lines), gap, body])


def changed(data: bytes, name: bytes, *lines: bytes) -> bytes:
    """The message with other lines in the place of the header field `name`."""
    head, gap, body = data.partition(b"\r\n\r\n")
    kept: list[bytes] = []
    for line in head.split(b"\r\n"):
        kept += list(lines) if line.split(b":")[0].lower() == name.lower() else [line]
    return b"\r\n".join(kept) + gap + body


def spoof(rig: Rig, data: bytes, source: Address) -> None:
    """A datagram that says it came from somebody else."""
    rig.network.carry(data, source, SERVER)


async def statuses(peer: Peer, seconds: float = 1.0) -> list[int]:
    """The statuses of all that comes in some virtual seconds."""
    before = len(peer.heard)
    await asyncio.sleep(seconds)
    while not peer._inbox.empty():
        peer._inbox.get_nowait()
    heard = [parse_message(data) for data in peer.heard[before:]]
    return [message.status for message in heard if isinstance(message, Response)]


async def answers_to(peer: Peer, data: bytes, seconds: float = 1.0) -> list[int]:
    """Send bytes, and the statuses that come back."""
    peer.send(data, SERVER)
    return await statuses(peer, seconds)


async def assert_alive(rig: Rig, host: str = "203.0.113.5") -> None:
    """The server answers somebody else's OPTIONS."""
    witness = await stranger(rig, host)
    try:
        assert await answers_to(witness, request(peer=witness)) == [200]
    finally:
        witness.close()


async def established(rig: Rig) -> tuple[Device, Device, Leg]:
    """A call between 101 and 102 through the server, answered and acknowledged."""
    anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
    leg = await anna.call(f"sip:102@{DOMAIN}")
    await bob.peer.expect("INVITE")
    bob.peer.reply(200, headers=[("Contact", f"<{bob.contact}>")])
    await leg.answered()
    await bob.peer.expect("ACK")
    return anna, bob, leg


def lines_of(data: bytes) -> list[tuple[bytes, bytes]]:
    """The header lines as the most careless reader downstream would see them."""
    head = data.partition(b"\r\n\r\n")[0].replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ")
    pairs = (line.partition(b":") for line in head.replace(b"\r", b"\n").split(b"\n")[1:])
    return [(name.strip().lower(), value.strip()) for name, _, value in pairs]


@dataclass(slots=True)
class ByteCount:
    """How much went to and from one host: a watcher for the network."""

    host: str
    to: int = 0
    from_: int = 0
    messages_to: int = 0
    kinds: list[bytes] = field(default_factory=list)

    def __call__(self, delivery: tuple[float, str, Address, Address, bytes]) -> None:
        _now, _kind, source, destination, data = delivery
        if source.host == self.host:
            self.from_ += len(data)
        if destination.host == self.host:
            self.to += len(data)
            self.messages_to += 1
            self.kinds.append(data[:60])


def repeated(text: bytes, sizes: Iterable[int]) -> list[bytes]:
    """`text` cut or repeated to each size."""
    return [(text * (size // len(text) + 1))[:size] for size in sizes]
