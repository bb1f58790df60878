# SPDX-License-Identifier: Apache-2.0
"""A call that is on is ended, transferred, recorded and played into by somebody who is not in it."""

import asyncio
import wave
from dataclasses import replace
from pathlib import Path

import pytest
from bridge_rig import Half, call, half_of_callee, half_of_caller, on_a_bridge, sdp_of, two_phones
from server_rig import DOMAIN, Device, Rig
from test_anchored_calls import DTLS, PlanedRig, ear, on_planes, port_of, rtp, secured
from test_records_of_bridged_calls import heard, only_record

from ringback.media.pcm import audioop
from ringback.server.b2bua.commands import CommandRefused
from ringback.server.call_records.record import CallRecord
from ringback.sip.flow import Address
from ringback.sip.message.message import Request

SERVER_HOST = "10.0.0.1"


def record_of(rig: Rig) -> CallRecord:
    (record,) = rig.server.book.live.values()
    return record


def tone(number: int, value: int) -> bytes:
    """A packet of sound that is neither silence nor alike at both ends."""
    return rtp(number)[:12] + bytes([value, 255 - value]) * 80


async def offer_and_answer(asked: Half, other: Half, asked_port: int, other_port: int) -> tuple[bytes, bytes]:
    """One end is asked for its offer, the other one gets it: what each was told."""
    await asked.expect("INVITE")
    asked.reply(200, body=sdp_of(asked.device, port=asked_port, version=5))
    offered: Request = await other.expect("INVITE")
    other.reply(200, body=sdp_of(other.device, port=other_port, version=5))
    acknowledged: Request = await asked.expect("ACK")
    await other.expect("ACK")
    return acknowledged.body, offered.body


def test_both_phones_hear_that_a_call_was_ended() -> None:
    async def test(rig: Rig) -> None:
        events = heard(rig)
        anna, bob = await two_phones(rig)
        await call(rig, anna, bob)
        commands = record_of(rig).commands
        assert commands is not None
        commands.hang_up()
        for phone in (anna, bob):
            bye = await phone.peer.expect("BYE")
            assert "Ended by command" in bye.headers["Reason"]
            phone.peer.reply(200)
        record = only_record(events)
        assert (record["ended_by"], record["result"]) == ("server", "answered")
        assert record["how_ended"].startswith("the call was ended by command")

    on_a_bridge(test)


def test_a_call_that_rings_can_be_ended_too() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await two_phones(rig)
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sdp_of(anna))
        await bob.peer.expect("INVITE")
        bob.peer.reply(180)
        await anna.peer.expect(180)
        commands = record_of(rig).commands
        assert commands is not None
        commands.hang_up()
        await bob.peer.expect("CANCEL")
        await leg.answered(480)

    on_a_bridge(test)


async def third(rig: Rig) -> Device:
    return await rig.phone("103", "10.0.0.13")


def test_the_caller_is_transferred_and_the_other_one_released() -> None:
    async def test(rig: Rig) -> None:
        events = heard(rig)
        anna, bob = await two_phones(rig)
        carol = await third(rig)
        at_anna, at_bob = await call(rig, anna, bob)
        commands = record_of(rig).commands
        assert commands is not None
        await commands.transfer("103")
        invite = await carol.peer.expect("INVITE")
        carol.peer.reply(200, headers=[("Contact", f"<{carol.contact}>")], body=sdp_of(carol, port=7000))
        await carol.peer.expect("ACK")
        at_carol = half_of_callee(carol, invite)
        await offer_and_answer(at_anna, at_carol, 4000, 7000)
        await at_bob.expect("BYE")
        at_bob.reply(200)
        await asyncio.sleep(3)
        live = record_of(rig).described()
        assert (live["caller"]["number"], live["callee"]["number"]) == ("101", "103")
        assert "101 now speaks with 103" in [note["text"] for note in live["notes"]]
        at_carol.send("BYE")
        await at_anna.expect("BYE")
        at_anna.reply(200)
        await asyncio.sleep(0.5)
        record = only_record(events)
        assert record["how_ended"].startswith("103 hung up")
        assert [leg["number"] for leg in record["legs"]] == ["101", "102", "103"]

    on_a_bridge(test)


def test_a_transfer_that_nobody_takes_leaves_the_call_as_it_was() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await two_phones(rig)
        carol = await third(rig)
        at_anna, at_bob = await call(rig, anna, bob)
        commands = record_of(rig).commands
        assert commands is not None
        await commands.transfer("103", side="callee")
        await carol.peer.expect("INVITE")
        carol.peer.reply(486)
        await asyncio.sleep(3)
        assert record_of(rig).state == "talking"
        assert "the transfer failed (486 Busy Here); the call goes on" in [
            note["text"] for note in record_of(rig).described()["notes"]
        ]
        at_anna.send("BYE")
        await at_bob.expect("BYE")
        at_bob.reply(200)

    on_a_bridge(test)


def test_commands_that_cannot_be_obeyed_say_why() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await two_phones(rig)
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sdp_of(anna))
        await bob.peer.expect("INVITE")
        bob.peer.reply(180)
        await anna.peer.expect(180)
        commands = record_of(rig).commands
        assert commands is not None
        with pytest.raises(CommandRefused, match="nobody has answered"):
            await commands.transfer("103")
        bob.peer.reply(200, headers=[("Contact", f"<{bob.contact}>")], body=sdp_of(bob, port=5000))
        await leg.answered(200)
        await asyncio.sleep(0.5)
        with pytest.raises(CommandRefused, match=r"999 cannot be called \(404\)"):
            await commands.transfer("999")
        with pytest.raises(CommandRefused, match="is not in this call"):
            await commands.transfer("103", side="104")
        with pytest.raises(CommandRefused, match=r"never comes through this server"):
            await commands.record("/nowhere/call.wav")

    on_a_bridge(test)


