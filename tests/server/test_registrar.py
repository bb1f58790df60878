# SPDX-License-Identifier: Apache-2.0
"""REGISTER: RFC 3261 section 10.3, RFC 3327, RFC 5626."""

import asyncio
from dataclasses import replace

import pytest
from server_rig import DOMAIN, SERVER, Rig, final, on_a_server

from ringback.sip.message.message import Response


def contacts_of(response: Response) -> list[str]:
    return [str(contact.uri) for contact in response.contacts]


def test_a_phone_registers_with_a_password_and_is_told_for_how_long() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.device("101", "10.0.0.11")
        response = await anna.register(expires=600)
        assert response.status == 200
        assert contacts_of(response) == ["sip:101@10.0.0.11:5060"]
        assert response.contacts[0].parameter("expires") == "600"
        assert response.headers["Date"].endswith("GMT")
        assert len(rig.server.registrations()) == 1

    on_a_server(test)


def test_without_contact_the_bindings_are_listed_and_nothing_changes() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11", contact="<sip:101@10.0.0.11:5060>;q=0.5")
        response = await anna.register(contact="", expires=None)
        assert response.status == 200
        assert contacts_of(response) == ["sip:101@10.0.0.11:5060"]
        assert response.contacts[0].parameter("q") == "0.5"

    on_a_server(test)


def test_several_contacts_in_one_request_are_all_bound_best_q_first() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.device("101", "10.0.0.11")
        response = await anna.register(
            contact="<sip:101@10.0.0.11:5060>;q=0.2;expires=120, <sip:101@10.0.0.12>;q=0.9"
        )
        assert contacts_of(response) == ["sip:101@10.0.0.12", "sip:101@10.0.0.11:5060"]
        assert [contact.parameter("expires") for contact in response.contacts] == ["600", "120"]

    on_a_server(test)


def test_star_with_expires_0_removes_all_and_without_it_is_refused() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11")
        assert (await anna.register(contact="*", expires=600)).status == 400
        assert (await anna.register(contact="*", expires=None)).status == 400
        both = [("Contact", "*"), ("Contact", "<sip:101@10.0.0.11>"), ("Expires", "0")]
        anna.send("REGISTER", f"sip:{DOMAIN}", to=f"<{anna.address}>", headers=both)
        await anna.peer.expect(400)
        assert len(rig.server.registrations()) == 1
        assert (await anna.register(contact="*", expires=0)).status == 200
        assert rig.server.registrations() == []

    on_a_server(test)


def test_expires_0_removes_only_the_contact_it_stands_at() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11", contact="<sip:101@10.0.0.11:5060>, <sip:101@10.0.0.12>")
        response = await anna.register(contact="<sip:101@10.0.0.12>;expires=0")
        assert contacts_of(response) == ["sip:101@10.0.0.11:5060"]

    on_a_server(test)


def test_too_short_is_423_with_min_expires_and_too_long_is_cut() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.device("101", "10.0.0.11")
        refused = await anna.register(expires=59)
        assert (refused.status, refused.headers["Min-Expires"]) == (423, "60")
        assert rig.server.registrations() == []
        response = await anna.register(expires=4_000_000_000)
        assert response.contacts[0].parameter("expires") == "7200"

    on_a_server(test)


@pytest.mark.parametrize("garbage", ["abc", "-1", "1e30", "99999999999999999999"])
def test_an_unreadable_expires_parameter_counts_as_an_hour(garbage: str) -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.device("101", "10.0.0.11")
        response = await anna.register(contact=f"<sip:101@10.0.0.11:5060>;expires={garbage}")
        assert response.contacts[0].parameter("expires") == "3600"

    on_a_server(test)


def test_a_lower_cseq_within_a_call_id_changes_nothing() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11")
        anna.cseq = -1  # ask() sends 0 and 1, below what was used
        assert (await anna.register(contact="<sip:101@10.0.0.11:5060>;expires=0")).status == 500
        assert len(rig.server.registrations()) == 1
        anna.cseq = -1
        assert (await anna.register(contact="*", expires=0)).status == 500
        assert len(rig.server.registrations()) == 1
        anna.cseq = -1
        assert (await anna.register(call_id="a-new-boot", expires=300)).status == 200

    on_a_server(test)


