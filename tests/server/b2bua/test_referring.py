# SPDX-License-Identifier: Apache-2.0
"""One phone hands its call to another: blind and attended (RFC 3515, RFC 5589, RFC 3891), by the server itself."""

import asyncio
from typing import Any
from urllib.parse import quote

import pytest
from bridge_rig import Half, call, half_of_callee, half_of_caller, on_a_bridge, sdp_of, two_phones
from server_rig import DOMAIN, Device, Leg, Rig, with_bridge

CAROL = f"<sip:103@{DOMAIN}>"


async def report(half: Half) -> str:
    """The status line of the next NOTIFY, which is confirmed."""
    notify = await half.expect("NOTIFY")
    assert notify.headers["Event"].startswith("refer")
    assert str(notify.content_type).startswith("message/sipfrag")
    half.device.peer.reply(200, to=notify.to_bytes())
    state = notify.headers["Subscription-State"]
    line: str = notify.body.decode().strip().removeprefix("SIP/2.0 ")
    assert state.startswith("terminated" if line[0] > "1" else "active")
    return line


async def refer(half: Half, target: str, **options: Any) -> None:
    half.send("REFER", headers=[("Refer-To", target), *options.pop("headers", ())])
    answer = await half.expect(202)
    assert answer.contacts
    assert await report(half) == "100 Trying"


async def renegotiated(first: Half, second: Half) -> tuple[str | None, str | None]:
    """The one who stays is asked for an offer, the other gets it: whom each is told that it speaks with."""
    asked = await first.expect("INVITE")
    assert asked.body == b""
    offer, answer = sdp_of(first.device, version=7), sdp_of(second.device, port=6000, version=7)
    first.reply(200, body=offer)
    told = await second.expect("INVITE")
    assert told.body.partition(b"s=-")[2] == offer.partition(b"s=-")[2]
    second.reply(200, body=answer)
    await second.expect("ACK")
    ack = await first.expect("ACK")
    assert ack.body.partition(b"s=-")[2] == answer.partition(b"s=-")[2]
    return asked.headers.get("P-Asserted-Identity"), told.headers.get("P-Asserted-Identity")


async def carol_answers(carol: Device) -> Half:
    invite = await carol.peer.expect("INVITE")
    carol.peer.reply(200, headers=[("Contact", f"<{carol.contact}>")], body=sdp_of(carol, port=6000))
    await carol.peer.expect("ACK")
    return half_of_callee(carol, invite)


async def they_talk_and_hang_up(rig: Rig, one: Half, other: Half) -> None:
    one.send("INFO", body=b"x", content_type="text/plain")
    await other.expect("INFO")
    other.reply(200)
    await one.expect(200)
    other.send("BYE")
    await other.expect(200)
    await one.expect("BYE")
    one.reply(200)
    await asyncio.sleep(40)
    assert rig.state == (0, 0, 0, 0, 0)
    assert rig.server.status()["bridged"] == 0
    assert not len(rig.server.bridged)
    assert rig.server.services.bridge.legs == {}


@pytest.mark.parametrize("who", [0, 1])
def test_a_blind_transfer_joins_the_one_who_stays_with_the_new_one(who: int) -> None:
    async def test(rig: Rig) -> None:
        halves = await call(rig, *await two_phones(rig))
        referrer, staying = halves[who], halves[1 - who]
        carol = await rig.phone("103", "10.0.0.13")
        await refer(referrer, CAROL)
        invite = await carol.peer.expect("INVITE")
        assert invite.from_.uri.user == staying.device.number
        assert invite.headers["Referred-By"] == f"<sip:{referrer.device.number}@{DOMAIN}>"
        assert invite.body.startswith(b"v=0")
        carol.peer.reply(180)
        assert await report(referrer) == "180 Ringing"
        carol.peer.reply(200, headers=[("Contact", f"<{carol.contact}>")], body=sdp_of(carol, port=6000))
        await carol.peer.expect("ACK")
        other = half_of_callee(carol, invite)
        await renegotiated(staying, other)
        assert await report(referrer) == "200 OK"
        bye = await referrer.expect("BYE", timeout=3)
        assert "transferred" in bye.headers["Reason"]
        referrer.reply(200)
        await they_talk_and_hang_up(rig, staying, other)

    on_a_bridge(test)


