# SPDX-License-Identifier: Apache-2.0
"""Phones call the server itself: echo, time, own number, and numbers that do not exist."""

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable
from datetime import UTC

import pytest

from ringback.media.files import read_pcm
from ringback.media.pcm import FRAME_BYTES, duration_of, tone_share
from ringback.media.ports import PortRange
from ringback.media.prompts import say, say_digits, say_time
from ringback.media.tones import steady
from ringback.pbx import feature_codes
from ringback.pbx.built_in_numbers import BuiltInNumbers
from ringback.pbx.dialplan import OfficeDialPlan
from ringback.pbx.feature_codes import FEATURE_CODES
from ringback.pbx.own_media import OwnMedia
from ringback.server.app import Server
from ringback.server.config import Settings
from ringback.server.identity import Identity
from ringback.server.storage import MemoryStore
from ringback.server.subscribers import Subscriber
from ringback.sip.flow import Address
from ringback.testing import Network, run
from ringback.ua.call import Call
from ringback.ua.errors import CallError, NotFound
from ringback.ua.phone import Phone

DOMAIN, SERVER, DESK = "ringback.test", "10.0.0.1", "10.0.0.11"
#: 2001-09-09 01:46:40 UTC.
EPOCH = 1_000_000_000.0


class Office:
    """One user: 101, "secret"."""

    def find(self, user: str) -> Subscriber | None:
        ha1 = hashlib.sha256(f"101:{DOMAIN}:secret".encode()).hexdigest()
        return Subscriber("101", "Anna", {"SHA-256": ha1}) if user == "101" else None


class Rig:
    """A server with built-in numbers, and Anna's phone."""

    def __init__(self, ports: PortRange | None = None) -> None:
        self.network = Network(seed=4)
        self.host = self.network.host(SERVER)
        identity = Identity(domain=DOMAIN, advertised=(SERVER,), realm=DOMAIN, secret=b"s" * 32)
        chance = random.Random(5).randbytes
        media = OwnMedia(self.host, identity, ports, chance)
        self.server = Server(
            Settings(),
            identity,
            subscribers=Office(),
            store=MemoryStore(),
            network=self.host,
            dns=self.network.dns,
            applications=BuiltInNumbers(media, wall_clock=self.wall_clock),
            dial_plan=OfficeDialPlan(Office()),
            random_bytes=chance,
            wall_clock=self.wall_clock,
        )
        self.phone = Phone(
            f"sip:101@{DOMAIN}",
            "secret",
            server=SERVER,
            host=DESK,
            network=self.network.host(DESK),
            dns=self.network.dns,
            random_bytes=random.Random(6).randbytes,
        )
        self.idle_sockets = 0

    def wall_clock(self) -> float:
        return EPOCH + asyncio.get_running_loop().time()

    async def until_quiet(self) -> None:
        """Every call is over and has left nothing behind."""
        await asyncio.sleep(40)
        assert self.host.open_sockets == self.idle_sockets
        assert self.server.stack.pending == (0, 0, 0)


def on_a_rig(test: Callable[[Rig], Awaitable[None]], **options) -> None:
    async def main() -> None:
        rig = Rig(**options)
        await rig.server.start()
        rig.idle_sockets = rig.host.open_sockets
        async with rig.phone:
            await test(rig)
            await rig.until_quiet()
        await rig.server.close()

    run(main())


def mu_law_is_lossless_for(words: bytes, heard: bytes) -> bool:
    """Prompts are recorded in mu-law: what is heard of them is the same to the bit."""
    return words.strip(b"\0") in heard


def test_every_row_can_be_dialled_and_says_what_it_is():
    for number, code in FEATURE_CODES.items():
        assert number == code.number
        assert number.startswith("*")
        assert code.about.endswith(".")


