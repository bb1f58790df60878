# SPDX-License-Identifier: Apache-2.0
"""A peer as browsers are, on any network, written here: it checks and nominates, shakes hands, and sends SRTP on one port."""

import asyncio
import random
from collections.abc import Callable

from ringback.media.certificate import Certificate
from ringback.media.dtls import DtlsAssociation, SrtpKeys
from ringback.media.self_description import SelfDescription
from ringback.net.stun_message import REQUEST, Attribute, built
from ringback.rtp.packet import RtpPacket
from ringback.rtp.srtp import SrtpSession
from ringback.sdp.attributes import AudioFormat, Direction
from ringback.sdp.dtls import DtlsDescription, Setup
from ringback.sdp.ice import IceDescription
from ringback.sdp.local_stream import LocalStream
from ringback.sdp.security import Security
from ringback.sdp.stream import StreamDescription
from ringback.sip.flow import Address


def described(own: LocalStream, **changes) -> StreamDescription:
    """What the other end reads of what one end says of itself."""
    rows = {
        "index": 0,
        "kind": "audio",
        "protocol": own.protocol,
        "port": own.address.port,
        "formats": (AudioFormat(0, "PCMU"),),
        "direction": Direction.SENDRECV,
        "rtp": own.address,
        "rtcp": own.address if own.rtcp_mux else own.rtcp,
        "rtcp_mux": own.rtcp_mux,
        "crypto": own.crypto,
        "ice": own.ice,
        "dtls": DtlsDescription((own.fingerprint,), own.setup) if own.fingerprint else None,
    }
    return StreamDescription(**(rows | changes))


def rtp(number: int, payload: bytes = b"\x2a" * 160, ssrc: int = 4711) -> bytes:
    return RtpPacket(0, number & 0xFFFF, number * 160 & 0xFFFFFFFF, ssrc, payload).to_bytes()


class BrowserPeer:
    """One end of one stream. `open` it, `describe` it, give it what the other end said, and it connects."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.certificate = Certificate.make()
        self.wishes = SelfDescription(Security.DTLS, True, True, self.chance.randbytes, self.certificate)
        self.theirs: IceDescription | None = None
        self.target = Address("", 0)
        self.dtls: DtlsAssociation | None = None
        self.srtp: SrtpSession | None = None
        self.heard: list[bytes] = []
        self.sent = 0
        self.is_checked = asyncio.Event()
        self.is_keyed = asyncio.Event()
        self._checking: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, network, address: Address, *, seed: int = 1) -> "BrowserPeer":
        peer = cls(seed)
        peer.socket = await network.bind_datagram(address, peer._received)
        peer.wishes.rtp = peer.socket.local
        return peer

    def describe(self, setup: Setup = Setup.ACTPASS, **changes) -> StreamDescription:
        offer = self.wishes.offer()
        ice = IceDescription(offer.ice.ufrag, offer.ice.password, offer.ice.candidates, is_lite=False)
        dtls = DtlsDescription((self.certificate.fingerprint,), setup)
        return described(offer, ice=ice, dtls=dtls, **changes)

    def meet(self, other: LocalStream, *, is_client: bool) -> None:
        """The other end is described: begin to check."""
        self.theirs, self.target = other.ice, other.address
        self.dtls = DtlsAssociation(
            self.certificate,
            is_client=is_client,
            expected=DtlsDescription((other.fingerprint,)),
            send=lambda flight, _: [self.socket.send(each, self.target) for each in flight],
            on_keys=self._keyed,
        )
        self._checking = asyncio.create_task(self._check())

    def check(self, *, password: str | None = None) -> bytes:
        assert self.theirs is not None
        username = f"{self.theirs.ufrag}:{self.wishes.credentials.ufrag}".encode()
        attributes = [
            (Attribute.USERNAME, username),
            (Attribute.ICE_CONTROLLING, bytes(8)),
            (Attribute.USE_CANDIDATE, b""),
        ]
        key = (password or self.theirs.password).encode()
        return built(REQUEST, self.chance.randbytes(12), attributes, key)

    def say(self, payload: bytes = b"\x2a" * 160) -> None:
        assert self.srtp is not None
        (packet,) = self.srtp.protect_rtp([rtp(self.sent, payload)])
        self.sent += 1
        self.socket.send(packet, self.target)

    def close(self) -> None:
        if self._checking is not None:
            self._checking.cancel()
        if self.dtls is not None:
            self.dtls.close()
        self.socket.close()

    async def _check(self) -> None:
        while True:
            self.socket.send(self.check(), self.target)
            await asyncio.sleep(0.05 if not self.is_checked.is_set() else 2.5)

    def _received(self, datagrams) -> None:
        for data, _ in datagrams:
            if data[0] < 4:
                if data[:2] == b"\x01\x01":
                    self.is_checked.set()
                    self.dtls.start(self.target)
            elif data[0] < 64:
                self.dtls.receive(data, self.target)
            elif self.srtp is not None and not 192 <= data[1] < 224:
                plain = self.srtp.unprotect_rtp(data)
                if plain is not None:
                    self.heard.append(RtpPacket.parse(plain).payload)

    def _keyed(self, keys: SrtpKeys, _: Address) -> None:
        self.srtp = SrtpSession(keys.suite, local=keys.local, remote=keys.remote)
        self.is_keyed.set()


class Heard:
    """What a transport hands on."""

    def __init__(self, transport) -> None:
        self.packets: list[bytes] = []
        self.reports: list[bytes] = []
        transport.on_rtp = self.packets.extend
        transport.on_rtcp = self.reports.extend

    @property
    def payloads(self) -> list[bytes]:
        return [RtpPacket.parse(each).payload for each in self.packets]


async def until(is_true: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for what must come; TimeoutError says that it did not."""
    async with asyncio.timeout(seconds):
        while not is_true():
            await asyncio.sleep(0.005)
