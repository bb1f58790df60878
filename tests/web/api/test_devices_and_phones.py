# SPDX-License-Identifier: Apache-2.0
"""Devices with passwords of their own, browsers that become phones, and guests."""

import pytest
from office_rig import Office, Visitor

from ringback.pbx.accounts import new_user
from ringback.sip.digest import ha1
from ringback.web.throttle import Throttle


@pytest.fixture
async def anna(office: Office) -> Visitor:
    for number in ("101", "102"):
        office.house.store.put_user(
            new_user(number, f"User {number}", password="x", realm=office.house.realm)
        )
    await office.house.server.ask("users-changed")
    return office.signed_in("person", "Anna", "101")


async def test_a_person_makes_renames_and_revokes_own_devices(office: Office, anna: Visitor) -> None:
    added = (await anna.post("/api/v1/users/101/devices", {"name": "Desk", "kind": "phone"})).json
    device = added["device"]
    kept = office.house.store.devices(number="101")[0]
    assert kept.ha1s["MD5"] == ha1("101", office.house.realm, added["password"], "MD5")
    assert added["settings"]["User name"] == "101"
    assert added["password"] not in str(added["settings"])
    assert added["qr"].startswith("data:image/svg+xml")
    changed = await anna.patch(f"/api/v1/devices/{device['id']}", {"name": "Desk 2", "security": "required"})
    assert (changed.json["name"], changed.json["security"]) == ("Desk 2", "required")
    assert (await anna.get("/api/v1/users/101")).json["devices"] == 1
    assert (await anna.delete(f"/api/v1/devices/{device['id']}")).status == 200
    assert (await anna.get("/api/v1/users/101/devices")).json == {"items": [], "total": 0}


async def test_other_peoples_devices_are_not_there(office: Office, anna: Visitor) -> None:
    added = await office.admin().post("/api/v1/users/102/devices", {"name": "Desk"})
    device = added.json["device"]["id"]
    assert (await anna.delete(f"/api/v1/devices/{device}")).status == 404
    assert (await anna.patch(f"/api/v1/devices/{device}", {"name": "mine"})).status == 404
    assert (await anna.delete("/api/v1/devices/nothing")).status == 404


async def test_a_browser_becomes_a_phone_and_stays_the_same_device(office: Office, anna: Visitor) -> None:
    first = (await anna.post("/api/v1/phone", {"name": "Chromium on Linux"})).json
    assert (first["number"], first["uri"]) == ("101", f"sip:101@{office.house.domain}")
    assert first["ws"] == "wss://office.example:8443/ws"
    assert first["ha1"] == office.house.store.devices(number="101")[0].ha1s["MD5"]
    again = (await anna.post("/api/v1/phone", {"device": first["device"]})).json
    assert again["device"] == first["device"]
    assert again["ha1"] != first["ha1"]
    other = (await anna.post("/api/v1/phone")).json
    assert other["device"] != first["device"]


async def test_browsers_do_not_pile_up(office: Office, anna: Visitor) -> None:
    made = []
    for _ in range(9):
        office.now[0] += 1
        made.append((await anna.post("/api/v1/phone")).json["device"])
    assert [device.id for device in office.house.store.devices(number="101")] == made[1:]


async def test_somebody_without_a_number_is_told_why_there_is_no_phone(office: Office) -> None:
    answer = await office.admin().post("/api/v1/phone")
    assert (answer.status, "number" in answer.json["detail"]) == (409, True)


async def test_a_guest_may_call_one_number_from_a_page_that_is_open(office: Office, anna: Visitor) -> None:
    admin, guest = office.admin(), office.stranger()
    page = {"name": "sales", "number": "101", "title": "Ask us"}
    assert (await anna.post("/api/v1/guest-pages", page)).status == 403
    assert (await admin.post("/api/v1/guest-pages", {**page, "number": "999"})).status == 404
    assert (await admin.post("/api/v1/guest-pages", page)).status == 201
    assert (await guest.get("/api/v1/guest/sales")).json == {
        "name": "sales", "title": "Ask us", "office": "", "enabled": True,
    }  # fmt: skip
    account = (await guest.post("/api/v1/guest/sales")).json
    assert account["number"].startswith("guest-")
    assert (account["target"], account["target_name"]) == ("101", "User 101")
    [device] = [each for each in office.house.store.devices() if each.kind == "guest"]
    assert (device.may_call, device.expires_at) == ("101", pytest.approx(office.house.clock() + 3600))
    assert (await admin.get("/api/v1/guest-pages")).json["total"] == 1
    await admin.post("/api/v1/guest-pages", {**page, "enabled": False})
    assert (await guest.post("/api/v1/guest/sales")).status == 404
    assert (await admin.delete("/api/v1/guest-pages/sales")).status == 200
    assert (await admin.delete("/api/v1/guest-pages/sales")).status == 404


