# SPDX-License-Identifier: Apache-2.0
"""A call through the bridge: two dialogs, one conversation (RFC 7092, RFC 3261 sections 9, 13, 15)."""

import asyncio

import pytest
from bridge_rig import call, on_a_bridge, sdp_of, two_phones
from server_rig import DOMAIN, Rig, with_bridge

from ringback.sip.message.message import Request
from ringback.sip.message.parser import parse_message


async def nothing_is_left(rig: Rig) -> None:
    await asyncio.sleep(40)
    assert rig.state == (0, 0, 0, 0, 0)
    assert rig.server.status()["bridged"] == 0
    assert not len(rig.server.bridged)


def test_each_half_has_its_own_dialog_and_the_sound_passes_unchanged() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await two_phones(rig)
        leg = await anna.call(
            f"sip:102@{DOMAIN}", body=sdp_of(anna), headers=[("Subject", "lunch"), ("Diversion", "<sip:9@x>")]
        )
        invite = await bob.peer.expect("INVITE")
        sent = parse_message(leg.invite)
        assert isinstance(sent, Request)
        assert invite.target == bob.contact
        assert invite.call_id != sent.call_id
        assert invite.from_.tag != sent.from_.tag
        assert invite.from_.uri == sent.from_.uri
        assert str(invite.to.uri) == f"sip:102@{DOMAIN}"
        assert invite.max_forwards == 69
        assert len(invite.vias) == 1
        assert invite.record_routes == []
        assert str(invite.contacts[0].uri) == "sip:101@10.0.0.1:5060"
        assert invite.body == sdp_of(anna)
        assert invite.headers["Subject"] == "lunch"
        assert "Diversion" not in invite.headers
        assert "Proxy-Authorization" not in invite.headers
        assert invite.headers["P-Asserted-Identity"] == f'"Anna" <sip:101@{DOMAIN}>'
        bob.peer.reply(180)
        await anna.peer.expect(180)
        bob.peer.reply(200, headers=[("Contact", f"<{bob.contact}>")], body=sdp_of(bob))
        answer = await leg.answered(200)
        assert answer.body == sdp_of(bob)
        assert str(answer.contacts[0].uri) == "sip:102@10.0.0.1:5060"
        ack = await bob.peer.expect("ACK")
        assert ack.cseq.number == invite.cseq.number
        assert rig.server.status()["bridged"] == 1
        leg.request("BYE")
        await anna.peer.expect(200)
        await bob.peer.expect("BYE")
        bob.peer.reply(200)
        await nothing_is_left(rig)

    on_a_bridge(test)


@pytest.mark.parametrize("who", [0, 1])
def test_who_hangs_up_ends_both_halves_and_the_reason_crosses(who: int) -> None:
    async def test(rig: Rig) -> None:
        halves = await call(rig, *await two_phones(rig))
        one, other = halves[who], halves[1 - who]
        one.send("BYE", headers=[("Reason", 'Q.850;cause=16;text="Normal"')])
        await one.expect(200)
        bye = await other.expect("BYE")
        assert bye.headers["Reason"] == 'Q.850;cause=16;text="Normal"'
        other.reply(200)
        await nothing_is_left(rig)

    on_a_bridge(test)


def test_busy_reaches_the_caller_with_its_words() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await two_phones(rig)
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sdp_of(anna))
        await bob.peer.expect("INVITE")
        bob.peer.reply(486, headers=[("Warning", '399 bob "in a meeting"'), ("Retry-After", "60")])
        await bob.peer.expect("ACK")
        answer = await leg.answered(486)
        assert answer.headers["Warning"] == '399 bob "in a meeting"'
        assert answer.headers["Retry-After"] == "60"
        await nothing_is_left(rig)

    on_a_bridge(test)


def test_a_caller_who_gives_up_stops_the_ringing_and_gets_487() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await two_phones(rig)
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sdp_of(anna))
        await bob.peer.expect("INVITE")
        ringing = bob.peer.heard[-1]
        bob.peer.reply(180)
        await anna.peer.expect(180)
        leg.cancel(reason='SIP;cause=200;text="Call completed elsewhere"')
        await anna.peer.expect(200)
        await leg.answered(487)
        cancel = await bob.peer.expect("CANCEL")
        assert cancel.headers["Reason"] == 'SIP;cause=200;text="Call completed elsewhere"'
        bob.peer.reply(200)
        bob.peer.reply(487, to=ringing)
        await bob.peer.expect("ACK")
        await nothing_is_left(rig)

    on_a_bridge(test)


def test_an_answer_that_crosses_the_cancel_is_hung_up() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await two_phones(rig)
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sdp_of(anna))
        await bob.peer.expect("INVITE")
        invite = bob.peer.heard[-1]
        bob.peer.reply(180)
        await anna.peer.expect(180)
        leg.cancel()
        await anna.peer.expect(200)
        await bob.peer.expect("CANCEL")
        bob.peer.reply(200)
        bob.peer.reply(200, to=invite, headers=[("Contact", f"<{bob.contact}>")], body=sdp_of(bob))
        await leg.answered(487)
        await bob.peer.expect("ACK")
        await bob.peer.expect("BYE")
        bob.peer.reply(200)
        await nothing_is_left(rig)

    on_a_bridge(test)


def test_a_phone_that_only_rings_ends_in_480_after_the_ring_time() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await two_phones(rig)
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sdp_of(anna))
        await bob.peer.expect("INVITE")
        ringing = bob.peer.heard[-1]
        bob.peer.reply(180)
        await anna.peer.expect(180)
        await bob.peer.expect("CANCEL", timeout=21)
        bob.peer.reply(200)
        bob.peer.reply(487, to=ringing)
        await leg.answered(480)
        await nothing_is_left(rig)

    on_a_bridge(test, settings=with_bridge(ring_time=20))


