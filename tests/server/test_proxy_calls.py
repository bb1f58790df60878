# SPDX-License-Identifier: Apache-2.0
"""Calls through the proxy: RFC 3261 section 16 from one phone to another, RFC 5626 flows, RFC 5658."""

import asyncio

from server_rig import (
    DOMAIN,
    SERVER,
    Device,
    Leg,
    Rig,
    callee_request,
    on_a_server,
    with_proxy,
)

from ringback.sip.flow import Address
from ringback.sip.message.message import Request
from ringback.testing import Peer


async def call(rig: Rig, anna: Device, bob: Device) -> tuple[Leg, Request]:
    """Anna calls Bob, who answers."""
    leg = await anna.call(f"sip:{bob.number}@{DOMAIN}")
    invite = await bob.peer.expect("INVITE")
    bob.peer.reply(180)
    await anna.peer.expect(180)
    bob.peer.reply(200, headers=[("Contact", f"<{bob.contact}>")])
    await leg.answered(200)
    await bob.peer.expect("ACK")
    return leg, invite


def test_a_call_from_invite_to_bye() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        leg, invite = await call(rig, anna, bob)
        assert invite.target == bob.contact
        assert invite.max_forwards == 69
        assert len(invite.vias) == 2
        assert "Proxy-Authorization" not in invite.headers
        leg.request("BYE")
        bye = await bob.peer.expect("BYE")
        assert bye.target == bob.contact
        assert bye.routes == []
        bob.peer.reply(200)
        await anna.peer.expect(200)
        await asyncio.sleep(40)
        assert rig.state == (0, 0, 0, 0, 0)

    on_a_server(test)


def test_the_callee_hangs_up_along_the_record_route() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        _, invite = await call(rig, anna, bob)
        bob.peer.send(callee_request("BYE", invite, bob), SERVER)
        bye = await anna.peer.expect("BYE")
        assert bye.target == anna.contact
        anna.peer.reply(200)
        await bob.peer.expect(200)

    on_a_server(test)


def test_hold_is_passed_both_ways_without_new_passwords() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        leg, invite = await call(rig, anna, bob)
        leg.request("INVITE", headers=[("Contact", f"<{anna.contact}>")])
        await bob.peer.expect("INVITE")
        bob.peer.reply(200, headers=[("Contact", f"<{bob.contact}>")])
        await anna.peer.expect(200, skip=(100,))
        bob.peer.send(callee_request("INFO", invite, bob, cseq=7), SERVER)
        await anna.peer.expect("INFO")
        anna.peer.reply(200)
        await bob.peer.expect(200)

    on_a_server(test)


def test_busy_reaches_the_caller_and_both_failures_are_acknowledged() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        leg = await anna.call(f"sip:102@{DOMAIN}")
        await bob.peer.expect("INVITE")
        bob.peer.reply(486)
        await bob.peer.expect("ACK")
        await leg.answered(486)
        await asyncio.sleep(40)
        assert rig.state == (0, 0, 0, 0, 0)

    on_a_server(test)


def test_cancel_reaches_the_phone_and_the_caller_gets_487() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        leg = await anna.call(f"sip:102@{DOMAIN}")
        await bob.peer.expect("INVITE")
        ringing = bob.peer.heard[-1]
        bob.peer.reply(180)
        await anna.peer.expect(180)
        leg.cancel(reason='SIP;cause=200;text="Call completed elsewhere"')
        await anna.peer.expect(200)
        cancel = await bob.peer.expect("CANCEL")
        assert cancel.headers["Reason"].startswith("SIP;cause=200")
        bob.peer.reply(200)
        bob.peer.reply(487, to=ringing)
        await leg.answered(487)
        await bob.peer.expect("ACK")
        await asyncio.sleep(40)
        assert rig.state == (0, 0, 0, 0, 0)

    on_a_server(test)


def test_a_call_that_crosses_its_cancel_is_still_delivered() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        leg = await anna.call(f"sip:102@{DOMAIN}")
        await bob.peer.expect("INVITE")
        invite = bob.peer.heard[-1]
        bob.peer.reply(180)
        await anna.peer.expect(180)
        leg.cancel()
        await anna.peer.expect(200)
        await bob.peer.expect("CANCEL")
        bob.peer.reply(200)
        bob.peer.reply(200, to=invite, headers=[("Contact", f"<{bob.contact}>")])
        await leg.answered(200)

    on_a_server(test)


def test_a_phone_that_never_answers_ends_in_480_after_the_ring_time() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        leg = await anna.call(f"sip:102@{DOMAIN}")
        await bob.peer.expect("INVITE")
        invite = bob.peer.heard[-1]
        bob.peer.reply(180)
        await anna.peer.expect(180)
        await bob.peer.expect("CANCEL", timeout=31)
        bob.peer.reply(200)
        bob.peer.reply(487, to=invite)
        await leg.answered(480)

    on_a_server(test, settings=with_proxy(ring_time=30))