def test_the_echo_test_says_back_what_is_said(tmp_path):
    async def test(rig: Rig) -> None:
        async with rig.phone.dial("*43") as call:
            await asyncio.sleep(0.5)
            with call.record(tmp_path / "echo.wav"):
                await call.play(steady(700, 3_000))
            assert call.stats.mos > 4.2

    on_a_rig(test)
    heard = read_pcm(tmp_path / "echo.wav")
    assert tone_share(heard[FRAME_BYTES * 20 :], 700) > 0.95


def test_the_echo_is_held_and_comes_back(tmp_path):
    async def test(rig: Rig) -> None:
        async with rig.phone.dial("*43") as call:
            await asyncio.sleep(1)
            await call.hold()
            await asyncio.sleep(90)
            await call.resume()
            await asyncio.sleep(0.5)
            with call.record(tmp_path / "echo.wav"):
                await call.play(steady(700, 2_000))

    on_a_rig(test)
    assert tone_share(read_pcm(tmp_path / "echo.wav")[FRAME_BYTES * 20 :], 700) > 0.95


def test_an_echo_without_end_ends(monkeypatch):
    async def test(rig: Rig) -> None:
        call = await rig.phone.dial("*43")
        ended = await call.wait_ended()
        assert ended.by == "remote"
        assert call.duration == pytest.approx(feature_codes.LONGEST_ECHO, abs=2)

    on_a_rig(test)


def test_the_clock_tells_a_moment_and_beeps_at_it(tmp_path, monkeypatch):
    monkeypatch.setattr(
        feature_codes, "local_time", lambda now: feature_codes.datetime.fromtimestamp(now, UTC)
    )
    started: list[float] = []

    async def test(rig: Rig) -> None:
        call = await rig.phone.dial("*60")
        started.append(rig.wall_clock())
        with call.record(tmp_path / "time.wav"):
            await call.wait_ended()
        assert call.ended.by == "remote"

    on_a_rig(test)
    heard = read_pcm(tmp_path / "time.wav")
    for time, moment in (((1, 46, 50), EPOCH + 10), ((1, 47, 0), EPOCH + 20), ((1, 47, 10), EPOCH + 30)):
        assert mu_law_is_lossless_for(say("at-the-tone") + say_time(*time), heard)
        at = round((moment - started[0]) * 8_000) * 2
        assert tone_share(heard[at + 1_600 : at + 3_200], 1_000) > 0.9
        assert not any(abs(value) > 100 for value in memoryview(heard[at - 1_600 : at]).cast("h"))


def test_the_own_number_is_said_twice(tmp_path):
    async def test(rig: Rig) -> None:
        call = await rig.phone.dial("*65")
        with call.record(tmp_path / "number.wav"):
            await call.wait_ended()
        assert call.ended.by == "remote"

    on_a_rig(test)
    heard = read_pcm(tmp_path / "number.wav")
    words = say("your-number-is") + say_digits("101")
    assert mu_law_is_lossless_for(words, heard)
    assert duration_of(heard) == pytest.approx(2 * duration_of(words) + 3 * 0.4, abs=0.2)


def test_an_unknown_number_is_announced_before_the_404(tmp_path):
    statuses: list[int] = []

    async def test(rig: Rig) -> None:
        def progress(response) -> None:
            statuses.append(response.status)
            if response.status == 183:
                rig.phone.calls[0]._audio.record(tmp_path / "sorry.wav")

        with pytest.raises(NotFound):
            await rig.phone.dial("999", on_progress=progress)

    on_a_rig(test)
    assert 183 in statuses
    heard = read_pcm(tmp_path / "sorry.wav")
    assert mu_law_is_lossless_for(say("not-in-service"), heard)
    assert tone_share(heard[FRAME_BYTES * 4 : FRAME_BYTES * 13], 913.8) > 0.8


def test_an_announcement_can_be_cut_short_by_the_caller():
    async def test(rig: Rig) -> None:
        with pytest.raises(CallError) as caught:
            await rig.phone.dial("999", timeout=1.0)
        assert caught.value.status == 408
        assert asyncio.get_running_loop().time() < 5

    on_a_rig(test)


