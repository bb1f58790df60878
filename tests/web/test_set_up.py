# SPDX-License-Identifier: Apache-2.0
"""Does the set-up link make one owner, once, and does guessing at it lead nowhere?"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from web_rig import PASSWORD, WebRig

from ringback.server.storage.people import Passkey

FORM = {
    "office": "Smith & Co",
    "country": "de",
    "name": "Olga",
    "email": "Olga@Example.com",
    "password": PASSWORD,
}


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[WebRig]:
    async with WebRig(tmp_path) as rig:
        yield rig


def link(rig: WebRig, kind: str = "setup", subject: str = "") -> str:
    token = rig.house.links.make(kind, subject, now=rig.clock(), lifetime=900, short=True)
    return f"/api/v1/setup/{token}"


async def test_the_link_makes_the_owner_who_is_signed_in_and_the_office_has_its_name(rig: WebRig):
    browser, path = rig.browser(), link(rig)
    looked = (await browser.call("GET", path))[1]
    assert (looked["valid"], looked["kind"], looked["domain"]) == (True, "setup", "example.com")
    status, session = await browser.call("POST", path, FORM)
    assert (status, session["person"]["role"], session["person"]["email"]) == (
        201,
        "owner",
        "olga@example.com",
    )
    office = (await browser.call("GET", "/api/v1/office"))[1]
    assert (office["name"], office["country"]) == ("Smith & Co", "DE")
    log, _ = rig.house.changes.search()
    assert [(change.name, change.action) for change in log] == [("Olga", "signed in")]


async def test_it_works_once_and_is_typed_as_people_type(rig: WebRig):
    browser, path = rig.browser(), link(rig)
    typed = path.lower().replace("-", " ")
    assert (await browser.call("POST", typed, FORM))[0] == 201
    assert (await browser.call("GET", path))[1]["valid"] is False
    assert (await rig.browser().call("POST", path, FORM))[0] == 404


async def test_it_ends_after_a_quarter_of_an_hour_and_when_there_is_a_newer_one(rig: WebRig):
    older, newer = link(rig), link(rig)
    assert (await rig.browser().call("GET", older))[1]["valid"] is False
    rig.clock.now += 899
    assert (await rig.browser().call("GET", newer))[1]["valid"] is True
    rig.clock.now += 2
    assert (await rig.browser().call("POST", newer, FORM))[0] == 404


async def test_a_form_with_mistakes_does_not_use_it_up(rig: WebRig):
    browser, path = rig.browser(), link(rig)
    for change, field in (
        ({"password": "short"}, "password"),
        ({"name": ""}, "name"),
        ({"email": "no address"}, "email"),
        ({"country": "Germany"}, "country"),
    ):
        status, answer = await browser.call("POST", path, {**FORM, **change})
        assert (status, answer["errors"][0]["field"]) == (422, field)
    assert (await browser.call("POST", path, FORM))[0] == 201


async def test_there_is_never_a_second_owner_by_this_way(rig: WebRig):
    path = link(rig)
    await rig.person("owner", name="First")
    assert (await rig.browser().call("POST", path, FORM))[0] == 409
    assert [person.name for person in rig.house.people.people()] == ["First"]


async def test_a_reset_gives_a_new_password_takes_codes_and_passkeys_away_and_ends_all_sessions(rig: WebRig):
    browser = await rig.signed_in(name="Olga")
    person = rig.house.people.sign_in_as("Olga")
    assert person is not None
    rig.house.people.change_person(person.id, totp="JBSWY3DPEHPK3PXP")
    rig.house.recovery.renew(person.id)
    rig.house.people.put_passkey(Passkey("key", person.id, "Phone", b"public"))
    path = link(rig, "reset", person.id)
    assert (await rig.browser().call("GET", path))[1]["name"] == "Olga"
    assert (await rig.browser().call("POST", path, {"password": "another good one"}))[0] == 201
    assert (await browser.call("GET", "/api/v1/session"))[1]["person"] is None
    assert rig.house.people.passkeys(person.id) == []
    assert rig.house.recovery.left(person.id) == 0
    again = {"login": "Olga", "password": "another good one"}
    assert (await rig.browser().call("POST", "/api/v1/session", again))[0] == 200


async def test_guessing_slows_the_guesser_down_and_in_the_end_withdraws_the_link(rig: WebRig):
    path = link(rig)
    guesser = rig.browser()
    for _ in range(5):
        assert (await guesser.call("GET", "/api/v1/setup/AAAA-AAAA"))[1]["valid"] is False
    assert (await guesser.call("GET", "/api/v1/setup/AAAA-AAAA"))[0] == 429
    for number in range(94):  # from everywhere
        rig.house.throttle.wrong(("address", str(number)), ("setup", ""))
    rig.clock.now += 2
    assert (await guesser.call("GET", "/api/v1/setup/AAAA-AAAA"))[0] == 200
    rig.clock.now += 10
    assert (await guesser.call("GET", path))[1]["valid"] is False


async def test_an_invitation_is_no_set_up_link(rig: WebRig):
    assert (await rig.browser().call("GET", link(rig, "invite", "101")))[1]["valid"] is False
