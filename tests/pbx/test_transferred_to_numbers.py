# SPDX-License-Identifier: Apache-2.0
"""Somebody is transferred to a number of the server itself: the echo test, a room, one that does not exist."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ringback.media.files import read_pcm
from ringback.media.pcm import tone_share
from ringback.media.tones import steady
from ringback.pbx.built_in_numbers import BuiltInNumbers
from ringback.pbx.conference import Conferences
from ringback.pbx.dialplan import OfficeDialPlan
from ringback.pbx.own_media import OwnMedia
from ringback.server.app import Server
from ringback.server.conference_settings import rooms_of
from ringback.server.config import Settings
from ringback.server.identity import Identity
from ringback.server.storage import MemoryStore
from ringback.server.subscribers import Subscriber
from ringback.testing import Network, run
from ringback.ua.call import Call
from ringback.ua.errors import Busy, NotFound
from ringback.ua.phone import Phone

DOMAIN, SERVER = "ringback.test", "10.0.0.1"
NAMES = {"101": "Anna", "102": "Bob"}


class Office:
    """Two users, both with the password "secret"."""

    def find(self, user: str) -> Subscriber | None:
        if user not in NAMES:
            return None
        ha1 = hashlib.sha256(f"{user}:{DOMAIN}:secret".encode()).hexdigest()
        return Subscriber(user, NAMES[user], {"SHA-256": ha1})


class Rig:
    """A server with built-in numbers and a room, Anna's and Bob's phone."""

    def __init__(self) -> None:
        self.network = Network(seed=4)
        self.host = self.network.host(SERVER)
        identity = Identity(domain=DOMAIN, advertised=(SERVER,), realm=DOMAIN, secret=b"s" * 32)
        chance = random.Random(5).randbytes
        rooms = rooms_of(("300 limit=2",))
        self.conferences = Conferences(rooms, wall_clock=lambda: 1_000_000_000.0)
        self.server = Server(
            Settings(),
            identity,
            subscribers=Office(),
            store=MemoryStore(),
            network=self.host,
            dns=self.network.dns,
            applications=BuiltInNumbers(
                OwnMedia(self.host, identity, None, chance), conferences=self.conferences
            ),
            dial_plan=OfficeDialPlan(Office(), rooms),
            random_bytes=chance,
        )
        self.taken: asyncio.Queue[Call] = asyncio.Queue()
        self.anna = self.phone("101")

    def phone(self, number: str) -> Phone:
        host = f"10.0.0.{number}"
        phone = Phone(
            f"sip:{number}@{DOMAIN}",
            "secret",
            server=SERVER,
            host=host,
            network=self.network.host(host),
            dns=self.network.dns,
            random_bytes=random.Random(number).randbytes,
        )

        @phone.on_call
        async def take(call: Call) -> None:
            await call.answer()
            self.taken.put_nowait(call)
            await call.wait_ended()

        return phone


@asynccontextmanager
async def a_call() -> AsyncIterator[tuple[Rig, Call, Call]]:
    """Anna has called Bob: the rig, and the call as each has it. At the end all is free again."""
    rig = Rig()
    await rig.server.start()
    idle = rig.host.open_sockets
    async with rig.anna, rig.phone("102"):
        async with rig.anna.dial("102") as call:
            yield rig, call, await rig.taken.get()
        await asyncio.sleep(40)
        assert rig.host.open_sockets == idle
        assert rig.server.status()["applications"] == 0
        assert rig.server.status()["bridged"] == 0
    await rig.server.close()


@pytest.mark.parametrize("who", [0, 1])
def test_who_is_transferred_to_the_echo_test_hears_itself(tmp_path: Path, who: int) -> None:
    async def test() -> None:
        async with a_call() as (rig, *halves):
            transferred, referrer = halves[who], halves[1 - who]
            await referrer.transfer("*43")
            assert referrer.is_over
            await asyncio.sleep(1)
            assert rig.server.status()["bridged"] == 0
            with transferred.record(tmp_path / "echo.wav"):
                await transferred.play(steady(700, 3_000))
            await transferred.hangup()

    run(test())
    assert tone_share(read_pcm(tmp_path / "echo.wav"), 700) > 0.5


def test_who_is_transferred_to_a_room_is_in_it_by_name() -> None:
    async def test() -> None:
        async with a_call() as (rig, anna, bob):
            await bob.transfer("300")
            await asyncio.sleep(10)
            assert rig.conferences.status()["300"]["parties"] == ["101"]
            await anna.hangup()

    run(test())


def test_who_is_transferred_to_a_full_room_stays_where_it_is(tmp_path: Path) -> None:
    async def test() -> None:
        async with a_call() as (rig, anna, bob):
            async with rig.anna.dial("300"), rig.anna.dial("300"):
                with pytest.raises(Busy):
                    await bob.transfer("300")
            await asyncio.sleep(1)
            with anna.record(tmp_path / "bob.wav"):
                await bob.play(steady(700, 3_000))
            assert not anna.is_over

    run(test())
    assert tone_share(read_pcm(tmp_path / "bob.wav"), 700) > 0.5


def test_a_number_that_does_not_exist_is_reported_and_the_two_speak_on(tmp_path: Path) -> None:
    async def test() -> None:
        async with a_call() as (_rig, anna, bob):
            with pytest.raises(NotFound):
                await bob.transfer("999")
            with anna.record(tmp_path / "bob.wav"):
                await bob.play(steady(700, 3_000))
            assert not anna.is_over

    run(test())
    assert tone_share(read_pcm(tmp_path / "bob.wav"), 700) > 0.5
