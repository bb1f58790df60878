# SPDX-License-Identifier: Apache-2.0
"""Users over the API: added one by one and pasted, changed, removed, and who may see whom."""

import urllib.parse

from office_rig import Office

from ringback.sip.digest import ha1


async def test_a_new_user_gets_the_next_number_a_password_that_fits_and_an_invitation(office: Office) -> None:
    admin = office.admin()
    answer = await admin.post("/api/v1/users", {"name": "Anna", "email": "Anna@example.com"})
    assert answer.status == 201
    user, account = answer.json["user"], answer.json["account"]
    assert user == {
        "number": "101", "name": "Anna", "email": "anna@example.com", "role": "person",
        "devices": 0, "registered": 0, "on_call": False,
    }  # fmt: skip
    kept = office.house.store.users(number="101")[0]
    assert kept.ha1s["MD5"] == ha1("101", office.house.realm, account["password"], "MD5")
    assert account["qr"].startswith("data:image/svg+xml")
    assert account["uri"] == f"sip:101@{office.house.domain}"
    assert account["invitation"]["link"].startswith("https://office.example:8443/invite/")
    assert office.process.system.directory.name_of("101") == "Anna"
    assert (await admin.post("/api/v1/users", {"name": "Ben"})).json["user"]["number"] == "102"


async def test_numbers_that_call_an_ambulance_somewhere_are_given_to_nobody_unasked(office: Office) -> None:
    admin = office.admin()
    for number in range(101, 110):
        assert (await admin.post("/api/v1/users", {"name": "x", "number": str(number)})).status == 201
    assert (await admin.post("/api/v1/users", {"name": "Next"})).json["user"]["number"] == "111"


async def test_a_list_of_people_is_pasted_and_each_wrong_line_is_named(office: Office) -> None:
    text = "Anna, anna@example.com\r\n\nBen; 120\nnobody@example.com\nCleo <cleo@example.com>\nDora, 120\n"
    answer = await office.admin().post("/api/v1/users/bulk", {"text": text})
    assert answer.status == 201
    added = {item["user"]["number"]: item["user"]["name"] for item in answer.json["items"]}
    assert added == {"101": "Anna", "120": "Ben", "102": "Cleo"}
    assert answer.json["problems"] == [
        {"line": 4, "message": "there is no name in this line"},
        {"line": 6, "message": "user 120 is there already"},
    ]


async def test_a_mistake_is_told_at_its_field(office: Office) -> None:
    admin = office.admin()
    await admin.post("/api/v1/users", {"name": "Anna", "number": "101"})
    for body, status, field in (
        ({"name": "Ben", "number": "101"}, 409, "number"),
        ({"name": "Ben", "number": "12a"}, 422, "number"),
        ({"name": "B\u202een"}, 422, "name"),
        ({"name": 'B"en'}, 422, "name"),
        ({"name": "Ben", "email": "nowhere"}, 422, "email"),
        ({"name": "Ben", "colour": "red"}, 422, "colour"),
        ({}, 422, "name"),
    ):
        answer = await admin.post("/api/v1/users", body)
        assert (answer.status, answer.json["errors"][0]["field"]) == (status, field), body
        assert answer.headers["content-type"].startswith("application/problem+json")


async def test_the_owner_who_adds_themselves_keeps_their_way_to_sign_in(office: Office) -> None:
    owner = office.signed_in("owner", "Olga", email="olga@example.com")
    answer = await owner.post("/api/v1/users", {"name": "Olga", "email": "olga@example.com"})
    assert (answer.status, answer.json["user"]["role"], answer.json["account"]["invitation"]) == (
        201, "owner", None,
    )  # fmt: skip
    assert office.house.people.person_with("101").id == owner.person.id
    assert (await owner.delete("/api/v1/users/101")).status == 200
    assert office.house.people.person(owner.person.id).number == ""


async def test_a_person_sees_themselves_and_nobody_else(office: Office) -> None:
    admin = office.admin()
    for name in ("Anna", "Ben"):
        await admin.post("/api/v1/users", {"name": name})
    anna = office.signed_in("person", "Anna", "101")
    assert [user["number"] for user in (await anna.get("/api/v1/users")).json["items"]] == ["101"]
    assert (await anna.get("/api/v1/users/101")).status == 200
    for path in ("/api/v1/users/102", "/api/v1/users/999", "/api/v1/users/102/devices"):
        assert (await anna.get(path)).status == 404, path
    assert (await anna.post("/api/v1/users", {"name": "Cleo"})).status == 403
    assert (await anna.delete("/api/v1/users/102")).status == 403
    assert (await anna.post("/api/v1/users/102/devices", {"name": "x"})).status == 404


