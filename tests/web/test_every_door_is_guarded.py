# SPDX-License-Identifier: Apache-2.0
"""Can a stranger, another site, or a program without rights use any route of the API? (RELIABILITY row 56)"""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from web_rig import WebRig

from ringback.web.openapi import document

#: Routes for those who are not signed in, each with its reason. Whoever adds one says why.
FOR_STRANGERS = {
    ("GET", "/api/v1/session"): "says that nobody is signed in",
    ("POST", "/api/v1/session"): "signs in",
    ("POST", "/api/v1/session/passkey"): "signs in",
    ("POST", "/api/v1/session/passkey/options"): "signs in",
    ("GET", "/api/v1/setup/{token}"): "the token is the right",
    ("POST", "/api/v1/setup/{token}"): "the token is the right",
    ("GET", "/api/v1/invitations/{token}"): "the token is the right",
    ("POST", "/api/v1/invitations/{token}"): "the token is the right",
    ("GET", "/api/v1/guest/{name}"): "numbers that the owner lets everybody call",
    ("POST", "/api/v1/guest/{name}"): "numbers that the owner lets everybody call",
}
ROUTES = [
    (method.upper(), path)
    for path, operations in document()["paths"].items()
    for method in operations
    if method in ("get", "post", "put", "patch", "delete")
]
GUARDED = [route for route in ROUTES if route not in FOR_STRANGERS]


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[WebRig]:
    async with WebRig(tmp_path) as rig:
        yield rig


def test_the_list_of_open_doors_names_doors_that_are_there():
    assert set(FOR_STRANGERS) <= set(ROUTES)
    assert len(GUARDED) > 40


async def test_a_stranger_is_asked_to_sign_in_everywhere(rig: WebRig):
    await rig.person()
    browser = rig.browser()
    answers = {route: (await browser.call(route[0], filled(route[1])))[0] for route in GUARDED}
    assert {route: status for route, status in answers.items() if status != 401} == {}
    assert rig.server.asked == []


async def test_a_page_of_another_site_changes_nothing(rig: WebRig):
    browser = await rig.signed_in("owner")
    changing = [route for route in GUARDED if route[0] != "GET"]
    answers = {
        route: (await browser.call(route[0], filled(route[1]), Origin="https://evil.example"))[0]
        for route in changing
    }
    del browser.http.headers["X-Ringback-CSRF"]
    without_secret = {route: (await browser.call(route[0], filled(route[1])))[0] for route in changing}
    assert set(answers.values()) == set(without_secret.values()) == {403}, (answers, without_secret)
    assert rig.server.asked == []


async def test_a_token_without_scopes_opens_nothing(rig: WebRig):
    headers = rig.token(await rig.person("owner"))
    browser = rig.browser()
    answers = {route: (await browser.call(route[0], filled(route[1]), **headers))[0] for route in GUARDED}
    assert {route: status for route, status in answers.items() if status != 403} == {}


async def test_a_wrong_token_or_a_wrong_cookie_is_a_stranger(rig: WebRig):
    await rig.person()
    for headers in (
        {"Authorization": "Bearer rb_wrong"},
        {"Authorization": "Basic b2xnYTpwYXNz"},
        {"Authorization": "Bearer " + "x" * 5_000},
        {"Authorization": "Bearer \xff"},
        {"Cookie": "ringback_session=wrong"},
        {"Cookie": "ringback_session=" + "x" * 5_000},
    ):
        assert (await rig.browser().call("GET", "/api/v1/me", **headers))[0] == 401


def filled(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "101", path)
