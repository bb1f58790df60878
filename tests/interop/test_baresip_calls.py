# SPDX-License-Identifier: Apache-2.0
"""Two baresip phones on a Ringback server: register, call, hear, hold, and every way a call can end."""

import time

import pytest
from interop_baresip import Baresip
from interop_process import Program
from interop_rig import PASSWORD, Rig
from interop_ringback import RINGBACK, Ringback
from interop_sound import loudness, seconds_of_tone

ANNA_HZ, BOB_HZ = 440.0, 700.0


def two_phones(
    rig: Rig, server: Ringback, *, transport: str = "udp", answer: str = "auto"
) -> tuple[Baresip, Baresip]:
    anna = rig.baresip(server, "101", transport=transport, frequency=ANNA_HZ)
    bob = rig.baresip(server, "102", transport=transport, frequency=BOB_HZ, answer=answer)
    return anna, bob


def dial(caller: Baresip, server: Ringback, number: str) -> None:
    caller.command("dial", f"sip:{number}@{server.domain}")


def talk(seconds: float) -> None:
    """Real phones speak in real time."""
    time.sleep(seconds)


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_two_phones_register_call_and_hear_each_other(rig: Rig, server: Ringback, transport: str) -> None:
    anna, bob = two_phones(rig, server, transport=transport)
    dial(anna, server, "102")
    anna.wait_event("CALL_ESTABLISHED")
    bob.wait_event("CALL_ESTABLISHED")
    talk(2.5)
    anna.command("hangup")
    bob.wait_event("CALL_CLOSED")
    assert seconds_of_tone(anna.heard(), BOB_HZ) > 1.5
    assert seconds_of_tone(bob.heard(), ANNA_HZ) > 1.5


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_the_called_phone_may_hang_up_too(rig: Rig, server: Ringback, transport: str) -> None:
    anna, bob = two_phones(rig, server, transport=transport)
    dial(anna, server, "102")
    anna.wait_event("CALL_ESTABLISHED")
    bob.command("hangup")
    anna.wait_event("CALL_CLOSED")


def test_a_call_between_a_udp_phone_and_a_tls_phone(rig: Rig, server: Ringback) -> None:
    anna = rig.baresip(server, "101", transport="udp", frequency=ANNA_HZ)
    bob = rig.baresip(server, "102", transport="tls", frequency=BOB_HZ)
    for caller, callee, number in ((anna, bob, "102"), (bob, anna, "101")):
        dial(caller, server, number)
        caller.wait_event("CALL_ESTABLISHED")
        callee.wait_event("CALL_ESTABLISHED")
        talk(1.5)
        callee.command("hangup")
        caller.wait_event("CALL_CLOSED")
        callee.wait_event("CALL_CLOSED")
    assert seconds_of_tone(anna.heard(), BOB_HZ) > 0.7
    assert seconds_of_tone(bob.heard(), ANNA_HZ) > 0.7


def test_hold_and_resume_are_agreed_between_two_phones(rig: Rig, server: Ringback) -> None:
    """baresip's recorder stops at the first hold, so what is heard afterwards is asked of our phone, below."""
    anna, bob = two_phones(rig, server)
    dial(anna, server, "102")
    anna.wait_event("CALL_ESTABLISHED")
    bob.wait_event("CALL_ESTABLISHED")
    for command, at_bob, at_anna in (("hold", "sendonly", "recvonly"), ("resume", "sendrecv", "sendrecv")):
        before = len(anna.program.output)
        anna.command(command)
        anna.program.wait_for(rf"a={at_bob}[\s\S]*SIP/2.0 200[\s\S]*a={at_anna}", after=before)
        talk(0.5)
    bob.command("hangup")
    anna.wait_event("CALL_CLOSED")


def test_hold_silences_and_resume_brings_the_voice_back(rig: Rig, server: Ringback) -> None:
    heard = rig.folder / "heard.wav"
    answer = rig.keep(
        Program(
            [*RINGBACK, "answer", "--as", f"102@{server.domain}", "--password", PASSWORD, "--server", server.sip,
             "--record", str(heard), "--once"],
            rig.folder / "answer.log",
        )
    )  # fmt: skip
    answer.wait_for("ready", 15)
    anna = rig.baresip(server, "101", frequency=ANNA_HZ)
    dial(anna, server, "102")
    anna.wait_event("CALL_ESTABLISHED")
    talk(1.5)
    anna.command("hold")
    talk(2)
    anna.command("resume")
    talk(1.5)
    anna.command("hangup")
    assert answer.wait(10) == 0
    loud = loudness(heard, ANNA_HZ)
    assert loud[5:12] == [True] * 7, loud
    assert loud[-10:-4] == [True] * 6, loud
    assert loud.count(False) >= 15, loud