@pytest.mark.parametrize("who", [0, 1])
def test_both_ends_of_a_transferred_call_are_told_the_name_of_the_other(who: int) -> None:
    async def test(rig: Rig) -> None:
        halves = await call(rig, *await two_phones(rig))
        referrer, staying = halves[who], halves[1 - who]
        carol = await rig.phone("103", "10.0.0.13")
        await refer(referrer, CAROL)
        other = await carol_answers(carol)
        to_staying, to_carol = await renegotiated(staying, other)
        assert to_staying == f'"Carol" <sip:103@{DOMAIN}>'
        name = "Bob" if who == 0 else "Anna"
        assert to_carol == f'"{name}" <sip:{staying.device.number}@{DOMAIN}>'
        assert await report(referrer) == "200 OK"
        await referrer.expect("BYE", timeout=3)
        referrer.reply(200)
        other.send("INVITE", body=sdp_of(carol, port=6000, version=9))  # a hold, say
        held = await staying.expect("INVITE")
        assert held.headers["P-Asserted-Identity"] == to_staying

    on_a_bridge(test)


def test_a_caller_who_wants_to_stay_unnamed_is_not_named_after_a_transfer() -> None:
    async def test(rig: Rig) -> None:
        staying, referrer = await call(rig, *await two_phones(rig), headers=[("Privacy", "id")])
        carol = await rig.phone("103", "10.0.0.13")
        await refer(referrer, CAROL)
        invite = await carol.peer.expect("INVITE")
        assert "P-Asserted-Identity" not in invite.headers
        carol.peer.reply(200, headers=[("Contact", f"<{carol.contact}>")], body=sdp_of(carol, port=6000))
        await carol.peer.expect("ACK")
        to_staying, to_carol = await renegotiated(staying, half_of_callee(carol, invite))
        assert (to_staying is None, to_carol) == (False, None)

    on_a_bridge(test)


def test_a_hold_names_nobody_anew() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await call(rig, *await two_phones(rig))
        anna.send("INVITE", body=sdp_of(anna.device, version=2))
        assert "P-Asserted-Identity" not in (await bob.expect("INVITE")).headers

    on_a_bridge(test)


@pytest.mark.parametrize("who", [0, 1])
def test_who_transferred_may_hang_up_when_it_is_done(who: int) -> None:
    async def test(rig: Rig) -> None:
        halves = await call(rig, *await two_phones(rig))
        referrer, staying = halves[who], halves[1 - who]
        carol = await rig.phone("103", "10.0.0.13")
        await refer(referrer, CAROL)
        other = await carol_answers(carol)
        await renegotiated(staying, other)
        assert await report(referrer) == "200 OK"
        referrer.send("BYE")
        await referrer.expect(200)
        await staying.device.peer.expect_silence(5)
        await they_talk_and_hang_up(rig, staying, other)

    on_a_bridge(test)


def test_who_transfers_may_hang_up_at_once() -> None:
    async def test(rig: Rig) -> None:
        staying, referrer = await call(rig, *await two_phones(rig))
        carol = await rig.phone("103", "10.0.0.13")
        await refer(referrer, CAROL)
        referrer.send("BYE")
        await referrer.expect(200)
        other = await carol_answers(carol)
        await renegotiated(staying, other)
        await they_talk_and_hang_up(rig, staying, other)

    on_a_bridge(test)


@pytest.mark.parametrize("status", [486, 404, 603])
def test_when_the_new_one_refuses_the_old_call_goes_on(status: int) -> None:
    async def test(rig: Rig) -> None:
        staying, referrer = await call(rig, *await two_phones(rig))
        carol = await rig.phone("103", "10.0.0.13")
        await refer(referrer, CAROL)
        await carol.peer.expect("INVITE")
        carol.peer.reply(status)
        assert (await report(referrer)).startswith(str(status))
        await staying.device.peer.expect_silence(3)
        await they_talk_and_hang_up(rig, staying, referrer)

    on_a_bridge(test)


