# SPDX-License-Identifier: Apache-2.0
"""SIPp at both ends of a bridged call: offers early and late, reliable responses, changes, and both at once.

Each scenario runs twice: the two ends tell each other where to send, and all sound through the server.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from interop_process import free_port
from interop_rig import PASSWORD, Rig
from interop_ringback import Ringback
from interop_scenario import Script
from interop_sound import seconds_of_tone, write_tone

SCENARIOS = Path(__file__).parent / "scenarios"
SETTINGS = """\
[proxy]
strangers_may_call = true
[media]
anchor = "{anchor}"
"""
PORT = free_port()


@pytest.fixture(scope="module", params=["needed", "always"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ringback]:
    """Strangers may call here, so that no scenario needs a password; 102 is the SIPp on PORT."""
    folder = tmp_path_factory.mktemp("server")
    running = Ringback(folder, domain="127.0.0.1", config=SETTINGS.format(anchor=request.param))
    phones = Rig(folder)
    try:
        running.add_user("101", "Anna", PASSWORD)
        running.add_user("102", "Bob", PASSWORD)
        register(phones, running)
        yield running
    finally:
        phones.stop()
        running.stop()


def register(rig: Rig, server: Ringback) -> None:
    result = rig.sipp(
        "-sf", str(SCENARIOS / "register.xml"), "-m", "1", "-s", "102", "-au", "102", "-ap", PASSWORD,
        "-key", "contact_port", str(PORT), "-key", "domain", server.domain, server.sip,
    ).result(20)  # fmt: skip
    assert result.exit_code == 0, result.output


def run(rig: Rig, server: Ringback, caller: Script, callee: Script) -> None:
    """Both to their ends; neither may see anything it does not expect."""
    called = rig.sipp(
        "-sf", str(callee.write(rig.folder / "callee.xml")), "-m", "1", "-p", str(PORT), "-mi", "127.0.0.1"
    )
    calling = rig.sipp(
        "-sf", str(caller.write(rig.folder / "caller.xml")), "-m", "1", "-s", "102", "-mi", "127.0.0.1",
        "-key", "domain", server.domain, server.sip,
    )  # fmt: skip
    results = [calling.result(12), called.result(6)]
    assert [(each.exit_code, each.failed) for each in results] == [(0, 0), (0, 0)], "\n".join(
        each.output for each in results
    )


def goodbye(caller: Script, callee: Script) -> None:
    caller.request("BYE").expect(200)
    callee.expect("BYE").respond(200)


def answered(caller: Script, callee: Script) -> None:
    """A call that stands, with an offer in the INVITE."""
    caller.invite(sdp="sendrecv").maybe(100, 180).expect(200, body="m=audio").request("ACK")
    callee.expect_invite(body="m=audio").answer_invite(180).answer_invite(200, sdp="sendrecv").expect("ACK")


def test_an_offer_in_the_200_is_answered_in_the_ack(rig: Rig, server: Ringback) -> None:
    caller, callee = Script(), Script()
    caller.invite().maybe(100, 180).expect(200, body="m=audio").request("ACK", sdp="sendrecv")
    callee.expect_invite(header=("Content-Length:", " 0")).answer_invite(180)
    callee.answer_invite(200, sdp="sendrecv").expect("ACK", body="m=audio")
    goodbye(caller, callee)
    run(rig, server, caller, callee)


def test_a_reinvite_with_an_offer_and_one_without_from_either_side(rig: Rig, server: Ringback) -> None:
    caller, callee = Script(), Script()
    answered(caller, callee)
    caller.request("INVITE", sdp="sendonly").maybe(100).expect(200, body="a=recvonly").request("ACK")
    callee.expect("INVITE", body="a=sendonly").respond(200, sdp="recvonly").expect("ACK")
    callee.request("INVITE").maybe(100).expect(200, body="m=audio").request("ACK", sdp="sendrecv")
    caller.expect("INVITE", header=("Content-Length:", " 0")).respond(200, sdp="sendrecv")
    caller.expect("ACK", body="m=audio")
    goodbye(caller, callee)
    run(rig, server, caller, callee)


def test_reliable_responses_on_both_legs_and_an_update_before_the_answer(rig: Rig, server: Ringback) -> None:
    caller, callee = Script(), Script()
    caller.invite("Supported: 100rel", sdp="sendrecv").maybe(100).expect_reliable(183, body="m=audio")
    callee.expect_invite(header=("Supported:", "100rel"))
    callee.answer_invite(183, "Require: 100rel", "RSeq: 17", sdp="sendrecv").expect(
        "PRACK", header=("RAck:", "17 ")
    ).respond(200)
    caller.request("UPDATE", sdp="sendonly").expect(200, body="a=recvonly")
    callee.expect("UPDATE", body="a=sendonly").respond(200, sdp="recvonly")
    callee.answer_invite(200).expect("ACK")
    caller.expect(200).request("ACK")
    goodbye(caller, callee)
    run(rig, server, caller, callee)


def test_a_reliable_response_to_a_caller_who_knows_none(rig: Rig, server: Ringback) -> None:
    caller, callee = Script(), Script()
    caller.invite(sdp="sendrecv").maybe(100).expect(183, body="m=audio").expect(200).request("ACK")
    callee.expect_invite(header=("Supported:", "100rel"))
    callee.answer_invite(183, "Require: 100rel", "RSeq: 1", sdp="sendrecv").expect("PRACK").respond(200)
    callee.answer_invite(200).expect("ACK")
    goodbye(caller, callee)
    run(rig, server, caller, callee)


def test_a_caller_who_insists_on_reliable_responses_and_a_callee_who_knows_none(
    rig: Rig, server: Ringback
) -> None:
    caller, callee = Script(), Script()
    caller.invite("Require: 100rel", sdp="sendrecv").maybe(100).expect_reliable(183)
    caller.expect(200, body="m=audio").request("ACK")
    callee.expect_invite().answer_invite(183).pause(200).answer_invite(200, sdp="sendrecv").expect("ACK")
    goodbye(caller, callee)
    run(rig, server, caller, callee)


def test_an_update_in_a_call_that_stands(rig: Rig, server: Ringback) -> None:
    caller, callee = Script(), Script()
    answered(caller, callee)
    callee.pause(300).request("UPDATE", sdp="sendonly").expect(200, body="a=recvonly")
    caller.expect("UPDATE", body="a=sendonly").respond(200, sdp="recvonly")
    goodbye(caller, callee)
    run(rig, server, caller, callee)


def test_a_session_timer_of_the_caller_alone(rig: Rig, server: Ringback) -> None:
    """RFC 4028: too short is told how short it may be; the refresh ends at the server."""
    timer = ("Supported: timer", "Session-Expires: 90;refresher=uac")
    caller, callee = Script(), Script()
    caller.invite("Supported: timer", "Session-Expires: 45", sdp="sendrecv").maybe(100)
    caller.expect(422, header=("Min-SE:", "90")).ack_refusal()
    caller.invite(*timer, sdp="sendrecv").maybe(100)
    caller.expect(200, header=("Session-Expires:", "90;refresher=uac")).request("ACK")
    caller.request("UPDATE", *timer).expect(200, header=("Session-Expires:", "90"))
    callee.expect_invite(header=("Supported:", "timer")).answer_invite(200, sdp="sendrecv").expect("ACK")
    goodbye(caller, callee)
    run(rig, server, caller, callee)


def test_a_change_from_each_side_at_once(rig: Rig, server: Ringback) -> None:
    """RFC 3261 14.1: both are told to wait, and one tries again."""
    caller, callee = Script(), Script()
    answered(caller, callee)
    callee.expect("INVITE", as_name="theirs").request("INVITE", sdp="sendonly").maybe(100).expect(
        491
    ).ack_refusal()
    callee.respond_to("theirs", 491).expect("ACK")
    caller.request("INVITE", sdp="sendonly").maybe(100).expect(491).ack_refusal().pause(500)
    caller.request("INVITE", sdp="sendonly").maybe(100).expect(200, body="a=recvonly").request("ACK")
    callee.expect("INVITE", body="a=sendonly").respond(200, sdp="recvonly").expect("ACK")
    goodbye(caller, callee)
    run(rig, server, caller, callee)


def test_a_phone_and_an_application_hear_sipps_echo(rig: Rig, server: Ringback) -> None:
    echo = rig.sipp(
        "-sf",
        str(SCENARIOS / "answer.xml"),
        "-p",
        str(PORT),
        "-rtp_echo",
        "-mi",
        "127.0.0.1",
        "-mp",
        str(free_port(pair=True)),
    )
    anna = rig.baresip(server, "101", frequency=440.0)
    anna.command("dial", f"sip:102@{server.domain}")
    anna.wait_event("CALL_ESTABLISHED")
    tone = write_tone(rig.folder / "tone.wav", 700.0, seconds=2)
    server.run("call", "102", "--as", "101", "--play", str(tone), "--record", str(rig.folder / "back.wav"))
    time.sleep(0.5)
    anna.command("hangup")
    anna.wait_event("CALL_CLOSED")
    assert seconds_of_tone(anna.heard(), 440.0) > 1.0
    assert seconds_of_tone(rig.folder / "back.wav", 700.0) > 1.0
    echo.stop()
