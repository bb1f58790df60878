# SPDX-License-Identifier: Apache-2.0
"""What is written down of a bridged call, and what is told while it is on."""

import asyncio
import json
from typing import Any

import pytest
from bridge_rig import call, half_of_callee, half_of_caller, on_a_bridge, sdp_of, two_phones
from server_rig import DOMAIN, Rig
from test_anchored_calls import PlanedRig, ear, on_planes, port_of, rtp
from test_application_transfers import Menu, OneApplication, answers

from ringback.sip.flow import Address

Event = dict[str, Any]


def heard(rig: Rig) -> list[Event]:
    """All that is posted from now on, as it reaches another process."""
    events: list[Event] = []
    rig.server.bulletin.listen(lambda event: events.append(json.loads(json.dumps(event))))
    return events


def only_record(events: list[Event]) -> Event:
    (ended,) = [event["call"] for event in events if event["kind"] == "call.ended"]
    return dict(ended)


def test_a_record_says_who_how_long_and_who_hung_up() -> None:
    async def test(rig: Rig) -> None:
        events = heard(rig)
        anna, bob = await two_phones(rig)
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sdp_of(anna), headers=[("User-Agent", "Desk 7")])
        invite = await bob.peer.expect("INVITE")
        bob.peer.reply(180, headers=[("Contact", f"<{bob.contact}>")])
        await asyncio.sleep(3)
        bob.peer.reply(200, headers=[("Contact", f"<{bob.contact}>")], body=sdp_of(bob, port=5000))
        await leg.answered(200)
        await bob.peer.expect("ACK")
        await asyncio.sleep(63)
        half_of_callee(bob, invite).send("BYE")
        await anna.peer.expect("BYE")
        anna.peer.reply(200)
        await asyncio.sleep(0.5)
        record = only_record(events)
        assert record["caller"] == {"number": "101", "name": "Anna", "device": "", "user_agent": "Desk 7"}
        assert (record["callee"]["number"], record["callee"]["name"]) == ("102", "Bob")
        assert (record["dialled"], record["mode"], record["result"]) == ("102", "bridge", "answered")
        assert (record["state"], record["ended_by"], record["anchored"]) == ("ended", "callee", "")
        assert record["how_ended"] == "102 hung up after 1 min 3 s"
        assert 62 < record["ended_at"] - record["answered_at"] < 64
        assert 2 < record["answered_at"] - record["began_at"] < 4
        assert [each["number"] for each in record["legs"]] == ["101", "102"]
        assert [each["streams"][0]["codec"] for each in record["legs"]] == ["PCMU", "PCMU"]
        assert record["call_ids"] == [
            leg.invite.split(b"Call-ID: ")[1].split(b"\r\n")[0].decode(),
            invite.call_id,
        ]
        assert len(record["id"]) == 16
        kinds = [event["kind"] for event in events if event["kind"].startswith("call.")]
        assert kinds == ["call.began", "call.ringing", "call.answered", "call.ended"]
        assert not rig.server.book.live

    on_a_bridge(test)


def test_who_gives_up_was_not_answered() -> None:
    async def test(rig: Rig) -> None:
        events = heard(rig)
        anna, bob = await two_phones(rig)
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sdp_of(anna))
        await bob.peer.expect("INVITE")
        bob.peer.reply(180)
        await anna.peer.expect(180)
        await asyncio.sleep(12)
        leg.cancel()
        await bob.peer.expect("CANCEL")
        await asyncio.sleep(0.5)
        record = only_record(events)
        assert (record["result"], record["ended_by"]) == ("cancelled", "caller")
        assert record["how_ended"] == "101 gave up after 12 s"
        assert record["answered_at"] is None

    on_a_bridge(test)


def test_a_refusal_of_a_phone_is_told_in_one_word_and_in_a_sentence() -> None:
    cases = {
        486: ("busy", "102 was busy"),
        603: ("declined", "102 declined"),
        480: ("no answer", "nobody answered at 102"),
    }

    def refused_with(status: int) -> Event:
        found: list[Event] = []

        async def test(rig: Rig) -> None:
            events = heard(rig)
            anna, bob = await two_phones(rig)
            leg = await anna.call(f"sip:102@{DOMAIN}", body=sdp_of(anna))
            await bob.peer.expect("INVITE")
            bob.peer.reply(status)
            await leg.answered(status)
            await asyncio.sleep(0.5)
            found.append(only_record(events))

        on_a_bridge(test)
        return found[0]

    for status, (word, sentence) in cases.items():
        record = refused_with(status)
        assert (record["result"], record["status"]) == (word, status)
        assert record["how_ended"] == sentence
        assert record["legs"][1]["status"] == status


