# SPDX-License-Identifier: Apache-2.0
"""Do pages hear what happens, each what its visitor may know, and can no other site listen?"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from web_rig import PASSWORD, Browser, WebRig

from ringback.web import events

CALL = {"id": "a" * 16, "caller": {"number": "101"}, "callee": {"number": "102"}}


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[WebRig]:
    async with WebRig(tmp_path) as rig:
        yield rig


async def listening(browser: Browser, **headers: str) -> aiohttp.ClientWebSocketResponse:
    page = await browser.http.ws_connect("/events", headers=headers)
    assert (await page.receive_json())["kind"] == "hello"
    return page


async def refused(browser: Browser, **headers: str) -> int:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        await browser.http.ws_connect("/events", headers=headers)
    return refusal.value.status


async def test_an_operator_hears_everything_and_a_person_what_is_theirs(rig: WebRig):
    operator = await listening(await rig.signed_in("operator"))
    anna = await listening(await rig.signed_in("person", name="Anna", number="101"))
    nobody = await listening(await rig.signed_in("person", name="Carl"))
    told: list[dict[str, Any]] = [
        {"kind": "call.began", "at": 1.0, "call": CALL},
        {"kind": "call.began", "at": 2.0, "call": {**CALL, "caller": {"number": "103"}}},
        {"kind": "phone.registered", "at": 3.0, "number": "101"},
        {"kind": "phone.registered", "at": 4.0, "number": "102"},
        {"kind": "settings.changed", "at": 5.0},
    ]
    for event in told:
        rig.house.events.post(event)
    assert [(await operator.receive_json()) for _ in told] == told
    assert [(await anna.receive_json())["at"] for _ in range(2)] == [1.0, 3.0]
    for page in (anna, nobody):
        with pytest.raises(asyncio.TimeoutError):
            await page.receive(timeout=0.05)


async def test_strangers_and_other_sites_hear_nothing(rig: WebRig):
    assert await refused(rig.browser()) == 403
    browser = await rig.signed_in()
    assert await refused(browser, Origin="https://evil.example") == 403
    assert await refused(rig.browser(), Authorization="Bearer rb_wrong") == 403
    await (await listening(browser, Origin=rig.address)).close()


async def test_a_token_hears_with_its_scope_alone(rig: WebRig):
    person = await rig.person("admin")
    with_scope, without = rig.token(person, "events:read"), rig.token(person, "users:read")
    deaf, hearing = await listening(rig.browser(), **without), await listening(rig.browser(), **with_scope)
    rig.house.events.post({"kind": "users.changed", "at": 1.0})
    assert (await hearing.receive_json())["kind"] == "users.changed"
    with pytest.raises(asyncio.TimeoutError):
        await deaf.receive(timeout=0.05)


async def test_who_signs_out_hears_no_more(rig: WebRig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(events, "LOOK_AGAIN", 0.05)
    browser = await rig.signed_in()
    page = await listening(browser)
    await browser.call("DELETE", "/api/v1/session")
    rig.clock.now += 1
    message = await page.receive(timeout=5)
    assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1008)


async def test_a_page_that_does_not_keep_up_is_told_to_come_again(
    rig: WebRig, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(events, "MOST_WAITING", 10)
    page = await listening(await rig.signed_in())
    for number in range(50):
        rig.house.events.post({"kind": "users.changed", "at": float(number)})
    kinds = [(await page.receive(timeout=5)).type for _ in range(2)]
    assert aiohttp.WSMsgType.CLOSE in kinds
    assert page.close_code == 1013


async def test_nobody_opens_more_pages_than_people_have(rig: WebRig):
    browser = await rig.signed_in(name="Olga")
    pages = [await listening(browser) for _ in range(events.MOST_PAGES_EACH)]
    assert await refused(browser) == 403
    await pages[0].close()
    async with asyncio.timeout(5):
        while sum(rig.house.events.pages.values()) == events.MOST_PAGES_EACH:
            await asyncio.sleep(0.01)
    await listening(browser)
    other = rig.browser()
    await rig.person("admin", name="Anna")
    await other.call("POST", "/api/v1/session", {"login": "Anna", "password": PASSWORD})
    await listening(other)


async def test_what_a_page_says_is_not_kept(rig: WebRig):
    page = await listening(await rig.signed_in())
    for _ in range(100):
        await page.send_str("x" * 10_000)
    rig.house.events.post({"kind": "users.changed", "at": 1.0})
    assert (await page.receive_json())["kind"] == "users.changed"
    await page.send_str("x" * 20_000)
    assert (await page.receive(timeout=5)).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)


async def test_a_person_hears_no_more_of_a_call_than_the_api_tells_them(rig: WebRig):
    anna = await listening(await rig.signed_in("person", name="Anna", number="101"))
    operator = await listening(await rig.signed_in("operator"))
    own, other = (
        {"number": "101", "address": "192.0.2.1:5060"},
        {"number": "102", "address": "192.0.2.2:5060"},
    )
    call = {**CALL, "legs": [own, other], "call_ids": ["a@b"], "decisions": [{"service": "routing"}]}
    rig.house.events.post({"kind": "call.changed", "at": 1.0, "call": call})
    heard = (await anna.receive_json())["call"]
    assert [leg["address"] for leg in heard["legs"]] == ["192.0.2.1:5060", ""]
    assert (heard["call_ids"], heard["decisions"]) == ([], [])
    assert (await operator.receive_json())["call"] == call
