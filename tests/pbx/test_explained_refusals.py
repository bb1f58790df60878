# SPDX-License-Identifier: Apache-2.0
"""Does the server say why a call did not come about, and by which rule? Each refusal is made with real messages."""

import asyncio
from typing import Any

import pytest
from explain_rig import ExplainedOffice, answered, call_id_of, in_an_office, sound, talk
from server_rig import DOMAIN, SERVER, ack_to, final

MODES = pytest.mark.parametrize("mode", ["bridge", "proxy"])


@MODES
@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (486, "RB-2020", "102 answered 486 Busy Here."),
        (603, "RB-2022", "102 answered 603"),
        (480, "RB-2021", "102 answered 480"),
        (403, "RB-2035", "102 answered 403"),
        (500, "RB-2034", "102 answered 500"),
    ],
)
def test_what_a_phone_answers_is_told_as_its_own_word(mode: str, status: int, code: str, words: str) -> None:
    async def check(office: ExplainedOffice) -> None:
        anna, bob = await office.phone("101", "10.0.0.11"), await office.phone("102", "10.0.0.12")
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sound("10.0.0.11"))
        await answered(bob, status=status)
        await leg.answered(status)
        await asyncio.sleep(1)
        verdicts = await office.verdicts(call_id_of(leg.invite))
        assert set(verdicts) == {code}
        assert words in verdicts[code]["text"]

    in_an_office(check, calls=mode)


@MODES
def test_a_call_that_one_of_two_phones_refused_and_the_other_took_has_no_verdict(mode: str) -> None:
    async def check(office: ExplainedOffice) -> None:
        anna = await office.phone("101", "10.0.0.11")
        desk, mobile = await office.phone("102", "10.0.0.12"), await office.phone("102", "10.0.0.13")
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sound("10.0.0.11"))
        await answered(desk, status=486)
        await desk.peer.expect("ACK")
        await answered(mobile, sound("10.0.0.13", 5000))
        await leg.answered(200)
        await asyncio.sleep(40)
        answer = await office.explain(call_id_of(leg.invite))
        assert answer["verdicts"] == []
        assert any("486" in each["saw"] for each in answer["decisions"])

    in_an_office(check, calls=mode)


@MODES
def test_a_call_that_its_caller_cancels_says_just_that(mode: str) -> None:
    async def check(office: ExplainedOffice) -> None:
        anna, bob = await office.phone("101", "10.0.0.11"), await office.phone("102", "10.0.0.12")
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sound("10.0.0.11"))
        await answered(bob, status=180)
        await anna.peer.expect(180)
        await asyncio.sleep(8)
        leg.cancel()
        await bob.peer.expect("CANCEL")
        bob.peer.reply(200)
        bob.peer.reply(487, to=next(data for data in bob.peer.heard if data.startswith(b"INVITE")))
        cancelled = await anna.peer.expect(487, skip=(200,))
        anna.peer.send(ack_to(leg.invite, cancelled), SERVER)
        await asyncio.sleep(40)
        verdicts = await office.verdicts(call_id_of(leg.invite))
        assert {code: each["severity"] for code, each in verdicts.items()} == {"RB-2023": "note"}
        assert verdicts["RB-2023"]["text"] == "101 gave up after 8 s."

    in_an_office(check, calls=mode)


@MODES
def test_a_phone_that_rings_until_the_end_was_not_answered(mode: str) -> None:
    async def check(office: ExplainedOffice) -> None:
        anna, bob = await office.phone("101", "10.0.0.11"), await office.phone("102", "10.0.0.12")
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sound("10.0.0.11"))
        await answered(bob, status=180)
        await bob.peer.expect("CANCEL")
        bob.peer.reply(200)
        bob.peer.reply(487, to=next(data for data in bob.peer.heard if data.startswith(b"INVITE")))
        await bob.peer.expect("ACK")
        await leg.answered(480, skip=(180, 487))
        await asyncio.sleep(1)
        answer = await office.explain(call_id_of(leg.invite))
        assert [each["code"] for each in answer["verdicts"]] == ["RB-2021"]
        assert any(each["source"] == "setting proxy.ring_time" for each in answer["decisions"])

    in_an_office(check, calls=mode, proxy={"ring_time": 10})