def test_a_call_that_this_server_refuses_has_a_record_too() -> None:
    async def test(rig: Rig) -> None:
        events = heard(rig)
        anna = await rig.phone("101", "10.0.0.11")
        await anna.ask("INVITE", f"sip:999@{DOMAIN}", body=sdp_of(anna))
        await anna.peer.expect(404, skip=(100,))
        await anna.ask("INVITE", f"sip:102@{DOMAIN}", body=sdp_of(anna), call_id="second")
        await anna.peer.expect(480, skip=(100, 404))
        nobody, no_phone = [event["call"] for event in events if event["kind"] == "call.ended"]
        assert (nobody["result"], nobody["how_ended"]) == ("refused", "there is no 999 here (404)")
        assert (nobody["ended_by"], nobody["dialled"], nobody["caller"]["name"]) == ("server", "999", "Anna")
        assert (no_phone["result"], no_phone["callee"]["name"]) == ("no answer", "Bob")
        assert no_phone["how_ended"] == "102 has no phone that is registered (480)"
        assert not rig.server.book.live

    on_a_bridge(test)


def test_strangers_who_try_numbers_fill_no_book() -> None:
    async def test(rig: Rig) -> None:
        events = heard(rig)
        stranger = await rig.device("666", "10.0.0.66")
        for number in range(300):
            stranger.send(
                "INVITE", f"sip:{number}@{DOMAIN}", from_="<sip:x@evil.test>;tag=1", call_id=f"try-{number}"
            )
        await asyncio.sleep(1)
        refused = [event for event in events if event["kind"] == "call.ended"]
        assert 20 < len(refused) < 80
        assert {event["call"]["status"] for event in refused} == {403}

    on_a_bridge(test)


def test_a_hold_is_a_state_and_a_note() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await two_phones(rig)
        at_anna, at_bob = await call(rig, anna, bob)
        (record,) = rig.server.book.live.values()
        for direction, state in (("a=sendonly", "held"), ("a=sendrecv", "talking")):
            at_anna.send("INVITE", body=sdp_of(anna, version=2 if state == "held" else 3, extra=direction))
            await at_bob.expect("INVITE")
            at_bob.reply(200, body=sdp_of(bob, port=5000, version=2 if state == "held" else 3))
            await at_anna.expect(200, skip=(100,))
            at_anna.send("ACK", cseq=at_anna.cseq)
            await at_bob.expect("ACK")
            assert record.state == state
        assert [note["text"] for note in record.described()["notes"]] == [
            "101 put the call on hold",
            "101 is back from hold",
        ]

    on_a_bridge(test)


def test_a_hostile_name_stays_text() -> None:
    async def test(rig: Rig) -> None:
        events = heard(rig)
        bob = await rig.phone("102", "10.0.0.12")
        stranger = await rig.device("666", "10.0.0.66")
        name = '"=HYPERLINK(<script>)\udcff" <sip:x@evil.test>;tag=1'
        stranger.peer.request(
            "INVITE",
            f"sip:102@{DOMAIN}",
            remote=rig_address(),
            from_=name.encode("utf-8", "surrogateescape").decode("latin-1"),
            headers=[("Contact", "<sip:x@10.0.0.66>")],
            body=sdp_of(stranger),
        )
        await bob.peer.expect("INVITE")
        bob.peer.reply(486)
        await asyncio.sleep(1)
        record = only_record(events)
        assert record["caller"]["name"].startswith("=HYPERLINK(<script>)")
        json.dumps(record, ensure_ascii=False).encode("utf-8")

    from server_rig import with_bridge

    on_a_bridge(test, settings=with_bridge(strangers_may_call=True))


def rig_address() -> Address:
    return Address("10.0.0.1", 5060)


def test_the_sound_of_an_anchored_call_is_in_its_record() -> None:
    async def test(rig: PlanedRig) -> None:
        events = heard(rig)
        anna, bob = await two_phones(rig)
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sdp_of(anna))
        invite = await bob.peer.expect("INVITE")
        bob.peer.reply(200, headers=[("Contact", f"<{bob.contact}>")], body=sdp_of(bob, port=5000))
        answer = await leg.answered(200)
        await bob.peer.expect("ACK")
        mouth, _ = await ear(rig, "10.0.0.11", 4000)
        other, _ = await ear(rig, "10.0.0.12", 5000)
        for number in range(600):
            mouth.send(rtp(number), Address("10.0.0.1", port_of(answer.body)))
            if number % 10:
                other.send(rtp(number), Address("10.0.0.1", port_of(invite.body)))
            await asyncio.sleep(0.02)
        half_of_caller(leg).send("BYE")
        await bob.peer.expect("BYE")
        bob.peer.reply(200)
        await asyncio.sleep(1)
        record = only_record(events)
        of_anna, of_bob = record["legs"]
        assert record["anchored"] == "the setting media.anchor is always"
        assert (of_anna["security"], of_anna["streams"][0]["codec"]) == ("plain", "PCMU")
        assert of_anna["streams"][0]["packets_received"] >= 599
        assert of_anna["streams"][0]["mos"] > 4 > of_bob["streams"][0]["mos"]
        assert 50 <= of_bob["streams"][0]["lost"] <= 60
        samples = [sample for sample in record["quality"] if sample["leg"] == of_bob["name"]]
        assert len(samples) == 3
        assert all(9 < sample["loss"] < 11 for sample in samples)
        assert {sample["loss"] for sample in record["quality"] if sample["leg"] == "caller"} == {0}

    on_planes(test, anchor="always")


