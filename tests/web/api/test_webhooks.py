# SPDX-License-Identifier: Apache-2.0
"""Webhooks over the API, and how events get to them."""

import asyncio
import json
import sqlite3

import pytest
from office_rig import Office

from ringback.server.storage.sqlite import FILE_NAME
from ringback.web.webhook_deliveries import BACKOFF, LIFETIME
from ringback.web.webhook_post import Posted

URL = "https://crm.example/hook"


async def _add(office: Office, *events: str) -> str:
    answer = await office.admin().post("/api/v1/webhooks", {"url": URL, "events": list(events or ("*",))})
    assert answer.status == 201, answer.text
    return str(answer.json["webhook"]["id"])


async def _deliveries(office: Office, webhook: str) -> list[dict[str, object]]:
    return (await office.admin().get(f"/api/v1/webhooks/{webhook}/deliveries")).json["items"]


async def test_the_secret_is_shown_once_and_sealed(office: Office) -> None:
    answer = await office.admin().post("/api/v1/webhooks", {"url": URL, "events": ["call.*"]})
    secret = answer.json["secret"]
    assert secret.startswith("whsec_")
    webhook = answer.json["webhook"]
    page = await office.admin().get("/api/v1/webhooks")
    assert page.json["items"] == [webhook]
    assert secret not in page.text
    assert office.house.webhooks.secret(webhook["id"]) == secret
    assert secret.encode() not in b"".join(file.read_bytes() for file in office.house.directory.glob("*.db*"))
    assert secret not in (await office.admin().get("/api/v1/audit")).text


async def test_an_event_reaches_those_who_want_its_kind_and_survives_a_restart(office: Office) -> None:
    await _add(office, "call.*")
    await _add(office, "phone.registered")
    deliveries = office.house.deliveries
    deliveries.hear({"kind": "call.ended", "at": 5.0, "call": {"id": "abc"}})
    await deliveries.close()
    assert office.mailbox.posted == []
    await deliveries.deliver()
    assert [(url, kind, json.loads(body)) for url, kind, body in office.mailbox.posted] == [
        (URL, "call.ended", {"kind": "call.ended", "at": 5.0, "call": {"id": "abc"}})
    ]


async def test_what_does_not_arrive_is_tried_ever_less_often_and_given_up_after_a_day(office: Office) -> None:
    webhook = await _add(office)
    office.mailbox.answers = [Posted(500, "it answered 500")] * 1000
    office.house.deliveries.hear({"kind": "call.ended", "at": 1.0})
    began, waits = office.now[0], []
    while (due := await office.house.deliveries.deliver()) is not None:
        waits.append(due - office.now[0])
        office.now[0] = due
    assert [round(wait) for wait in waits[: len(BACKOFF)]] == [round(each) for each in BACKOFF]
    assert office.now[0] - began < LIFETIME <= office.now[0] - began + BACKOFF[-1]
    [delivery] = await _deliveries(office, webhook)
    assert (delivery["attempts"], delivery["failure"], delivery["next_attempt_at"]) == (
        len(waits) + 1, "it answered 500", None,
    )  # fmt: skip


async def test_events_wait_in_order_while_nobody_is_there(office: Office) -> None:
    await _add(office)
    office.mailbox.answers = [Posted(0, "connection refused")]
    for number in range(3):
        office.house.deliveries.hear({"kind": "call.ended", "at": float(number)})
    due = await office.house.deliveries.deliver()
    assert len(office.mailbox.posted) == 1
    office.now[0] = due
    assert await office.house.deliveries.deliver() is None
    assert [json.loads(body)["at"] for _, _, body in office.mailbox.posted] == [0.0, 0.0, 1.0, 2.0]


async def test_one_that_refuses_an_event_still_gets_the_next(office: Office) -> None:
    await _add(office)
    office.mailbox.answers = [Posted(400, "it answered 400")]
    for number in range(2):
        office.house.deliveries.hear({"kind": "call.ended", "at": float(number)})
    await office.house.deliveries.deliver()
    assert [json.loads(body)["at"] for _, _, body in office.mailbox.posted] == [0.0, 1.0]


