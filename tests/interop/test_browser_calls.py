# SPDX-License-Identifier: Apache-2.0
"""JsSIP in Chromium: the softphone of the browser, with sound and pictures, through the server to every other phone."""

import time

import pytest
from interop_browser import Browser
from interop_rig import Rig
from interop_ringback import Ringback
from interop_sound import seconds_of_tone


def test_browser_to_browser_with_sound_both_ways(rig: Rig, server: Ringback, browser: Browser) -> None:
    anna = rig.browser_phone(browser, server, "101", tone=500)
    bob = rig.browser_phone(browser, server, "102", tone=900, calls="answer")
    anna.start("call", to=f"sip:102@{server.domain}")
    anna.wait_event("established")
    anna.wait_hears(900)
    bob.wait_hears(500)
    bob.start("hangup")
    anna.wait_event("ended")


def test_browser_to_browser_with_pictures(rig: Rig, server: Ringback, browser: Browser) -> None:
    anna = rig.browser_phone(browser, server, "101", tone=500)
    bob = rig.browser_phone(browser, server, "102", tone=900, calls="answer", video=True)
    anna.start("call", to=f"sip:102@{server.domain}", video=True)
    anna.wait_event("established")
    anna.wait_frames()
    bob.wait_frames()
    anna.wait_hears(900)
    bob.start("hangup")
    anna.wait_event("ended")


def test_a_browser_hears_itself_at_the_echo_test(rig: Rig, server: Ringback, browser: Browser) -> None:
    anna = rig.browser_phone(browser, server, "101", tone=500)
    anna.start("call", to=f"sip:*43@{server.domain}")
    anna.wait_event("established")
    anna.wait_hears(500)
    anna.start("hangup")
    anna.wait_event("ended")


@pytest.mark.parametrize("codec", ["g711", "opus"])
def test_a_browser_calls_a_desk_phone(rig: Rig, server: Ringback, browser: Browser, codec: str) -> None:
    anna = rig.browser_phone(browser, server, "101", tone=500)
    bob = rig.baresip(server, "102", frequency=900.0, codec=codec)
    anna.start("call", to=f"sip:102@{server.domain}")
    anna.wait_event("established")
    anna.wait_hears(900)
    time.sleep(2)
    anna.start("hangup")
    bob.wait_event("CALL_CLOSED")
    assert seconds_of_tone(bob.heard(), 500.0) > 1.0


@pytest.mark.parametrize("codec", ["g711", "opus"])
def test_a_desk_phone_calls_a_browser(rig: Rig, server: Ringback, browser: Browser, codec: str) -> None:
    anna = rig.browser_phone(browser, server, "101", tone=500, calls="answer")
    bob = rig.baresip(server, "102", frequency=900.0, codec=codec)
    bob.command("dial", f"sip:101@{server.domain}")
    bob.wait_event("CALL_ESTABLISHED")
    anna.wait_hears(900)
    time.sleep(2)
    bob.command("hangup")
    anna.wait_event("ended")
    assert seconds_of_tone(bob.heard(), 500.0) > 1.0


def test_a_browser_holds_a_desk_phone_and_talks_again(rig: Rig, server: Ringback, browser: Browser) -> None:
    anna = rig.browser_phone(browser, server, "101", tone=500)
    bob = rig.baresip(server, "102", frequency=900.0)
    anna.start("call", to=f"sip:102@{server.domain}")
    anna.wait_event("established")
    anna.wait_hears(900)
    anna.start("hold")
    anna.wait_event("hold")
    anna.wait_silence()
    anna.start("unhold")
    anna.wait_event("unhold")
    anna.wait_hears(900)
    bob.command("hangup")
    anna.wait_event("ended")


def test_a_desk_phone_holds_a_browser_and_talks_again(rig: Rig, server: Ringback, browser: Browser) -> None:
    anna = rig.browser_phone(browser, server, "101", tone=500, calls="answer")
    bob = rig.baresip(server, "102", frequency=900.0)
    bob.command("dial", f"sip:101@{server.domain}")
    bob.wait_event("CALL_ESTABLISHED")
    anna.wait_hears(900)
    bob.command("hold")
    anna.wait_event("hold")
    anna.wait_silence()
    bob.command("resume")
    anna.wait_event("unhold")
    anna.wait_hears(900)
    bob.command("hangup")
    anna.wait_event("ended")


@pytest.mark.parametrize("by", ["RFC2833", "INFO"])
def test_keys_of_a_browser_reach_a_desk_phone(rig: Rig, server: Ringback, browser: Browser, by: str) -> None:
    anna = rig.browser_phone(browser, server, "101", tone=500)
    bob = rig.baresip(server, "102", frequency=900.0)
    anna.start("call", to=f"sip:102@{server.domain}")
    anna.wait_event("established")
    anna.wait_hears(900)
    anna.start("keys", keys="7", by=by)
    assert bob.wait_event("CALL_DTMF_START")["param"] == "7"
    anna.start("hangup")
    anna.wait_event("ended")


def test_a_browser_rings_with_a_desk_phone_until_one_answers(
    rig: Rig, server: Ringback, browser: Browser
) -> None:
    anna = rig.baresip(server, "101", frequency=900.0)
    page = rig.browser_phone(browser, server, "102", tone=500)
    desk = rig.baresip(server, "102", frequency=700.0, answer="manual")
    anna.command("dial", f"sip:102@{server.domain}")
    page.wait_event("call")
    desk.wait_event("CALL_INCOMING")
    page.start("answer")
    page.wait_event("established")
    desk.wait_event("CALL_CLOSED")
    page.wait_hears(900)
    time.sleep(1.5)
    page.start("hangup")
    anna.wait_event("CALL_CLOSED")
    assert seconds_of_tone(anna.heard(), 500.0) > 0.7


def test_a_browser_transfers_a_desk_phone_to_another(rig: Rig, server: Ringback, browser: Browser) -> None:
    anna = rig.browser_phone(browser, server, "101", tone=500)
    bob = rig.baresip(server, "102", frequency=900.0)
    carol = rig.baresip(server, "103", frequency=700.0)
    bob.command("dial", f"sip:101@{server.domain}")
    anna.wait_event("call")
    anna.start("answer")
    anna.wait_hears(900)
    anna.start("refer", to=f"sip:103@{server.domain}")
    carol.wait_event("CALL_ESTABLISHED", 15)
    anna.wait_event("ended")
    time.sleep(2)
    bob.command("hangup")
    carol.wait_event("CALL_CLOSED")
    assert seconds_of_tone(carol.heard(), 900.0) > 1.0
