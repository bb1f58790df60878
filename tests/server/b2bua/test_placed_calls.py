# SPDX-License-Identifier: Apache-2.0
"""Click to dial: somebody's own phone rings first, then whom they wanted is called in their name."""

import asyncio
from typing import Any

import pytest
from bridge_rig import Half, half_of_callee, on_a_bridge, sdp_of, two_phones
from server_rig import Device, Rig
from test_anchored_calls import PlanedRig, ear, on_planes, port_of
from test_application_transfers import Menu, OneApplication, answers, hangs_up_after_a_second, is_busy
from test_call_commands import offer_and_answer, record_of
from test_records_of_bridged_calls import heard, only_record

from ringback.server.applications import Application
from ringback.sip.errors import RingbackError
from ringback.sip.message.message import Request

SERVER_HOST = b"10.0.0.1\r\n"


async def picks_up(device: Device, *, port: int) -> tuple[Half, Request]:
    invite = await device.peer.expect("INVITE")
    device.peer.reply(180)
    await asyncio.sleep(1)
    device.peer.reply(200, headers=[("Contact", f"<{device.contact}>")], body=sdp_of(device, port=port))
    await device.peer.expect("ACK")
    return half_of_callee(device, invite), invite


def test_both_phones_ring_and_are_joined() -> None:
    async def test(rig: Rig) -> None:
        events = heard(rig)
        anna, bob = await two_phones(rig)
        placed = rig.server.place_call("101", "102")
        assert placed is record_of(rig)
        at_anna, to_anna = await picks_up(anna, port=4000)
        assert to_anna.headers["From"].startswith('"Call 102" <sip:102@')
        at_bob, to_bob = await picks_up(bob, port=5000)
        assert "sip:101@" in to_bob.headers["From"]
        assert "sip:101@" in to_bob.headers["P-Asserted-Identity"]
        assert b"m=audio 4000" in to_bob.body
        answered, offered = await offer_and_answer(at_anna, at_bob, 4000, 5000)
        assert b"m=audio 5000" in answered
        assert b"m=audio 4000" in offered
        assert placed.state == "talking"
        at_anna.send("BYE")
        await at_bob.expect("BYE")
        at_bob.reply(200)
        await asyncio.sleep(0.5)
        record = only_record(events)
        assert (record["caller"]["number"], record["callee"]["number"]) == ("101", "102")
        assert (record["result"], record["ended_by"]) == ("answered", "caller")
        assert "101 picked up, and 102 is called" in [note["text"] for note in record["notes"]]

    on_a_bridge(test)


def test_whoever_waits_hears_that_it_rings_and_then_the_other_one() -> None:
    async def test(rig: PlanedRig) -> None:
        anna, bob = await two_phones(rig)
        rig.server.place_call("101", "102")
        at_anna, to_anna = await picks_up(anna, port=4000)
        assert SERVER_HOST in to_anna.body
        _, heard_by_anna = await ear(rig, "10.0.0.11", 4000)
        await bob.peer.expect("INVITE")
        bob.peer.reply(180)
        await asyncio.sleep(2)
        assert len(heard_by_anna) > 60
        bob.peer.reply(200, headers=[("Contact", f"<{bob.contact}>")], body=sdp_of(bob, port=5000))
        invite = await bob.peer.expect("ACK")
        at_bob = Half(bob, target=str(anna.contact), local="", remote="", call_id=invite.call_id)
        answered, _ = await offer_and_answer(at_anna, at_bob, 4000, 5000)
        assert port_of(answered) == 5000  # the two send to each other
        await asyncio.sleep(1)
        heard_by_anna.clear()
        await asyncio.sleep(3)
        assert not heard_by_anna

    on_planes(test)