async def placed_without_offer(rig: Rig, number: str) -> Call:
    """A call whose INVITE has no body."""
    agent = rig.phone.agent
    call = Call(agent.host, is_incoming=False)
    target = agent.account.resolve(number)
    contact = await agent.reachability.contact_towards(agent.first_hop(target), secure=False)
    call.adopt_audio(await agent.audio.open(SERVER))
    agent.place(call, agent.make_request("INVITE", target, headers=[("Contact", str(contact))]), None)
    return call


def test_a_feature_code_makes_the_offer_when_the_caller_makes_none(tmp_path):
    async def test(rig: Rig) -> None:
        call = await placed_without_offer(rig, "*43")
        await call.wait_answered()
        await asyncio.sleep(0.5)
        with call.record(tmp_path / "echo.wav"):
            await call.play(steady(700, 2_000))
        await call.hangup()

    on_a_rig(test)
    assert tone_share(read_pcm(tmp_path / "echo.wav")[FRAME_BYTES * 20 :], 700) > 0.95


def test_without_an_offer_the_404_comes_at_once():
    async def test(rig: Rig) -> None:
        call = await placed_without_offer(rig, "999")
        ended = await call.wait_ended()
        assert ended.status == 404
        assert asyncio.get_running_loop().time() < 1

    on_a_rig(test)


@pytest.mark.parametrize(("number", "status"), [("*43", 488), ("999", 404)])
def test_an_offer_that_cannot_be_taken_is_refused(number, status):
    async def test(rig: Rig) -> None:
        agent = rig.phone.agent
        call = Call(agent.host, is_incoming=False)
        target = agent.account.resolve(number)
        contact = await agent.reachability.contact_towards(agent.first_hop(target), secure=False)
        audio = call.adopt_audio(await agent.audio.open(SERVER))
        offer = audio.make_offer().replace(b"RTP/AVP", b"RTP/SAVP")
        agent.place(call, agent.make_request("INVITE", target, headers=[("Contact", str(contact))]), offer)
        ended = await call.wait_ended()
        assert ended.status == status
        if status == 488:
            assert f' {DOMAIN} "m= line 1 (audio): ' in ended.response.headers["Warning"]

    on_a_rig(test)


def test_without_a_free_port_the_call_is_refused_at_once():
    async def test(rig: Rig) -> None:
        first = await rig.phone.dial("*43")
        with pytest.raises(CallError) as caught:
            await rig.phone.dial("*43")
        assert caught.value.status == 503
        with pytest.raises(NotFound):
            await rig.phone.dial("999")
        await first.hangup()

    on_a_rig(test, ports=PortRange(20_000, 20_001))


def test_a_server_that_stops_ends_its_own_calls():
    async def main() -> None:
        rig = Rig()
        await rig.server.start()
        async with rig.phone:
            call = await rig.phone.dial("*43")
            await rig.server.close()
            ended = await call.wait_ended()
            assert ended.by == "remote"
            assert rig.host.open_sockets == 0

    run(main())


def test_media_is_bound_where_the_caller_sees_the_server():
    async def main() -> None:
        network = Network(seed=1)
        identity = Identity(domain=DOMAIN, advertised=("203.0.113.9",), realm=DOMAIN, secret=b"")
        for remote, local, advertised in (
            ("10.0.0.11", "10.0.0.1", b"203.0.113.9"),
            ("127.0.0.1", "127.0.0.1", b"127.0.0.1"),
        ):
            host = network.host(local)

            class Flow:
                pass

            flow = Flow()
            flow.remote = Address(remote, 5060)
            session = await OwnMedia(host, identity).open(flow)
            assert b"c=IN IP4 " + advertised in session.make_offer()
            await session.close()

    run(main())


def test_local_time_is_that_of_the_zone():
    assert feature_codes.local_time(EPOCH, UTC).hour == 1
