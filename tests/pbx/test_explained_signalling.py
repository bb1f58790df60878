# SPDX-License-Identifier: Apache-2.0
"""Does the server say why a call dropped? Each condition is made on a network in memory, and judged by what went over it."""

import asyncio

import pytest
from explain_rig import ExplainedOffice, answered, call_id_of, in_an_office, sound, talk
from server_rig import DOMAIN, SERVER, callee_request, final, in_dialog

from ringback.testing.network import Conditions

MODES = pytest.mark.parametrize("mode", ["bridge", "proxy"])


@MODES
def test_a_normal_call_has_no_verdict_in_either_leg(mode: str) -> None:
    async def check(office: ExplainedOffice) -> None:
        anna, bob = await office.phone("101", "10.0.0.11"), await office.phone("102", "10.0.0.12")
        leg, invite = await talk(office, anna, bob)
        await asyncio.sleep(40)
        leg.request("BYE")
        await bob.peer.expect("BYE")
        bob.peer.reply(200)
        await anna.peer.expect(200)
        await asyncio.sleep(1)
        assert await office.verdicts(call_id_of(leg.invite)) == {}
        assert await office.verdicts(invite.call_id) == {}

    in_an_office(check, calls=mode)


@MODES
def test_an_answer_that_is_never_acknowledged_names_the_contact_that_cannot_be_reached(mode: str) -> None:
    async def check(office: ExplainedOffice) -> None:
        anna, bob = await office.phone("101", "203.0.113.7"), await office.phone("102", "10.0.0.12")
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sound("203.0.113.7"))
        invite = await answered(bob, sound("10.0.0.12", 5000))
        for delay in (0.5, 1, 2, 4, 4, 4):  # a phone that is called repeats its 200, too
            await asyncio.sleep(delay)
            if mode == "proxy":
                bob.peer.reply(
                    200, to=office_bytes(bob, b"INVITE"), headers=[("Contact", f"<{bob.contact}>")]
                )
        await asyncio.sleep(35)
        (verdict,) = [
            each
            for code, each in (await office.verdicts(call_id_of(leg.invite))).items()
            if code == "RB-5001"
        ]
        assert "101 did not acknowledge the answer" in verdict["text"]
        assert "private network that 203.0.113.7:5060 cannot reach" in verdict["text"]
        assert verdict["severity"] == "error"
        assert len(verdict["evidence"]) >= 5
        assert invite.call_id

    in_an_office(check, calls=mode)


def office_bytes(phone: object, beginning: bytes) -> bytes:
    """The first message that a phone heard and that begins so."""
    return next(data for data in phone.peer.heard if data.startswith(beginning))  # type: ignore[attr-defined]


def test_a_phone_that_does_not_hear_our_ack_repeats_its_answer() -> None:
    async def check(office: ExplainedOffice) -> None:
        anna, bob = await office.phone("101", "10.0.0.11"), await office.phone("102", "10.0.0.12")
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sound("10.0.0.11"))
        await answered(bob, sound("10.0.0.12", 5000))
        await leg.answered(200)
        invite = office_bytes(bob, b"INVITE")
        for delay in (0.5, 1, 2, 4, 4, 4):
            await asyncio.sleep(delay)
            bob.peer.reply(
                200, to=invite, headers=[("Contact", f"<{bob.contact}>")], body=sound("10.0.0.12", 5000)
            )
        await asyncio.sleep(1)
        verdicts = await office.verdicts(call_id_of(leg.invite))
        assert set(verdicts) == {"RB-5002"}
        assert "102 repeated its 200 7 times" in verdicts["RB-5002"]["text"]
        assert "sip:102@10.0.0.12:5060" in verdicts["RB-5002"]["text"]

    in_an_office(check)


def test_one_lost_acknowledgement_is_no_verdict() -> None:
    async def check(office: ExplainedOffice) -> None:
        anna, bob = await office.phone("101", "10.0.0.11"), await office.phone("102", "10.0.0.12")
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sound("10.0.0.11"))
        await answered(bob, sound("10.0.0.12", 5000))
        leg.answer = await anna.peer.expect(200)
        await anna.peer.expect(200)  # the ACK got lost
        anna.peer.send(in_dialog("ACK", leg.invite, leg.answer, anna), SERVER)
        await asyncio.sleep(40)
        assert await office.verdicts(call_id_of(leg.invite)) == {}

    in_an_office(check)


def test_a_phone_that_is_gone_says_nothing() -> None:
    async def check(office: ExplainedOffice) -> None:
        anna, bob = await office.phone("101", "10.0.0.11"), await office.phone("102", "10.0.0.12")
        bob.peer.close()
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sound("10.0.0.11"))
        await final(anna.peer)
        await asyncio.sleep(1)
        verdicts = await office.verdicts(call_id_of(leg.invite))
        assert "INVITE was sent to 102 at 10.0.0.12:5060 7 times" in verdicts["RB-5003"]["text"]
        assert set(verdicts) == {"RB-5003", "RB-2033"}

    in_an_office(check)