def test_whoever_is_busy_ends_the_call_of_the_one_who_waits() -> None:
    async def test(rig: Rig) -> None:
        events = heard(rig)
        anna, bob = await two_phones(rig)
        rig.server.place_call("101", "102")
        await picks_up(anna, port=4000)
        await bob.peer.expect("INVITE")
        bob.peer.reply(486)
        bye = await anna.peer.expect("BYE")
        assert "486" in bye.headers["Reason"]
        anna.peer.reply(200)
        await asyncio.sleep(0.5)
        assert (only_record(events)["result"], only_record(events)["how_ended"]) == ("busy", "102 was busy")

    on_a_bridge(test)


def test_whoever_hangs_up_while_it_rings_calls_nobody() -> None:
    async def test(rig: Rig) -> None:
        events = heard(rig)
        anna, bob = await two_phones(rig)
        rig.server.place_call("101", "102")
        at_anna, _ = await picks_up(anna, port=4000)
        await bob.peer.expect("INVITE")
        bob.peer.reply(180)
        await asyncio.sleep(1)
        at_anna.send("BYE")
        await bob.peer.expect("CANCEL")
        await asyncio.sleep(0.5)
        assert (only_record(events)["result"], only_record(events)["ended_by"]) == ("cancelled", "caller")

    on_a_bridge(test)


def test_whoever_does_not_pick_up_calls_nobody() -> None:
    async def test(rig: Rig) -> None:
        events = heard(rig)
        anna, _ = await two_phones(rig)
        rig.server.place_call("101", "102")
        await anna.peer.expect("INVITE")
        anna.peer.reply(486)
        await asyncio.sleep(0.5)
        assert only_record(events)["how_ended"] == "101 did not pick up to call"

    on_a_bridge(test)


def test_what_cannot_be_placed_is_refused_in_words() -> None:
    async def test(rig: Rig) -> None:
        await two_phones(rig)
        with pytest.raises(RingbackError, match="103 has no phone"):
            rig.server.place_call("103", "101")
        with pytest.raises(RingbackError, match=r"999 cannot be called \(404\)"):
            rig.server.place_call("101", "999")
        with pytest.raises(RingbackError, match="no number and no address"):
            rig.server.place_call("101", "sip:")
        assert not rig.server.book.live

    on_a_bridge(test)


def placed_to_echo(application: Application, *, hangs_up: bool) -> dict[str, Any]:
    """The one record of a call that was placed to the echo test."""
    found = []

    async def test(rig: Rig) -> None:
        events = heard(rig)
        anna, _ = await two_phones(rig)
        rig.server.place_call("101", "*43")
        at_anna, _ = await picks_up(anna, port=4000)
        await at_anna.expect("INVITE")
        at_anna.reply(200, body=sdp_of(anna, version=5))
        await at_anna.expect("ACK")
        await asyncio.sleep(20)
        if hangs_up:
            assert record_of(rig).state == "talking"
            at_anna.send("BYE")
            await at_anna.expect(200)
        else:
            await at_anna.expect("BYE")
            at_anna.reply(200)
        await asyncio.sleep(40)
        assert not rig.server.book.live
        found.append(only_record(events))

    on_a_bridge(test, applications=OneApplication(application), dial_plan=Menu())
    return found[0]


def test_a_call_placed_to_a_number_of_this_server_has_one_record() -> None:
    record = placed_to_echo(answers, hangs_up=True)
    assert (record["result"], record["ended_by"], record["status"]) == ("answered", "caller", 200)
    assert (record["caller"]["number"], record["callee"]["number"]) == ("101", "*43")
    assert record["callee"]["name"] == "echo"
    assert 19 < record["ended_at"] - record["answered_at"] < 21
    assert [leg["number"] for leg in record["legs"]] == ["101"]
    assert "101 now speaks with *43" in [note["text"] for note in record["notes"]]


def test_the_record_of_a_placed_call_says_that_the_number_hung_up() -> None:
    record = placed_to_echo(hangs_up_after_a_second, hangs_up=False)
    assert (record["result"], record["ended_by"]) == ("answered", "callee")


def test_the_record_of_a_placed_call_says_that_the_number_was_busy() -> None:
    record = placed_to_echo(is_busy, hangs_up=False)
    assert (record["result"], record["status"], record["answered_at"]) == ("busy", 486, None)
