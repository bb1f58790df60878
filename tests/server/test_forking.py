# SPDX-License-Identifier: Apache-2.0
"""One call, many phones: RFC 3261 sections 16.6 to 16.10, RFC 3326, RFC 5393, RFC 5626 section 7."""

import asyncio
import gc

from server_rig import DOMAIN, Device, Leg, Rig, on_a_server, with_proxy

from ringback.server.branch import Branch
from ringback.server.forking import ResponseContext
from ringback.server.pipeline import Exchange
from ringback.sip.transaction.client import ClientTransaction
from ringback.sip.transaction.server import ServerTransaction
from ringback.testing import Peer


async def phones_of_bob(rig: Rig, *contacts: str) -> list[Peer]:
    """Phones of 102, each registered with these parameters of its Contact ("q=0.5" or nothing)."""
    peers = []
    for number, parameters in enumerate(contacts):
        device = await rig.device("102", f"10.0.0.{20 + number}")
        suffix = f";{parameters}" if parameters else ""
        answer = await device.register(contact=f"<{device.contact}>{suffix}", call_id=f"phone-{number}")
        assert answer.status == 200
        peers.append(device.peer)
    return peers


def contact_of(peer: Peer) -> list[tuple[str, str]]:
    return [("Contact", f"<sip:102@{peer.local}>")]


async def anna_calls(rig: Rig) -> tuple[Device, Leg]:
    anna = await rig.phone("101", "10.0.0.11")
    return anna, await anna.call(f"sip:102@{DOMAIN}")


def test_all_phones_of_one_q_ring_and_the_first_answer_stops_the_others() -> None:
    async def test(rig: Rig) -> None:
        first, second, third = await phones_of_bob(rig, "", "", "")
        anna, leg = await anna_calls(rig)
        for peer in (first, second, third):
            await peer.expect("INVITE")
        first.reply(180)
        third.reply(183)
        ringing = third.heard[-1]
        await anna.peer.expect(180)
        await anna.peer.expect(183)
        first.reply(200, headers=contact_of(first))
        await leg.answered(200)
        cancel = await third.expect("CANCEL")
        assert cancel.headers["Reason"] == 'SIP;cause=200;text="Call completed elsewhere"'
        third.reply(200)
        third.reply(487, to=ringing)
        await third.expect("ACK")
        await first.expect("ACK")
        second.reply(180)
        await second.expect("CANCEL", skip=("INVITE",))
        second.reply(487, to=second.heard[0])
        await asyncio.sleep(60)
        assert rig.state == (0, 0, 0, 0, 0)

    on_a_server(test)


def test_phones_ring_q_after_q() -> None:
    async def test(rig: Rig) -> None:
        desk, mobile = await phones_of_bob(rig, "q=1.0", "q=0.5")
        anna, leg = await anna_calls(rig)
        await desk.expect("INVITE")
        desk.reply(100)
        await mobile.expect_silence(1)
        desk.reply(486)
        await desk.expect("ACK")
        await mobile.expect("INVITE")
        mobile.reply(200, headers=contact_of(mobile))
        await leg.answered(200)
        assert await anna.peer.expect_silence(1) is None

    on_a_server(test)


def test_each_group_may_ring_for_the_ring_time() -> None:
    async def test(rig: Rig) -> None:
        desk, mobile = await phones_of_bob(rig, "q=1.0", "q=0.5")
        _, leg = await anna_calls(rig)
        await desk.expect("INVITE")
        invite = desk.heard[-1]
        desk.reply(180)
        await mobile.expect_silence(19)
        await desk.expect("CANCEL")
        desk.reply(487, to=invite)
        await mobile.expect("INVITE")
        mobile.reply(180)
        await mobile.expect("CANCEL", timeout=21)
        mobile.reply(487, to=mobile.heard[0])
        await leg.answered(480)

    on_a_server(test, settings=with_proxy(ring_time=20))


def test_declined_everywhere_ends_it_at_once_and_wins() -> None:
    async def test(rig: Rig) -> None:
        first, second, later = await phones_of_bob(rig, "", "", "q=0.1")
        _, leg = await anna_calls(rig)
        await first.expect("INVITE")
        await second.expect("INVITE")
        second.reply(180)
        ringing = second.heard[-1]
        first.reply(603)
        await second.expect("CANCEL")
        second.reply(487, to=ringing)
        await leg.answered(603)
        await later.expect_silence(5)

    on_a_server(test)


def test_busy_beats_not_found_beats_server_error_only_by_class() -> None:
    async def test(rig: Rig) -> None:
        first, second = await phones_of_bob(rig, "", "")
        _, leg = await anna_calls(rig)
        await first.expect("INVITE")
        first.reply(500)
        await second.expect("INVITE")
        second.reply(486)
        await leg.answered(486)

    on_a_server(test)


