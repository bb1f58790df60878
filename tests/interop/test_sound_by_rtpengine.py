# SPDX-License-Identifier: Apache-2.0
"""The same calls with rtpengine as the media plane: encrypted to plain, browser to desk phone, hold."""

import time
from collections.abc import Iterator

import pytest
from interop_browser import Browser
from interop_rig import PASSWORD, Rig
from interop_ringback import Ringback
from interop_rtpengine import Rtpengine
from interop_sound import seconds_of_tone

ANNA_HZ, BOB_HZ = 440.0, 700.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ringback]:
    folder = tmp_path_factory.mktemp("server")
    engine = Rtpengine(folder / "rtpengine")
    try:
        running = Ringback(folder, config=f'[media]\nengine = "rtpengine"\nrtpengine = "{engine.address}"\n')
        try:
            for number in ("101", "102"):
                running.add_user(number, password=PASSWORD)
            yield running
        finally:
            running.stop()
    finally:
        engine.stop()


@pytest.mark.parametrize(("anna_speaks", "bob_speaks"), [("srtp-mand", ""), ("", "srtp-mand")])
def test_an_encrypting_phone_and_a_plain_one(
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
    assert seconds_of_tone(anna.heard(), BOB_HZ) > 1.3
    assert seconds_of_tone(bob.heard(), ANNA_HZ) > 1.3


def test_a_browser_calls_a_desk_phone_and_holds_it(rig: Rig, server: Ringback, browser: Browser) -> None:
    anna = rig.browser_phone(browser, server, "101", tone=ANNA_HZ)
    bob = rig.baresip(server, "102", frequency=BOB_HZ)
    anna.start("call", to=f"sip:102@{server.domain}")
    anna.wait_event("established")
    anna.wait_hears(BOB_HZ)
    time.sleep(1.5)
    anna.start("hold")
    anna.wait_event("hold")
    anna.wait_silence()
    anna.start("unhold")
    anna.wait_event("unhold")
    anna.wait_hears(BOB_HZ)
    anna.start("hangup")
    bob.wait_event("CALL_CLOSED")
    assert seconds_of_tone(bob.heard(), ANNA_HZ) > 1.0


def test_a_desk_phone_calls_a_browser(rig: Rig, server: Ringback, browser: Browser) -> None:
    anna = rig.browser_phone(browser, server, "101", tone=ANNA_HZ, calls="answer")
    bob = rig.baresip(server, "102", frequency=BOB_HZ)
    bob.command("dial", f"sip:101@{server.domain}")
    bob.wait_event("CALL_ESTABLISHED")
    anna.wait_hears(BOB_HZ)
    time.sleep(1.5)
    bob.command("hangup")
    anna.wait_event("ended")
    assert seconds_of_tone(bob.heard(), ANNA_HZ) > 0.7
