# SPDX-License-Identifier: Apache-2.0
"""Phones that encrypt their sound, and phones that do not, hear each other through the server."""

import json
import time
from typing import Any

import pytest
from interop_process import wait_until
from interop_rig import Rig
from interop_ringback import Ringback
from interop_sound import seconds_of_tone

ANNA_HZ, BOB_HZ = 440.0, 700.0


@pytest.mark.parametrize(
    ("anna_speaks", "bob_speaks"),
    [
        ("srtp-mand", ""),
        ("", "srtp-mand"),
        ("srtp-mand", "srtp-mand"),
        ("srtp-mand", "dtls_srtp"),
        ("dtls_srtp", "srtp-mand"),
        ("dtls_srtp", ""),
        ("", "dtls_srtp"),
        ("srtp", ""),
    ],
)
def test_two_baresips_with_different_encryption(
    rig: Rig, server: Ringback, anna_speaks: str, bob_speaks: str
) -> None:
    anna = rig.baresip(server, "101", frequency=ANNA_HZ, encryption=anna_speaks)
    bob = rig.baresip(server, "102", frequency=BOB_HZ, encryption=bob_speaks)
    anna.command("dial", f"sip:102@{server.domain}")
    anna.wait_event("CALL_ESTABLISHED")
    bob.wait_event("CALL_ESTABLISHED")
    time.sleep(2.5)
    anna.command("hangup")
    bob.wait_event("CALL_CLOSED")
    assert seconds_of_tone(anna.heard(), BOB_HZ) > 1.0
    assert seconds_of_tone(bob.heard(), ANNA_HZ) > 1.0


@pytest.mark.parametrize(("anna_has", "bob_has"), [("g722", "g711"), ("g711", "g722"), ("g711", "opus"), ("opus", "g722"), ("l16", "g711")])  # fmt: skip
def test_two_baresips_without_a_common_codec(rig: Rig, server: Ringback, anna_has: str, bob_has: str) -> None:
    anna = rig.baresip(server, "101", frequency=ANNA_HZ, codec=anna_has)
    bob = rig.baresip(server, "102", frequency=BOB_HZ, codec=bob_has)
    anna.command("dial", f"sip:102@{server.domain}")
    anna.wait_event("CALL_ESTABLISHED")
    bob.wait_event("CALL_ESTABLISHED")
    time.sleep(3.0)
    anna.command("hangup")
    bob.wait_event("CALL_CLOSED")
    assert seconds_of_tone(anna.heard(), BOB_HZ) > 1.0
    assert seconds_of_tone(bob.heard(), ANNA_HZ) > 1.0


def test_linphone_with_srtp_and_a_plain_baresip(rig: Rig, server: Ringback) -> None:
    anna = rig.linphone(server, "101", frequency=880.0, encryption="srtp")
    bob = rig.baresip(server, "102", frequency=BOB_HZ)
    bob.command("dial", f"sip:101@{server.domain}")
    bob.wait_event("CALL_ESTABLISHED")
    time.sleep(2.5)
    bob.command("hangup")
    assert seconds_of_tone(bob.heard(), 880.0) > 1.0
    assert seconds_of_tone(anna.heard(), BOB_HZ) > 1.0


def test_an_encrypting_phone_at_the_echo_test(rig: Rig, server: Ringback) -> None:
    for encryption in ("srtp-mand", "dtls_srtp"):
        anna = rig.baresip(server, "101", frequency=ANNA_HZ, encryption=encryption)
        anna.command("dial", f"sip:*43@{server.domain}")
        anna.wait_event("CALL_ESTABLISHED")
        time.sleep(2.5)
        anna.command("hangup")
        anna.wait_event("CALL_CLOSED")
        assert seconds_of_tone(anna.heard(), ANNA_HZ) > 1.0
        anna.stop()
    kinds = ("sdes", "dtls")

    def are_written_down() -> bool:
        records = json.loads(server.run("calls", "--before", "--number", "*43", "--json"))
        legs = [leg for record in records for leg in record["legs"] if leg["streams"]]
        return {leg["security"] for leg in legs if leg["streams"][0]["packets_received"] > 50} == {*kinds}

    wait_until(are_written_down, 10, f"records with the sound of both calls, {kinds}")


def device_that_must_encrypt(server: Ringback, number: str) -> str:
    """The password of a new device of this user."""
    added = server.run("device", "add", number, "Desk", "--security", "required", "--json")
    return str(json.loads(added)["password"])


def record_of_caller(server: Ringback, number: str) -> dict[str, Any]:
    """The newest call that this number made; it is written a moment after its end."""

    def find() -> dict[str, Any] | None:
        records = json.loads(server.run("calls", "--before", "--number", number, "--json"))
        return next((each for each in records if each["caller"]["number"] == number), None)

    found: Any = wait_until(find, 10, "the record of the call")
    return dict(found)


@pytest.mark.parametrize("who_calls", ["the device", "the plain phone"])
def test_a_device_that_must_encrypt_and_a_plain_phone_hear_each_other(
    rig: Rig, server: Ringback, who_calls: str
) -> None:
    password = device_that_must_encrypt(server, "101")
    # "srtp" would take plain sound, too: that it is encrypted when it is called is the server's doing
    encryption = "srtp-mand" if who_calls == "the device" else "srtp"
    device = rig.baresip(server, "101", password=password, frequency=ANNA_HZ, encryption=encryption)
    plain = rig.baresip(server, "102", frequency=BOB_HZ)
    one, other = (device, plain) if who_calls == "the device" else (plain, device)
    one.command("dial", f"sip:{other.user}@{server.domain}")
    one.wait_event("CALL_ESTABLISHED")
    other.wait_event("CALL_ESTABLISHED")
    time.sleep(2.5)
    one.command("hangup")
    other.wait_event("CALL_CLOSED")
    assert seconds_of_tone(device.heard(), BOB_HZ) > 1.0
    assert seconds_of_tone(plain.heard(), ANNA_HZ) > 1.0
    record = record_of_caller(server, one.user)
    assert {leg["number"]: leg["security"] for leg in record["legs"]} == {"101": "sdes", "102": "plain"}
    assert record["anchored"]


def test_a_device_that_must_encrypt_makes_no_plain_call(rig: Rig, server: Ringback) -> None:
    password = device_that_must_encrypt(server, "103")
    device = rig.baresip(server, "103", password=password, frequency=ANNA_HZ)
    rig.baresip(server, "102", frequency=BOB_HZ)
    device.command("dial", f"sip:102@{server.domain}")
    closed = device.wait_event("CALL_CLOSED")
    assert "488" in str(closed["param"])
    assert record_of_caller(server, "103")["status"] == 488