async def test_one_stranger_does_not_take_the_turns_of_all_guests(office: Office, anna: Visitor) -> None:
    await office.admin().post("/api/v1/guest-pages", {"name": "sales", "number": "101"})
    guest = office.stranger()
    office.house.throttle = Throttle(office.house.clock)
    answers = [await guest.post("/api/v1/guest/sales") for _ in range(8)]
    assert [answer.status for answer in answers][:5] == [201] * 5
    assert answers[-1].status == 429
    office.now[0] += 31
    assert (await guest.post("/api/v1/guest/sales")).status == 201


async def test_the_office_has_a_name_and_people_who_answer_for_all(office: Office, anna: Visitor) -> None:
    admin = office.admin()
    answer = await admin.put(
        "/api/v1/office", {"name": "Fish & Sons", "country": "DE", "operator": ["102", "102"]}
    )
    assert answer.json == {
        "name": "Fish & Sons", "country": "DE", "domain": office.house.domain, "operator": ["102"], "set_up": False,
    }  # fmt: skip
    assert (await admin.put("/api/v1/office", {"set_up": True})).json["name"] == "Fish & Sons"
    wrong = await admin.put("/api/v1/office", {"operator": ["999"]})
    assert (wrong.status, wrong.json["errors"][0]["field"]) == (422, "operator")
    assert list(office.process.system.directory.operators) == ["102"]
    assert (await anna.get("/api/v1/office")).json["name"] == "Fish & Sons"
    assert (await anna.put("/api/v1/office", {"name": "x"})).status == 403


async def test_tokens_may_do_what_their_scopes_say_and_no_more(office: Office, anna: Visitor) -> None:
    admin = office.admin()
    made = await admin.post("/api/v1/tokens", {"name": "CRM", "scopes": ["users:read"]})
    assert made.status == 201
    program = Visitor(office.app, {"authorization": f"Bearer {made.json['secret']}"})
    assert (await program.get("/api/v1/users")).status == 200
    refused = await program.post("/api/v1/users", {"name": "Eve"})
    assert (refused.status, "users:write" in refused.json["detail"]) == (403, True)
    assert (await program.get("/api/v1/tokens")).status == 403
    mine = (await admin.get("/api/v1/tokens")).json
    assert [(token["name"], token["scopes"]) for token in mine["items"]] == [("CRM", ["users:read"])]
    assert made.json["secret"] not in str(mine)
    assert (await anna.delete(f"/api/v1/tokens/{made.json['token']['id']}")).status == 404
    assert (await admin.delete(f"/api/v1/tokens/{made.json['token']['id']}")).status == 200
    assert (await program.get("/api/v1/users")).status == 401
    for body, field in (({"name": "x", "scopes": ["all"]}, "scopes"), ({"name": "x", "scopes": ["users:read"], "expires": 5}, "expires")):  # fmt: skip
        assert (await admin.post("/api/v1/tokens", body)).json["errors"][0]["field"] == field


async def test_a_token_of_a_person_reaches_no_further_than_the_person(office: Office, anna: Visitor) -> None:
    program = office.with_token(anna, "users:write", "settings:write", "records:read")
    assert (await program.get("/api/v1/users/101")).status == 200
    assert (await program.get("/api/v1/users/102")).status == 404
    assert (await program.post("/api/v1/users", {"name": "Eve"})).status == 403
    assert (await program.get("/api/v1/settings")).status == 403


async def test_the_system_page_tells_how_the_server_is_doing(office: Office, anna: Visitor) -> None:
    state = (await office.operator().get("/api/v1/system")).json
    assert (state["users"], state["registrations"], state["domain"]) == (2, 0, office.house.domain)
    assert state["disk"]["total"] > state["disk"]["free"] > 0 < state["disk"]["database"]
    assert (await anna.get("/api/v1/system")).status == 403