async def test_a_webhook_that_is_off_gets_nothing_and_one_that_is_tried_gets_a_test(office: Office) -> None:
    webhook = await _add(office)
    admin = office.admin()
    assert (await admin.post(f"/api/v1/webhooks/{webhook}/test")).status == 202
    await office.house.deliveries.deliver()
    assert [kind for _, kind, _ in office.mailbox.posted] == ["webhook.test"]
    changed = await admin.patch(f"/api/v1/webhooks/{webhook}", {"enabled": False})
    assert changed.json["enabled"] is False
    office.house.deliveries.hear({"kind": "call.ended", "at": 1.0})
    await office.house.deliveries.deliver()
    assert len(office.mailbox.posted) == 1


async def test_an_event_leaves_by_itself_as_soon_as_it_happens(office: Office) -> None:
    webhook = await _add(office)
    await office.house.deliveries.start()
    try:
        office.house.events.post({"kind": "call.ended", "at": 1.0})
        async with asyncio.timeout(20):
            while not (await _deliveries(office, webhook) or [{}])[0].get("delivered_at"):
                await asyncio.to_thread(office.house.webhooks.health)
    finally:
        await office.house.deliveries.close()
    assert [kind for _, kind, _ in office.mailbox.posted] == ["call.ended"]


async def test_a_webhook_whose_secret_cannot_be_read_waits(office: Office) -> None:
    webhook = await _add(office)
    with sqlite3.connect(office.house.directory / FILE_NAME) as database:
        database.execute("UPDATE webhooks SET secret = x'00'")
    office.house.deliveries.hear({"kind": "call.ended", "at": 1.0})
    assert await office.house.deliveries.deliver() == office.now[0] + 3600
    assert office.mailbox.posted == []
    assert len(await _deliveries(office, webhook)) == 1


async def test_a_removed_webhook_takes_what_waits_along(office: Office) -> None:
    webhook = await _add(office)
    office.mailbox.answers = [Posted(0, "away")]
    office.house.deliveries.hear({"kind": "call.ended", "at": 1.0})
    await office.house.deliveries.deliver()
    admin = office.admin()
    assert (await admin.delete(f"/api/v1/webhooks/{webhook}")).status == 200
    assert (await admin.get(f"/api/v1/webhooks/{webhook}/deliveries")).status == 404
    assert await office.house.deliveries.deliver() is None


async def test_what_waits_has_an_end(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ringback.server.storage.webhooks.MAX_WAITING", 3)
    webhook = await _add(office)
    office.mailbox.answers = [Posted(0, "away")] * 9
    for number in range(5):
        office.house.deliveries.hear({"kind": "call.ended", "at": float(number)})
    await office.house.deliveries.deliver()
    assert len(await _deliveries(office, webhook)) == 3
    assert office.house.deliveries.dropped == 2


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://[::1]/", "http://10.0.0.1/x", "http://192.168.1.1:8080/", "http://169.254.169.254/",
        "http://2130706433/", "http://0x7f.1/", "http://localhost/", "http://[::ffff:127.0.0.1]/", "http://0.0.0.0/",
        "http://[fe80::1]/", "http://[64:ff9b::a00:1]/", "http://[2002:7f00:1::]/", "http://224.0.0.1/",
        "https://anna:secret@crm.example/", "ftp://crm.example/", "https:///nowhere", "https://crm.example:99999/",
    ],
)  # fmt: skip
async def test_a_webhook_cannot_lead_inside(office: Office, url: str) -> None:
    answer = await office.admin().post("/api/v1/webhooks", {"url": url})
    assert (answer.status, answer.json["errors"][0]["field"]) == (422, "url")


async def test_only_admins_have_webhooks(office: Office) -> None:
    assert (await office.operator().get("/api/v1/webhooks")).status == 403
    assert (await office.stranger().post("/api/v1/webhooks", {"url": URL})).status == 401
