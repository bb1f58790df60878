# SPDX-License-Identifier: Apache-2.0
"""Who sees which calls, phones and recordings; what strangers wrote about themselves stays text."""

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest
from office_rig import Office, Visitor

from ringback.pbx.accounts import new_user
from ringback.server.storage.store import BindingRecord

#: Records of last year would not be kept.
BEGAN = float(int(time.time()) - 3600)
CANARY = '=HYPERLINK("http://x")\u202e\x1b[31m<script>'


def record(key: str, caller: str, callee: str, **more: object) -> dict[str, Any]:
    """A call as the server writes it down."""

    def party(number: str) -> dict[str, str]:
        return {"number": number, "name": f"name {number}", "device": "", "user_agent": "Desk 1"}

    def leg(name: str, number: str) -> dict[str, Any]:
        return {
            "name": name, "number": number, "display": "", "address": "198.51.100.7:5060", "call_id": f"{key}-{name}",
            "status": 0, "security": "", "suite": "", "media_address": "198.51.100.7:4000", "streams": [],
        }  # fmt: skip

    return {
        "id": key, "began_at": BEGAN, "answered_at": BEGAN + 2, "ended_at": BEGAN + 65,
        "caller": party(caller), "callee": party(callee), "dialled": callee, "state": "ended", "result": "answered",
        "status": 200, "ended_by": "caller", "how_ended": f"{caller} hung up", "mode": "bridge", "anchored": "",
        "call_ids": [f"{key}-a", f"{key}-b"], "legs": [leg("a", caller), leg("b", callee)],
        "quality": [{"at": BEGAN + 10, "leg": "a", "mos": 4.1, "loss": 0.0, "jitter_ms": 2.0}],
        "notes": [{"at": BEGAN + 1, "text": "rang"}], "decisions": [], "verdicts": [], "recording": "", **more,
    }  # fmt: skip


@pytest.fixture
async def calls(office: Office) -> Office:
    for number in ("101", "102", "103"):
        office.house.store.put_user(
            new_user(number, f"User {number}", password="x", realm=office.house.realm)
        )
    await office.house.server.ask("users-changed")
    for each in (
        record("aaaaaaaaaaaaaaaa", "101", "102"),
        record("bbbbbbbbbbbbbbbb", "102", "103", result="busy", answered_at=None),
        record("cccccccccccccccc", "103", "101", recording="one.wav"),
    ):
        assert office.house.records.put(each)
    assert office.house.records.flush()
    return office


def anna(office: Office) -> Visitor:
    return office.signed_in("person", "Anna", "101")


async def test_a_person_finds_their_own_calls_only(calls: Office) -> None:
    found = (await anna(calls).get("/api/v1/records")).json
    assert (sorted(item["id"] for item in found["items"]), found["total"]) == (
        ["aaaaaaaaaaaaaaaa", "cccccccccccccccc"], 2,
    )  # fmt: skip
    assert [i["id"] for i in (await anna(calls).get("/api/v1/records?number=103")).json["items"]] == [
        "cccccccccccccccc"
    ]
    assert "bbbbbbbbbbbbbbbb" not in (await anna(calls).get("/api/v1/records.csv")).text
    for path in ("", "/recording", "/trace", "/trace.pcap", "/page.html"):
        status = (await anna(calls).get(f"/api/v1/records/bbbbbbbbbbbbbbbb{path}")).status
        assert status == (403 if "trace" in path or "page" in path else 404), path


async def test_a_person_does_not_learn_where_the_other_side_is(calls: Office) -> None:
    legs = (await anna(calls).get("/api/v1/records/aaaaaaaaaaaaaaaa")).json["legs"]
    assert [(leg["number"], leg["address"], leg["media_address"]) for leg in legs] == [
        ("101", "198.51.100.7:5060", "198.51.100.7:4000"), ("102", "", ""),
    ]  # fmt: skip


async def test_an_operator_searches_all_calls(calls: Office) -> None:
    operator = calls.operator()
    found = (await operator.get("/api/v1/records?size=2&page=2")).json
    assert (found["total"], found["page"], len(found["items"])) == (3, 2, 1)
    assert (await operator.get("/api/v1/records?result=busy")).json["total"] == 1
    assert (await operator.get(f"/api/v1/records?since={BEGAN + 1}")).json["total"] == 0
    assert (await operator.get("/api/v1/records/aaaaaaaaaaaaaaaa-b")).json["id"] == "aaaaaaaaaaaaaaaa"
    assert (await operator.get("/api/v1/records/nothing")).status == 404


async def test_the_history_of_a_phone_is_told_from_its_side(calls: Office) -> None:
    items = (await anna(calls).get("/api/v1/phone/history")).json["items"]
    assert sorted((item["direction"], item["number"], item["seconds"]) for item in items) == [
        ("in", "103", 63.0), ("out", "102", 63.0),
    ]  # fmt: skip
    assert (await calls.operator().get("/api/v1/phone/history")).json["items"] == []


