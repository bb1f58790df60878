# SPDX-License-Identifier: Apache-2.0
"""A browser (aiortc stands for it) and a phone: DTLS-SRTP with ICE on one side, whatever on the other one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

pytest.importorskip("av")
pytest.importorskip("aiortc")

from browser_peer import BrowserPeer, _loopback_candidates  # noqa: F401 (a fixture)
from plane_calls import Call
from plane_peers import Opener
from test_transcoding import PCMU, strength, tone

from ringback.media.facilities import Facilities
from ringback.media.local_plane import LocalPlane
from ringback.media.plane import BROWSER, LegProfile, Security
from ringback.media.shared_port import SharedPort
from ringback.net.sockets import RealNetwork
from ringback.sip.flow import Address

pytestmark = [
    pytest.mark.usefixtures("_loopback_candidates"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
PLAIN = LegProfile()
Made = Callable[..., BrowserPeer]


@pytest.fixture
async def browser() -> AsyncIterator[Made]:
    made: list[BrowserPeer] = []

    def make(**more: object) -> BrowserPeer:
        made.append(BrowserPeer(**more))  # type: ignore[arg-type]
        return made[-1]

    yield make
    await asyncio.gather(*(each.close() for each in made))
    await asyncio.sleep(0)


async def speaks_until(speak: Callable[[int], None], condition: Callable[[], object]) -> None:
    number = 0
    async with asyncio.timeout(20):
        while not condition():
            speak(number)
            number += 1
            await asyncio.sleep(0.02)


def hears_tone(browser: BrowserPeer) -> bool:
    return len(browser.heard) >= 4_000 and strength(bytes(browser.heard[-2_400:])) > 0.8


@pytest.mark.parametrize("suite", [None, "AES_CM_128_HMAC_SHA1_80"])
@pytest.mark.parametrize("calls", ["browser", "phone"])
async def test_a_browser_and_a_phone_share_g711(
    local_plane: LocalPlane, phone: Opener, browser: Made, calls: str, suite: str | None
) -> None:
    call = Call(local_plane)
    desk, web = await phone("bob", suite=suite), browser()
    call.add("phone", desk, LegProfile(Security.SDES) if suite else PLAIN)
    call.profiles["web"] = BROWSER
    if calls == "browser":
        await call.offer("web", "phone", await web.offer())
        answer = await call.answer("phone", "web", desk.sdp("0 PCMU/8000"))
        assert b"a=crypto" not in answer
        await web.take_answer(answer)
    else:
        offer = await call.offer("phone", "web", desk.sdp("0 PCMU/8000"))
        assert b"UDP/TLS/RTP/SAVPF" in offer
        await call.answer("web", "phone", await web.answer(offer))
    await speaks_until(
        lambda number: desk.send(1, payload=PCMU.encode(tone(number))), lambda: hears_tone(web)
    )

    def desk_hears() -> bool:
        sounds = [each[12:] for each in desk.received if each[1] & 0x7F == 0][-25:]
        return len(sounds) == 25 and strength(b"".join(map(PCMU.decode, sounds))) > 0.9

    await desk.until(desk_hears)
    numbers = await local_plane.statistics("call")
    legs = {leg.name: leg for leg in numbers.legs}
    assert not numbers.is_transcoded
    assert legs["web"].security is Security.DTLS
    assert legs["web"].suite is not None
    assert legs["phone"].suite == suite


async def test_all_browsers_share_one_port_where_that_is_wanted(phone: Opener, browser: Made) -> None:
    network = RealNetwork()
    shared = await SharedPort.open(network, Address("127.0.0.1", 0))
    plane = LocalPlane(Facilities(network, host="127.0.0.1", shared=shared))
    await plane.start()
    webs, desks = [browser(), browser()], [await phone("bob1"), await phone("bob2")]
    for number, (web, desk) in enumerate(zip(webs, desks, strict=True)):
        call = Call(plane, f"call-{number}")
        call.add("phone", desk)
        call.profiles["web"] = BROWSER
        if number:
            offer = await call.offer("phone", "web", desk.sdp("0 PCMU/8000"))
            assert f"m=audio {shared.socket.local.port} ".encode() in offer
            await call.answer("web", "phone", await web.answer(offer))
        else:
            await call.offer("web", "phone", await web.offer())
            answer = await call.answer("phone", "web", desk.sdp("0 PCMU/8000"))
            assert f"m=audio {shared.socket.local.port} ".encode() in answer
            await web.take_answer(answer)

    def speak(number: int) -> None:
        for desk in desks:
            desk.send(1, payload=PCMU.encode(tone(number)))

    await speaks_until(speak, lambda: all(map(hears_tone, webs)) and all(desk.received for desk in desks))
    await plane.close()
    shared.close()


@pytest.mark.parametrize("calls", ["browser", "phone"])
async def test_a_browser_speaks_opus_with_a_phone_that_does_not(
    local_plane: LocalPlane, phone: Opener, browser: Made, calls: str
) -> None:
    call = Call(local_plane)
    desk, web = await phone("bob"), browser(codec="opus")
    call.add("phone", desk, LegProfile(codecs=("PCMU",)))
    call.profiles["web"] = LegProfile(Security.DTLS, ice=True, rtcp_mux=True, bundle=True, codecs=("opus",))
    if calls == "browser":
        await call.offer("web", "phone", await web.offer())
        await web.take_answer(await call.answer("phone", "web", desk.sdp("0 PCMU/8000")))
    else:
        offer = await call.offer("phone", "web", desk.sdp("0 PCMU/8000"))
        await call.answer("web", "phone", await web.answer(offer))
    await speaks_until(
        lambda number: desk.send(1, payload=PCMU.encode(tone(number))), lambda: hears_tone(web)
    )

    def desk_hears() -> bool:
        sounds = [each[12:] for each in desk.received if each[1] & 0x7F == 0][-25:]
        return len(sounds) == 25 and strength(b"".join(map(PCMU.decode, sounds))) > 0.9

    await desk.until(desk_hears)
    numbers = await local_plane.statistics("call")
    assert numbers.is_transcoded
    assert {leg.name: leg.streams[0].codec for leg in numbers.legs} == {"web": "opus", "phone": "PCMU"}


@pytest.mark.parametrize("is_bundled", [True, False])
async def test_two_browsers_hear_and_see_each_other(
    local_plane: LocalPlane, browser: Made, *, is_bundled: bool
) -> None:
    call = Call(local_plane)
    one, other = browser(has_video=True), browser(has_video=True, frequency=440.0)
    call.profiles = {"one": BROWSER, "other": replace(BROWSER, bundle=is_bundled)}
    offer = await call.offer("one", "other", await one.offer())
    await one.take_answer(await call.answer("other", "one", await other.answer(offer)))
    async with asyncio.timeout(20):
        while not (one.pictures > 5 and other.pictures > 5 and hears_tone(one) and hears_tone(other)):
            await asyncio.sleep(0.05)
    numbers = await local_plane.delete("call")
    assert [[each.kind for each in leg.streams] for leg in numbers.legs] == [["audio", "video"]] * 2
    assert all(each.packets_received > 5 for leg in numbers.legs for each in leg.streams)