def test_a_dead_phone_ends_in_408() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await two_phones(rig)
        bob.peer.close()
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sdp_of(anna))
        await leg.answered(408)
        await nothing_is_left(rig)

    on_a_bridge(test)


def test_nobody_registered_is_480_and_nobody_at_all_404() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11")
        await anna.ask("INVITE", f"sip:103@{DOMAIN}", body=sdp_of(anna))
        await anna.peer.expect(480, skip=(100,))
        await anna.ask("INVITE", f"sip:999@{DOMAIN}", body=sdp_of(anna))
        await anna.peer.expect(404, skip=(100, 480))

    on_a_bridge(test)


def test_a_caller_who_never_acknowledges_ends_both_halves() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await two_phones(rig)
        await anna.call(f"sip:102@{DOMAIN}", body=sdp_of(anna))
        await bob.peer.expect("INVITE")
        bob.peer.reply(200, headers=[("Contact", f"<{bob.contact}>")], body=sdp_of(bob))
        await bob.peer.expect("ACK")
        bye = await bob.peer.expect("BYE", timeout=40)
        assert bye.headers["Reason"].startswith("SIP;cause=408")
        bob.peer.reply(200)
        await anna.peer.expect("BYE", skip=(200,))
        anna.peer.reply(200)
        await nothing_is_left(rig)

    on_a_bridge(test)


def test_early_sound_reaches_the_caller_before_the_answer() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await two_phones(rig)
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sdp_of(anna))
        await bob.peer.expect("INVITE")
        bob.peer.reply(183, body=sdp_of(bob), headers=[("Contact", f"<{bob.contact}>")])
        early = await anna.peer.expect(183)
        assert early.body == sdp_of(bob)
        bob.peer.reply(180, body=sdp_of(bob), headers=[("Contact", f"<{bob.contact}>")])
        assert (await anna.peer.expect(180)).body == sdp_of(bob)
        bob.peer.reply(200, headers=[("Contact", f"<{bob.contact}>")])
        assert (await leg.answered(200)).body == sdp_of(bob)

    on_a_bridge(test)


def test_a_call_to_another_domain_goes_by_its_address() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11")
        stranger = await rig.device("999", "10.0.0.99")
        leg = await anna.call("sip:eve@10.0.0.99", body=sdp_of(anna))
        invite = await stranger.peer.expect("INVITE")
        assert invite.target == "sip:eve@10.0.0.99"
        assert "P-Asserted-Identity" not in invite.headers
        stranger.peer.reply(486)
        await leg.answered(486)

    on_a_bridge(test)


def test_a_call_that_comes_round_again_is_a_loop() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11")
        mirror = await rig.device("999", "10.0.0.99")
        await anna.call("sip:eve@10.0.0.99", body=sdp_of(anna))
        await mirror.peer.expect("INVITE")
        came = mirror.peer.heard[-1]
        mirror.peer.send(
            came.replace(
                b"\r\nVia: ", b"\r\nVia: SIP/2.0/UDP 10.0.0.99:5060;branch=z9hG4bKmirror;rport\r\nVia: ", 1
            )
        )
        challenge = await mirror.peer.expect(407, skip=(100,))
        assert challenge.status == 407  # only users call out; the hash is looked at behind the proof
        loops = rig.server.services.bridge._loops
        returned = parse_message(came)
        assert isinstance(returned, Request)
        assert loops.is_loop(returned, loops.round_hash_of(returned))

    on_a_bridge(test)


def test_a_description_that_cannot_be_taken_is_refused_with_a_warning() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await two_phones(rig)
        for bad in (
            sdp_of(anna).replace(b"c=IN IP4 10.0.0.11", b"c=IN IP4 127.0.0.1"),
            sdp_of(anna).replace(b"m=audio 4000", b"m=audio 99999999"),
            sdp_of(anna).replace(b"c=IN IP4 10.0.0.11", b"c=IN IP4 224.0.0.1"),
            sdp_of(anna) * 30,
            b"rubbish",
        ):
            await anna.ask("INVITE", f"sip:102@{DOMAIN}", body=bad)
            answer = await anna.peer.expect(488, skip=(100, 488))
            assert answer.headers["Warning"].split()[0].isdecimal()
        await bob.peer.expect_silence(1)
        assert rig.server.status()["bridged"] == 0

    on_a_bridge(test)


def test_more_calls_than_the_setting_allows_are_told_to_come_again() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await two_phones(rig)
        carol = await rig.phone("103", "10.0.0.13")
        await call(rig, anna, bob)
        await carol.ask("INVITE", f"sip:102@{DOMAIN}", body=sdp_of(carol))
        answer = await carol.peer.expect(503, skip=(100,))
        assert "Retry-After" in answer.headers

    settings = with_bridge()
    on_a_bridge(
        test,
        settings=settings.model_copy(update={"calls": settings.calls.model_copy(update={"max_bridged": 1})}),
    )


def test_a_call_longer_than_the_setting_allows_is_ended() -> None:
    async def test(rig: Rig) -> None:
        one, other = await call(rig, *await two_phones(rig))
        await asyncio.sleep(58)
        await one.expect("BYE", timeout=3)
        one.reply(200)
        await other.expect("BYE")
        other.reply(200)

    settings = with_bridge()
    limited = settings.calls.model_copy(update={"max_duration": 60})
    on_a_bridge(test, settings=settings.model_copy(update={"calls": limited}))


def test_closing_the_server_ends_the_calls() -> None:
    async def test(rig: Rig) -> None:
        one, other = await call(rig, *await two_phones(rig))
        closing = asyncio.create_task(rig.server.close())
        for half in (one, other):
            await half.expect("BYE")
            half.reply(200)
        await closing

    on_a_bridge(test)
