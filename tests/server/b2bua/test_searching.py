# SPDX-License-Identifier: Apache-2.0
"""One call, many phones, through the bridge: forking, redirection, the best answer (RFC 3261 section 16)."""

import asyncio

from bridge_rig import on_a_bridge, sdp_of, two_phones
from server_rig import DOMAIN, Device, Leg, Rig, with_bridge

from ringback.testing import Peer

ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'


async def phones_of_bob(rig: Rig, *contacts: str) -> list[Peer]:
    peers = []
    for number, parameters in enumerate(contacts):
        device = await rig.device("102", f"10.0.0.{20 + number}")
        suffix = f";{parameters}" if parameters else ""
        answer = await device.register(contact=f"<{device.contact}>{suffix}", call_id=f"phone-{number}")
        assert answer.status == 200
        peers.append(device.peer)
    return peers


def take(peer: Peer, *, to: bytes | None = None) -> None:
    """Answer with sound."""
    body = f"v=0\r\no=- 1 1 IN IP4 {peer.local.host}\r\ns=-\r\nc=IN IP4 {peer.local.host}\r\nt=0 0\r\n"
    body += "m=audio 5000 RTP/AVP 0\r\n"
    peer.reply(200, to=to, headers=[("Contact", f"<sip:102@{peer.local}>")], body=body.encode())


async def anna_calls(rig: Rig, **parts: object) -> tuple[Device, Leg]:
    anna = await rig.phone("101", "10.0.0.11")
    return anna, await anna.call(f"sip:102@{DOMAIN}", body=sdp_of(anna), **parts)


def test_the_first_answer_has_the_call_and_the_others_hear_that_it_was_answered_elsewhere() -> None:
    async def test(rig: Rig) -> None:
        first, second, third = await phones_of_bob(rig, "", "", "")
        anna, leg = await anna_calls(rig)
        invites = [await peer.expect("INVITE") for peer in (first, second, third)]
        assert len({invite.call_id for invite in invites}) == 3
        first.reply(180)
        await anna.peer.expect(180)
        third.reply(183)
        await anna.peer.expect(183)
        ringing = third.heard[-1]
        take(first)
        await leg.answered(200)
        await first.expect("ACK")
        cancel = await third.expect("CANCEL")
        assert cancel.headers["Reason"] == ELSEWHERE
        third.reply(200)
        third.reply(487, to=ringing)
        await third.expect("ACK")
        second.reply(180)  # the CANCEL waited for a sign of life
        assert (await second.expect("CANCEL", skip=("INVITE",))).headers["Reason"] == ELSEWHERE
        second.reply(487, to=second.heard[0])
        await asyncio.sleep(40)
        assert rig.server.status()["bridged"] == 1

    on_a_bridge(test)


def test_two_phones_that_answer_at_once_make_one_call() -> None:
    async def test(rig: Rig) -> None:
        first, second = await phones_of_bob(rig, "", "")
        _anna, leg = await anna_calls(rig)
        for peer in (first, second):
            await peer.expect("INVITE")
        take(first)
        take(second)
        await leg.answered(200)
        await first.expect("ACK")
        await second.expect("ACK")
        bye = await second.expect("BYE", skip=("CANCEL",))
        assert bye.call_id
        second.reply(200)
        await first.expect_silence(5)

    on_a_bridge(test)


def test_phones_ring_q_after_q_each_for_the_ring_time() -> None:
    async def test(rig: Rig) -> None:
        desk, mobile = await phones_of_bob(rig, "q=1.0", "q=0.5")
        _, leg = await anna_calls(rig)
        await desk.expect("INVITE")
        invite = desk.heard[-1]
        desk.reply(180)
        await mobile.expect_silence(19)
        await desk.expect("CANCEL")
        desk.reply(200)
        desk.reply(487, to=invite)
        await mobile.expect("INVITE")
        take(mobile)
        await leg.answered(200)

    on_a_bridge(test, settings=with_bridge(ring_time=20))


def test_declined_everywhere_ends_it_at_once_and_wins() -> None:
    async def test(rig: Rig) -> None:
        first, second, later = await phones_of_bob(rig, "", "", "q=0.1")
        _, leg = await anna_calls(rig)
        await first.expect("INVITE")
        await second.expect("INVITE")
        second.reply(180)
        first.reply(603)
        await second.expect("CANCEL")
        await leg.answered(603)
        await later.expect_silence(5)

    on_a_bridge(test)


def test_the_best_refusal_reaches_the_caller() -> None:
    async def test(rig: Rig) -> None:
        first, second = await phones_of_bob(rig, "", "")
        _, leg = await anna_calls(rig)
        for peer, status in ((first, 500), (second, 486)):
            await peer.expect("INVITE")
            peer.reply(status)
        await leg.answered(486)

    on_a_bridge(test)


def test_503_of_the_only_phone_becomes_500() -> None:
    async def test(rig: Rig) -> None:
        (only,) = await phones_of_bob(rig, "")
        _, leg = await anna_calls(rig)
        await only.expect("INVITE")
        only.reply(503)
        await leg.answered(500)

    on_a_bridge(test)