@MODES
def test_a_user_without_a_phone_is_told_from_one_whose_registration_has_expired(mode: str) -> None:
    async def check(office: ExplainedOffice) -> None:
        anna = await office.phone("101", "10.0.0.11")
        sent = await anna.ask("INVITE", f"sip:103@{DOMAIN}", body=sound("10.0.0.11"), call_id="nobody")
        anna.peer.send(ack_to(sent, await final(anna.peer)), SERVER)
        await office.phone("102", "10.0.0.12", expires=60)
        await asyncio.sleep(70)
        sent = await anna.ask("INVITE", f"sip:102@{DOMAIN}", body=sound("10.0.0.11"), call_id="expired")
        anna.peer.send(ack_to(sent, await final(anna.peer)), SERVER)
        await asyncio.sleep(1)
        nobody, expired = await office.verdicts("nobody"), await office.verdicts("expired")
        assert set(nobody) == {"RB-2011"}
        assert "no phone of 103 is registered" in nobody["RB-2011"]["text"]
        assert set(expired) <= {"RB-2011", "RB-3008"}

    in_an_office(check, calls=mode)


def test_a_registration_that_has_just_expired_is_named() -> None:
    async def check(office: ExplainedOffice) -> None:
        anna = await office.phone("101", "10.0.0.11")
        await asyncio.sleep(55)
        await office.phone("102", "10.0.0.12", expires=60)
        await asyncio.sleep(60.5)  # the sweep comes once a minute
        sent = await anna.ask("INVITE", f"sip:102@{DOMAIN}", body=sound("10.0.0.11"), call_id="expired")
        anna.peer.send(ack_to(sent, await final(anna.peer)), SERVER)
        await asyncio.sleep(1)
        verdicts = await office.verdicts("expired")
        assert set(verdicts) == {"RB-2011", "RB-3008"}
        assert "sip:102@10.0.0.12:5060: its registration has expired" in verdicts["RB-3008"]["text"]

    in_an_office(check)


@MODES
def test_a_phone_whose_connection_is_lost_is_told_from_one_that_never_registered(mode: str) -> None:
    async def check(office: ExplainedOffice) -> None:
        anna = await office.phone("101", "10.0.0.11")
        bob = await office.phone("102", "10.0.0.12", tcp=True)
        bob.peer.close()
        await asyncio.sleep(1)
        sent = await anna.ask("INVITE", f"sip:102@{DOMAIN}", body=sound("10.0.0.11"), call_id="lost")
        answer = await final(anna.peer)
        anna.peer.send(ack_to(sent, answer), SERVER)
        await asyncio.sleep(1)
        verdicts = await office.verdicts("lost")
        assert set(verdicts) == {"RB-2012"}, verdicts
        assert "its connection is lost" in verdicts["RB-2012"]["text"]

    in_an_office(check, calls=mode)


def test_a_number_that_nobody_has_is_unknown() -> None:
    async def check(office: ExplainedOffice) -> None:
        eve = await office.device("999", "10.0.0.66")
        sent = eve.send(
            "INVITE", f"sip:777@{DOMAIN}", from_="<sip:eve@elsewhere.example>;tag=e", call_id="unknown"
        )
        eve.peer.send(ack_to(sent, await final(eve.peer)), SERVER)
        await asyncio.sleep(1)
        answer = await office.explain("unknown")
        assert [each["code"] for each in answer["verdicts"]] == ["RB-2010"]
        assert "777 is nobody's number" in answer["verdicts"][0]["text"]

    in_an_office(check, proxy={"strangers_may_call": True})


@pytest.mark.parametrize("mode", ["bridge"])
def test_a_forbidden_destination_is_told_with_its_setting(mode: str) -> None:
    async def check(office: ExplainedOffice) -> None:
        anna = await office.phone("101", "10.0.0.11")
        sent = await anna.ask("INVITE", "sip:0900@expensive.example", body=sound("10.0.0.11"), call_id="out")
        refusal = await final(anna.peer)
        anna.peer.send(ack_to(sent, refusal), SERVER)
        await asyncio.sleep(1)
        verdicts = await office.verdicts("out")
        assert refusal.status == 403
        assert set(verdicts) == {"RB-2002"}
        text = verdicts["RB-2002"]["text"]
        assert "user 101 calls sip:0900@expensive.example, which is not in our domain" in text
        assert "setting proxy.users_may_call_out" in text

    in_an_office(check, calls=mode, proxy={"users_may_call_out": False})


