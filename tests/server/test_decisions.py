# SPDX-License-Identifier: Apache-2.0
"""Are decisions kept, found again, and bounded whatever comes? And does every clause say something?"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from server_rig import DOMAIN, SERVER, Rig, final, on_a_server, talk, with_bridge, with_proxy

from ringback.server import clauses
from ringback.server.config import Settings
from ringback.server.decisions import AGE, NOTES, Clause, Decisions
from ringback.server.reload import value_at
from ringback.testing import messages

SEEN = Clause("test", "rule", "noted", "saw {0}", "chose {1}", "a source")
ROWS = {name: value for name, value in vars(clauses).items() if isinstance(value, Clause)}


def call_id_of(data: bytes) -> str:
    found = re.search(rb"\r\nCall-ID: ([^\r]+)", data)
    assert found is not None
    return found[1].decode()


def test_a_note_is_put_into_words_when_somebody_asks() -> None:
    decisions = Decisions(clock=lambda: 100.0, wall_clock=lambda: 1_000_100.0)
    decisions.note("a", 40.0, SEEN, "red", "blue")
    assert decisions.of("a") == [
        {
            "at": 1_000_040.0, "service": "test", "rule": "rule", "verdict": "noted",
            "saw": "saw red", "chose": "chose blue", "rejected": [], "source": "a source",
        }
    ]  # fmt: skip
    assert decisions.of("b") == []


def test_a_leg_leads_to_its_call_and_the_call_to_its_legs() -> None:
    decisions = Decisions(clock=lambda: 0.0, wall_clock=lambda: 0.0)
    decisions.note("call", 1.0, SEEN, 1, 2)
    decisions.link("leg", "call", 1.0)
    decisions.link("call", "call", 1.0)
    assert decisions.of("leg") == decisions.of("call")
    assert (decisions.main("leg"), decisions.legs_of("call")) == ("call", ["leg"])
    assert decisions.beginning_with("le") == ["leg"]


def test_the_oldest_call_makes_room_and_what_is_too_old_does_too() -> None:
    decisions = Decisions(calls=3)
    for number in range(5):
        decisions.note(f"call-{number}", float(number), SEEN, number, number)
    assert [decisions.knows(f"call-{number}") for number in range(5)] == [False, False, True, True, True]
    decisions.note("late", 5 + AGE, SEEN, 1, 1)
    assert not decisions.knows("call-2")
    assert len(decisions) == 3


def test_one_call_cannot_make_its_notes_grow_without_end() -> None:
    decisions = Decisions()
    for number in range(1000):
        decisions.note("call", 0.0, SEEN, number, number)
    assert 3 * len(decisions.of("call")) == NOTES


def test_scanners_and_registrations_do_not_push_out_calls() -> None:
    async def check(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        leg = await anna.call(f"sip:102@{DOMAIN}")
        await bob.peer.expect("INVITE")
        bob.peer.reply(486)
        await leg.answered(486)
        eve = await rig.device("999", "10.0.0.66")
        for number in range(2100):
            eve.send("INVITE", f"sip:102@{DOMAIN}", call_id=f"scan-{number}")
        await asyncio.sleep(1)
        decisions = rig.server.decisions
        assert [each["service"] for each in decisions.of(call_id_of(leg.invite))] == [
            "authentication", "destination", "target set", "proxy", "proxy",
        ]  # fmt: skip
        assert len(decisions) < 2100
        assert decisions.of("scan-2099")[0]["saw"] == "INVITE without credentials for this server"

    on_a_server(check, settings=with_proxy())


def test_every_decision_of_a_bridged_call_is_told_in_order() -> None:
    async def check(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        leg = await anna.call(f"sip:102@{DOMAIN}")
        invite = await bob.peer.expect("INVITE")
        bob.peer.reply(200, headers=[("Contact", f"<{bob.contact}>")])
        await anna.peer.expect(200)
        await asyncio.sleep(0.1)
        told = rig.server.decisions.of(call_id_of(leg.invite))
        assert [(each["service"], each["rule"], each["verdict"]) for each in told] == [
            ("authentication", "credentials", "asked"),
            ("authentication", "credentials", "passed"),
            ("destination", "dial plan", "chosen"),
            ("target set", "phones", "chosen"),
            ("bridge", "mode", "chosen"),
            ("bridge", "search", "chosen"),
        ]
        assert told[3]["chose"] == "sip:102@10.0.0.12:5060 (UDP 10.0.0.12:5060)"
        assert rig.server.decisions.of(invite.call_id) == told

    on_a_server(check, settings=with_bridge())


def test_a_transfer_is_among_the_decisions() -> None:
    async def check(rig: Rig) -> None:
        anna, _, leg = await talk(rig)
        leg.request("REFER", headers=[("Refer-To", f"<sip:103@{DOMAIN}>"), ("Contact", f"<{anna.contact}>")])
        await anna.peer.expect(202, skip=("NOTIFY", "INVITE"))
        told = [
            each for each in rig.server.decisions.of(call_id_of(leg.invite)) if each["service"] == "transfer"
        ]
        assert [each["saw"] for each in told] == ["101 sends the other to <sip:103@ringback.test>"]

    on_a_server(check, settings=with_bridge())


def test_a_request_that_admission_refused_is_explained() -> None:
    async def check(rig: Rig) -> None:
        eve = await rig.device("999", "10.0.0.66")
        invite = messages.request(
            "INVITE", f"sip:102@{DOMAIN}", via="SIP/2.0/UDP 10.0.0.66:5060", call_id="hops"
        )
        eve.peer.send(invite.replace(b"Max-Forwards: 70", b"Max-Forwards: 0"), SERVER)
        response = await final(eve.peer)
        assert response.status == 483
        (told,) = rig.server.decisions.of("hops")
        assert (told["saw"], told["chose"]) == ("Max-Forwards is 0", "483 Too Many Hops")

    on_a_server(check)


@pytest.mark.parametrize("name", sorted(ROWS))
def test_every_clause_is_used_by_a_service_and_names_settings_that_exist(name: str) -> None:
    source = "".join(
        path.read_text()
        for path in (Path(clauses.__file__).parents[1]).rglob("*.py")
        if path.name != "clauses.py"
    )
    assert f"clauses.{name}" in source
    for setting in re.findall(r"setting ([a-z_.]+)", ROWS[name].source):
        value_at(Settings(), tuple(setting.split(".")))
