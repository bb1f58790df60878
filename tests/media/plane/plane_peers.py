# SPDX-License-Identifier: Apache-2.0
"""Phones for the tests of media planes: a socket, a description, and SRTP by pylibsrtp where a key is given."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import struct
from collections.abc import Awaitable, Callable

import pylibsrtp

PATIENCE = 10.0
PROFILES = {
    "AES_CM_128_HMAC_SHA1_80": (pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 30),
    "AEAD_AES_128_GCM": (pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 28),
}


def packet(number: int, *, ssrc: int, payload_type: int = 0, payload: bytes = b"\xd5" * 160) -> bytes:
    """An RTP packet; the timestamp goes with the number."""
    return struct.pack("!BBHII", 0x80, payload_type, number, number * 160, ssrc) + payload


class PhonePeer(asyncio.DatagramProtocol):
    """A plain phone, or one that wants SDES."""

    def __init__(self, name: str, host: str, *, suite: str | None = None, protocol: str = "") -> None:
        self.host = host
        self.received: list[bytes] = []
        self.sources: set[tuple[str, int]] = set()
        self.remote: tuple[str, int] | None = None
        self.ssrc = int.from_bytes(name.encode()[-4:].rjust(4, b"p"), "big")
        self.suite = suite
        self.protocol = protocol or ("RTP/SAVP" if suite else "RTP/AVP")
        self.key = os.urandom(PROFILES[suite][1]) if suite else b""
        self.tag = "1"
        self._number = 100
        self._arrived = asyncio.Event()
        self._out: pylibsrtp.Session | None = None
        self._in: pylibsrtp.Session | None = None

    @classmethod
    async def open(
        cls, name: str, host: str = "127.0.0.1", *, suite: str | None = None, protocol: str = ""
    ) -> PhonePeer:
        peer = cls(name, host, suite=suite, protocol=protocol)
        peer.transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: peer, local_addr=(host, 0)
        )
        peer.port = peer.transport.get_extra_info("sockname")[1]
        return peer

    transport: asyncio.DatagramTransport
    port: int

    def close(self) -> None:
        self.transport.close()

    # --- describing

    def sdp(self, *formats: str, version: int = 1, direction: str = "sendrecv", more: str = "") -> bytes:
        """`formats` like "0 PCMU/8000"; two without any."""
        formats = formats or ("0 PCMU/8000", "101 telephone-event/8000")
        numbers = " ".join(each.split()[0] for each in formats)
        maps = "".join(f"a=rtpmap:{each}\r\n" for each in formats)
        kind = "IP6" if ":" in self.host else "IP4"
        return (
            f"v=0\r\no=- 7 {version} IN {kind} {self.host}\r\ns=-\r\nc=IN {kind} {self.host}\r\nt=0 0\r\n"
            f"m=audio {self.port} {self.protocol} {numbers}\r\n{maps}{self._crypto()}a={direction}\r\n{more}"
        ).encode()

    def _crypto(self) -> str:
        if self.suite is None:
            return ""
        return (
            f"a=crypto:{self.tag} {self.suite} inline:{base64.b64encode(self.key).decode().rstrip('=')}\r\n"
        )

    def take(self, sdp: bytes) -> None:
        """Go on as this description of the other end says."""
        text = sdp.decode()
        host = re.findall(r"c=IN IP[46] (\S+)", text)[-1]
        self.remote = (host, int(re.search(r"m=audio (\d+)", text)[1]))  # type: ignore[index]
        if self.suite is None:
            return
        pattern = rf"a=crypto:(\d+) {self.suite} inline:([A-Za-z0-9+/=]+)"
        found = re.search(pattern, text)
        assert found, text
        self.tag = found[1]  # an answer names the line that it takes (RFC 4568 5.1.2)
        theirs = base64.b64decode(found[2] + "=" * (-len(found[2]) % 4))
        profile = PROFILES[self.suite][0]
        policy = pylibsrtp.Policy
        self._out = pylibsrtp.Session(policy(self.key, policy.SSRC_ANY_OUTBOUND, srtp_profile=profile))
        self._in = pylibsrtp.Session(policy(theirs, policy.SSRC_ANY_INBOUND, srtp_profile=profile))

    # --- speaking

    def send(self, count: int = 1, *, payload_type: int = 0, payload: bytes = b"\xd5" * 160) -> None:
        assert self.remote is not None
        for _ in range(count):
            self._number += 1
            data = packet(self._number, ssrc=self.ssrc, payload_type=payload_type, payload=payload)
            self.transport.sendto(self._out.protect(data) if self._out else data, self.remote)

    def datagram_received(self, data: bytes, source: tuple[str, int]) -> None:
        self.sources.add(source[:2])
        self.received.append(self._in.unprotect(data) if self._in else data)
        self._arrived.set()

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for packets until this holds."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._arrived.clear()
                await self._arrived.wait()

    async def hears(self, other: PhonePeer, count: int = 5, *, payload_type: int = 0) -> None:
        """`other` speaks until `count` of its packets have come, as such a type."""
        async with asyncio.timeout(PATIENCE):
            while len(self.of(other, payload_type=payload_type)) < count:
                other.send(1, payload_type=payload_type)
                await asyncio.sleep(0.02)

    def of(self, other: PhonePeer, *, payload_type: int | None = None) -> list[bytes]:
        """What has come from the other one."""
        return [
            each
            for each in self.received
            if int.from_bytes(each[8:12], "big") == other.ssrc and payload_type in (None, each[1] & 0x7F)
        ]


Opener = Callable[..., Awaitable[PhonePeer]]


async def talk(one: PhonePeer, other: PhonePeer) -> None:
    """Both hear each other."""
    await asyncio.gather(one.hears(other), other.hears(one))
