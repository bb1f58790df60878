# SPDX-License-Identifier: Apache-2.0
"""Transfers by real phones: the server moves the call itself, so that it works with any phone at the far end."""

import time

from interop_browser import Browser
from interop_rig import Rig
from interop_ringback import Ringback
from interop_sound import seconds_of_tone


def test_baresip_transfers_blindly(rig: Rig, server: Ringback) -> None:
    anna = rig.baresip(server, "101", frequency=440.0)
    bob = rig.baresip(server, "102", frequency=700.0)
    carol = rig.baresip(server, "103", frequency=950.0)
    anna.command("dial", f"sip:102@{server.domain}")
    bob.wait_event("CALL_ESTABLISHED")
    anna.wait_event("CALL_ESTABLISHED")
    bob.command("transfer", f"sip:103@{server.domain}")
    carol.wait_event("CALL_ESTABLISHED")
    time.sleep(2.0)
    anna.command("hangup")
    carol.wait_event("CALL_CLOSED")
    assert seconds_of_tone(carol.heard(), 440.0) > 1.0


def test_linphone_transfers_blindly(rig: Rig, server: Ringback) -> None:
    anna = rig.baresip(server, "101", frequency=440.0)
    bob = rig.linphone(server, "102", frequency=880.0)
    carol = rig.baresip(server, "103", frequency=950.0)
    anna.command("dial", f"sip:102@{server.domain}")
    anna.wait_event("CALL_ESTABLISHED")
    bob.program.say(f"transfer sip:103@{server.domain}")
    carol.wait_event("CALL_ESTABLISHED")
    time.sleep(2.0)
    anna.command("hangup")
    carol.wait_event("CALL_CLOSED")
    assert seconds_of_tone(carol.heard(), 440.0) > 1.0


def test_a_transfer_to_nobody_gives_the_call_back(rig: Rig, server: Ringback, browser: Browser) -> None:
    """Not with baresip: it hangs up by itself when a transfer has failed."""
    anna = rig.browser_phone(browser, server, "101", tone=500)
    bob = rig.baresip(server, "102", frequency=900.0)
    anna.start("call", to=f"sip:102@{server.domain}")
    anna.wait_event("established")
    anna.wait_hears(900)
    anna.start("refer", to=f"sip:999@{server.domain}")
    assert anna.wait_event("transferFailed")["status"] == 404
    anna.wait_hears(900)
    anna.start("hangup")
    bob.wait_event("CALL_CLOSED")


def test_baresip_transfers_to_the_echo_test(rig: Rig, server: Ringback) -> None:
    """The server answers the number itself: who was transferred hears its own tone, not Bob's.

    Who is transferred is linphone: the jitter buffer of baresip 1.0 takes a new SSRC in a call for old packets
    ("dropping ... Connection timed out") whenever its sequence numbers begin below those of the first.
    """
    anna = rig.linphone(server, "101", frequency=440.0)
    bob = rig.baresip(server, "102", frequency=700.0)
    anna.program.say(f"call sip:102@{server.domain}")
    bob.wait_event("CALL_ESTABLISHED")
    bob.command("transfer", f"sip:*43@{server.domain}")
    bob.wait_event("CALL_CLOSED")
    time.sleep(3.0)
    anna.program.say("terminate")
    anna.program.wait_for(r"ended \(", 10)
    assert seconds_of_tone(anna.heard(), 440.0) > 1.0


def test_who_called_transfers_linphone(rig: Rig, server: Ringback) -> None:
    """The transferor hangs up by itself as soon as it hears that it is done: the others speak on."""
    anna = rig.linphone(server, "101", frequency=880.0)
    bob = rig.baresip(server, "102", frequency=700.0)
    carol = rig.baresip(server, "103", frequency=950.0)
    bob.command("dial", f"sip:101@{server.domain}")
    bob.wait_event("CALL_ESTABLISHED")
    bob.command("transfer", f"sip:103@{server.domain}")
    carol.wait_event("CALL_ESTABLISHED")
    bob.wait_event("CALL_CLOSED")
    time.sleep(3.0)
    anna.program.say("terminate")
    carol.wait_event("CALL_CLOSED")
    assert seconds_of_tone(carol.heard(), 880.0) > 1.0


def test_a_browser_is_transferred_to_the_echo_test(rig: Rig, server: Ringback, browser: Browser) -> None:
    anna = rig.browser_phone(browser, server, "101", tone=500)
    bob = rig.browser_phone(browser, server, "102", tone=900, calls="answer")
    anna.start("call", to=f"sip:102@{server.domain}")
    anna.wait_event("established")
    bob.wait_hears(500)
    anna.start("refer", to=f"sip:*43@{server.domain}")
    bob.wait_hears(900)
    bob.start("hangup")