def test_a_silent_phone_is_408_and_a_silent_cancelled_one_holds_nobody_up() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        bob.peer.close()
        leg = await anna.call(f"sip:102@{DOMAIN}")
        await leg.answered(408)
        leg = await anna.call(f"sip:102@{DOMAIN}")
        leg.cancel()
        await anna.peer.expect(200)
        await anna.peer.expect(487, timeout=3)

    on_a_server(test)


def test_timer_c_ends_a_call_nobody_hears_of() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        leg = await anna.call(f"sip:102@{DOMAIN}")
        await bob.peer.expect("INVITE")
        invite = bob.peer.heard[-1]
        bob.peer.reply(180)
        await asyncio.sleep(170)
        bob.peer.reply(180, to=invite)
        await bob.peer.expect_silence(170)
        await bob.peer.expect("CANCEL", timeout=20)
        bob.peer.reply(487, to=invite)
        await leg.answered(480, skip=(180,))

    on_a_server(test, settings=with_proxy(ring_time=600, timer_c=181))


def test_nobody_at_home_is_480_and_nobody_by_that_name_404() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11")
        for number, status in (("102", 480), ("999", 404)):
            sent = await anna.ask("INVITE", f"sip:{number}@{DOMAIN}")
            await Leg(anna, sent).answered(status, skip=(100,))

    on_a_server(test)


def test_a_message_reaches_the_phone_and_its_answer_the_sender() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        await anna.ask("MESSAGE", f"sip:102@{DOMAIN}", body=b"hello", content_type="text/plain")
        message = await bob.peer.expect("MESSAGE")
        assert message.body == b"hello"
        assert "Record-Route" not in message.headers
        bob.peer.reply(200)
        await anna.peer.expect(200)

    on_a_server(test)


def test_a_message_to_a_silent_phone_gets_no_408() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        bob.peer.close()
        await anna.ask("MESSAGE", f"sip:102@{DOMAIN}")
        await anna.peer.expect(100)  # RFC 4320 4.1
        await anna.peer.expect_silence(60)
        assert rig.state == (0, 0, 0, 0, 0)

    on_a_server(test)


def test_options_to_a_user_reaches_the_phone() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        await anna.ask("OPTIONS", f"sip:102@{DOMAIN}")
        await bob.peer.expect("OPTIONS")
        bob.peer.reply(200)
        await anna.peer.expect(200)

    on_a_server(test)


def test_an_unknown_method_is_passed_on_as_any_other() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        await anna.ask("NEWMETHOD", f"sip:102@{DOMAIN}")
        await bob.peer.expect("NEWMETHOD")
        bob.peer.reply(501)
        await anna.peer.expect(501)

    on_a_server(test)


def test_calls_to_a_tcp_phone_go_down_the_connection_it_made() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12", tcp=True)
        leg, invite = await call(rig, anna, bob)
        assert [route.uri.transport for route in invite.record_routes] == ["TCP", None]  # type: ignore[union-attr]
        leg.request("BYE")
        await bob.peer.expect("BYE")
        bob.peer.reply(200)
        await anna.peer.expect(200)

    on_a_server(test)


def test_a_browser_that_nobody_can_connect_to_is_called_and_hung_up_on() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11")
        browser = await rig.device("102", "10.0.0.12", tcp=True)
        await browser.register(contact="<sip:q4w@df7jal23ls0d.invalid;transport=ws>")
        leg = await anna.call(f"sip:102@{DOMAIN}")
        await browser.peer.expect("INVITE")
        browser.peer.reply(200, headers=[("Contact", "<sip:q4w@df7jal23ls0d.invalid;transport=ws>")])
        await leg.answered(200)
        await browser.peer.expect("ACK")
        leg.request("BYE")
        await browser.peer.expect("BYE")

    on_a_server(test)


def test_a_phone_whose_connection_is_lost_is_480_at_once() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11")
        browser = await rig.device("102", "10.0.0.12", tcp=True)
        await browser.register(contact="<sip:q4w@df7jal23ls0d.invalid;transport=ws>")
        browser.peer.reset()
        await asyncio.sleep(1)
        leg = await anna.call(f"sip:102@{DOMAIN}")
        await leg.answered(480)

    on_a_server(test)


def test_a_replaced_connection_carries_the_rest_of_the_call() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11")
        contact = '<sip:q4w@df7jal23ls0d.invalid;transport=ws>;+sip.instance="<urn:uuid:7>";reg-id=1'
        supported = [("Supported", "outbound, path")]
        before = await rig.device("102", "10.0.0.12", tcp=True)
        await before.register(contact=contact, headers=supported)
        leg = await anna.call(f"sip:102@{DOMAIN}")
        await before.peer.expect("INVITE")
        before.peer.reply(200, headers=[("Contact", contact.partition(";+")[0])])
        await leg.answered(200)
        await before.peer.expect("ACK")
        before.peer.reset()
        after = await rig.device("102", "10.0.0.12", tcp=True)
        await after.register(contact=contact, headers=supported, call_id="again")
        leg.request("BYE")
        await after.peer.expect("BYE")
        after.peer.reply(200)
        await anna.peer.expect(200)

    on_a_server(test)


