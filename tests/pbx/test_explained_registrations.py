# SPDX-License-Identifier: Apache-2.0
"""Does the server say why a phone does not register? Real REGISTERs with wrong passwords, names and times."""

import asyncio

from explain_rig import ExplainedOffice, in_an_office
from server_rig import DOMAIN, SERVER, Device, final


async def register(office: ExplainedOffice, phone: Device, *, password: str, call_id: str) -> int:
    """One REGISTER with this password; its status."""
    phone.password = password
    return (await phone.register(call_id=call_id)).status


def test_a_registration_that_works_has_no_verdict_but_decisions() -> None:
    async def check(office: ExplainedOffice) -> None:
        anna = await office.phone("101", "10.0.0.11")
        await asyncio.sleep(1)
        answer = await office.explain(anna.call_id)
        assert answer["verdicts"] == []
        assert [(each["service"], each["verdict"]) for each in answer["decisions"]] == [
            ("authentication", "asked"),
            ("registrar", "passed"),
        ]
        assert "sip:101@10.0.0.11:5060 for 600 s" in answer["decisions"][1]["chose"]

    in_an_office(check)


def test_a_wrong_password_is_told_and_one_that_was_corrected_is_not() -> None:
    async def check(office: ExplainedOffice) -> None:
        anna, bob = await office.device("101", "10.0.0.11"), await office.device("102", "10.0.0.12")
        assert await register(office, anna, password="wrong", call_id="wrong") == 401
        assert await register(office, bob, password="wrong", call_id="corrected") == 401
        await asyncio.sleep(3)
        assert await register(office, bob, password="secret-102", call_id="corrected") == 200
        await asyncio.sleep(1)
        verdicts = await office.verdicts("wrong")
        assert set(verdicts) == {"RB-3001"}
        assert "REGISTER of 101 from 10.0.0.11:5060 came once" in verdicts["RB-3001"]["text"]
        assert "credentials of 101" in verdicts["RB-3001"]["text"]
        assert await office.verdicts("corrected") == {}

    in_an_office(check)


def test_a_user_that_does_not_exist_is_told_to_the_owner_and_not_to_the_phone() -> None:
    async def check(office: ExplainedOffice) -> None:
        eve = await office.device("999", "10.0.0.66")
        assert await register(office, eve, password="guessed", call_id="nobody") == 401
        await asyncio.sleep(1)
        assert set(await office.verdicts("nobody")) == {"RB-3001"}

    in_an_office(check)


def test_after_many_wrong_passwords_the_lock_is_told() -> None:
    async def check(office: ExplainedOffice) -> None:
        anna = await office.device("101", "10.0.0.11")
        statuses = [await register(office, anna, password="wrong", call_id="locked") for _ in range(8)]
        await asyncio.sleep(1)
        assert statuses[-1] == 503
        verdicts = await office.verdicts("locked")
        assert set(verdicts) == {"RB-3002"}
        assert "has to wait" in verdicts["RB-3002"]["text"]

    in_an_office(check)


def test_a_call_of_one_who_is_locked_out_is_not_said_to_find_no_room() -> None:
    async def check(office: ExplainedOffice) -> None:
        anna = await office.device("101", "10.0.0.11")
        for _ in range(8):
            await register(office, anna, password="wrong", call_id="locked")
        sent = anna.send("INVITE", f"sip:102@{DOMAIN}", to=f"<sip:102@{DOMAIN}>", call_id="called")
        anna.resend_with_credentials(sent, await anna.peer.expect(407))
        await anna.peer.expect(503)
        await asyncio.sleep(1)
        assert set(await office.verdicts("called")) == {"RB-3002"}

    in_an_office(check)


def test_a_phone_that_does_not_answer_the_challenge_has_no_password() -> None:
    async def check(office: ExplainedOffice) -> None:
        anna = await office.device("101", "10.0.0.11")
        anna.send("REGISTER", f"sip:{DOMAIN}", to=f"<{anna.address}>", call_id="silent")
        assert (await final(anna.peer)).status == 401
        await asyncio.sleep(1)
        verdicts = await office.verdicts("silent")
        assert set(verdicts) == {"RB-3003"}
        assert "no credentials came" in verdicts["RB-3003"]["text"]

    in_an_office(check)


def test_a_phone_that_uses_an_old_nonce_for_ever_is_told_so() -> None:
    async def check(office: ExplainedOffice) -> None:
        anna = await office.device("101", "10.0.0.11")
        lines = [("Contact", f"<{anna.contact}>")]
        sent = anna.send("REGISTER", f"sip:{DOMAIN}", to=f"<{anna.address}>", call_id="stale", headers=lines)
        challenge = await anna.peer.expect(401)
        await asyncio.sleep(20)
        for count in ("00000001", "00000002", "00000003"):
            anna.resend_with_credentials(sent, challenge, nc=count)
            await anna.peer.expect(401)
        await asyncio.sleep(1)
        assert set(await office.verdicts("stale")) == {"RB-3004"}

    in_an_office(check, authentication={"nonce_lifetime": 10})


def test_who_registers_another_users_address_is_told_so() -> None:
    async def check(office: ExplainedOffice) -> None:
        anna = await office.device("101", "10.0.0.11")
        response = await anna.register(to=f"<sip:102@{DOMAIN}>", call_id="other")
        await asyncio.sleep(1)
        assert response.status == 403
        verdicts = await office.verdicts("other")
        assert set(verdicts) == {"RB-3005"}
        assert "user 101 registers sip:102@ringback.test" in verdicts["RB-3005"]["text"]

    in_an_office(check)


def test_a_phone_that_asks_for_too_short_a_time_again_and_again() -> None:
    async def check(office: ExplainedOffice) -> None:
        anna = await office.device("101", "10.0.0.11")
        for _ in range(3):
            assert (await anna.register(expires=5, call_id="brief")).status == 423
        await asyncio.sleep(1)
        verdicts = await office.verdicts("brief")
        assert set(verdicts) == {"RB-3006"}
        assert "less than 60 s" in verdicts["RB-3006"]["text"]

    in_an_office(check)


def test_a_contact_that_leads_back_to_the_server_is_refused_with_its_reason() -> None:
    async def check(office: ExplainedOffice) -> None:
        anna = await office.device("101", "10.0.0.11")
        response = await anna.register(contact=f"<sip:101@{SERVER}>", call_id="circle")
        await asyncio.sleep(1)
        assert response.status == 403
        verdicts = await office.verdicts("circle")
        assert set(verdicts) == {"RB-3007"}
        assert "Contact Is This Server" in verdicts["RB-3007"]["text"]

    in_an_office(check)