def test_503_of_the_only_phone_becomes_500() -> None:
    async def test(rig: Rig) -> None:
        (only,) = await phones_of_bob(rig, "")
        _, leg = await anna_calls(rig)
        await only.expect("INVITE")
        only.reply(503, headers=[("Retry-After", "10")])
        answer = await leg.answered(500)
        assert "Retry-After" not in answer.headers

    on_a_server(test)


def test_the_challenges_of_all_branches_reach_the_caller() -> None:
    async def test(rig: Rig) -> None:
        first, second, third = await phones_of_bob(rig, "", "", "")
        _, leg = await anna_calls(rig)
        for peer, status, name in (
            (first, 401, "WWW-Authenticate"),
            (second, 407, "Proxy-Authenticate"),
            (third, 401, "WWW-Authenticate"),
        ):
            await peer.expect("INVITE")
            peer.reply(status, headers=[(name, f'Digest realm="{peer.local}", nonce="1"')])
        answer = await leg.answered(401)
        assert len(answer.headers.get_all("WWW-Authenticate")) == 2
        assert len(answer.headers.get_all("Proxy-Authenticate")) == 1

    on_a_server(test)


def test_two_phones_that_answer_at_once_are_both_passed_on() -> None:
    async def test(rig: Rig) -> None:
        first, second = await phones_of_bob(rig, "", "")
        _anna, leg = await anna_calls(rig)
        await first.expect("INVITE")
        await second.expect("INVITE")
        first.reply(200, tag="one", headers=contact_of(first))
        second.reply(200, tag="two", headers=contact_of(second))
        tags = {(await leg.answered(200)).to.tag, (await leg.answered(200)).to.tag}
        assert tags == {"one", "two"}
        await first.expect("ACK", skip=("CANCEL",))
        await second.expect("ACK", skip=("CANCEL",))

    on_a_server(test)


def test_repeated_200s_are_passed_on_until_the_ack() -> None:
    async def test(rig: Rig) -> None:
        (only,) = await phones_of_bob(rig, "")
        anna, _leg = await anna_calls(rig)
        await only.expect("INVITE")
        for _ in range(3):
            only.reply(200, headers=contact_of(only))
            await anna.peer.expect(200)

    on_a_server(test)


def test_breadth_is_divided_among_the_branches() -> None:
    async def test(rig: Rig) -> None:
        peers = await phones_of_bob(rig, "", "", "")
        anna = await rig.phone("101", "10.0.0.11")
        await anna.call(f"sip:102@{DOMAIN}", headers=[("Max-Breadth", "10")])
        shares = sorted([(await peer.expect("INVITE")).max_breadth for peer in peers])
        assert shares == [3, 3, 4]

    on_a_server(test)


def test_with_little_breadth_phones_ring_one_after_the_other() -> None:
    async def test(rig: Rig) -> None:
        first, second = await phones_of_bob(rig, "q=0.9", "q=0.9")
        anna = await rig.phone("101", "10.0.0.11")
        leg = await anna.call(f"sip:102@{DOMAIN}", headers=[("Max-Breadth", "1")])
        await asyncio.sleep(0.1)
        rings = [peer for peer in (first, second) if peer.heard[-1].startswith(b"INVITE")]
        assert len(rings) == 1
        await rings[0].expect("INVITE")
        rings[0].reply(486)
        other = second if rings[0] is first else first
        invite = await other.expect("INVITE")
        assert invite.max_breadth == 1
        other.reply(486)
        await leg.answered(486)

    on_a_server(test)


def test_without_breadth_nothing_is_forwarded() -> None:
    async def test(rig: Rig) -> None:
        (only,) = await phones_of_bob(rig, "")
        anna = await rig.phone("101", "10.0.0.11")
        anna.send("INVITE", f"sip:102@{DOMAIN}", headers=[("Max-Breadth", "0")])
        await anna.peer.expect(440)
        await only.expect_silence(1)

    on_a_server(test)


def test_no_more_phones_than_the_setting_allows() -> None:
    async def test(rig: Rig) -> None:
        peers = await phones_of_bob(rig, "", "", "", "")
        await anna_calls(rig)
        await asyncio.sleep(1)
        assert sum(peer.heard[-1].startswith(b"INVITE") for peer in peers) == 2

    on_a_server(test, settings=with_proxy(max_branches=2))


def test_the_other_flow_of_a_phone_is_tried_when_the_first_is_lost() -> None:
    async def test(rig: Rig) -> None:
        supported = [("Supported", "outbound")]
        flows = []
        for reg_id in (1, 2):
            device = await rig.device("102", "10.0.0.12", tcp=True)
            contact = f'<sip:b@x.invalid;transport=ws>;+sip.instance="<urn:uuid:9>";reg-id={reg_id}'
            await device.register(contact=contact, headers=supported, call_id=f"flow-{reg_id}")
            flows.append(device)
            await asyncio.sleep(1)
        old, new = flows
        _anna, leg = await anna_calls(rig)
        await new.peer.expect("INVITE")
        await old.peer.expect_silence(1)
        new.peer.reset()
        await old.peer.expect("INVITE")
        old.peer.reply(486)
        await leg.answered(486)

    on_a_server(test)