def test_a_stranger_is_told_by_the_setting_that_keeps_strangers_out() -> None:
    async def check(office: ExplainedOffice) -> None:
        eve = await office.device("999", "10.0.0.66")
        sent = eve.send(
            "INVITE", f"sip:102@{DOMAIN}", from_="<sip:eve@elsewhere.example>;tag=e", call_id="eve"
        )
        eve.peer.send(ack_to(sent, await final(eve.peer)), SERVER)
        await asyncio.sleep(1)
        verdicts = await office.verdicts("eve")
        assert set(verdicts) == {"RB-2003"}
        assert "sip:eve@elsewhere.example has no account here" in verdicts["RB-2003"]["text"]

    in_an_office(check)


def test_a_user_who_writes_another_name_into_from_is_told_so() -> None:
    async def check(office: ExplainedOffice) -> None:
        anna = await office.phone("101", "10.0.0.11")
        sent = await anna.ask(
            "INVITE", f"sip:102@{DOMAIN}", from_=f"<sip:103@{DOMAIN}>;tag=x", call_id="false-name"
        )
        anna.peer.send(ack_to(sent, await final(anna.peer)), SERVER)
        await asyncio.sleep(1)
        verdicts = await office.verdicts("false-name")
        assert set(verdicts) == {"RB-2004"}
        assert "user 101 sends From: sip:103@ringback.test" in verdicts["RB-2004"]["text"]

    in_an_office(check)


def test_a_full_server_says_which_limit_was_reached() -> None:
    async def check(office: ExplainedOffice) -> None:
        anna, bob = await office.phone("101", "10.0.0.11"), await office.phone("102", "10.0.0.12")
        carol = await office.phone("103", "10.0.0.13")
        await anna.call(f"sip:102@{DOMAIN}", body=sound("10.0.0.11"))
        await answered(bob, status=180)
        sent = await carol.ask("INVITE", f"sip:102@{DOMAIN}", body=sound("10.0.0.13"), call_id="full")
        carol.peer.send(ack_to(sent, await final(carol.peer)), SERVER)
        await asyncio.sleep(1)
        verdicts = await office.verdicts("full")
        assert set(verdicts) == {"RB-2030"}
        assert "setting calls.max_bridged" in verdicts["RB-2030"]["text"]

    in_an_office(check, max_bridged=1)


def test_a_transfer_that_is_not_allowed_is_told() -> None:
    async def check(office: ExplainedOffice) -> None:
        anna, bob = await office.phone("101", "10.0.0.11"), await office.phone("102", "10.0.0.12")
        leg, _ = await talk(office, anna, bob)
        leg.request(
            "REFER", headers=[("Refer-To", "<sip:x@expensive.example>"), ("Contact", f"<{anna.contact}>")]
        )
        await anna.peer.expect(403)
        await asyncio.sleep(1)
        verdicts = await office.verdicts(call_id_of(leg.invite))
        assert set(verdicts) == {"RB-2040"}
        assert "101 wanted to hand the call to <sip:x@expensive.example>" in verdicts["RB-2040"]["text"]

    in_an_office(check, proxy={"users_may_call_out": False})


def test_the_verdicts_on_a_call_follow_its_end_and_a_good_call_has_none() -> None:
    async def check(office: ExplainedOffice) -> None:
        anna, bob = await office.phone("101", "10.0.0.11"), await office.phone("102", "10.0.0.12")
        judged: list[dict[str, Any]] = []
        office.system.bulletin.listen(judged.append, only=("call.judged",))
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sound("10.0.0.11"))
        await answered(bob, status=486)
        await leg.answered(486)
        await asyncio.sleep(3)
        await bob.peer.expect("ACK")
        good, _ = await talk(office, anna, bob)
        good.request("BYE")
        await bob.peer.expect("BYE")
        bob.peer.reply(200)
        await asyncio.sleep(5)
        (event,) = judged
        assert event["id"] == office.ended[0]["id"]
        assert [each["code"] for each in event["verdicts"]] == ["RB-2020"]
        assert len(office.ended) == 2

    in_an_office(check)
