# SPDX-License-Identifier: Apache-2.0
"""Does a dry run decide as the real thing does, send nothing, and leave everything as it was?"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from explain_rig import ExplainedOffice, answered, call_id_of, in_an_office, sound
from server_rig import DOMAIN

from ringback.pbx.decision_places import in_words
from ringback.pbx.dry_run import UnfitMessage
from ringback.server.config import Settings

INVITE = f"INVITE sip:102@{DOMAIN} SIP/2.0\nContent-Type: application/sdp\n\n"


async def tried(office: ExplainedOffice, message: str, **arguments: str) -> dict[str, Any]:
    """The dry run; it must not have sent or changed anything."""
    before = (office.network.statistics.sent, len(office.server.location), office.server.status())
    known = len(office.server.decisions)
    answer = await office.system.ask("dry-run", {"message": message, "source": "10.0.0.11:5060", **arguments})
    await asyncio.sleep(5)
    assert (office.network.statistics.sent, len(office.server.location), office.server.status()) == before
    assert len(office.server.decisions) == known
    return answer


def facts(decisions: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    return [tuple(str(each[name]) for name in ("service", "rule", "verdict", "chose")) for each in decisions]


@pytest.mark.parametrize("mode", ["bridge", "proxy"])
def test_a_dry_run_decides_as_the_real_call_does(mode: str) -> None:
    async def check(office: ExplainedOffice) -> None:
        anna, bob = await office.phone("101", "10.0.0.11"), await office.phone("102", "10.0.0.12")
        answer = await tried(office, INVITE + sound("10.0.0.11").decode(), **{"as": "101"})
        assert [each["to"] for each in answer["outgoing"]] == ["10.0.0.12:5060"]
        assert answer["outgoing"][0]["text"].startswith("INVITE sip:102@10.0.0.12:5060 SIP/2.0\r\n")
        assert answer["response"]["status"] == 100
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sound("10.0.0.11"))
        await answered(bob, status=180)
        await asyncio.sleep(1)
        real = (await office.explain(call_id_of(leg.invite)))["decisions"]
        tried_calls, real_calls = (
            [each for each in facts(one) if each[1] != "mode"] for one in (answer["decisions"], real)
        )
        assert tried_calls == real_calls
        assert len(real) >= 4

    in_an_office(check, calls=mode)


def test_a_dry_run_says_which_way_the_sound_would_go() -> None:
    async def check(office: ExplainedOffice) -> None:
        await office.phone("102", "10.0.0.12")
        answer = await tried(
            office, INVITE + sound("192.168.1.20").decode(), source="203.0.113.7:5060", **{"as": "101"}
        )
        (offered,) = [each for each in answer["decisions"] if each["rule"] == "sound"]
        assert "101 is behind a NAT (192.168.1.20, seen from 203.0.113.7)" in offered["saw"]
        assert "c=IN IP4 10.0.0.1\r\n" in answer["outgoing"][0]["text"]

    in_an_office(check, has_plane=True)


def test_a_stranger_and_a_user_are_told_apart() -> None:
    async def check(office: ExplainedOffice) -> None:
        stranger = await tried(office, INVITE)
        assert stranger["response"]["status"] == 403
        assert stranger["decisions"][-1]["source"] == "setting proxy.strangers_may_call"
        nobody = await tried(office, INVITE, **{"as": "101"})
        assert nobody["response"]["status"] == 480
        assert nobody["decisions"][-1]["rejected"] == ["no phone of 102 is registered"]

    in_an_office(check)


def test_a_registration_that_is_tried_registers_nobody() -> None:
    async def check(office: ExplainedOffice) -> None:
        message = (
            f"REGISTER sip:{DOMAIN} SIP/2.0\nTo: <sip:101@{DOMAIN}>\nContact: <sip:101@10.0.0.11:5060>\n"
        )
        answer = await tried(office, message, **{"as": "101"})
        assert answer["response"]["status"] == 200
        assert answer["decisions"][-1]["service"] == "registrar"
        assert office.system.registrations() == []

    in_an_office(check)


def test_an_application_is_found_and_does_not_speak() -> None:
    async def check(office: ExplainedOffice) -> None:
        answer = await tried(office, f"INVITE sip:*43@{DOMAIN} SIP/2.0\n", **{"as": "101"})
        assert [each["chose"] for each in answer["decisions"][-2:]] == ["the application *43", "it answers"]
        assert "dial plan rule 'feature code' (pbx/dialplan.py:" in answer["decisions"][-2]["source"]
        assert answer["outgoing"] == []

    in_an_office(check)


def test_another_domain_is_not_looked_up() -> None:
    async def check(office: ExplainedOffice) -> None:
        answer = await tried(office, "INVITE sip:bob@elsewhere.example SIP/2.0\n", **{"as": "101"})
        assert [each["to"] for each in answer["outgoing"]] == ["elsewhere.example:5060"]

    in_an_office(check)


def test_secrets_of_a_message_that_is_tried_are_struck_out() -> None:
    async def check(office: ExplainedOffice) -> None:
        await office.phone("102", "10.0.0.12")
        key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5"
        answer = await tried(office, INVITE + sound("10.0.0.11", extra=key).decode(), **{"as": "101"})
        assert "MDEyMzQ1" not in str(answer)
        assert answer["outgoing"]

    in_an_office(check)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"message": ""}, "the first line must be that of a request"),
        ({"message": "SIP/2.0 200 OK\n"}, "the first line must be that of a request"),
        ({"message": "INVITE sip:102@x SIP/2.0\n" + "a" * 70_000}, "longer than"),
        ({"message": INVITE, "source": "somewhere"}, "the source is an address and a port"),
        ({"message": INVITE, "transport": "SMOKE"}, "the transport is one of"),
        ({"message": INVITE, "as": "777"}, "there is no user 777"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(arguments: dict[str, str], complaint: str) -> None:
    async def check(office: ExplainedOffice) -> None:
        with pytest.raises(UnfitMessage, match=complaint):
            await office.system.ask("dry-run", {"source": "10.0.0.11:5060", **arguments})

    in_an_office(check)


def test_a_setting_is_shown_with_its_value_and_its_line() -> None:
    settings = Settings()
    origins = {
        ("proxy", "ring_time"): "/etc/ringback/ringback.toml:12:1",
        ("calls", "mode"): "RINGBACK_CALLS__MODE",
    }
    assert in_words("setting proxy.ring_time", settings, origins) == (
        "setting proxy.ring_time = 120.0 (ringback.toml:12)"
    )
    assert in_words("setting calls.mode", settings, origins) == (
        'setting calls.mode = "bridge" (RINGBACK_CALLS__MODE)'
    )
    assert in_words("setting proxy.strangers_may_call", settings, {}) == (
        "setting proxy.strangers_may_call = false (default)"
    )
    assert in_words("RFC 3261 16.3", settings, {}) == "RFC 3261 16.3"
