import time
from interop_browser import Browser
from interop_rig import Rig
from interop_ringback import Ringback


def test_browser_transferred(rig: Rig, server: Ringback, browser: Browser) -> None:
    anna = rig.browser_phone(browser, server, "101", tone=500)
    bob = rig.baresip(server, "102", frequency=900.0)
    anna.start("call", to=f"sip:102@{server.domain}")
    anna.wait_event("established")
    anna.wait_hears(900)
    bob.command("transfer", f"sip:*43@{server.domain}")
    bob.wait_event("CALL_CLOSED")
    anna.wait_hears(500)
    anna.start("hangup")


def test_browser_callee_transferred(rig: Rig, server: Ringback, browser: Browser) -> None:
    anna = rig.browser_phone(browser, server, "101", tone=500)
    bob = rig.browser_phone(browser, server, "102", tone=900, calls="answer")
    anna.start("call", to=f"sip:102@{server.domain}")
    anna.wait_event("established")
    anna.wait_event("established")
    bob.wait_hears(500)
    anna.start("refer", to=f"sip:*43@{server.domain}")
    bob.wait_hears(900)
    bob.start("hangup")


import pytest
from interop_sound import seconds_of_tone


def test_linphone_srtp(rig: Rig, server: Ringback) -> None:
    anna = rig.linphone(server, "101", frequency=880.0, encryption="srtp")
    bob = rig.baresip(server, "102", frequency=700.0)
    bob.command("dial", f"sip:101@{server.domain}")
    bob.wait_event("CALL_ESTABLISHED")
    time.sleep(1)
    bob.command("transfer", f"sip:*43@{server.domain}")
    bob.wait_event("CALL_CLOSED")
    time.sleep(4.0)
    anna.program.say("terminate")
    assert seconds_of_tone(anna.heard(), 880.0) > 1.0