def test_when_the_new_one_refuses_and_the_referrer_is_gone_the_call_is_over() -> None:
    async def test(rig: Rig) -> None:
        staying, referrer = await call(rig, *await two_phones(rig))
        carol = await rig.phone("103", "10.0.0.13")
        await refer(referrer, CAROL)
        referrer.send("BYE")
        await referrer.expect(200)
        await carol.peer.expect("INVITE")
        carol.peer.reply(486)
        bye = await staying.expect("BYE")
        assert bye.headers["Reason"].startswith("SIP;cause=486")

    on_a_bridge(test)


def test_when_the_one_who_stays_does_not_agree_the_old_call_goes_on() -> None:
    async def test(rig: Rig) -> None:
        staying, referrer = await call(rig, *await two_phones(rig))
        carol = await rig.phone("103", "10.0.0.13")
        await refer(referrer, CAROL)
        other = await carol_answers(carol)
        await staying.expect("INVITE")
        staying.device.peer.reply(488)
        await staying.expect("ACK")
        await other.expect("INVITE")
        other.device.peer.reply(488)
        await other.expect("ACK")
        await other.expect("BYE")
        other.reply(200)
        assert (await report(referrer)).startswith("488")
        await they_talk_and_hang_up(rig, staying, referrer)

    on_a_bridge(test)


def test_when_the_one_who_stays_makes_no_offer_the_new_one_does() -> None:
    async def test(rig: Rig) -> None:
        staying, referrer = await call(rig, *await two_phones(rig))
        carol = await rig.phone("103", "10.0.0.13")
        await refer(referrer, CAROL)
        other = await carol_answers(carol)
        await staying.expect("INVITE")
        staying.device.peer.reply(415)
        await staying.expect("ACK")
        await renegotiated(other, staying)
        assert await report(referrer) == "200 OK"

    on_a_bridge(test)


def test_who_hangs_up_during_a_transfer_ends_all_of_it() -> None:
    async def test(rig: Rig) -> None:
        staying, referrer = await call(rig, *await two_phones(rig))
        carol = await rig.phone("103", "10.0.0.13")
        await refer(referrer, CAROL)
        await carol.peer.expect("INVITE")
        carol.peer.reply(180)
        await report(referrer)
        staying.send("BYE")
        await staying.expect(200)
        await carol.peer.expect("CANCEL")
        await referrer.expect("BYE")

    on_a_bridge(test)


def test_no_reports_for_who_does_not_want_them() -> None:
    async def test(rig: Rig) -> None:
        staying, referrer = await call(rig, *await two_phones(rig))
        carol = await rig.phone("103", "10.0.0.13")
        referrer.send("REFER", headers=[("Refer-To", CAROL), ("Refer-Sub", "false")])
        assert (await referrer.expect(202)).headers["Refer-Sub"] == "false"
        other = await carol_answers(carol)
        await renegotiated(staying, other)
        await referrer.expect("BYE", timeout=3)

    on_a_bridge(test)


def test_a_second_transfer_of_the_same_call_names_its_refer() -> None:
    async def test(rig: Rig) -> None:
        _staying, referrer = await call(rig, *await two_phones(rig))
        for number in range(2):
            referrer.send("REFER", headers=[("Refer-To", f"<sip:103@{DOMAIN}>")])
            await referrer.expect(202)
            first = await referrer.expect("NOTIFY")
            assert first.headers["Event"] == (f"refer;id={referrer.cseq}" if number else "refer")
            referrer.device.peer.reply(200)
            assert (await report(referrer)).startswith("480")

    on_a_bridge(test)


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("<tel:+4930123>", 416),
        ("<sip:103@ringback.test;method=BYE>", 403),
        ("<sip:103@ringback.test?Replaces=a%20b>", 400),
        ("<sip:eve@outside.test>", 403),
        ("rubbish <<", 400),
    ],
)
def test_what_may_not_or_cannot_be_called_is_refused_at_once(target: str, status: int) -> None:
    async def test(rig: Rig) -> None:
        staying, referrer = await call(rig, *await two_phones(rig))
        referrer.send("REFER", headers=[("Refer-To", target)])
        await referrer.expect(status)
        await they_talk_and_hang_up(rig, staying, referrer)

    on_a_bridge(test, settings=with_bridge(users_may_call_out=False))


