# SPDX-License-Identifier: Apache-2.0
"""What changes in a call that stands: hold, re-INVITE and UPDATE with and without offers, glare, PRACK, late
offers, session timers, other requests (RFC 3261 14, 3262, 3264, 3311, 4028, 6086, 6141).
"""

import asyncio

import pytest
from bridge_rig import Half, call, half_of_callee, half_of_caller, on_a_bridge, sdp_of, two_phones
from server_rig import DOMAIN, SERVER, Rig, in_dialog

RELIABLE = [("Supported", "100rel"), ("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE, PRACK")]


async def agree(one: Half, other: Half, offer: bytes, answer: bytes, *, method: str = "INVITE") -> None:
    """One offers, the other answers, and both have what the other said."""
    one.send(method, body=offer)
    request = await other.expect(method)
    assert request.body == offer
    other.reply(200, body=answer)
    assert (await one.expect(200, skip=(100,))).body == answer
    if method == "INVITE":
        one.send("ACK", cseq=one.cseq)
        await other.expect("ACK")


@pytest.mark.parametrize("who", [0, 1])
def test_hold_and_resume_cross_in_both_directions(who: int) -> None:
    async def test(rig: Rig) -> None:
        halves = await call(rig, *await two_phones(rig))
        one, other = halves[who], halves[1 - who]
        ours, theirs = sdp_of(one.device, version=2), sdp_of(other.device, port=5000, version=2)
        await agree(one, other, ours + b"a=sendonly\r\n", theirs + b"a=recvonly\r\n")
        ours, theirs = sdp_of(one.device, version=3), sdp_of(other.device, port=5000, version=3)
        await agree(one, other, ours, theirs)

    on_a_bridge(test)


@pytest.mark.parametrize("who", [0, 1])
def test_an_update_crosses_as_an_update_where_it_is_understood(who: int) -> None:
    async def test(rig: Rig) -> None:
        halves = await call(rig, *await two_phones(rig), allow=True)
        one, other = halves[who], halves[1 - who]
        ours, theirs = sdp_of(one.device, version=2), sdp_of(other.device, port=5000, version=2)
        await agree(one, other, ours + b"a=sendonly\r\n", theirs + b"a=recvonly\r\n", method="UPDATE")

    on_a_bridge(test)


def test_an_update_crosses_as_a_reinvite_where_it_is_not_understood() -> None:
    async def test(rig: Rig) -> None:
        one, other = await call(rig, *await two_phones(rig))
        one.send("UPDATE", body=sdp_of(one.device, version=2) + b"a=sendonly\r\n")
        await other.expect("INVITE")
        other.reply(200, body=sdp_of(other.device, port=5000, version=2) + b"a=recvonly\r\n")
        assert b"recvonly" in (await one.expect(200)).body
        await other.expect("ACK")

    on_a_bridge(test)


def test_an_update_without_an_offer_is_answered_here() -> None:
    async def test(rig: Rig) -> None:
        one, other = await call(rig, *await two_phones(rig))
        one.send("UPDATE")
        assert (await one.expect(200)).body == b""
        await other.device.peer.expect_silence(1)

    on_a_bridge(test)


@pytest.mark.parametrize("who", [0, 1])
def test_a_reinvite_without_an_offer_asks_the_other_end_for_one(who: int) -> None:
    async def test(rig: Rig) -> None:
        halves = await call(rig, *await two_phones(rig))
        one, other = halves[who], halves[1 - who]
        one.send("INVITE")
        asked = await other.expect("INVITE")
        assert asked.body == b""
        offer, answer = sdp_of(other.device, port=5002, version=2), sdp_of(one.device, port=4002, version=2)
        other.reply(200, body=offer)
        assert (await one.expect(200, skip=(100,))).body == offer
        one.send("ACK", cseq=one.cseq, body=answer)
        assert (await other.expect("ACK")).body == answer

    on_a_bridge(test)


@pytest.mark.parametrize("status", [488, 491, 500, 606])
def test_a_refused_change_leaves_the_call_as_it_was(status: int) -> None:
    async def test(rig: Rig) -> None:
        one, other = await call(rig, *await two_phones(rig))
        one.send("INVITE", body=sdp_of(one.device, version=2, payload="18"))
        await other.expect("INVITE")
        other.reply(status, headers=[("Warning", '305 bob "no G.729"')])
        await other.expect("ACK")
        answer = await one.expect(status, skip=(100,))
        assert answer.headers["Warning"] == '305 bob "no G.729"'
        one.send("ACK", cseq=one.cseq)
        await agree(one, other, sdp_of(one.device, version=3), sdp_of(other.device, port=5000, version=3))

    on_a_bridge(test)