def test_a_call_between_two_phones_is_recorded_in_stereo(tmp_path: Path) -> None:
    file = tmp_path / "call.wav"

    async def test(rig: PlanedRig) -> None:
        anna, bob = await two_phones(rig)
        at_anna, at_bob = await call(rig, anna, bob)
        record = record_of(rig)
        assert record.commands is not None
        assert record.anchored == ""
        await record.commands.record(str(file))
        to_anna, to_bob = await offer_and_answer(at_anna, at_bob, 4000, 5000)
        assert SERVER_HOST.encode() in to_anna
        assert SERVER_HOST.encode() in to_bob
        mouth, heard_by_anna = await ear(rig, "10.0.0.11", 4000)
        other, _ = await ear(rig, "10.0.0.12", 5000)
        for number in range(100):
            mouth.send(tone(number, 40), Address(SERVER_HOST, port_of(to_anna)))
            other.send(tone(number, 20), Address(SERVER_HOST, port_of(to_bob)))
            await asyncio.sleep(0.02)
        assert len(heard_by_anna) > 90
        assert record.anchored == "it is recorded"
        with pytest.raises(CommandRefused, match="is being recorded"):
            await record.commands.record(str(file))
        await record.commands.stop_recording()
        at_anna.send("BYE")
        await at_bob.expect("BYE")
        at_bob.reply(200)

    on_planes(test)
    with wave.open(str(file)) as sound:
        assert (sound.getnchannels(), sound.getframerate()) == (2, 8000)
        frames = sound.readframes(sound.getnframes())
        assert sound.getnframes() > 8000
    left, right = audioop.tomono(frames, 2, 1, 0), audioop.tomono(frames, 2, 0, 1)
    assert audioop.rms(left, 2) > 1000
    assert audioop.rms(right, 2) > 2 * audioop.rms(left, 2)


def test_one_side_hears_what_is_played_to_it(tmp_path: Path) -> None:
    file = tmp_path / "prompt.wav"
    with wave.open(str(file), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(b"\x00\x20\x00\xe0" * 8000)

    async def test(rig: PlanedRig) -> None:
        anna, bob = await two_phones(rig)
        at_anna, at_bob = await call(rig, anna, bob)
        record = record_of(rig)
        assert record.commands is not None
        await record.commands.play(str(file), side="callee")
        await offer_and_answer(at_anna, at_bob, 4000, 5000)
        _, heard_by_anna = await ear(rig, "10.0.0.11", 4000)
        _, heard_by_bob = await ear(rig, "10.0.0.12", 5000)
        await asyncio.sleep(2)
        assert len(heard_by_bob) > 60
        assert not heard_by_anna
        assert "something is played to 102" in [note["text"] for note in record.described()["notes"]]

    on_planes(test)


def test_a_recording_that_cannot_be_written_is_told_and_the_call_goes_on(tmp_path: Path) -> None:
    async def test(rig: PlanedRig) -> None:
        anna, bob = await two_phones(rig)
        at_anna, at_bob = await call(rig, anna, bob)
        record = record_of(rig)
        assert record.commands is not None
        await record.commands.record(str(tmp_path / "no-such-folder" / "call.wav"))
        await offer_and_answer(at_anna, at_bob, 4000, 5000)
        (note,) = [each["text"] for each in record.described()["notes"] if "recording" in each["text"]]
        assert note.startswith("the recording ended: ")
        assert record.state == "talking"
        with pytest.raises(CommandRefused, match="is not being recorded"):
            await record.commands.stop_recording()

    on_planes(test)


def test_browsers_that_are_parted_are_told_one_after_the_other() -> None:
    """So that neither begins its new handshake with the other one."""

    def secured_sdp(device: Device, *, port: int, setup: str) -> bytes:
        return secured(sdp_of(device, port=port), "UDP/TLS/RTP/SAVPF", DTLS.replace("actpass", setup))

    async def test(rig: PlanedRig) -> None:
        anna, bob = await two_phones(rig)
        leg = await anna.call(f"sip:102@{DOMAIN}", body=secured_sdp(anna, port=4000, setup="actpass"))
        invite = await bob.peer.expect("INVITE")
        bob.peer.reply(
            200, headers=[("Contact", f"<{bob.contact}>")], body=secured_sdp(bob, port=5000, setup="active")
        )
        await leg.answered(200)
        await bob.peer.expect("ACK")
        at_anna, at_bob = half_of_caller(leg), half_of_callee(bob, invite)
        await asyncio.sleep(1)
        record = record_of(rig)
        bridged = rig.server.services.bridge.call_of(record.id)
        assert bridged is not None
        assert record.commands is not None
        bridged.media.policy = replace(bridged.media.policy, anchor="needed")
        await record.commands.record("/nowhere/call.wav")
        await at_anna.expect("INVITE")
        at_anna.reply(200, body=secured_sdp(anna, port=4000, setup="actpass"))
        await at_bob.expect("INVITE")
        at_bob.reply(200, body=secured_sdp(bob, port=5000, setup="active"))
        await at_bob.expect("ACK")
        answered = rig.server.driver.now
        await at_anna.expect("ACK")
        assert 0.9 < rig.server.driver.now - answered < 1.2

    on_planes(
        test, anchor="never"
    )  # phones of the rig speak UDP, so that nobody knows beforehand they speak DTLS
