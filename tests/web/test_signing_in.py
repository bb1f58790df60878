# SPDX-License-Identifier: Apache-2.0
"""Do the right people come in, and nobody else? Passwords, codes, sessions, and pages that are not ours."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pyotp
import pytest
from web_rig import PASSWORD, WebRig

SESSION, ME = "/api/v1/session", "/api/v1/me"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[WebRig]:
    async with WebRig(tmp_path) as rig:
        yield rig


async def test_a_password_opens_a_session_and_signing_out_ends_it(rig: WebRig):
    await rig.person(name="Olga", email="Olga@Example.com")
    browser = rig.browser()
    assert await browser.call("GET", SESSION) == (
        200,
        {"person": None, "csrf": "", "set_up": True, "expires_at": 0.0},
    )

    status, session = await browser.call("POST", SESSION, {"login": "olga@example.COM", "password": PASSWORD})
    assert (status, session["person"]["role"]) == (200, "owner")
    cookie = next(iter(browser.http.cookie_jar))
    assert (cookie.key, cookie["httponly"], cookie["samesite"], cookie["path"]) == (
        "ringback_session",
        True,
        "lax",
        "/",
    )
    assert (await browser.call("GET", SESSION))[1]["csrf"] == session["csrf"]

    browser.remember(session)
    assert (await browser.call("DELETE", SESSION))[0] == 204
    assert (await browser.call("GET", SESSION))[1]["person"] is None


async def test_a_wrong_password_and_an_unknown_name_are_answered_alike(rig: WebRig):
    await rig.person(name="Olga")
    answers = [
        await rig.browser().call("POST", SESSION, {"login": login, "password": "wrong wrong"})
        for login in ("Olga", "Nobody", "")
    ]
    assert [status for status, _ in answers] == [401, 401, 401]
    assert len({answer["detail"] for _, answer in answers}) == 1


async def test_who_guesses_waits_ever_longer_and_is_forgiven_after_a_right_password(rig: WebRig):
    await rig.person(name="Olga")
    browser = rig.browser()
    for _ in range(5):
        assert (await browser.call("POST", SESSION, {"login": "Olga", "password": "guess"}))[0] == 401
    status, answer = await browser.call("POST", SESSION, {"login": "Olga", "password": PASSWORD})
    assert (status, answer["type"]) == (429, "urn:ringback:throttled")
    rig.clock.now += 2
    assert (await browser.call("POST", SESSION, {"login": "Olga", "password": "guess"}))[0] == 401
    rig.clock.now += 1
    assert (await browser.call("POST", SESSION, {"login": "Olga", "password": PASSWORD}))[0] == 429
    rig.clock.now += 2
    assert (await browser.call("POST", SESSION, {"login": "Olga", "password": PASSWORD}))[0] == 200
    assert (await browser.call("POST", SESSION, {"login": "Olga", "password": "guess"}))[0] == 401


async def test_a_change_needs_the_secret_of_the_session_and_our_own_origin(rig: WebRig):
    browser = await rig.signed_in()
    assert (await browser.call("PATCH", ME, {"name": "New"}))[0] == 200
    status, answer = await browser.call("PATCH", ME, {"name": "Evil"}, **{"X-Ringback-CSRF": "guess"})
    assert (status, answer["type"]) == (403, "urn:ringback:csrf")
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        assert (await browser.call("PATCH", ME, {"name": "Evil"}, **headers))[0] == 403
    assert (await browser.call("GET", ME, Origin="https://evil.example"))[1]["name"] == "New"
    assert (await browser.call("PATCH", ME, {"name": "Newer"}, Origin=rig.address))[0] == 200


async def test_another_site_cannot_sign_somebody_in(rig: WebRig):
    await rig.person(name="Olga")
    status, _ = await rig.browser().call(
        "POST", SESSION, {"login": "Olga", "password": PASSWORD}, Origin="https://evil.example"
    )
    assert status == 403


async def test_a_code_is_asked_for_once_it_is_switched_on_and_counts_once(rig: WebRig):
    browser = await rig.signed_in(name="Olga")
    _, begun = await browser.call("POST", f"{ME}/totp")
    assert begun["uri"].startswith("otpauth://totp/")
    assert begun["qr"].startswith("data:image/svg+xml")
    app = pyotp.TOTP(begun["secret"])
    assert (await browser.call("POST", f"{ME}/totp/confirm", {"code": "000000"}))[0] == 422
    assert (await browser.call("POST", f"{ME}/totp/confirm", {"code": app.at(int(rig.clock.now))}))[0] == 200

    other = rig.browser()
    status, answer = await other.call("POST", SESSION, {"login": "Olga", "password": PASSWORD})
    assert (status, answer["needs"]) == (401, "code")
    used = {"login": "Olga", "password": PASSWORD, "code": app.at(int(rig.clock.now))}
    assert (await other.call("POST", SESSION, used))[0] == 401
    rig.clock.now += 60
    code = app.at(int(rig.clock.now))
    fresh = {"login": "Olga", "password": PASSWORD, "code": f"{code[:3]} {code[3:]}"}
    assert (await other.call("POST", SESSION, fresh))[0] == 200
    assert (await rig.browser().call("POST", SESSION, fresh))[0] == 401

    assert (await browser.call("DELETE", f"{ME}/totp", {"password": "wrong"}))[0] == 422
    assert (await browser.call("DELETE", f"{ME}/totp", {"password": PASSWORD}))[0] == 204
    assert (await rig.browser().call("POST", SESSION, {"login": "Olga", "password": PASSWORD}))[0] == 200


async def test_a_recovery_code_replaces_the_app_once_and_new_ones_replace_them_all(rig: WebRig):
    browser = await rig.signed_in(name="Olga")
    _, begun = await browser.call("POST", f"{ME}/totp")
    now = pyotp.TOTP(begun["secret"]).at(int(rig.clock.now))
    codes = (await browser.call("POST", f"{ME}/totp/confirm", {"code": now}))[1]["recovery_codes"]
    assert len(set(codes)) == 10

    lost = {"login": "Olga", "password": PASSWORD, "code": codes[0].replace("-", " ").lower()}
    assert (await rig.browser().call("POST", SESSION, lost))[0] == 200
    assert (await rig.browser().call("POST", SESSION, lost))[0] == 401
    assert (await browser.call("GET", ME))[1]["recovery_codes_left"] == 9
    assert "used a recovery code" in [entry.action for entry in rig.house.changes.search()[0]]
    rig.clock.now += 60

    renew = f"{ME}/totp/recovery-codes"
    assert (await browser.call("POST", renew, {"password": "wrong"}))[0] == 422
    status, fresh = await browser.call("POST", renew, {"password": PASSWORD})
    assert (status, set(fresh["recovery_codes"]) & set(codes)) == (200, set())
    assert (await rig.browser().call("POST", SESSION, {**lost, "code": codes[1]}))[0] == 401
    rig.clock.now += 60
    assert (await rig.browser().call("POST", SESSION, {**lost, "code": fresh["recovery_codes"][0]}))[0] == 200

    await browser.call("DELETE", f"{ME}/totp", {"password": PASSWORD})
    assert (await browser.call("GET", ME))[1]["recovery_codes_left"] == 0
    assert (await browser.call("POST", renew, {"password": PASSWORD}))[0] == 409


async def test_a_recovery_code_of_somebody_else_opens_nothing(rig: WebRig):
    olga, paul = await rig.person("owner", name="Olga"), await rig.person(name="Paul")
    rig.house.people.change_person(paul.id, totp=pyotp.random_base32())
    code = rig.house.recovery.renew(olga.id)[0]
    form = {"login": "Paul", "password": PASSWORD, "code": code}
    assert (await rig.browser().call("POST", SESSION, form))[0] == 401
    assert rig.house.recovery.left(olga.id) == 10


async def test_a_new_password_signs_every_other_browser_out(rig: WebRig):
    here = await rig.signed_in(name="Olga")
    there = rig.browser()
    await there.call("POST", SESSION, {"login": "Olga", "password": PASSWORD})
    change = {"current": "wrong", "password": "a new one to keep"}
    status, answer = await here.call("POST", f"{ME}/password", change)
    assert (status, answer["errors"][0]["field"]) == (422, "current")
    change["current"] = PASSWORD
    assert (await here.call("POST", f"{ME}/password", {**change, "password": "short"}))[1]["errors"][0][
        "field"
    ] == "password"
    assert (await here.call("POST", f"{ME}/password", change))[0] == 204
    assert (await here.call("GET", SESSION))[1]["person"]["name"] == "Olga"
    assert (await there.call("GET", SESSION))[1]["person"] is None
    assert (await there.call("POST", SESSION, {"login": "Olga", "password": PASSWORD}))[0] == 401


async def test_a_session_ends_by_itself_unless_it_is_used(rig: WebRig):
    browser = await rig.signed_in()
    lifetime = rig.settings.web.session_hours * 3600
    rig.clock.now += lifetime - 10
    assert (await browser.call("GET", ME))[0] == 200
    rig.clock.now += lifetime - 10
    assert (await browser.call("GET", ME))[0] == 200
    rig.clock.now += lifetime + 1
    assert (await browser.call("GET", ME))[0] == 401


async def test_one_ends_own_sessions_only(rig: WebRig):
    olga, anna = await rig.signed_in(name="Olga"), await rig.signed_in("admin", name="Anna")
    identifier = (await olga.call("GET", ME))[1]["sessions"][0]["id"]
    assert (await anna.call("DELETE", f"{ME}/sessions/{identifier}"))[0] == 404
    assert (await olga.call("DELETE", f"{ME}/sessions/{identifier}"))[0] == 204
    assert (await olga.call("GET", ME))[0] == 401


async def test_neither_the_cookie_nor_the_password_is_in_the_database(rig: WebRig):
    browser = await rig.signed_in()
    cookie = next(iter(browser.http.cookie_jar)).value
    rig.house.store.flush()
    kept = b"".join(file.read_bytes() for file in rig.directory.glob("ringback.db*"))
    assert cookie.encode() not in kept
    assert PASSWORD.encode() not in kept
    assert b"$argon2id$" in kept


async def test_forms_with_strange_values_are_refused_at_the_field(rig: WebRig):
    browser = rig.browser()
    for body, field in (
        ({"login": 5, "password": "x"}, "login"),
        ({"login": "x"}, "password"),
        ({"login": "x", "password": "y", "admin": True}, "admin"),
        ({"login": "a\x00b", "password": "y"}, "login"),
        ({"login": "\ud800", "password": "y"}, "login"),
        ({"login": "x" * 101, "password": "y"}, "login"),
        ({"login": "x", "password": "y" * 1001}, "password"),
    ):
        status, answer = await browser.call("POST", SESSION, body)
        assert (status, answer["errors"][0]["field"]) == (422, field)
    for raw in (b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"login": 1e999}', b"null"):
        async with browser.http.post(
            SESSION, data=raw, headers={"Content-Type": "application/json"}
        ) as response:
            assert response.status in (400, 422), raw[:20]
            assert response.headers["Content-Type"] == "application/problem+json"


async def test_tries_that_come_at_the_same_moment_are_counted_before_they_are_looked_at(rig: WebRig):
    await rig.person(name="Olga")
    crowd = [rig.browser() for _ in range(15)]
    guess = {"login": "Olga", "password": "wrong wrong"}
    answers = await asyncio.gather(*(each.call("POST", SESSION, guess) for each in crowd))
    assert sorted(status for status, _ in answers) == [401] * 5 + [429] * 10


async def test_who_has_the_password_does_not_go_on_to_guess_the_code(rig: WebRig):
    olga = await rig.person(name="Olga")
    rig.house.people.change_person(olga.id, totp=pyotp.random_base32())
    browser, seen = rig.browser(), []
    for _ in range(12):
        for login in ("Olga", "olga"):  # half a minute is what an account waits at most
            rig.clock.now += 31
            rig.house.throttle.right(("address", "127.0.0.1"))
            guess = {"login": login, "password": PASSWORD, "code": "abcdef"}
            seen.append((await browser.call("POST", SESSION, guess))[0])
    assert (seen[:5], seen[-1]) == ([401] * 5, 429)
    assert seen.count(401) < 14


async def test_a_refusal_does_not_say_where_files_lie(rig: WebRig):
    await rig.person(name="Anna", email="anna@example.com")
    olga = await rig.signed_in(name="Olga")
    taken = await olga.call("PATCH", ME, {"email": "anna@example.com"})
    assert (taken[0], taken[1]["detail"]) == (409, "somebody else has this e-mail address")
    with sqlite3.connect(rig.directory / "ringback.db") as broken:
        broken.execute("ALTER TABLE people RENAME TO persons")
    status, answer = await rig.browser().call("POST", SESSION, {"login": "Olga", "password": PASSWORD})
    assert (status, str(rig.directory) in answer["detail"], "people" in answer["detail"]) == (
        503,
        False,
        False,
    )


async def test_nobody_takes_the_name_with_which_somebody_else_signs_in(rig: WebRig):
    await rig.person(name="Olga")  # has neither address nor number: the name is all she can type
    await rig.person(name="Mia", email="mia@example.com")
    browser = await rig.signed_in("person", name="Anna", number="101")
    assert (await browser.call("PATCH", ME, {"name": "OLGA"}))[0] == 409
    assert (await browser.call("PATCH", ME, {"name": "Mia"}))[0] == 200
    assert (await browser.call("PATCH", ME, {"name": "Mia", "email": "anna@example.com"}))[0] == 200
    form = {"login": "olga", "password": PASSWORD}
    assert (await rig.browser().call("POST", SESSION, form))[0] == 200
