# SPDX-License-Identifier: Apache-2.0
"""Handshakes between two ends of ours, with losses, garbage and liars; aiortc is in `test_webrtc_peer.py`."""

import asyncio
import logging
import random
from collections.abc import Callable

import pytest

from ringback.media.certificate import Certificate
from ringback.media.dtls import MOST_HANDSHAKES, DtlsAssociation, SrtpKeys
from ringback.media.handshake import MTU
from ringback.sdp.dtls import DtlsDescription, Fingerprint, Setup
from ringback.sip.flow import Address

CLIENT, SERVER, ELSEWHERE = Address("192.0.2.1", 1), Address("192.0.2.2", 2), Address("192.0.2.3", 3)
Spoil = Callable[[int, bytes], list[bytes]]


def as_sent(_: int, datagram: bytes) -> list[bytes]:
    return [datagram]


class Pair:
    """A client and a server; `spoil` says what becomes of each datagram."""

    def __init__(self, spoil: Spoil = as_sent, *, client_expects: Certificate | None = None) -> None:
        self.spoil = spoil
        self.certificates = Certificate.make(), Certificate.make()
        self.keys: dict[str, SrtpKeys] = {}
        self.sizes: list[int] = []
        mine, theirs = self.certificates
        expected = DtlsDescription(((client_expects or theirs).fingerprint,))
        self.client = self._end("client", mine, expected, is_client=True)
        self.server = self._end("server", theirs, DtlsDescription((mine.fingerprint,)), is_client=False)
        self.sizes.clear()

    def _end(self, name: str, certificate: Certificate, expected: DtlsDescription, *, is_client: bool):
        def keyed(keys: SrtpKeys, _: Address) -> None:
            self.keys[name] = keys

        return DtlsAssociation(
            certificate,
            is_client=is_client,
            expected=expected,
            send=lambda flight, _: self._carry(flight, to_server=is_client),
            on_keys=keyed,
        )

    def _carry(self, flight: list[bytes], *, to_server: bool) -> None:
        loop = asyncio.get_running_loop()
        for datagram in flight:
            self.sizes.append(len(datagram))
            for each in self.spoil(len(self.sizes), datagram):
                if to_server:
                    loop.call_soon(self.arrive, each)
                else:
                    loop.call_soon(self.client.receive, each, SERVER)

    def arrive(self, datagram: bytes) -> None:
        self.server.receive(datagram, CLIENT)

    async def meet(self) -> None:
        self.client.start(SERVER)
        async with asyncio.timeout(20):
            while len(self.keys) < 2:
                await asyncio.sleep(0.001)
        client, server = self.keys["client"], self.keys["server"]
        assert (client.local, client.remote) == (server.remote, server.local)
        assert client.suite == server.suite
        assert client.local != client.remote

    def close(self) -> None:
        self.client.close()
        self.server.close()


async def test_both_ends_get_the_same_keys_in_datagrams_that_fit():
    pair = Pair()
    await pair.meet()
    assert max(pair.sizes) <= MTU
    assert "local" not in repr(pair.keys)
    pair.close()


@pytest.mark.parametrize("lost", range(1, 7))
async def test_a_lost_datagram_is_sent_again(lost):
    pair = Pair(lambda number, datagram: [] if number == lost else [datagram])
    await pair.meet()
    pair.close()


async def test_repetitions_and_garbage_spoil_nothing():
    chance = random.Random(1)

    def spoil(number: int, datagram: bytes) -> list[bytes]:
        cut = datagram[: chance.randrange(len(datagram))]
        flipped = bytearray(datagram)
        flipped[chance.randrange(len(datagram))] ^= 0xFF
        head = bytes((22, 0xFE, 0xFD))
        return [
            chance.randbytes(60),
            head + chance.randbytes(40),
            datagram,
            datagram,
            cut,
            bytes(flipped)[:13],
        ]

    pair = Pair(spoil)
    await pair.meet()
    pair.close()


@pytest.mark.parametrize("moves_after", range(1, 4))
@pytest.mark.parametrize("loses", [0, 4])
async def test_a_peer_that_ice_has_proved_may_go_on_from_another_address(moves_after: int, loses: int):
    pair = Pair(lambda number, datagram: [] if number == loses else [datagram])
    came = 0

    def arrive(data: bytes) -> None:
        nonlocal came
        came += 1
        pair.server.receive(data, CLIENT if came <= moves_after else ELSEWHERE, is_proven=True)

    pair.arrive = arrive
    await pair.meet()
    pair.close()


async def test_a_hello_that_comes_by_two_ways_is_one_handshake():
    pair = Pair()

    def arrive(data: bytes) -> None:
        pair.server.receive(data, CLIENT, is_proven=True)
        pair.server.receive(data, ELSEWHERE, is_proven=True)

    pair.arrive = arrive
    await pair.meet()
    pair.close()


async def test_a_fatal_alert_of_somebody_ends_nothing_for_long():
    alert = bytes.fromhex("15fefd 0000 000000000009 0002 0228")
    pair = Pair(lambda number, datagram: [datagram, alert] if number == 1 else [datagram])
    await pair.meet()
    pair.close()


async def test_a_liar_gets_no_keys_and_one_line_in_the_log(caplog):
    pair = Pair(client_expects=Certificate.make())
    with caplog.at_level(logging.WARNING, logger="ringback.media"):
        pair.client.start(SERVER)
        async with asyncio.timeout(10):
            while pair.client.failures == 0:
                await asyncio.sleep(0.001)
    assert "client" not in pair.keys
    assert not pair.client.is_done
    assert [each.message.count("certificate") for each in caplog.records] == [1]
    pair.close()


async def test_handshakes_of_strangers_are_bounded():
    pair = Pair(lambda number, datagram: [])
    pair.client.start(SERVER)
    hello = bytes.fromhex("16fefd 0000 000000000000 0001 01")
    for port in range(1, 100):
        pair.server.receive(hello, Address("192.0.2.9", port))
    assert len(pair.server._handshakes) <= MOST_HANDSHAKES
    pair.close()
    assert not pair.server._handshakes


async def test_the_same_description_is_the_same_association():
    pair = Pair()
    same = DtlsDescription((pair.certificates[1].fingerprint,), Setup.PASSIVE)
    assert pair.client.is_for(same, is_client=True)
    assert not pair.client.is_for(same, is_client=False)
    assert not pair.client.is_for(DtlsDescription((Fingerprint("sha-256", bytes(32)),)), is_client=True)
    assert not pair.client.is_for(DtlsDescription(same.fingerprints, tls_id="another"), is_client=True)
    pair.close()


async def test_what_comes_after_the_end_is_ignored():
    pair = Pair()
    await pair.meet()
    pair.client.receive(bytes(20), SERVER)
    pair.client.receive(bytes.fromhex("15fefd 0001 000000000009 0002 0100"), SERVER)
    assert pair.client.is_done
    pair.close()
    pair.client.receive(bytes(20), SERVER)
    pair.client.start(SERVER)
