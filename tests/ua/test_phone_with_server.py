# SPDX-License-Identifier: Apache-2.0
"""Our phones at our server: in memory, in virtual time, also when the network is bad."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import pytest
from phones import ALICE, BOB, CAROL, phone

from ringback.media.files import read_pcm
from ringback.media.pcm import tone_share
from ringback.media.tones import steady
from ringback.server.app import Server
from ringback.server.config import Settings
from ringback.server.identity import Identity
from ringback.server.storage import MemoryStore
from ringback.server.subscribers import Subscriber
from ringback.sip.digest import ha1
from ringback.testing import Network, run
from ringback.ua.errors import AuthenticationFailed, Busy, CallError, Declined, NoAnswer, NotFound
from ringback.ua.phone import Phone

HOST = "10.0.0.1"
DOMAIN = "ringback.test"
PLACES = {"101": ALICE, "102": BOB, "103": CAROL}


class People:
    """Everybody's password is s3cret."""

    def find(self, user: str) -> Subscriber | None:
        if user not in PLACES:
            return None
        return Subscriber(
            user, f"Person {user}", {name: ha1(user, DOMAIN, "s3cret", name) for name in ("MD5", "SHA-256")}
        )


@contextlib.asynccontextmanager
async def office(network: Network) -> AsyncIterator[Server]:
    """A running server that the domain's SRV records lead to."""
    network.dns.srv(f"_sip._udp.{DOMAIN}", f"pbx.{DOMAIN}", 5060)
    network.dns.srv(f"_sip._tcp.{DOMAIN}", f"pbx.{DOMAIN}", 5060)
    network.dns.a(f"pbx.{DOMAIN}", HOST)
    identity = Identity(domain=DOMAIN, advertised=(HOST,), realm=DOMAIN, secret=b"s" * 32)
    loop = asyncio.get_running_loop()
    server = Server(
        Settings.model_validate(
            {"sip": {"host": [HOST], "tls_port": 0}, "web": {"http_port": 0, "https_port": 0}}
        ),
        identity,
        subscribers=People(),
        store=MemoryStore(),
        network=network.host(HOST),
        dns=network.dns,
        random_bytes=random.Random(network.seed).randbytes,
        wall_clock=loop.time,
    )
    await server.start()
    try:
        yield server
    finally:
        await server.close()


def user(network: Network, number: str, **options) -> Phone:
    options.setdefault("password", "s3cret")
    return phone(network, number, PLACES[number], register=True, address=f"sip:{number}@{DOMAIN}", **options)


@pytest.mark.parametrize("transport", [None, "udp", "tcp", "ws"])
def test_two_phones_register_call_and_hear_each_other(tmp_path, transport):
    async def main():
        network = Network(seed=1)
        options = {"transport": transport}
        if transport == "ws":
            options["server"] = HOST
        async with office(network) as server:
            if transport == "ws":
                port = next(one.local.port for one in server.endpoints if one.transport == "WS")
                options["server"] = f"{HOST}:{port}"
            anna, bob = user(network, "101", **options), user(network, "102", **options)

            @bob.on_call
            async def answer(call):
                assert call.caller.number == "101"
                await call.ring()
                await asyncio.sleep(1)
                await call.answer()
                call.record(tmp_path / "bob.wav")
                await call.play(steady(660, 1_500))
                await call.wait_ended()

            async with anna, bob:
                async with anna.dial("102") as call:
                    call.record(tmp_path / "anna.wav")
                    await call.play(steady(440, 1_500))
                    await call.hold()
                    await call.resume()
                await asyncio.sleep(1)
                assert (anna.calls, bob.calls) == ([], [])

    run(main())
    assert tone_share(read_pcm(tmp_path / "bob.wav"), 440) > 0.6
    assert tone_share(read_pcm(tmp_path / "anna.wav"), 660) > 0.6


