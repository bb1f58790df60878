# SPDX-License-Identifier: Apache-2.0
"""Phones that encrypt their sound, and phones that do not, hear each other through the server."""

import time

import pytest
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