def test_of_two_changes_at_once_one_waits_and_the_other_is_made() -> None:
    async def test(rig: Rig) -> None:
        one, other = await call(rig, *await two_phones(rig))
        ours, theirs = sdp_of(one.device, version=2), sdp_of(other.device, port=5000, version=2)
        one.send("INVITE", body=ours)
        other.send("INVITE", body=theirs)
        await one.expect(491, skip=(100,))
        one.send("ACK", cseq=one.cseq)
        assert (await one.expect("INVITE")).body == theirs
        one.reply(200, body=ours)
        await other.expect(200, skip=(100,))

    on_a_bridge(test)


def test_changes_that_cross_on_the_wire_are_both_told_to_wait() -> None:
    async def test(rig: Rig) -> None:
        one, other = await call(rig, *await two_phones(rig))
        one.send("INVITE", body=sdp_of(one.device, version=2))
        await other.expect("INVITE")
        ours = other.device.peer.heard[-1]
        other.send("INVITE", body=sdp_of(other.device, port=5000, version=2))
        await other.expect(491, skip=(100,))
        other.send("ACK", cseq=other.cseq)
        other.device.peer.reply(491, to=ours)
        await one.expect(491, skip=(100,))
        one.send("ACK", cseq=one.cseq)
        await other.expect("ACK")
        await agree(one, other, sdp_of(one.device, version=3), sdp_of(other.device, port=5000, version=3))

    on_a_bridge(test)


def test_a_late_offer_crosses_from_the_200_to_the_ack() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await two_phones(rig)
        leg = await anna.call(f"sip:102@{DOMAIN}")
        invite = await bob.peer.expect("INVITE")
        assert invite.body == b""
        assert "100rel" not in invite.supported
        bob.peer.reply(200, headers=[("Contact", f"<{bob.contact}>")], body=sdp_of(bob))
        answer = await anna.peer.expect(200)
        assert answer.body == sdp_of(bob)
        leg.answer = answer
        ack = in_dialog("ACK", leg.invite, answer, anna)
        head, _, _ = ack.partition(b"Content-Length")
        body = sdp_of(anna)
        anna.peer.send(
            head + b"Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n" % len(body) + body, SERVER
        )
        assert (await bob.peer.expect("ACK")).body == sdp_of(anna)
        one, other = half_of_caller(leg), half_of_callee(bob, invite)
        await agree(one, other, sdp_of(anna, version=2), sdp_of(bob, version=2))

    on_a_bridge(test)


def test_an_ack_without_the_answer_ends_the_call() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await two_phones(rig)
        leg = await anna.call(f"sip:102@{DOMAIN}")
        await bob.peer.expect("INVITE")
        bob.peer.reply(200, headers=[("Contact", f"<{bob.contact}>")], body=sdp_of(bob))
        await leg.answered(200)
        await anna.peer.expect("BYE")
        anna.peer.reply(200)
        await bob.peer.expect("ACK")
        await bob.peer.expect("BYE")
        bob.peer.reply(200)

    on_a_bridge(test)


def test_prack_on_both_legs_and_an_update_before_the_answer() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await two_phones(rig)
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sdp_of(anna), headers=RELIABLE)
        invite = await bob.peer.expect("INVITE")
        ringing = bob.peer.heard[-1]
        lines = [("Contact", f"<{bob.contact}>"), ("Require", "100rel"), ("RSeq", "7"), RELIABLE[1]]
        bob.peer.reply(183, headers=lines, body=sdp_of(bob))
        early = await anna.peer.expect(183)
        assert early.body == sdp_of(bob)
        assert "100rel" in early.require
        assert (await bob.peer.expect("PRACK")).rack.rseq == 7
        bob.peer.reply(200)
        leg.answer = early
        one, other = half_of_caller(leg), half_of_callee(bob, invite)
        one.send("PRACK", headers=[("RAck", f"{early.rseq} {early.cseq}")])
        await one.expect(200)
        await agree(one, other, sdp_of(anna, version=2), sdp_of(bob, version=2), method="UPDATE")
        bob.peer.reply(200, to=ringing, headers=[("Contact", f"<{bob.contact}>")])
        answer = await leg.answered(200)
        assert answer.body == b""
        await bob.peer.expect("ACK")
        await anna.peer.expect_silence(5)  # all is agreed: nobody is asked for another offer
        await bob.peer.expect_silence(5)

    on_a_bridge(test)


