# SPDX-License-Identifier: Apache-2.0
"""Requests inside a dialog: one place to go to, one answer to come back (RFC 3261 16.6 to 16.9, 16.11)."""

import asyncio

import pytest
from server_rig import DOMAIN, Leg, Rig, final, next_message, on_a_server, talk

from ringback.server.forwarding import Forwarder
from ringback.sip.message.message import Request, Response


def rules_noted(rig: Rig, leg: Leg) -> list[str]:
    """The verdicts about the call, oldest first."""
    assert leg.answer is not None
    return [each["chose"] for each in rig.server.decisions.of(leg.answer.call_id)]


@pytest.mark.parametrize(("status", "passed"), [(200, 200), (302, 302), (486, 486), (503, 500), (603, 603)])
def test_the_only_answer_is_the_answer_but_a_503_says_nothing_about_us(status: int, passed: int) -> None:
    async def test(rig: Rig) -> None:
        anna, bob, leg = await talk(rig)
        leg.request("INFO")
        await bob.peer.expect("INFO")
        bob.peer.reply(status)
        assert (await final(anna.peer)).status == passed
        await asyncio.sleep(40)
        assert rig.state == (0, 0, 0, 0, 0)

    on_a_server(test)


def test_a_challenge_is_passed_on_unless_it_is_for_our_realm() -> None:
    async def test(rig: Rig) -> None:
        anna, bob, leg = await talk(rig)
        for realm, challenges in (("elsewhere.example", 1), (DOMAIN, 0)):
            leg.request("INFO")
            await bob.peer.expect("INFO")
            challenge = ("WWW-Authenticate", f'Digest realm="{realm}", nonce="n", algorithm=MD5')
            bob.peer.reply(401, headers=[challenge])
            answer = await final(anna.peer)
            assert (answer.status, len(answer.challenges)) == (401, challenges)

    on_a_server(test)


def test_no_progress_of_what_is_no_invite_is_passed_on() -> None:
    """RFC 4320 4.1."""

    async def test(rig: Rig) -> None:
        anna, bob, leg = await talk(rig)
        leg.request("INFO")
        await bob.peer.expect("INFO")
        for status in (100, 183):
            bob.peer.reply(status)
        await anna.peer.expect_silence(1)
        bob.peer.reply(200)
        await anna.peer.expect(200)

    on_a_server(test)


def test_a_silent_neighbour_leaves_a_100_no_408_and_a_word_why() -> None:
    async def test(rig: Rig) -> None:
        anna, bob, leg = await talk(rig)
        bob.peer.close()
        leg.request("BYE")
        await anna.peer.expect(100)
        await anna.peer.expect_silence(60)
        assert rig.state == (0, 0, 0, 0, 0)
        assert any("408" in chosen for chosen in rules_noted(rig, leg))

    on_a_server(test)


def test_a_neighbour_whose_connection_is_gone_for_good_is_430() -> None:
    """RFC 5626 5.3."""

    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11")
        browser = await rig.device("102", "10.0.0.12", tcp=True)
        contact = "<sip:q4w@df7jal23ls0d.invalid;transport=ws>"
        await browser.register(contact=contact)
        leg = await anna.call(f"sip:102@{DOMAIN}")
        await browser.peer.expect("INVITE")
        browser.peer.reply(200, headers=[("Contact", contact)])
        await leg.answered(200)
        await browser.peer.expect("ACK")
        browser.peer.reset()
        await asyncio.sleep(1)
        leg.request("BYE")
        assert (await final(anna.peer)).status == 430
        await asyncio.sleep(40)
        assert rig.state == (0, 0, 0, 0, 0)

    on_a_server(test)


def test_a_connection_that_breaks_while_the_request_is_under_way_is_500() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11")
        other = await rig.device("102", "10.0.0.12", tcp=True)
        await other.register()
        leg = await anna.call(f"sip:102@{DOMAIN}")
        await other.peer.expect("INVITE")
        other.peer.reply(200, headers=[("Contact", f"<{other.contact}>")])
        await leg.answered(200)
        await other.peer.expect("ACK")
        leg.request("INFO")
        await other.peer.expect("INFO")
        other.peer.reset()
        assert (await final(anna.peer)).status == 500
        await asyncio.sleep(40)
        assert rig.state == (0, 0, 0, 0, 0)

    on_a_server(test)


def test_breadth_is_never_more_than_what_came() -> None:
    """RFC 5393 5.3.3."""

    async def test(rig: Rig) -> None:
        _, bob, leg = await talk(rig)
        for came, goes in (("7", 7), ("9999", 60)):
            leg.request("INFO", headers=[("Max-Breadth", came)])
            assert (await bob.peer.expect("INFO")).max_breadth == goes
            bob.peer.reply(200)
        leg.request("INFO")
        assert (await bob.peer.expect("INFO")).max_breadth == 60

    on_a_server(test)


def test_a_token_registers_nobody() -> None:
    async def test(rig: Rig) -> None:
        anna, bob, leg = await talk(rig)
        leg.request("REGISTER", headers=[("Contact", f"<{anna.contact}>")])
        assert (await final(anna.peer)).status == 403
        await bob.peer.expect_silence(1)

    on_a_server(test)


def test_a_re_invite_rings_and_can_be_cancelled_like_any_invite() -> None:
    async def test(rig: Rig) -> None:
        anna, bob, leg = await talk(rig)
        again = Leg(anna, leg.request("INVITE", headers=[("Contact", f"<{anna.contact}>")]))
        await bob.peer.expect("INVITE")
        bob.peer.reply(180)
        await anna.peer.expect(180, skip=(100,))
        again.cancel()
        await bob.peer.expect("CANCEL")

    on_a_server(test)


def test_a_fault_of_ours_while_the_answer_passes_is_a_500_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(_forwarder: Forwarder, _response: Response, _flow: object) -> Response:
        raise RuntimeError("a bug")

    async def test(rig: Rig) -> None:
        anna, bob, leg = await talk(rig)
        leg.request("INFO")
        await bob.peer.expect("INFO")
        monkeypatch.setattr(Forwarder, "pass_back", broken)
        bob.peer.reply(200)
        assert (await final(anna.peer)).status == 500
        monkeypatch.undo()
        leg.request("BYE")
        assert isinstance(await next_message(bob.peer), Request)
        bob.peer.reply(200)
        await anna.peer.expect(200)
        await asyncio.sleep(40)
        assert rig.state == (0, 0, 0, 0, 0)

    on_a_server(test)