async def test_an_admin_neither_makes_nor_takes_over_an_owner(office: Office) -> None:
    owner, admin = office.owner(), office.admin()
    await owner.post("/api/v1/users", {"name": "Olga"})
    await owner.post("/api/v1/users", {"name": "Ben"})
    assert (await admin.patch("/api/v1/users/102", {"role": "owner"})).status == 403
    assert (await admin.patch("/api/v1/users/101", {"email": "ada@example.com"})).status == 403
    assert (await admin.post("/api/v1/users/101/invitations")).status == 403
    assert (await admin.delete("/api/v1/users/101")).status == 403
    assert (await owner.patch("/api/v1/users/102", {"role": "admin"})).json["role"] == "admin"


async def test_a_user_who_is_removed_takes_devices_and_way_to_sign_in_along(office: Office) -> None:
    admin = office.admin()
    await admin.post("/api/v1/users", {"name": "Anna"})
    await admin.post("/api/v1/users/101/devices", {"name": "Desk"})
    anna = office.signed_in("person", "Anna", "101")
    assert (await admin.delete("/api/v1/users/101")).json == {"done": True}
    assert office.house.store.devices() == []
    assert (await anna.get("/api/v1/users/101")).status == 401
    assert (await admin.get("/api/v1/users/101")).status == 404


async def test_an_invited_person_chooses_a_password_once_and_is_signed_in(office: Office) -> None:
    admin = office.admin()
    account = (await admin.post("/api/v1/users", {"name": "Anna"})).json["account"]
    token = urllib.parse.urlsplit(account["invitation"]["link"]).path.removeprefix("/invite/")
    stranger = office.stranger()
    invited = await stranger.get(f"/api/v1/invitations/{token}")
    assert (invited.json["name"], invited.json["number"]) == ("Anna", "101")
    assert (await stranger.post(f"/api/v1/invitations/{token}", {"password": "short"})).status == 422
    answer = await stranger.post(f"/api/v1/invitations/{token}", {"password": "a long sentence"})
    assert answer.status == 201
    assert answer.json["person"]["number"] == "101"
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert (await stranger.get(f"/api/v1/invitations/{token}")).status == 404
    assert office.house.people.person_with("101").password.startswith("$argon2id$")


async def test_a_link_for_others_names_no_address_of_this_machine_alone(office: Office) -> None:
    admin = office.admin()
    for host in ("localhost:8443", "127.0.0.1:8443", "[::1]:8443"):
        answer = await admin.ask("POST", "/api/v1/users", {"name": "Anna"}, host=host)
        address = office.house.addresses["wss"]
        assert answer.json["account"]["invitation"]["link"].startswith(f"https://{address}/invite/")


async def test_changes_are_in_the_audit_log_without_passwords(office: Office) -> None:
    admin = office.admin()
    password = (await admin.post("/api/v1/users", {"name": "Anna"})).json["account"]["password"]
    await admin.patch("/api/v1/users/101", {"name": "Anne"})
    entries = (await admin.get("/api/v1/audit")).json["items"]
    assert [(each["name"], each["action"], each["subject"]) for each in entries] == [
        ("Ada", "user.change", "101"), ("Ada", "user.add", "101"),
    ]  # fmt: skip
    assert (entries[0]["before"]["name"], entries[0]["after"]["name"]) == ("Anna", "Anne")
    assert password not in str(entries)


async def test_a_renamed_user_keeps_the_password_of_the_phone(office: Office) -> None:
    admin = office.admin()
    password = (await admin.post("/api/v1/users", {"name": "Anna"})).json["account"]["password"]
    assert (await admin.patch("/api/v1/users/101", {"name": "Anne"})).json["name"] == "Anne"
    kept = office.house.store.users(number="101")[0]
    assert (kept.name, kept.ha1s["MD5"]) == ("Anne", ha1("101", office.house.realm, password, "MD5"))
