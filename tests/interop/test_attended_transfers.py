# SPDX-License-Identifier: Apache-2.0
"""Attended transfers by real phones: first they ask the third party, then they join the two others."""

import time

import pytest
from interop_baresip import Baresip
from interop_browser import Browser
from interop_our_phone import OurPhone
from interop_rig import Rig
from interop_ringback import Ringback
from interop_sound import seconds_of_tone

ANNA_HZ, CAROL_HZ = 440.0, 950.0


def joined(anna: OurPhone, carol: Baresip) -> None:
    """Both hear each other; then one hangs up."""
    time.sleep(2.5)
    carol.command("hangup")
    assert anna.seconds_of(CAROL_HZ) > 1.0
    assert seconds_of_tone(carol.heard(), ANNA_HZ) > 1.0


def test_a_browser_joins_the_two_phones_it_speaks_with(rig: Rig, server: Ringback, browser: Browser) -> None:
    carol = rig.baresip(server, "103", frequency=CAROL_HZ)
    bob = rig.browser_phone(browser, server, "102", tone=700, calls="answer")
    anna = OurPhone(rig, server, "101", "102", frequency=ANNA_HZ)
    bob.wait_event("established")
    bob.wait_hears(ANNA_HZ)
    bob.start("hold")
    bob.wait_event("hold")
    bob.start("call", to=f"sip:103@{server.domain}")
    bob.wait_event("established")
    bob.wait_hears(CAROL_HZ)
    bob.start("referReplaces", to=f"sip:103@{server.domain}")
    bob.wait_event("ended")
    bob.wait_event("ended")
    joined(anna, carol)


@pytest.mark.parametrize("encryption", ["none", "srtp"])
def test_linphone_joins_the_two_phones_it_speaks_with(rig: Rig, server: Ringback, encryption: str) -> None:
    carol = rig.baresip(server, "103", frequency=CAROL_HZ)
    bob = rig.linphone(server, "102", frequency=880.0, encryption=encryption)
    anna = OurPhone(rig, server, "101", "102", frequency=ANNA_HZ)
    bob.program.wait_for(r"connected\.|Media streams established", 10)
    time.sleep(0.5)
    bob.program.say("pause")
    time.sleep(0.5)
    bob.program.say(f"call sip:103@{server.domain}")
    carol.wait_event("CALL_ESTABLISHED")
    time.sleep(0.5)
    bob.program.say("transfer 1 --to-call 2")
    bob.program.wait_for(r"Call 1 .*ended \(", 10)
    joined(anna, carol)