def test_a_number_that_nobody_has_is_reported_and_the_call_goes_on() -> None:
    async def test(rig: Rig) -> None:
        staying, referrer = await call(rig, *await two_phones(rig))
        await refer(referrer, f"<sip:999@{DOMAIN}>")
        assert await report(referrer) == "404 Not Found"
        await they_talk_and_hang_up(rig, staying, referrer)

    on_a_bridge(test)


def test_a_refer_without_refer_to_is_refused() -> None:
    async def test(rig: Rig) -> None:
        _staying, referrer = await call(rig, *await two_phones(rig))
        referrer.send("REFER")
        await referrer.expect(400)

    on_a_bridge(test)


def test_a_stranger_cannot_have_others_called() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11")
        await rig.phone("103", "10.0.0.13")
        eve = await rig.device("eve", "10.0.0.99")
        leg = await anna.call("sip:eve@10.0.0.99", body=sdp_of(anna))
        invite = await eve.peer.expect("INVITE")
        eve.peer.reply(200, headers=[("Contact", "<sip:eve@10.0.0.99>")], body=sdp_of(eve))
        await leg.answered(200)
        await eve.peer.expect("ACK")
        half = half_of_callee(eve, invite)
        half.send("REFER", headers=[("Refer-To", CAROL)])
        await half.expect(403)

    on_a_bridge(test)


async def consultation(rig: Rig) -> tuple[Half, Half, Half, Half]:
    """Anna has called Bob, Bob calls Carol: the four halves."""
    anna, bob = await two_phones(rig)
    carol = await rig.phone("103", "10.0.0.13")
    first = await call(rig, anna, bob)
    second = await call(rig, bob, carol)
    return *first, *second


def attended(half: Half) -> str:
    return f"<sip:103@{DOMAIN}?Replaces={quote(half.replaces(), safe='')}>"


def test_an_attended_transfer_joins_the_two_others() -> None:
    async def test(rig: Rig) -> None:
        staying, referrer, second, other = await consultation(rig)
        assert rig.server.status()["bridged"] == 2
        await refer(referrer, attended(second))
        named = await renegotiated(staying, other)
        assert named == (f'"Carol" <sip:103@{DOMAIN}>', f'"Anna" <sip:101@{DOMAIN}>')
        assert await report(referrer) == "200 OK"
        ended = set()
        for _ in range(2):
            bye = await referrer.expect("BYE", timeout=3)
            referrer.device.peer.reply(200, to=bye.to_bytes())
            ended.add(bye.call_id)
        assert ended == {referrer.call_id, second.call_id}
        assert rig.server.status()["bridged"] == 1
        await they_talk_and_hang_up(rig, staying, other)

    on_a_bridge(test)


def test_who_transfers_attended_may_hang_up_both_calls_at_once() -> None:
    async def test(rig: Rig) -> None:
        staying, referrer, second, other = await consultation(rig)
        await refer(referrer, attended(second))
        for half in (second, referrer):
            half.send("BYE")
            await half.expect(200)
        await renegotiated(staying, other)
        await they_talk_and_hang_up(rig, staying, other)

    on_a_bridge(test)


def test_an_attended_transfer_that_fails_leaves_both_calls() -> None:
    async def test(rig: Rig) -> None:
        staying, referrer, second, other = await consultation(rig)
        await refer(referrer, attended(second))
        for half in (staying, other):
            await half.expect("INVITE")
            half.device.peer.reply(488)
            await half.expect("ACK")
        assert (await report(referrer)).startswith("488")
        other.send("BYE")
        await other.expect(200)
        await second.expect("BYE")
        second.reply(200)
        await they_talk_and_hang_up(rig, staying, referrer)

    on_a_bridge(test)