async def test_a_recording_is_a_file_of_its_folder_and_of_no_other(calls: Office) -> None:
    folder = calls.house.directory / "recordings"
    folder.mkdir(exist_ok=True)
    (folder / "one.wav").write_bytes(b"RIFF")
    (calls.house.directory / "secret.wav").write_bytes(b"no")
    (folder / "link.wav").symlink_to(calls.house.directory / "secret.wav")
    names = {
        "dddddddddddddddd": "../secret.wav",
        "eeeeeeeeeeeeeeee": "link.wav",
        "ffffffffffffffff": "/etc/passwd",
    }
    for key, name in names.items():
        assert calls.house.records.put(record(key, "101", "102", recording=name))
    assert calls.house.records.flush()
    answer = await anna(calls).get("/api/v1/records/cccccccccccccccc/recording")
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, b"RIFF", "audio/wav")
    for key in names:
        assert (await calls.operator().get(f"/api/v1/records/{key}/recording")).status == 404


async def test_what_strangers_call_themselves_is_text_in_tables(office: Office) -> None:
    hostile = record("aaaaaaaaaaaaaaaa", "101", "102")
    hostile["caller"]["name"] = hostile["caller"]["user_agent"] = CANARY
    assert office.house.records.put(hostile)
    assert office.house.records.flush()
    answer = await office.operator().get("/api/v1/records.csv")
    assert answer.headers["content-disposition"].startswith("attachment")
    for trace in ("\x1b", "\u202e", ",=", ',"='):
        assert trace not in answer.text
    assert "'=HYPERLINK" in answer.text


async def test_registrations_are_listed_found_and_forgotten_one_by_one(calls: Office) -> None:
    one = BindingRecord(
        "101", "<urn:uuid:1/2>", "sip:101@198.51.100.7:5060", calls.house.clock() + 600, user_agent=CANARY
    )
    for binding in (one, replace(one, key="other"), replace(one, user="102", key="third")):
        calls.house.store.put_binding(binding)
    assert calls.house.store.flush()
    location = calls.process.system.server.location
    location.load(now=asyncio.get_running_loop().time())
    found = (await calls.operator().get("/api/v1/registrations")).json
    assert [(item["user"], item["name"]) for item in found["items"]] == [
        ("101", "User 101"), ("101", "User 101"), ("102", "User 102"),
    ]  # fmt: skip
    assert (await calls.operator().get("/api/v1/registrations?search=third")).json["total"] == 1
    assert [item["user"] for item in (await anna(calls).get("/api/v1/registrations")).json["items"]] == [
        "101"
    ] * 2
    table = (await calls.operator().get("/api/v1/registrations.csv")).text
    assert table.count("'=HYPERLINK") == 3
    key = "%3Curn%3Auuid%3A1%2F2%3E"
    assert (await anna(calls).delete("/api/v1/registrations/102/third")).status == 404
    assert (await anna(calls).delete(f"/api/v1/registrations/101/{key}")).status == 200
    assert (await anna(calls).delete(f"/api/v1/registrations/101/{key}")).status == 404
    left = (await calls.operator().get("/api/v1/registrations")).json["items"]
    assert [(item["user"], item["key"]) for item in left] == [("101", "other"), ("102", "third")]


async def test_contacts_say_who_is_there(calls: Office) -> None:
    items = (await anna(calls).get("/api/v1/phone/contacts")).json["items"]
    assert [(item["number"], item["state"]) for item in items] == [("102", "offline"), ("103", "offline")]


async def test_a_call_that_is_not_there_cannot_be_commanded(calls: Office) -> None:
    visitor = calls.operator()
    for path, body in (
        ("/transfer", {"to": "103"}), ("/record", {"on": True}), ("/play", {"prompt": "muted"}),
    ):  # fmt: skip
        assert (await visitor.post(f"/api/v1/calls/0000000000000000{path}", body)).status == 404
    assert (await visitor.delete("/api/v1/calls/0000000000000000")).status == 404
    assert (await visitor.get("/api/v1/calls")).json == {"items": [], "total": 0}
    assert (await anna(calls).post("/api/v1/calls", {"from": "102", "to": "103"})).status == 403
    unregistered = await anna(calls).post("/api/v1/calls", {"from": "101", "to": "103"})
    assert unregistered.status in (201, 422)


async def test_prompts_are_named_and_never_a_path(calls: Office) -> None:
    for prompt in ("../secret", "/etc/passwd", "a/b", ".hidden", "a\x00b"):
        answer = await calls.operator().post("/api/v1/calls/x/play", {"prompt": prompt})
        assert (answer.status, answer.json["errors"][0]["field"]) == (422, "prompt")


async def test_a_number_with_a_past_is_given_to_nobody_unasked(calls: Office) -> None:
    """Its new owner would see the calls of the one before."""
    admin = calls.admin()
    assert (await admin.delete("/api/v1/users/102")).status == 200
    assert (await admin.post("/api/v1/users", {"name": "New"})).json["user"]["number"] == "104"
    assert (await admin.post("/api/v1/users", {"name": "Wanted", "number": "102"})).status == 201