def test_what_callees_say_comes_back_through_the_server():
    async def main():
        network = Network(seed=2)
        async with office(network), user(network, "101") as anna, user(network, "102") as bob:
            for status, error in ((486, Busy), (603, Declined)):
                bob.on_call(lambda call, status=status: call.reject(status))
                with pytest.raises(error, match=str(status)):
                    await anna.dial("102")
            with pytest.raises(NotFound):
                await anna.dial("199")
            with pytest.raises(NoAnswer):
                await anna.dial("103")

    run(main())


def test_the_callee_hangs_up():
    async def main():
        network = Network(seed=3)
        async with office(network), user(network, "101") as anna, user(network, "102") as bob:

            @bob.on_call
            async def answer(call):
                await call.answer()
                await asyncio.sleep(2)

            call = await anna.dial("102")
            ended = await call.wait_ended()
            return ended.by, ended.status

    assert run(main()) == ("remote", 200)


def test_a_caller_gives_up_and_the_callee_is_told():
    async def main():
        network = Network(seed=4)
        async with office(network), user(network, "101") as anna, user(network, "102") as bob:
            calls = []

            @bob.on_call
            async def ring(call):
                calls.append(call)
                await call.ring()
                await asyncio.sleep(1000)

            with pytest.raises(NoAnswer):
                await anna.dial("102", timeout=5)
            await asyncio.sleep(1)
            return calls[0].ended.status

    assert run(main()) == 487


def test_messages_keys_and_pings_pass():
    async def main():
        network = Network(seed=5)
        got = []
        async with office(network), user(network, "101") as anna, user(network, "102") as bob:

            @bob.on_message
            async def read(message):
                got.append(message.text)

            @bob.on_call
            async def answer(call):
                await call.answer()
                got.append(await call.digits(3, timeout=5))
                await call.send_info("Signal=5", content_type="application/dtmf-relay")
                await call.wait_ended()

            await anna.message("102", "hello")
            assert await anna.ping("102") < 1
            async with anna.dial("102") as call:
                await call.send_dtmf("42#")
                got.append(await call.digit(timeout=5))
        return got

    assert run(main()) == ["hello", "42", "5"]


def test_a_wrong_password_is_refused():
    async def main():
        network = Network(seed=6)
        async with office(network):
            with pytest.raises(AuthenticationFailed):
                await user(network, "101", password="wrong").start()
            with pytest.raises(AuthenticationFailed):
                await user(network, "101", password=None).start()

    run(main())


def test_a_phone_with_only_the_digest_of_its_password_works():
    async def main():
        network = Network(seed=7)
        secrets = {"SHA-256": ha1("101", DOMAIN, "s3cret", "SHA-256")}
        async with office(network), user(network, "101", password=None, ha1s=secrets, realm=DOMAIN) as anna:
            return anna.registered

    assert run(main()) is True


def test_a_phone_stays_reachable_for_a_day():
    async def main():
        network = Network(seed=8, loss=0.05)
        async with (
            office(network),
            user(network, "101") as anna,
            user(network, "102", transport="tcp") as bob,
        ):

            @bob.on_call
            async def answer(call):
                await call.answer()

            for _hour in range(24):
                await asyncio.sleep(3600)
                assert anna.registered
                assert bob.registered
                async with anna.dial("102") as call:
                    await call.wait_ended()

    run(main())


@pytest.mark.parametrize("seed", range(10))
def test_calls_through_the_server_survive_a_bad_network(seed):
    async def main():
        network = Network(seed=seed, loss=0.10, duplicate=0.05, delay=(0.01, 0.05), reorder=0.05)
        async with office(network), user(network, "101") as anna, user(network, "102") as bob:

            @bob.on_call
            async def answer(call):
                await call.ring()
                await asyncio.sleep(0.5)
                await call.answer()
                await call.wait_ended()

            for _ in range(3):
                try:
                    async with anna.dial("102", timeout=60):
                        await asyncio.sleep(1)
                except CallError as error:
                    raise AssertionError(f"seed {seed}: {error}") from error
            await asyncio.sleep(40)
            assert (anna.calls, bob.calls) == ([], [])

    run(main())