@pytest.mark.parametrize("side", ["caller", "callee"])
def test_how_a_phone_sounded_is_known_after_it_was_transferred_away(side: str) -> None:
    async def test(rig: PlanedRig) -> None:
        events = heard(rig)
        anna, bob = await two_phones(rig)
        carol = await rig.phone("103", "10.0.0.13")
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sdp_of(anna))
        invite = await bob.peer.expect("INVITE")
        bob.peer.reply(200, headers=[("Contact", f"<{bob.contact}>")], body=sdp_of(bob, port=5000))
        answer = await leg.answered(200)
        await bob.peer.expect("ACK")
        for host, port, description in (("11", 4000, answer.body), ("12", 5000, invite.body)):
            mouth, _ = await ear(rig, f"10.0.0.{host}", port)
            for number in range(50):
                mouth.send(rtp(number), Address("10.0.0.1", port_of(description)))
                await asyncio.sleep(0.02)
        (live,) = rig.server.book.live.values()
        assert live.commands is not None
        await live.commands.transfer("103", side=side)
        to_carol = await carol.peer.expect("INVITE")
        carol.peer.reply(200, headers=[("Contact", f"<{carol.contact}>")], body=sdp_of(carol, port=7000))
        await carol.peer.expect("ACK")
        halves = [half_of_caller(leg), half_of_callee(bob, invite)]
        staying, leaving = halves if side == "caller" else halves[::-1]
        await staying.expect("INVITE")
        staying.reply(200, body=sdp_of(staying.device, port=4000 if side == "caller" else 5000, version=5))
        other = half_of_callee(carol, to_carol)
        await other.expect("INVITE")
        other.reply(200, body=sdp_of(carol, port=7000, version=5))
        await staying.expect("ACK")
        await leaving.expect("BYE")
        leaving.reply(200)
        await asyncio.sleep(20)
        other.send("BYE")
        await staying.expect("BYE")
        staying.reply(200)
        await asyncio.sleep(1)
        counted = [each["streams"][0]["packets_received"] for each in only_record(events)["legs"]]
        assert counted == [50, 50, 0]

    on_planes(test, anchor="always")


def test_how_a_phone_sounded_is_known_after_it_went_to_a_number_of_this_server() -> None:
    async def test(rig: PlanedRig) -> None:
        events = heard(rig)
        anna, bob = await two_phones(rig)
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sdp_of(anna))
        await bob.peer.expect("INVITE")
        bob.peer.reply(200, headers=[("Contact", f"<{bob.contact}>")], body=sdp_of(bob, port=5000))
        answer = await leg.answered(200)
        await bob.peer.expect("ACK")
        mouth, _ = await ear(rig, "10.0.0.11", 4000)
        for number in range(50):
            mouth.send(rtp(number), Address("10.0.0.1", port_of(answer.body)))
            await asyncio.sleep(0.02)
        (live,) = rig.server.book.live.values()
        assert live.commands is not None
        await live.commands.transfer("*43")
        await anna.peer.expect("INVITE")
        half_of_caller(leg).reply(200, body=sdp_of(anna, version=5))
        await bob.peer.expect("BYE")
        bob.peer.reply(200)
        await asyncio.sleep(5)
        of_anna, of_bob = only_record(events)["legs"]
        assert of_anna["streams"][0]["packets_received"] == 50
        assert of_bob["streams"][0]["packets_sent"] > 40

    options = {"applications": OneApplication(answers), "dial_plan": Menu()}
    on_planes(test, anchor="always", options=options)


def test_calls_that_are_on_when_the_server_stops_have_a_record() -> None:
    async def test(rig: Rig) -> None:
        events = heard(rig)
        anna, bob = await two_phones(rig)
        await call(rig, anna, bob)
        await rig.server.close()
        record = only_record(events)
        assert record["ended_by"] == "server"
        assert record["how_ended"].startswith("this server was stopped")
        await rig.start()

    on_a_bridge(test)
