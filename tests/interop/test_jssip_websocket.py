# SPDX-License-Identifier: Apache-2.0
"""JsSIP over WebSocket, plain and encrypted: a phone that listens nowhere and is reached all the same (RFC 7118)."""

import json
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from interop_baresip import Baresip
from interop_jssip import Jssip
from interop_rig import PASSWORD, Rig
from interop_ringback import Ringback

WEB = pytest.mark.parametrize("transport", ["ws", "wss"])
TEXT = "Grüße, 電話 📞"
RENEWED = r"received text message:\s+SIP/2.0 200 OK\r?\n[^{]*?CSeq: \d+ REGISTER"
UNREACHABLE = ("480", "408", "430")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ringback]:
    """One that lets phones register for ten seconds, the least JsSIP asks for. This JsSIP has no sound, and
    describes none that could be anchored: `test_browser_calls.py` is about that.
    """
    settings = '[registrar]\nminimum_expires = 10\n[media]\nanchor = "never"\n'
    running = Ringback(tmp_path_factory.mktemp("server"), config=settings)
    try:
        for number in ("101", "102", "103"):
            running.add_user(number, password=PASSWORD)
        yield running
    finally:
        running.stop()


def registered(rig: Rig, server: Ringback, user: str, transport: str, **settings: object) -> Jssip:
    phone = rig.jssip(server, user, transport=transport, **settings)
    phone.wait_registered()
    return phone


def end_of_call(caller: Baresip, server: Ringback, number: str, *, within: float) -> str:
    """Dial; what the caller is told at the end, which must come soon."""
    caller.command("dial", f"sip:{number}@{server.domain}")
    return str(caller.wait_event("CALL_CLOSED", within)["param"])


def message(server: Ringback, number: str, text: str, *, expect: int = 0) -> str:
    """`ringback message` from 103."""
    return server.run(
        "message", f"sip:{number}@{server.domain}", text, "--as", f"103@{server.domain}", "--password", PASSWORD,
        "--server", server.sip, expect=expect,
    )  # fmt: skip


def registrations(server: Ringback, user: str) -> list[dict[str, Any]]:
    return [each for each in json.loads(server.run("registrations", "--json")) if each["user"] == user]


@WEB
def test_it_registers_again_and_unregisters(rig: Rig, server: Ringback, transport: str) -> None:
    phone = rig.jssip(server, "101", transport=transport)
    granted = phone.wait_registered()
    assert granted["instance"] in granted["contact"]
    before = len(phone.program.output)
    phone.command("register")
    phone.program.wait_for(RENEWED, after=before)
    assert len(registrations(server, "101")) == 1
    phone.command("unregister")
    assert phone.wait_event("unregistered") == {"event": "unregistered", "status": 200, "cause": ""}
    message(server, "101", "anybody?", expect=11)


def test_it_renews_its_registration_before_that_ends(rig: Rig, server: Ringback) -> None:
    """JsSIP renews half-way through the ten seconds, with the next challenge."""
    phone = registered(rig, server, "101", "wss", expires=10)
    phone.program.wait_for(RENEWED, 8, after=len(phone.program.output))
    (registration,) = registrations(server, "101")
    assert registration["expires"] > 7
    message(server, "101", "still there?")
    assert phone.wait_event("message")["text"] == "still there?"


def test_it_does_not_talk_to_a_server_whose_certificate_it_cannot_trust(rig: Rig, server: Ringback) -> None:
    phone = rig.jssip(server, "101", transport="wss", ca="")
    phone.wait_event("disconnected")
    phone.program.wait_for("unable to verify|self-signed|unable to get local issuer")


@WEB
def test_a_wrong_password_never_registers(rig: Rig, server: Ringback, transport: str) -> None:
    thief = rig.jssip(server, "101", transport=transport, password="wrong")
    failure = thief.wait_event("registrationFailed")
    assert (failure["status"], failure["cause"]) == (401, "Authentication Error")


@WEB
def test_text_goes_both_ways_between_it_and_phones_on_udp(rig: Rig, server: Ringback, transport: str) -> None:
    phone = registered(rig, server, "101", transport)
    bob = rig.baresip(server, "102")
    assert phone.message(f"sip:102@{server.domain}", TEXT) == 200
    bob.program.wait_for(TEXT)
    message(server, "101", TEXT)
    assert phone.wait_event("message") == {"event": "message", "by": "103", "text": TEXT}


def test_two_of_them_send_each_other_a_text_that_fits_no_datagram(rig: Rig, server: Ringback) -> None:
    plain, encrypted = registered(rig, server, "101", "ws"), registered(rig, server, "102", "wss")
    text = TEXT * 1000
    assert plain.message(f"sip:102@{server.domain}", text) == 200
    assert encrypted.wait_event("message")["text"] == text
    assert encrypted.message(f"sip:101@{server.domain}", text) == 200
    assert plain.wait_event("message")["text"] == text


