# SPDX-License-Identifier: Apache-2.0
"""What does somebody do who has no account? Calls, replays what he overheard, sends rubbish, gets nowhere."""

import asyncio

from ringback.sip.flow import Address
from ringback.testing import messages
from ringback.testing.network import Delivery, Network
from ringback.testing.peer import Peer

HOME = Address("10.0.0.66", 5060)
#: RELIABILITY 1.6: an address that proved nothing gets at most so many times what it sent.
AMPLIFICATION = 3.0


class Stranger:
    """One UDP address without an account, who hears every datagram on the network."""

    def __init__(self, network: Network, server: Address, domain: str) -> None:
        self._network = network
        self._server = server
        self._domain = domain
        self._overheard: list[bytes] = []
        self._sent = self._received = 0
        self._peer: Peer
        network.watchers.append(self._listen)

    async def arrive(self) -> None:
        """Open the port."""
        self._peer = await Peer.bind(self._network.host(HOME.host), HOME)

    async def misbehave(self) -> None:
        """Ask without proof, then replay, then shout."""
        for method in ("INVITE", "MESSAGE", "REGISTER", "OPTIONS", "BYE"):
            self._send(
                messages.request(
                    method,
                    f"sip:101@{self._domain}",
                    via=f"SIP/2.0/UDP {HOME}",
                    call_id=f"{method}@stranger",
                    branch=f"z9hG4bK{method}",
                )
            )
            await asyncio.sleep(0.5)
        await asyncio.sleep(5)
        for data in self._overheard[:20]:
            self._send(self._as_ours(data))
            await asyncio.sleep(0.1)
        for junk in (b"", b"\r\n\r\n", b"INVITE", b"\xff" * 200, b"SIP/2.0 200 OK\r\n\r\n"):
            self._send(junk)

    def violations(self) -> list[str]:
        """What he must not have got."""
        if self._received > AMPLIFICATION * self._sent:
            return [f"amplification: {self._received} bytes for {self._sent} to a stranger"]
        return []

    def leave(self) -> None:
        """Close the port."""
        self._peer.close()

    def _send(self, data: bytes) -> None:
        self._peer.send(data, self._server)

    def _as_ours(self, data: bytes) -> bytes:
        """Somebody's request with his credentials, as a new call of our own."""
        lines = data.split(b"\r\n")
        for number, line in enumerate(lines):
            if line.startswith(b"Via:"):
                lines[number] = (
                    f"Via: SIP/2.0/UDP {HOME};branch=z9hG4bKreplay{len(data)}{number};rport".encode()
                )
            elif line.startswith(b"Call-ID:"):
                lines[number] = line + b".replay"
        return b"\r\n".join(lines)

    def _listen(self, delivery: Delivery) -> None:
        _now, kind, source, destination, data = delivery
        if kind != "datagram":
            return
        if source == HOME:
            self._sent += len(data)
        elif destination == HOME:
            self._received += len(data)
        elif destination == self._server and b"Authorization:" in data and len(self._overheard) < 100:
            self._overheard.append(data)