def test_a_transfer_to_a_call_that_still_rings_waits_for_the_answer() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await two_phones(rig)
        carol = await rig.phone("103", "10.0.0.13")
        staying, referrer = await call(rig, anna, bob)
        leg = await bob.call(f"sip:103@{DOMAIN}", body=sdp_of(bob))
        invite = await carol.peer.expect("INVITE")
        carol.peer.reply(180)
        ringing = await bob.peer.expect(180)
        tags = f"{ringing.call_id};to-tag={ringing.to.tag};from-tag={ringing.from_.tag}"
        await refer(referrer, f"<sip:103@{DOMAIN}?Replaces={quote(tags, safe='')}>")
        assert await report(referrer) == "180 Ringing"
        carol.peer.reply(200, headers=[("Contact", f"<{carol.contact}>")], body=sdp_of(carol, port=6000))
        await carol.peer.expect("ACK")
        await leg.answered(200)
        await renegotiated(staying, half_of_callee(carol, invite))
        assert await report(referrer) == "200 OK"

    on_a_bridge(test)


def test_the_dialog_of_somebody_else_cannot_be_taken_by_a_refer() -> None:
    async def test(rig: Rig) -> None:
        staying, _referrer, second, _other = await consultation(rig)
        staying.send("REFER", headers=[("Refer-To", attended(second))])
        await staying.expect(403)

    on_a_bridge(test)


# --- INVITE with Replaces -----------------------------------------------------------------------------


async def take_over(rig: Rig, half: Half, *, body: bytes | None = None) -> tuple[Device, bytes]:
    """Another phone of 103 wants the place of `half`."""
    carol = await rig.phone("103", "10.0.0.13")
    headers = [("Replaces", half.replaces()), ("Require", "replaces")]
    sent = await carol.ask(
        "INVITE", f"sip:102@{DOMAIN}", body=sdp_of(carol) if body is None else body, headers=headers
    )
    return carol, sent


@pytest.mark.parametrize("who", [0, 1])
def test_an_invite_with_replaces_takes_the_place_of_a_phone(who: int) -> None:
    async def test(rig: Rig) -> None:
        halves = await call(rig, *await two_phones(rig))
        old, staying = halves[who], halves[1 - who]
        carol, sent = await take_over(rig, old)
        told = await staying.expect("INVITE")
        assert told.body.partition(b"s=-")[2] == sdp_of(carol).partition(b"s=-")[2]
        staying.reply(200, body=sdp_of(staying.device, version=5))
        leg = Leg(carol, sent)
        answer = await leg.answered(200, skip=(100,))
        assert answer.body.partition(b"s=-")[2] == sdp_of(staying.device).partition(b"s=-")[2]
        await old.expect("BYE")
        old.reply(200)
        await staying.expect("ACK")
        await they_talk_and_hang_up(rig, staying, half_of_caller(leg))

    on_a_bridge(test)


def test_a_takeover_that_is_refused_leaves_the_call() -> None:
    async def test(rig: Rig) -> None:
        one, other = await call(rig, *await two_phones(rig))
        carol, _ = await take_over(rig, other)
        await one.expect("INVITE")
        one.device.peer.reply(488)
        await carol.peer.expect(488, skip=(100,))
        await one.expect("ACK")
        await they_talk_and_hang_up(rig, one, other)

    on_a_bridge(test)


def test_a_dialog_that_nobody_has_cannot_be_replaced() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await two_phones(rig)
        await anna.ask(
            "INVITE",
            f"sip:102@{DOMAIN}",
            body=sdp_of(anna),
            headers=[("Replaces", "nobody;to-tag=1;from-tag=2")],
        )
        await anna.peer.expect(481, skip=(100,))
        await bob.peer.expect_silence(1)

    on_a_bridge(test)


def test_a_guest_takes_nobodys_place() -> None:
    """However it learned the names of the dialog: it may call one number, and no more."""

    async def test(rig: Rig) -> None:
        one, other = await call(rig, *await two_phones(rig))
        carol = await rig.phone("103", "10.0.0.13")
        users = rig.server.services.around.subscribers.users
        users["103"].may_call = "102"
        headers = [("Replaces", other.replaces()), ("Require", "replaces")]
        await carol.ask("INVITE", f"sip:102@{DOMAIN}", body=sdp_of(carol), headers=headers)
        await carol.peer.expect(481, skip=(100,))
        await they_talk_and_hang_up(rig, one, other)

    on_a_bridge(test)
