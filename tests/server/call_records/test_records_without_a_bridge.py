# SPDX-License-Identifier: Apache-2.0
"""Records of calls that this server passes on, and of those that it answers itself."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path += [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "b2bua")]

from bridge_rig import half_of_caller, on_a_bridge, sdp_of
from server_rig import DOMAIN, SERVER, Leg, Rig, callee_request, on_a_server
from test_application_transfers import Menu, OneApplication, answers, fails, hangs_up_after_a_second, is_busy
from test_proxy_calls import call

from ringback.server.applications import Application
from ringback.server.call_records import book as book_module

Record = dict[str, Any]


def records(rig: Rig) -> list[Record]:
    """Those of all calls that end from now on."""
    found: list[Record] = []
    rig.server.bulletin.listen(
        lambda event: found.append(json.loads(json.dumps(event["call"]))), only=["call.ended"]
    )
    return found


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_call_that_is_passed_on_ends_with_the_bye_that_passes(who: str) -> None:
    async def test(rig: Rig) -> None:
        found = records(rig)
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        leg, invite = await call(rig, anna, bob)
        (live,) = rig.server.book.live.values()
        assert (live.state, live.commands) == ("talking", None)
        await asyncio.sleep(63)
        if who == "caller":
            leg.request("BYE")
            await bob.peer.expect("BYE")
        else:
            bob.peer.send(callee_request("BYE", invite, bob), SERVER)
            await anna.peer.expect("BYE")
        await asyncio.sleep(0.5)
        (record,) = found
        number = "101" if who == "caller" else "102"
        assert record["how_ended"] == f"{number} hung up after 1 min 3 s"
        assert (record["mode"], record["result"], record["ended_by"]) == ("proxy", "answered", who)
        assert (record["caller"]["name"], record["callee"]["name"]) == ("Anna", "Bob")
        assert record["call_ids"] == [invite.call_id]
        assert not rig.server.book.live

    on_a_server(test)


def test_a_call_that_is_passed_on_to_a_busy_phone_has_failed() -> None:
    async def test(rig: Rig) -> None:
        found = records(rig)
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        leg = await anna.call(f"sip:102@{DOMAIN}")
        await bob.peer.expect("INVITE")
        bob.peer.reply(486)
        await leg.answered(486)
        await asyncio.sleep(0.5)
        assert [(record["result"], record["how_ended"]) for record in found] == [("busy", "102 was busy")]

    on_a_server(test)


def test_who_gives_up_a_call_that_is_passed_on_has_cancelled_it() -> None:
    async def test(rig: Rig) -> None:
        found = records(rig)
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        leg = await anna.call(f"sip:102@{DOMAIN}")
        await bob.peer.expect("INVITE")
        ringing = bob.peer.heard[-1]
        bob.peer.reply(180)
        await anna.peer.expect(180)
        await asyncio.sleep(5)
        leg.cancel()
        await bob.peer.expect("CANCEL")
        bob.peer.reply(200)
        bob.peer.reply(487, to=ringing)
        await asyncio.sleep(1)
        (record,) = found
        assert (record["result"], record["ended_by"]) == ("cancelled", "caller")
        assert record["how_ended"].startswith("101 gave up after")

    on_a_server(test)


def test_calls_whose_end_is_never_seen_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_module, "MOST_PASSED_ON", 1)

    async def test(rig: Rig) -> None:
        found = records(rig)
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        await call(rig, anna, bob)
        await call(rig, bob, anna)
        assert [record["how_ended"] for record in found] == ["its end was not seen here"]
        assert [record.caller.number for record in rig.server.book.live.values()] == ["102"]

    on_a_server(test)


def test_a_call_that_is_passed_on_is_looked_up_by_both_its_names_and_keeps_them() -> None:
    async def test(rig: Rig) -> None:
        found = records(rig)
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        leg, invite = await call(rig, anna, bob)
        book = rig.server.book
        (shown,) = book.newest(10)
        assert (book.find(invite.call_id), book.find(shown.id), book.count) == (shown, shown, 1)
        leg.request("BYE")
        await bob.peer.expect("BYE")
        await asyncio.sleep(0.5)
        assert [record["id"] for record in found] == [shown.id]
        assert (shown.state, book.find(shown.id), book.count) == ("ended", None, 0)

    on_a_server(test)


def test_who_watches_sees_a_call_that_is_passed_on_begin_and_being_answered() -> None:
    async def test(rig: Rig) -> None:
        seen: list[Record] = []
        rig.server.bulletin.listen(seen.append)
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        await call(rig, anna, bob)
        calls = [event for event in seen if event["kind"].startswith("call.")]
        assert [(event["kind"], event["call"]["state"]) for event in calls] == [
            ("call.began", "ringing"), ("call.answered", "talking")
        ]  # fmt: skip
        assert len({event["call"]["id"] for event in calls}) == 1

    on_a_server(test)


@pytest.mark.parametrize(("tag", "ended"), [("same", []), ("other", ["its end was not seen here"])])
def test_a_call_that_comes_by_once_more_is_one_call_and_a_namesake_is_another(
    tag: str, ended: list[str]
) -> None:
    async def test(rig: Rig) -> None:
        found = records(rig)
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        for each in ("same", tag):
            await anna.call(f"sip:102@{DOMAIN}", call_id="one@x", from_=f"<{anna.address}>;tag={each}")
            await bob.peer.expect("INVITE")
        await asyncio.sleep(0.1)
        assert [record["how_ended"] for record in found] == ended
        assert rig.server.book.count == 1

    on_a_server(test)


def test_calls_that_are_on_when_the_server_stops_have_a_record_too() -> None:
    found: list[Record] = []

    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        await call(rig, anna, bob)
        rig.server.bulletin.listen(found.append, only=["call.ended"])
        rig.server.book.close()
        assert found[0]["call"]["how_ended"] == book_module.STOPPED

    on_a_server(test)


def called(application: Application, *, hangs_up: bool = False) -> Record:
    """The record of a call to a number that this application answers."""
    kept: list[Record] = []

    async def test(rig: Rig) -> None:
        found = records(rig)
        anna = await rig.phone("101", "10.0.0.11")
        leg = Leg(anna, await anna.ask("INVITE", f"sip:*43@{DOMAIN}", body=sdp_of(anna)))
        if hangs_up:
            await leg.answered(200)
            await asyncio.sleep(10)
            half_of_caller(leg).send("BYE")
        elif application is hangs_up_after_a_second:
            await leg.answered(200)
            await anna.peer.expect("BYE")
        await asyncio.sleep(1)
        kept.extend(found)

    on_a_bridge(test, applications=OneApplication(application), dial_plan=Menu())
    (record,) = kept
    return record


def test_a_call_to_a_number_of_this_server_has_a_record() -> None:
    record = called(answers, hangs_up=True)
    assert (record["mode"], record["result"], record["ended_by"]) == ("application", "answered", "caller")
    assert (record["callee"]["number"], record["callee"]["name"], record["dialled"]) == ("*43", "echo", "*43")
    assert record["how_ended"] == "101 hung up after 10 s"


def test_the_number_may_hang_up_refuse_and_fail() -> None:
    record = called(hangs_up_after_a_second)
    assert (record["ended_by"], record["how_ended"]) == ("callee", "*43 hung up after 1 s")
    record = called(is_busy)
    assert (record["result"], record["how_ended"]) == ("busy", "*43 was busy")
    record = called(fails)
    assert (record["result"], record["status"]) == ("failed", 500)


def test_who_is_placed_at_a_number_of_this_server_was_answered() -> None:
    async def test(rig: Rig) -> None:
        found = records(rig)
        anna = await rig.phone("101", "10.0.0.11")
        rig.server.place_call("101", "*43")
        await anna.peer.expect("INVITE")
        anna.peer.reply(200, headers=[("Contact", f"<{anna.contact}>")], body=sdp_of(anna))
        await anna.peer.expect("ACK")
        asked = await anna.peer.expect("INVITE")
        assert asked.body == b""
        anna.peer.reply(200, headers=[("Contact", f"<{anna.contact}>")], body=sdp_of(anna, version=2))
        await anna.peer.expect("ACK")
        await asyncio.sleep(0.5)
        assert not found
        (live,) = rig.server.book.live.values()
        assert (live.mode, live.caller.number, live.callee.name) == ("application", "101", "echo")
        assert live.commands is not None
        live.commands.hang_up()
        await anna.peer.expect("BYE")
        anna.peer.reply(200)
        await asyncio.sleep(0.5)
        (placed,) = found
        assert (placed["result"], placed["ended_by"]) == ("answered", "server")
        assert placed["how_ended"].startswith("the call was ended by command")

    on_a_bridge(test, applications=OneApplication(answers), dial_plan=Menu())