def test_all_contacts_of_a_request_are_bound_or_none() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.device("101", "10.0.0.11")
        for bad in ("<tel:+4912345>", "<sip:101@10.0.0.12>;expires=5", "<mailto:anna@example.com>"):
            response = await anna.register(contact=f"<sip:101@10.0.0.11:5060>, {bad}")
            assert response.status in (403, 423)
            assert rig.server.registrations() == []

    on_a_server(test)


def test_nobody_registers_for_somebody_else() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.device("101", "10.0.0.11")
        assert (await anna.register(to=f"<sip:102@{DOMAIN}>")).status == 403
        assert (await anna.register(to=f"<sip:999@{DOMAIN}>")).status == 403
        assert rig.server.registrations() == []

    on_a_server(test)


def test_a_foreign_domain_is_not_registered_here() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.device("101", "10.0.0.11")
        anna.send("REGISTER", "sip:elsewhere.test", to="<sip:101@elsewhere.test>")
        await anna.peer.expect(403)

    on_a_server(test)


def test_a_contact_that_is_this_server_is_refused() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.device("101", "10.0.0.11")
        for loop in (f"sip:102@{DOMAIN}", "sip:102@10.0.0.1", "sip:102@10.0.0.1:5060;transport=tcp"):
            assert (await anna.register(contact=f"<{loop}>")).status == 403

    on_a_server(test)


def test_the_eleventh_contact_is_refused() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.device("101", "10.0.0.11")
        ten = ", ".join(f"<sip:101@10.0.1.{number}>" for number in range(10))
        assert (await anna.register(contact=ten)).status == 200
        assert (await anna.register(contact="<sip:101@10.0.1.99>")).status == 403
        assert len(rig.server.registrations()) == 10

    on_a_server(test)


def test_uris_that_mean_the_same_are_one_binding() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11", contact="<sip:101@PHONE.example.com;Transport=TCP>")
        response = await anna.register(contact="<sip:%31%30%31@phone.EXAMPLE.com;transport=tcp>")
        assert len(response.contacts) == 1

    on_a_server(test)


def test_unknown_contact_and_uri_parameters_are_kept() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.device("101", "10.0.0.11")
        response = await anna.register(contact="<sip:101@10.0.0.11;unknown=x>;newparam=newvalue;newflag")
        assert str(response.contacts[0].uri) == "sip:101@10.0.0.11;unknown=x"
        assert response.contacts[0].parameter("newparam") == "newvalue"
        assert response.contacts[0].has_parameter("newflag")

    on_a_server(test)


def test_registrations_end_by_themselves() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11", expires=60)
        await asyncio.sleep(59)
        assert len(rig.server.registrations()) == 1
        await asyncio.sleep(2)
        assert rig.server.registrations() == []
        await asyncio.sleep(120)
        assert len(rig.server.location) == 0
        assert rig.store.bindings(now=0) == []
        assert contacts_of(await anna.register(contact="", expires=None)) == []

    on_a_server(test)


def test_a_reg_id_replaces_the_old_flow_and_the_promise_is_confirmed() -> None:
    async def test(rig: Rig) -> None:
        extra = ';+sip.instance="<urn:uuid:1>";reg-id=1'
        supported = [("Supported", "path, outbound")]
        first = await rig.device("101", "10.0.0.11")
        answer = await first.register(contact=f"<{first.contact}>{extra}", headers=supported)
        assert answer.require == ["outbound"]
        second = await rig.device("101", "10.0.0.12")
        answer = await second.register(contact=f"<{second.contact}>{extra}", headers=supported)
        assert contacts_of(answer) == [second.contact]
        other_flow = extra.replace("reg-id=1", "reg-id=2")
        answer = await first.register(contact=f"<{first.contact}>{other_flow}", headers=supported)
        assert len(answer.contacts) == 2

    on_a_server(test)


def test_reg_id_without_outbound_support_is_an_ordinary_registration() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.device("101", "10.0.0.11")
        contact = f'<{anna.contact}>;+sip.instance="<urn:uuid:1>";reg-id=1'
        answer = await anna.register(contact=contact)
        assert "Require" not in answer.headers
        assert rig.server.registrations()[0].reg_id == 0

    on_a_server(test)


