# SPDX-License-Identifier: Apache-2.0
"""Nobody gets further than their role, their scopes and their own calls, by whatever detour."""

from typing import Any

import pytest
from office_rig import Office, Visitor
from test_visibility import record


@pytest.fixture
async def staff(office: Office) -> Office:
    """Olga, the owner, has 101, Ben 102, Cleo 103."""
    owner = office.owner()
    for name in ("Olga", "Ben", "Cleo"):
        assert (await owner.post("/api/v1/users", {"name": name})).status == 201
    return office


async def test_a_token_that_adds_users_never_becomes_a_session_of_its_owner(staff: Office) -> None:
    program = staff.with_token(staff.signed_in("owner", "Olga", "101"), "users:write")
    refused = [
        await program.post("/api/v1/users/101/invitations"),
        await program.patch("/api/v1/users/102", {"role": "admin"}),
        await program.patch("/api/v1/users/101", {"email": "eve@example.com"}),
        await program.delete("/api/v1/users/101"),
    ]
    assert [(answer.status, "token" in str(answer.json)) for answer in refused] == [(403, True)] * 4
    assert (await program.post("/api/v1/users", {"name": "Dora"})).status == 201
    assert (await program.patch("/api/v1/users/102", {"name": "Benedict"})).status == 200
    assert (await program.post("/api/v1/users/102/invitations")).status == 201


async def test_an_operator_makes_no_phone_that_speaks_in_the_name_of_somebody_else(staff: Office) -> None:
    operator = staff.operator()
    assert (await operator.post("/api/v1/users/101/devices", {"name": "mine"})).status == 403
    made = await staff.admin().post("/api/v1/users/101/devices", {"name": "Desk"})
    device = made.json["device"]["id"]
    assert (await operator.patch(f"/api/v1/devices/{device}", {"security": "off"})).status == 403
    assert (await operator.delete(f"/api/v1/devices/{device}")).status == 403
    assert (await operator.get("/api/v1/users/101/devices")).json["total"] == 1
    ben = staff.signed_in("person", "Ben", "102")
    assert (await ben.post("/api/v1/users/102/devices", {"name": "own"})).status == 201


async def test_whose_phone_only_rang_neither_listens_nor_commands(staff: Office) -> None:
    """Somebody dialled 0: the phones of 102 and 103 rang, and 102 answered."""
    call = record("aaaaaaaaaaaaaaaa", "101", "102", recording="one.wav", dialled="0")
    call["legs"].append({**call["legs"][1], "name": "c", "number": "103", "status": 487})
    folder = staff.house.directory / "recordings"
    folder.mkdir(exist_ok=True)
    (folder / "one.wav").write_bytes(b"RIFF")
    assert staff.house.records.put(call)
    assert staff.house.records.flush()
    ben, cleo = staff.signed_in("person", "Ben", "102"), staff.signed_in("person", "Cleo", "103")
    path = "/api/v1/records/aaaaaaaaaaaaaaaa"
    assert [(await each.get(path)).status for each in (ben, cleo)] == [200, 200]
    assert [(await each.get(f"{path}/recording")).status for each in (ben, cleo)] == [200, 403]
    asked = _play(staff, call)
    for visitor, status in ((cleo, 403), (ben, 200)):
        answers = [await visitor.delete("/api/v1/calls/aaaaaaaaaaaaaaaa"), await _transfer(visitor)]
        assert [answer.status for answer in answers] == [status] * 2
    assert asked == ["call", "call", "call", "call-hangup", "call", "call-transfer"]


def _play(office: Office, call: dict[str, Any]) -> list[str]:
    """A telephone server on which this call is on; what it is asked."""
    asked: list[str] = []

    class Played:
        async def ask(self, verb: str, *, timeout: float = 10.0, **_: Any) -> dict[str, Any]:
            asked.append(verb)
            return {"found": True, "call": call}

    office.house.server = Played()
    return asked


async def _transfer(visitor: Visitor) -> Any:
    return await visitor.post("/api/v1/calls/aaaaaaaaaaaaaaaa/transfer", {"to": "104", "leg": "caller"})