@WEB
def test_options_are_answered_by_the_server_and_by_the_other_phone(
    rig: Rig, server: Ringback, transport: str
) -> None:
    phone = registered(rig, server, "101", transport)
    assert phone.options(f"sip:{server.domain}") == 200
    rig.baresip(server, "102")
    assert phone.options(f"sip:102@{server.domain}") == 200
    assert phone.options(f"sip:103@{server.domain}") == 480


@WEB
def test_a_call_reaches_it_and_its_busy_reaches_the_caller(
    rig: Rig, server: Ringback, transport: str
) -> None:
    phone = registered(rig, server, "101", transport)
    bob = rig.baresip(server, "102")
    assert "486" in end_of_call(bob, server, "101", within=5)
    called = phone.wait_event("call")
    assert called["by"] == "102"
    assert called["sdp"] > 100
    assert phone.wait_event("callFailed")["by"] == "local"


@WEB
def test_it_answers_and_hangs_up(rig: Rig, server: Ringback, transport: str) -> None:
    phone = registered(rig, server, "101", transport, calls="answer")
    bob = rig.baresip(server, "102")
    bob.command("dial", f"sip:101@{server.domain}")
    bob.wait_event("CALL_ESTABLISHED")
    phone.wait_event("callEstablished")
    phone.command("hangup")
    bob.wait_event("CALL_CLOSED", 3)
    assert phone.wait_event("callEnded")["by"] == "local"


@WEB
def test_it_calls_and_the_other_side_hangs_up(rig: Rig, server: Ringback, transport: str) -> None:
    phone = registered(rig, server, "101", transport)
    bob = rig.baresip(server, "102")
    phone.command("call", to=f"sip:102@{server.domain}")
    phone.wait_event("callEstablished")
    bob.wait_event("CALL_ESTABLISHED")
    bob.command("hangup")
    assert phone.wait_event("callEnded", 3)["by"] == "remote"


def test_one_that_listens_nowhere_calls_another(rig: Rig, server: Ringback) -> None:
    plain = registered(rig, server, "101", "ws")
    encrypted = registered(rig, server, "102", "wss", calls="answer")
    plain.command("call", to=f"sip:102@{server.domain}")
    plain.wait_event("callEstablished")
    encrypted.wait_event("callEstablished")
    encrypted.command("hangup")
    assert plain.wait_event("callEnded", 3)["by"] == "remote"
    plain.command("call", to=f"sip:103@{server.domain}")
    assert plain.wait_event("callFailed", 3)["status"] == 480


@WEB
def test_a_caller_that_gives_up_stops_its_ringing(rig: Rig, server: Ringback, transport: str) -> None:
    phone = registered(rig, server, "101", transport, calls="ring")
    bob = rig.baresip(server, "102")
    bob.command("dial", f"sip:101@{server.domain}")
    bob.wait_event("CALL_RINGING")
    bob.command("hangup")
    failure = phone.wait_event("callFailed", 3)
    assert (failure["by"], failure["cause"]) == ("remote", "Canceled")


@WEB
def test_a_call_to_one_that_was_killed_ends_at_once(rig: Rig, server: Ringback, transport: str) -> None:
    phone = registered(rig, server, "101", transport)
    bob = rig.baresip(server, "102")
    phone.kill()
    assert end_of_call(bob, server, "101", within=5)[:3] in UNREACHABLE


@WEB
def test_one_that_is_killed_while_it_rings_ends_the_call(rig: Rig, server: Ringback, transport: str) -> None:
    phone = registered(rig, server, "101", transport, calls="ring")
    bob = rig.baresip(server, "102")
    bob.command("dial", f"sip:101@{server.domain}")
    bob.wait_event("CALL_RINGING")
    phone.kill()
    assert str(bob.wait_event("CALL_CLOSED", 5)["param"])[:3] in UNREACHABLE


@pytest.mark.parametrize(
    ("transport", "end"), [("ws", signal.SIGTERM), ("wss", signal.SIGKILL)], ids=["ws stop", "wss kill"]
)
def test_it_comes_back_after_the_server_restarted(rig: Rig, transport: str, end: signal.Signals) -> None:
    server = rig.ringback()
    for number in ("101", "102", "103"):
        server.add_user(number, password=PASSWORD)
    phone = registered(rig, server, "101", transport)
    server.program.stop(end, timeout=10)
    phone.wait_event("disconnected")
    server.start()
    phone.wait_registered()
    message(server, "101", "welcome back")
    assert phone.wait_event("message")["text"] == "welcome back"
    assert len(registrations(server, "101")) == 1