def test_prack_on_the_leg_of_the_callee_alone() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await two_phones(rig)
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sdp_of(anna))
        await bob.peer.expect("INVITE")
        ringing = bob.peer.heard[-1]
        lines = [("Contact", f"<{bob.contact}>"), ("Require", "100rel"), ("RSeq", "1")]
        bob.peer.reply(183, headers=lines, body=sdp_of(bob))
        early = await anna.peer.expect(183)
        assert early.body == sdp_of(bob)
        assert "RSeq" not in early.headers
        await bob.peer.expect("PRACK")
        bob.peer.reply(200)
        bob.peer.reply(200, to=ringing, headers=[("Contact", f"<{bob.contact}>")])
        assert (await leg.answered(200)).body == sdp_of(bob)

    on_a_bridge(test)


def test_prack_on_the_leg_of_the_caller_alone() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await two_phones(rig)
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sdp_of(anna), headers=[("Require", "100rel")])
        invite = await bob.peer.expect("INVITE")
        assert "Require" not in invite.headers
        ringing = bob.peer.heard[-1]
        bob.peer.reply(180, headers=[("Contact", f"<{bob.contact}>")])
        early = await anna.peer.expect(180)
        assert "100rel" in early.require
        leg.answer = early
        half_of_caller(leg).send("PRACK", headers=[("RAck", f"{early.rseq} {early.cseq}")])
        await anna.peer.expect(200)
        bob.peer.reply(200, to=ringing, headers=[("Contact", f"<{bob.contact}>")], body=sdp_of(bob))
        assert (await leg.answered(200)).body == sdp_of(bob)

    on_a_bridge(test)


def test_a_late_offer_in_a_reliable_response_is_answered_in_the_prack() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await two_phones(rig)
        leg = await anna.call(f"sip:102@{DOMAIN}", headers=RELIABLE)
        invite = await bob.peer.expect("INVITE")
        assert "100rel" in invite.supported
        ringing = bob.peer.heard[-1]
        lines = [("Contact", f"<{bob.contact}>"), ("Require", "100rel"), ("RSeq", "3")]
        bob.peer.reply(183, headers=lines, body=sdp_of(bob))
        early = await anna.peer.expect(183)
        assert early.body == sdp_of(bob)
        leg.answer = early
        half_of_caller(leg).send("PRACK", headers=[("RAck", f"{early.rseq} {early.cseq}")], body=sdp_of(anna))
        await anna.peer.expect(200)
        assert (await bob.peer.expect("PRACK")).body == sdp_of(anna)
        bob.peer.reply(200)
        bob.peer.reply(200, to=ringing, headers=[("Contact", f"<{bob.contact}>")])
        await leg.answered(200)
        await bob.peer.expect("ACK")
        await anna.peer.expect_silence(5)
        await bob.peer.expect_silence(5)

    on_a_bridge(test)


def test_info_message_and_options_cross_with_their_answers() -> None:
    async def test(rig: Rig) -> None:
        halves = await call(rig, *await two_phones(rig))
        for one, other in (halves, halves[::-1]):
            one.send("INFO", body=b"Signal=5\r\nDuration=160\r\n", content_type="application/dtmf-relay")
            told = await other.expect("INFO")
            assert told.body.startswith(b"Signal=5")
            assert str(told.content_type) == "application/dtmf-relay"
            other.reply(200)
            await one.expect(200)
            one.send("MESSAGE", body=b"hello", content_type="text/plain")
            assert (await other.expect("MESSAGE")).body == b"hello"
            other.device.peer.reply(415, headers=[("Accept", "text/html")])
            assert (await one.expect(415)).headers["Accept"] == "text/html"
            one.send("OPTIONS")
            await other.expect("OPTIONS")
            other.reply(200, headers=[("X-Mood", "good")])
            assert (await one.expect(200)).headers["X-Mood"] == "good"

    on_a_bridge(test)


def test_a_request_that_nobody_answers_ends_the_call_it_was_sent_in() -> None:
    async def test(rig: Rig) -> None:
        one, other = await call(rig, *await two_phones(rig))
        other.device.peer.close()
        one.send("INFO")
        await one.expect("BYE", skip=(100,), timeout=40)  # no 408 to what is no INVITE (RFC 4320)
        await asyncio.sleep(40)
        assert rig.server.status()["bridged"] == 0

    on_a_bridge(test)


def test_each_leg_has_a_session_timer_of_its_own() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await two_phones(rig)
        leg = await anna.call(
            f"sip:102@{DOMAIN}",
            body=sdp_of(anna),
            headers=[("Supported", "timer"), ("Session-Expires", "100;refresher=uas")],
        )
        invite = await bob.peer.expect("INVITE")
        assert invite.session_expires.seconds == 1800
        bob.peer.reply(200, headers=[("Contact", f"<{bob.contact}>")], body=sdp_of(bob))
        answer = await leg.answered(200)
        assert answer.session_expires.seconds == 100
        await bob.peer.expect("ACK")
        refresh = await anna.peer.expect("INVITE", timeout=51)
        assert refresh.body == sdp_of(bob)
        half_of_caller(leg).reply(200, body=sdp_of(anna))
        await anna.peer.expect("ACK")
        await bob.peer.expect_silence(30)

    on_a_bridge(test)


