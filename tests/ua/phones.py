# SPDX-License-Identifier: Apache-2.0
"""Makers of phones on the in-memory network."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from ringback.net.network import DatagramSocket, DatagramsReceived
from ringback.sip.flow import Address
from ringback.testing import Network
from ringback.ua.phone import Phone

ALICE, BOB, CAROL = "10.0.0.11", "10.0.0.12", "10.0.0.13"


def phone(
    network: Network, name: str, host: str, *, port: int = 5060, register: bool = False, **options: Any
) -> Phone:
    """A phone at `host`, with chance from its name."""
    chance = random.Random(f"{name}{network.seed}")
    return Phone(
        options.pop("address", f"sip:{name}@{host}"),
        options.pop("password", None),
        network=options.pop("view", None) or network.host(host),
        dns=network.dns,
        port=port,
        register=register,
        random_bytes=chance.randbytes,
        **options,
    )


def uri_of(name: str, host: str) -> str:
    """How to call a phone made here directly."""
    return f"sip:{name}@{host}:5060"


class BehindNat:
    """A network as seen from a private address: datagrams leave from `public`, by another port."""

    PRIVATE = "192.168.1.2"

    def __init__(self, network: Network, public: str) -> None:
        self._outside = network.host(public)
        self._public = public
        self.listen = self._outside.listen
        self.connect = self._outside.connect

    async def bind_datagram(self, local: Address, received: DatagramsReceived) -> TranslatedSocket:
        return TranslatedSocket(local, await self._outside.bind_datagram(Address(self._public, 0), received))

    async def source_address(self, remote_host: str) -> str:
        return self.PRIVATE


@dataclass
class TranslatedSocket:
    """Says one address, has another."""

    local: Address
    outside: DatagramSocket

    def send(self, data: bytes, remote: Address) -> None:
        self.outside.send(data, remote)

    def send_batch(self, batch: list[tuple[bytes, Address]]) -> None:
        self.outside.send_batch(batch)

    def close(self) -> None:
        self.outside.close()