def test_a_declined_call_ends_at_the_caller_with_the_reason(rig: Rig, server: Ringback) -> None:
    anna, bob = two_phones(rig, server, answer="manual")
    dial(anna, server, "102")
    bob.wait_event("CALL_INCOMING")
    bob.command("hangup")
    closed = anna.wait_event("CALL_CLOSED")
    assert "486" in str(closed["param"]) or "603" in str(closed["param"])


def test_a_second_call_to_a_busy_phone_is_told_so(rig: Rig, server: Ringback) -> None:
    anna, bob = two_phones(rig, server, answer="manual")
    with_busy = rig.baresip(server, "103")
    (bob.folder / "config").read_text()
    dial(with_busy, server, "102")
    bob.wait_event("CALL_INCOMING")
    bob.command("accept")
    with_busy.wait_event("CALL_ESTABLISHED")
    dial(anna, server, "102")
    bob.wait_event("CALL_INCOMING")
    bob.command("hangup")
    closed = anna.wait_event("CALL_CLOSED")
    assert "486" in str(closed["param"])


def test_a_cancelled_call_stops_ringing(rig: Rig, server: Ringback) -> None:
    anna, bob = two_phones(rig, server, answer="manual")
    dial(anna, server, "102")
    bob.wait_event("CALL_INCOMING")
    anna.wait_event("CALL_RINGING")
    anna.command("hangup")
    bob.wait_event("CALL_CLOSED")


def test_an_unanswered_call_ends_at_both_phones(rig: Rig) -> None:
    server = rig.ringback(config="[proxy]\nring_time = 5\n")
    for number in ("101", "102"):
        server.add_user(number, password=PASSWORD)
    anna, bob = two_phones(rig, server, answer="manual")
    dial(anna, server, "102")
    bob.wait_event("CALL_INCOMING")
    anna.wait_event("CALL_RINGING")
    closed = anna.wait_event("CALL_CLOSED", 15)
    assert "480" in str(closed["param"])
    bob.wait_event("CALL_CLOSED")


def test_a_redirect_server_sends_the_caller_to_the_phone_itself(rig: Rig) -> None:
    server = rig.ringback(config="[proxy]\nredirect_instead_of_proxy = true\n")
    for number in ("101", "102"):
        server.add_user(number, password=PASSWORD)
    anna, bob = two_phones(rig, server)
    dial(anna, server, "102")
    anna.wait_event("CALL_ESTABLISHED")
    bob.wait_event("CALL_ESTABLISHED")
    assert "SIP/2.0 302" in anna.program.output
    anna.command("hangup")
    bob.wait_event("CALL_CLOSED")


def test_a_call_to_a_phone_that_is_gone_ends_with_an_answer(rig: Rig, server: Ringback) -> None:
    anna = rig.baresip(server, "101")
    dial(anna, server, "103")
    closed = anna.wait_event("CALL_CLOSED", 15)
    assert "480" in str(closed["param"])


def test_a_number_that_does_not_exist_is_said_so(rig: Rig, server: Ringback) -> None:
    anna = rig.baresip(server, "101")
    dial(anna, server, "199")
    closed = anna.wait_event("CALL_CLOSED", 20)
    assert "404" in str(closed["param"])


def test_a_wrong_password_never_registers(rig: Rig, server: Ringback) -> None:
    thief = Baresip(
        rig.folder / "thief", user="101", password="wrong", domain=server.domain, server=server.address("udp")
    )
    rig.keep(thief)
    thief.wait_event("REGISTER_FAIL", 10) if thief.events else thief.program.wait_for("401|403", 10)
    assert "OK" not in thief.command("reginfo")


def test_a_phone_is_reachable_after_the_server_restarted(rig: Rig) -> None:
    server = rig.ringback()
    for number in ("101", "102"):
        server.add_user(number, password="secret-pass-1234")
    anna, bob = two_phones(rig, server)
    registrations_before = bob.program.output.count("REGISTER sip:")
    assert server.stop() == 0
    server.start()
    dial(anna, server, "102")
    anna.wait_event("CALL_ESTABLISHED", 15)
    bob.wait_event("CALL_ESTABLISHED")
    anna.command("hangup")
    bob.wait_event("CALL_CLOSED")
    assert bob.program.output.count("REGISTER sip:") == registrations_before
