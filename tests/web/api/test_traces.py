# SPDX-License-Identifier: Apache-2.0
"""Messages that the server saw, as the API tells them: by call, by caller, as a ladder, as files, explained."""

import asyncio
import socket
import time
from typing import Any

import pytest
from office_rig import Office

from ringback.pbx.accounts import new_user

CANARY = "\u202e<script>alert(1)</script>"


def _invite(server: str, client: str) -> bytes:
    lines = (
        f"INVITE sip:102@{server} SIP/2.0",
        f"Via: SIP/2.0/UDP {client};branch=z9hG4bKcanary;rport",
        f'From: "{CANARY}" <sip:mallory@elsewhere.example>;tag=1',
        f"To: <sip:102@{server}>",
        "Call-ID: canary-call@elsewhere.example",
        "CSeq: 1 INVITE",
        f"Contact: <sip:mallory@{client}>",
        "Max-Forwards: 70",
        "Content-Length: 0",
    )
    return "\r\n".join([*lines, "", ""]).encode()


@pytest.fixture
async def refused(office: Office) -> dict[str, Any]:
    """A stranger's call that was refused; its record as soon as it is written."""
    office.house.store.put_user(new_user("102", "Ben", password="x", realm=office.house.realm))
    await office.house.server.ask("users-changed")
    host, _, port = office.process.addresses()["udp"].rpartition(":")
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.bind(("127.0.0.1", 0))
        client = f"127.0.0.1:{sock.getsockname()[1]}"
        await loop.sock_sendto(sock, _invite(f"{host}:{port}", client), (host, int(port)))
        answer = await asyncio.wait_for(loop.sock_recv(sock, 65_536), 5)
    assert answer.startswith((b"SIP/2.0 401", b"SIP/2.0 403", b"SIP/2.0 407", b"SIP/2.0 100"))
    return {"call_id": "canary-call@elsewhere.example", "answer": answer}


async def test_messages_are_found_by_call_and_by_caller(office: Office, refused: dict[str, Any]) -> None:
    operator = office.operator()
    for question in (f"call_id={refused['call_id']}", "from=mallory", "to=102"):
        messages = (await operator.get(f"/api/v1/traces?{question}")).json["messages"]
        assert messages, question
        assert messages[0]["summary"].startswith("INVITE sip:102@")
        assert CANARY in messages[0]["text"]
    assert (await operator.get("/api/v1/traces?from=nobody")).json["messages"] == []
    [call] = (await operator.get("/api/v1/traces/calls")).json["items"]
    assert (call["call_id"], call["method"], call["from"]) == (
        refused["call_id"], "INVITE", "sip:mallory@elsewhere.example",
    )  # fmt: skip


async def test_why_a_call_was_refused_is_explained(office: Office, refused: dict[str, Any]) -> None:
    found = (await office.operator().get(f"/api/v1/explain/{refused['call_id']}")).json
    assert found["call_ids"] == [refused["call_id"]]
    assert found["decisions"], found
    assert (await office.operator().get("/api/v1/explain/nothing-like-it")).status == 404


async def test_a_message_is_tried_without_being_sent(office: Office, refused: dict[str, Any]) -> None:
    message = _invite("office.example", "198.51.100.7:5060").decode()
    tried = await office.operator().post(
        "/api/v1/explain", {"message": message, "source": "198.51.100.7:5060"}
    )
    assert tried.status == 200
    assert tried.json["response"]["status"] == 403
    assert tried.json["decisions"]
    assert tried.json["outgoing"] == []
    wrong = await office.operator().post("/api/v1/explain", {"message": "nonsense"})
    assert wrong.status in (200, 422)


async def test_a_record_has_its_ladder_and_its_files(office: Office, refused: dict[str, Any]) -> None:
    record = {
        "id": "a" * 16, "began_at": time.time(), "answered_at": None, "ended_at": time.time(),
        "caller": {"number": "", "name": CANARY, "device": "", "user_agent": CANARY},
        "callee": {"number": "102", "name": "Ben", "device": "", "user_agent": ""}, "dialled": "102",
        "state": "ended", "result": "refused", "status": 403, "ended_by": "server", "how_ended": "refused",
        "mode": "bridge", "anchored": "", "call_ids": [refused["call_id"]], "legs": [], "quality": [],
        "notes": [], "decisions": [], "verdicts": [], "recording": "",
    }  # fmt: skip
    assert office.house.records.put(record)
    assert office.house.records.flush()
    operator, path = office.operator(), f"/api/v1/records/{'a' * 16}"
    assert (await operator.get(path)).json["decisions"]
    trace = (await operator.get(f"{path}/trace")).json
    assert trace["picture"]["arrows"][0]["label"].startswith("INVITE")
    assert {arrow["index"] for arrow in trace["picture"]["arrows"]} <= set(range(len(trace["messages"])))
    file = await operator.get(f"{path}/trace.pcap")
    assert file.body[:4] in (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4")
    page = await operator.get(f"{path}/page.html")
    assert "<script>" not in page.text
    assert page.headers["content-disposition"] == f'attachment; filename="call-{"a" * 16}.html"'


async def test_the_trace_is_switched_off_and_on(office: Office) -> None:
    admin = office.admin()
    assert (await admin.put("/api/v1/traces", {"enabled": False})).json["enabled"] is False
    assert (await office.operator().get("/api/v1/traces/status")).json["enabled"] is False
    assert (await admin.put("/api/v1/traces", {"enabled": True, "sampling": 0.5})).json["sampling"] == 0.5
    assert (await admin.put("/api/v1/traces", {"sampling": 2})).status == 422
    assert (await office.operator().put("/api/v1/traces", {"enabled": False})).status == 403


async def test_a_person_reads_no_messages(office: Office, refused: dict[str, Any]) -> None:
    ben = office.signed_in("person", "Ben", "102")
    for path in ("/api/v1/traces", "/api/v1/traces/calls", "/api/v1/explain/x"):
        assert (await ben.get(path)).status == 403