def test_calls_survive_a_restart_of_the_server() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12", port=5071)
        leg, _invite = await call(rig, anna, bob)
        await rig.restart()
        leg.request("BYE")
        await bob.peer.expect("BYE")
        bob.peer.reply(200)
        await anna.peer.expect(200)

    on_a_server(test)


def test_a_callee_behind_nat_is_hung_up_on_where_it_is() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11")
        bob = await rig.device("102", "203.0.113.7", port=40_001)
        await bob.register(contact="<sip:102@192.168.1.77:5060>", via="SIP/2.0/UDP 192.168.1.77:5060")
        leg = await anna.call(f"sip:102@{DOMAIN}")
        await bob.peer.expect("INVITE")
        bob.peer.reply(200, headers=[("Contact", "<sip:102@192.168.1.77:5060>")])
        await leg.answered(200)
        await bob.peer.expect("ACK")
        leg.request("BYE")
        bye = await bob.peer.expect("BYE")
        assert bye.target == "sip:102@192.168.1.77:5060"

    on_a_server(test)


def test_a_caller_behind_nat_is_hung_up_on_where_it_is() -> None:
    async def test(rig: Rig) -> None:
        bob = await rig.phone("102", "10.0.0.12")
        anna = await rig.device("101", "203.0.113.7", port=40_001)
        contact = [("Contact", "<sip:101@192.168.1.77:5060>")]
        leg = await anna.call(f"sip:102@{DOMAIN}", via="SIP/2.0/UDP 192.168.1.77:5060", headers=contact)
        invite = await bob.peer.expect("INVITE")
        assert str(invite.contacts[0].uri) == "sip:101@192.168.1.77:5060"
        bob.peer.reply(200, headers=[("Contact", f"<{bob.contact}>")])
        await leg.answered(200)
        await bob.peer.expect("ACK")
        bob.peer.send(callee_request("BYE", invite, bob), SERVER)
        await anna.peer.expect("BYE")

    on_a_server(test)


def test_without_record_route_the_contact_is_repaired_instead() -> None:
    async def test(rig: Rig) -> None:
        bob = await rig.phone("102", "10.0.0.12")
        anna = await rig.device("101", "203.0.113.7", port=40_001)
        contact = [("Contact", "<sip:101@192.168.1.77:5060>")]
        await anna.call(f"sip:102@{DOMAIN}", via="SIP/2.0/UDP 192.168.1.77:5060", headers=contact)
        invite = await bob.peer.expect("INVITE")
        assert "Record-Route" not in invite.headers
        assert str(invite.contacts[0].uri) == "sip:101@203.0.113.7:40001"

    on_a_server(test, settings=with_proxy(record_route=False))


def test_a_phone_that_registered_another_port_without_rport_is_called_there() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11")
        sender = await rig.device("102", "10.0.0.12", port=5080)
        await sender.register(contact="<sip:102@10.0.0.12:5090>")
        listener = await Peer.bind(rig.network.host("10.0.0.12"), Address("10.0.0.12", 5090))
        await anna.call(f"sip:102@{DOMAIN}")
        await listener.expect("INVITE")

    on_a_server(test)


def test_a_strict_router_in_front_is_understood() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        leg, invite = await call(rig, anna, bob)
        assert leg.answer is not None
        (route,) = leg.answer.record_routes
        anna.peer.request(
            "BYE",
            str(route.uri),
            remote=SERVER,
            from_=invite.headers["From"],
            to=leg.answer.headers["To"],
            call_id=invite.call_id,
            cseq=99,
            headers=[("Route", f"<{bob.contact}>")],
        )
        bye = await bob.peer.expect("BYE")
        assert bye.target == bob.contact
        assert bye.routes == []

    on_a_server(test)


def test_a_cancel_that_comes_before_the_phone_spoke_waits_for_it() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        leg = await anna.call(f"sip:102@{DOMAIN}")
        await bob.peer.expect("INVITE")
        leg.cancel()
        await anna.peer.expect(200)
        bob.peer.reply(180)
        await bob.peer.expect("CANCEL")

    on_a_server(test)


def test_claims_about_the_caller_are_replaced_by_what_the_password_proved() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        claims = [
            ("P-Asserted-Identity", "<sip:president@example.com>"),
            ("p-asserted-identity", "<sip:king@example.com>"),
            ("Remote-Party-ID", "<sip:pope@example.com>"),
            ("Diversion", "<sip:boss@example.com>"),
        ]
        await anna.call(f"sip:102@{DOMAIN}", headers=claims)
        invite = await bob.peer.expect("INVITE")
        assert invite.headers.get_all("P-Asserted-Identity") == [f'"Anna" <sip:101@{DOMAIN}>']
        assert "Remote-Party-ID" not in invite.headers
        assert "Diversion" not in invite.headers

    on_a_server(test)


def test_who_wants_privacy_is_not_named() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        await anna.call(
            f"sip:102@{DOMAIN}",
            from_="<sip:anonymous@anonymous.invalid>;tag=x",
            headers=[("Privacy", "id")],
        )
        invite = await bob.peer.expect("INVITE")
        assert "P-Asserted-Identity" not in invite.headers

    on_a_server(test)