def test_the_challenges_of_others_reach_the_caller_and_those_in_our_name_do_not() -> None:
    async def test(rig: Rig) -> None:
        (only,) = await phones_of_bob(rig, "")
        anna, leg = await anna_calls(rig)
        await only.expect("INVITE")
        only.reply(
            401,
            headers=[
                ("WWW-Authenticate", 'Digest realm="elsewhere", nonce="1"'),
                ("WWW-Authenticate", f'Digest realm="{DOMAIN}", nonce="2"'),
            ],
        )
        answer = await leg.answered(401)
        assert answer.headers.get_all("WWW-Authenticate") == ['Digest realm="elsewhere", nonce="1"']
        await only.expect("ACK")
        line = 'Digest username="a", realm="elsewhere", nonce="1", uri="sip:102@x", response="0"'
        await anna.ask("INVITE", f"sip:102@{DOMAIN}", body=sdp_of(anna), headers=[("Authorization", line)])
        again = await only.expect("INVITE")
        assert again.headers.get_all("Authorization") == [line]
        assert "Proxy-Authorization" not in again.headers

    on_a_bridge(test)


def test_a_redirection_to_a_user_here_is_followed_and_one_out_of_the_domain_is_passed_on() -> None:
    async def test(rig: Rig) -> None:
        (bob,) = await phones_of_bob(rig, "")
        carol = await rig.phone("103", "10.0.0.13")
        _anna, leg = await anna_calls(rig)
        await bob.expect("INVITE")
        bob.reply(302, headers=[("Contact", f"<sip:103@{DOMAIN}>")])
        await bob.expect("ACK")
        await carol.peer.expect("INVITE")
        carol.peer.reply(302, headers=[("Contact", "<sip:+1900@premium.test>")])
        answer = await leg.answered(302)
        assert str(answer.contacts[0].uri) == "sip:+1900@premium.test"

    on_a_bridge(test)


def test_redirections_in_a_circle_come_to_an_end() -> None:
    async def test(rig: Rig) -> None:
        (bob,) = await phones_of_bob(rig, "")
        carol = await rig.phone("103", "10.0.0.13")
        _, leg = await anna_calls(rig)
        await bob.expect("INVITE")
        bob.reply(302, headers=[("Contact", f"<sip:103@{DOMAIN}>")])
        await carol.peer.expect("INVITE")
        carol.peer.reply(302, headers=[("Contact", f"<sip:102@{DOMAIN}>")])
        await leg.answered(480)
        assert sum(data.startswith(b"INVITE") for data in bob.heard) == 1

    on_a_bridge(test)


def test_the_other_flow_of_a_phone_is_tried_when_the_first_is_lost() -> None:
    async def test(rig: Rig) -> None:
        flows = []
        for reg_id in (1, 2):
            device = await rig.device("102", "10.0.0.12", tcp=True)
            contact = f'<sip:b@x.invalid;transport=tcp>;+sip.instance="<urn:uuid:9>";reg-id={reg_id}'
            await device.register(
                contact=contact, headers=[("Supported", "outbound")], call_id=f"flow-{reg_id}"
            )
            flows.append(device)
            await asyncio.sleep(1)
        old, new = flows
        _anna, leg = await anna_calls(rig)
        await new.peer.expect("INVITE")
        new.peer.reset()
        await old.peer.expect("INVITE")
        old.peer.reply(486)
        await leg.answered(486)

    on_a_bridge(test)


def test_breadth_is_divided_and_with_little_phones_ring_one_after_the_other() -> None:
    async def test(rig: Rig) -> None:
        first, second = await phones_of_bob(rig, "q=0.9", "q=0.9")
        _anna, leg = await anna_calls(rig, headers=[("Max-Breadth", "1")])
        await asyncio.sleep(0.1)
        rings = [peer for peer in (first, second) if peer.heard[-1].startswith(b"INVITE")]
        assert len(rings) == 1
        assert (await rings[0].expect("INVITE")).max_breadth == 1
        rings[0].reply(486)
        other = second if rings[0] is first else first
        await other.expect("INVITE")
        other.reply(486)
        await leg.answered(486)

    on_a_bridge(test)


def test_the_early_sound_of_several_phones_is_not_mixed() -> None:
    async def test(rig: Rig) -> None:
        first, second = await phones_of_bob(rig, "", "")
        anna, _leg = await anna_calls(rig)
        for peer in (first, second):
            await peer.expect("INVITE")
            peer.reply(183, headers=[("Contact", f"<sip:102@{peer.local}>")], body=sdp_of(anna))
        assert (await anna.peer.expect(183)).body == b""

    on_a_bridge(test)


def test_a_call_to_two_phones_of_which_one_is_dead_rings_at_the_other() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await two_phones(rig)
        (dead,) = await phones_of_bob(rig, "")
        dead.close()
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sdp_of(anna))
        await bob.peer.expect("INVITE")
        bob.peer.reply(200, headers=[("Contact", f"<{bob.contact}>")], body=sdp_of(bob))
        await leg.answered(200)
        await asyncio.sleep(40)
        assert rig.server.status()["bridged"] == 1

    on_a_bridge(test)