def test_a_dead_phone_is_noticed_by_the_timer_and_the_other_is_freed() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await two_phones(rig)
        leg = await anna.call(
            f"sip:102@{DOMAIN}",
            body=sdp_of(anna),
            headers=[("Supported", "timer"), ("Session-Expires", "90;refresher=uac")],
        )
        await bob.peer.expect("INVITE")
        bob.peer.reply(200, headers=[("Contact", f"<{bob.contact}>")], body=sdp_of(bob))
        await leg.answered(200)
        await bob.peer.expect("ACK")
        bye = await bob.peer.expect("BYE", timeout=91)
        assert bye.headers["Reason"].startswith("SIP;cause=408")

    on_a_bridge(test)


def test_a_challenge_inside_the_call_reaches_the_one_who_can_answer_it() -> None:
    async def test(rig: Rig) -> None:
        one, other = await call(rig, *await two_phones(rig))
        one.send("INFO")
        await other.expect("INFO")
        other.device.peer.reply(407, headers=[("Proxy-Authenticate", 'Digest realm="elsewhere", nonce="1"')])
        answer = await one.expect(407)
        assert answer.headers["Proxy-Authenticate"] == 'Digest realm="elsewhere", nonce="1"'
        line = 'Digest username="a", realm="elsewhere", nonce="1", uri="sip:x", response="0"'
        one.send("INFO", headers=[("Proxy-Authorization", line)])
        assert (await other.expect("INFO")).headers["Proxy-Authorization"] == line

    on_a_bridge(test)


def test_a_phone_whose_connection_was_replaced_is_reached_by_the_new_one() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11")
        bob = await rig.phone("102", "10.0.0.12", tcp=True, contact="<sip:102@b.invalid;transport=tcp>")
        one, other = await call(rig, anna, bob)
        bob.peer.reset()
        await asyncio.sleep(1)
        again = await rig.phone("102", "10.0.0.12", tcp=True, contact="<sip:102@b.invalid;transport=tcp>")
        one.send("BYE")
        await one.expect(200)
        await again.peer.expect("BYE")
        assert other.call_id

    on_a_bridge(test)


def test_a_phone_whose_router_shows_it_elsewhere_is_reached_there_once_it_has_registered() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11")
        bob = await rig.phone("102", "203.0.113.5", contact="<sip:102@192.168.1.5:5060>")
        one, other = await call(rig, anna, bob)
        again = await rig.phone("102", "203.0.113.6", contact="<sip:102@192.168.1.5:5060>")
        one.send("BYE")
        await one.expect(200)
        await again.peer.expect("BYE")
        assert other.call_id

    on_a_bridge(test)


def test_a_cancelled_change_leaves_both_ends_agreed() -> None:
    async def test(rig: Rig) -> None:
        one, other = await call(rig, *await two_phones(rig))
        reinvite = one.send("INVITE", body=sdp_of(one.device, version=2) + b"a=sendonly\r\n")
        await other.expect("INVITE")
        pending = other.device.peer.heard[-1]
        await one.expect(100)
        cancel = reinvite.replace(b"INVITE ", b"CANCEL ", 1).replace(b" INVITE\r\n", b" CANCEL\r\n")
        head = cancel.partition(b"\r\n\r\n")[0]
        lines = [line for line in head.split(b"\r\n") if not line.startswith((b"Content", b"Contact"))]
        one.device.peer.send(b"\r\n".join([*lines, b"Content-Length: 0", b"", b""]), SERVER)
        await one.expect(200)
        await one.expect(487)
        one.send("ACK", cseq=one.cseq)
        contact = [("Contact", f"<{other.device.contact}>")]
        other.device.peer.reply(
            200, to=pending, headers=contact, body=sdp_of(other.device, port=5000, version=2)
        )
        asked = await one.expect("INVITE", skip=("ACK",))
        assert asked.body == b""
        one.reply(200, body=sdp_of(one.device, version=3))
        again = await other.expect("INVITE", skip=("ACK",))
        assert again.body == sdp_of(one.device, version=3)
        other.reply(200, body=sdp_of(other.device, port=5000, version=3))
        assert (await one.expect("ACK")).body == sdp_of(other.device, port=5000, version=3)

    on_a_bridge(test)