def test_a_lost_connection_does_not_stop_the_other_phones() -> None:
    async def test(rig: Rig) -> None:
        (desk,) = await phones_of_bob(rig, "")
        mobile = await rig.device("102", "10.0.0.30", tcp=True)
        await mobile.register(call_id="mobile")
        anna, leg = await anna_calls(rig)
        await desk.expect("INVITE")
        await mobile.peer.expect("INVITE")
        mobile.peer.reply(180)
        await anna.peer.expect(180)
        mobile.peer.reset()
        desk.reply(200, headers=contact_of(desk))
        await leg.answered(200)

    on_a_server(test)


def test_a_caller_whose_connection_is_lost_stops_the_ringing_when_it_can_not_be_told() -> None:
    async def test(rig: Rig) -> None:
        (desk,) = await phones_of_bob(rig, "")
        anna = await rig.phone("101", "10.0.0.11", tcp=True)
        await anna.call(f"sip:102@{DOMAIN}")
        await desk.expect("INVITE")
        invite = desk.heard[-1]
        desk.reply(100)
        anna.peer.reset()
        await asyncio.sleep(1)
        desk.reply(180)
        await desk.expect("CANCEL")
        desk.reply(487, to=invite)
        await asyncio.sleep(200)
        assert rig.state == (0, 0, 0, 0, 0)

    on_a_server(test)


def test_a_redirection_to_another_user_here_is_followed() -> None:
    async def test(rig: Rig) -> None:
        (bob,) = await phones_of_bob(rig, "")
        carol = await rig.phone("103", "10.0.0.13")
        _anna, leg = await anna_calls(rig)
        await bob.expect("INVITE")
        bob.reply(302, headers=[("Contact", f"<sip:103@{DOMAIN}>")])
        await bob.expect("ACK")
        await carol.peer.expect("INVITE")
        carol.peer.reply(200, headers=[("Contact", f"<{carol.contact}>")])
        await leg.answered(200)

    on_a_server(test)


def test_a_redirection_out_of_the_domain_is_the_callers_decision() -> None:
    async def test(rig: Rig) -> None:
        (bob,) = await phones_of_bob(rig, "")
        _, leg = await anna_calls(rig)
        await bob.expect("INVITE")
        bob.reply(302, headers=[("Contact", "<sip:+1900@premium.test>")])
        answer = await leg.answered(302)
        assert str(answer.contacts[0].uri) == "sip:+1900@premium.test"

    on_a_server(test)


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

    on_a_server(test)


def test_redirections_are_passed_on_when_the_setting_says_so() -> None:
    async def test(rig: Rig) -> None:
        (bob,) = await phones_of_bob(rig, "")
        _, leg = await anna_calls(rig)
        await bob.expect("INVITE")
        bob.reply(302, headers=[("Contact", f"<sip:103@{DOMAIN}>")])
        await leg.answered(302)

    on_a_server(test, settings=with_proxy(recurse_on_redirect=False))


def test_the_redirect_server_names_the_phones_with_their_q() -> None:
    async def test(rig: Rig) -> None:
        desk, mobile = await phones_of_bob(rig, "q=0.3", "")
        anna = await rig.phone("101", "10.0.0.11")
        sent = await anna.ask("INVITE", f"sip:102@{DOMAIN}")
        answer = await Leg(anna, sent).answered(302, skip=(100,))
        named = [(str(contact.uri), contact.parameter("q")) for contact in answer.contacts]
        assert named == [(f"sip:102@{mobile.local}", None), (f"sip:102@{desk.local}", "0.3")]
        sent = await anna.ask("INVITE", f"sip:103@{DOMAIN}")
        await Leg(anna, sent).answered(480, skip=(100,))

    on_a_server(test, settings=with_proxy(redirect_instead_of_proxy=True))


def test_a_call_that_is_over_leaves_nothing_to_the_garbage_collector() -> None:
    """Circles of references would make pauses under load: everything goes when the last timer is over."""
    kept = (Branch, ClientTransaction, Exchange, ResponseContext, ServerTransaction)

    async def test(rig: Rig) -> None:
        desk, mobile = await phones_of_bob(rig, "", "")
        _, leg = await anna_calls(rig)
        for phone in (desk, mobile):
            await phone.expect("INVITE")
        ringing = mobile.heard[-1]
        mobile.reply(180)
        desk.reply(200, headers=contact_of(desk))
        await leg.answered(200)
        await mobile.expect("CANCEL")
        mobile.reply(200)
        mobile.reply(487, to=ringing)
        leg.request("BYE")
        await desk.expect("BYE", skip=("ACK",))
        gc.collect()
        gc.disable()
        try:
            desk.reply(200)
            await asyncio.sleep(60)
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            assert [each for each in gc.garbage if isinstance(each, kept)] == []
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()

    on_a_server(test)