def test_a_large_invite_over_udp_that_nobody_answers_is_too_large() -> None:
    async def check(office: ExplainedOffice) -> None:
        anna, bob = await office.phone("101", "10.0.0.11", tcp=True), await office.phone("102", "10.0.0.12")
        office.network.link("10.0.0.1", "10.0.0.12", Conditions(mtu=1400))
        extra = "|".join(f"a=candidate:{n} 1 UDP 2130706431 10.0.0.{n} 4000 typ host" for n in range(1, 30))
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sound("10.0.0.11", extra=extra))
        await final(anna.peer)
        await asyncio.sleep(1)
        verdicts = await office.verdicts(call_id_of(leg.invite))
        assert "RB-5006" in verdicts, verdicts
        assert bob.peer.heard[-1].startswith(b"SIP/2.0 200")

    in_an_office(check)


def test_a_caller_who_hears_no_answer_asks_again_and_again() -> None:
    async def check(office: ExplainedOffice) -> None:
        anna = await office.phone("101", "10.0.0.11")
        sent = await anna.ask("INVITE", "sip:103@" + DOMAIN, body=sound("10.0.0.11"))
        for _ in range(5):
            await asyncio.sleep(0.5)
            anna.peer.send(sent, SERVER)
        await asyncio.sleep(1)
        assert "RB-5004" in await office.verdicts(call_id_of(sent))

    in_an_office(check)


def test_a_router_that_changes_a_part_of_the_addresses_is_noticed() -> None:
    async def check(office: ExplainedOffice) -> None:
        anna, bob = await office.phone("101", "203.0.113.7"), await office.phone("102", "10.0.0.12")
        repaired = sound("203.0.113.7", origin="192.168.1.20")
        leg = await anna.call(
            f"sip:102@{DOMAIN}", body=repaired, headers=[("Contact", "<sip:101@192.168.1.20:5060>")]
        )
        await answered(bob, sound("10.0.0.12", 5000))
        await leg.answered(200)
        await asyncio.sleep(1)
        verdicts = await office.verdicts(call_id_of(leg.invite))
        assert "somebody on the way changed c= only" in verdicts["RB-5007"]["text"]

    in_an_office(check)


def test_a_phone_behind_a_nat_that_works_has_no_verdict() -> None:
    async def check(office: ExplainedOffice) -> None:
        contact = "<sip:101@192.168.1.20:5060>"
        anna = await office.phone("101", "203.0.113.7", contact=contact)
        bob = await office.phone("102", "203.0.113.7", port=5062, contact="<sip:102@192.168.1.21:5060>")
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sound("192.168.1.20"), headers=[("Contact", contact)])
        await bob.peer.expect("INVITE")
        bob.peer.reply(
            200, headers=[("Contact", "<sip:102@192.168.1.21:5060>")], body=sound("192.168.1.21", 5000)
        )
        await leg.answered(200)
        await bob.peer.expect("ACK")
        await asyncio.sleep(1)
        assert await office.verdicts(call_id_of(leg.invite)) == {}

    in_an_office(check)


def test_a_session_that_is_not_refreshed_ends_by_its_timer() -> None:
    async def check(office: ExplainedOffice) -> None:
        anna, bob = await office.phone("101", "10.0.0.11"), await office.phone("102", "10.0.0.12")
        timer = [("Supported", "timer"), ("Session-Expires", "90;refresher=uac"), ("Min-SE", "90")]
        leg, _ = await talk(office, anna, bob, headers=timer)
        await anna.peer.expect("BYE", timeout=100)
        anna.peer.reply(200)
        await asyncio.sleep(1)
        verdicts = await office.verdicts(call_id_of(leg.invite))
        assert "this server ended the call" in verdicts["RB-5009"]["text"]
        assert "90;refresher=uac" in verdicts["RB-5009"]["text"]

    in_an_office(check)


def test_a_phone_that_has_forgotten_the_call_is_named() -> None:
    async def check(office: ExplainedOffice) -> None:
        anna, bob = await office.phone("101", "10.0.0.11"), await office.phone("102", "10.0.0.12")
        leg, _ = await talk(office, anna, bob)
        leg.request("BYE")
        await bob.peer.expect("BYE")
        bob.peer.reply(481)
        await asyncio.sleep(1)
        verdicts = await office.verdicts(call_id_of(leg.invite))
        assert verdicts["RB-5010"]["text"] == "BYE was answered 481 by 102: it knows no such call."

    in_an_office(check)


def test_hold_is_no_trouble() -> None:
    async def check(office: ExplainedOffice) -> None:
        anna, bob = await office.phone("101", "10.0.0.11"), await office.phone("102", "10.0.0.12")
        leg, invite = await talk(office, anna, bob)
        hold = callee_request("INVITE", invite, bob, cseq=7)
        head = hold.partition(b"\r\n\r\n")[0].replace(b"Content-Length: 0", b"Content-Type: application/sdp")
        body = sound("10.0.0.12", 5000, extra="a=sendonly")
        contact = f"Contact: <{bob.contact}>".encode()
        bob.peer.send(
            b"\r\n".join([head, contact, b"Content-Length: %d" % len(body), b"", b""]) + body, SERVER
        )
        await anna.peer.expect("INVITE")
        anna.peer.reply(
            200,
            headers=[("Contact", f"<{anna.contact}>")],
            body=sound("10.0.0.11", extra="a=recvonly"),
            tag="",
        )
        await bob.peer.expect(200, skip=(100,))
        bob.peer.send(callee_request("ACK", invite, bob, cseq=7), SERVER)
        await asyncio.sleep(40)
        assert await office.verdicts(call_id_of(leg.invite)) == {}

    in_an_office(check)