def test_a_phone_that_comes_back_on_another_port_leaves_no_dead_contact() -> None:
    async def test(rig: Rig) -> None:
        extra = ';+sip.instance="<urn:uuid:1>"'
        before = await rig.device("101", "10.0.0.11", port=5062)
        await before.register(contact=f"<{before.contact}>{extra}")
        after = await rig.device("101", "10.0.0.11", port=5064)
        answer = await after.register(contact=f"<{after.contact}>{extra}")
        assert contacts_of(answer) == [after.contact]

    on_a_server(test)


def test_no_gruu_is_handed_out() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.device("101", "10.0.0.11")
        answer = await anna.register(
            contact=f'<{anna.contact}>;+sip.instance="<urn:uuid:1>"', headers=[("Supported", "gruu, path")]
        )
        assert not answer.contacts[0].has_parameter("pub-gruu")
        assert "Service-Route" not in answer.headers

    on_a_server(test)


def test_the_path_is_returned_and_calls_go_along_it() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11")
        edge = await rig.device("102", "10.0.0.20")
        path = ("Path", "<sip:10.0.0.20;lr>")
        answer = await edge.register(contact="<sip:102@192.168.1.5>", headers=[path, ("Supported", "path")])
        assert answer.headers["Path"] == "<sip:10.0.0.20;lr>"
        await anna.call(f"sip:102@{DOMAIN}")
        invite = await edge.peer.expect("INVITE")
        assert invite.target == "sip:102@192.168.1.5"
        assert [str(route) for route in invite.routes] == ["<sip:10.0.0.20;lr>"]

    on_a_server(test)


def test_a_path_back_to_this_server_is_refused() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.device("101", "10.0.0.11")
        answer = await anna.register(headers=[("Path", f"<sip:{DOMAIN};lr>")])
        assert answer.status == 403

    on_a_server(test)


def test_required_extensions_we_lack_are_named() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.device("101", "10.0.0.11")
        anna.send(
            "REGISTER", f"sip:{DOMAIN}", to=f"<{anna.address}>", headers=[("Require", "gruu, path, x-y")]
        )
        answer = await anna.peer.expect(420)
        assert answer.unsupported == ["gruu", "x-y"]

    on_a_server(test)


def test_a_restart_remembers_registrations_and_calls_find_the_phone() -> None:
    async def test(rig: Rig) -> None:
        bob = await rig.phone("102", "10.0.0.12", port=5070)
        (before,) = rig.server.registrations()
        await rig.restart()
        (after,) = rig.server.registrations()
        assert after.expires_at == pytest.approx(before.expires_at)
        assert replace(after, expires_at=0) == replace(before, expires_at=0)
        anna = await rig.phone("101", "10.0.0.11")
        await anna.call(f"sip:102@{DOMAIN}")
        await bob.peer.expect("INVITE")

    on_a_server(test)


def test_a_restarted_phone_behind_nat_is_reached_by_the_address_it_came_from() -> None:
    async def test(rig: Rig) -> None:
        bob = await rig.device("102", "203.0.113.7", port=40_001)
        await bob.register(contact="<sip:102@192.168.1.77:5060>", via="SIP/2.0/UDP 192.168.1.77:5060")
        await rig.restart()
        anna = await rig.phone("101", "10.0.0.11")
        await anna.call(f"sip:102@{DOMAIN}")
        invite = await bob.peer.expect("INVITE")
        assert invite.target == "sip:102@192.168.1.77:5060"

    on_a_server(test)


def test_dead_connections_make_room_for_new_ones() -> None:
    async def test(rig: Rig) -> None:
        for number in range(12):
            browser = await rig.device("101", f"10.0.2.{number + 1}", tcp=True)
            answer = await browser.register(contact=f"<sip:x{number}@df7jal23ls0d.invalid;transport=ws>")
            assert answer.status == 200
            browser.peer.reset()
            await asyncio.sleep(1)
        assert len(rig.server.registrations()) == 10

    on_a_server(test)


def test_a_repeated_register_gets_the_same_answer_and_counts_once() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.device("101", "10.0.0.11")
        sent = anna.send(
            "REGISTER", f"sip:{DOMAIN}", to=f"<{anna.address}>", headers=[("Contact", f"<{anna.contact}>")]
        )
        challenge = await anna.peer.expect(401)
        data = anna.resend_with_credentials(sent, challenge)
        first = await final(anna.peer)
        anna.peer.send(data, SERVER)
        second = await final(anna.peer)
        assert first.to_bytes() == second.to_bytes()

    on_a_server(test)
