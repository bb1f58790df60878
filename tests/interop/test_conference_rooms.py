# SPDX-License-Identifier: Apache-2.0
"""Three kinds of phone in one conference room: each hears the others, nobody itself, and the room hears their keys."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from interop_browser import Browser
from interop_process import wait_until
from interop_rig import PASSWORD, Rig
from interop_ringback import Ringback
from interop_sound import loudness

SETTINGS = '[conference]\nrooms = ["300", "301 pin=4711"]\n'
ANNA_HZ, BOB_HZ, CAROL_HZ = 440.0, 880.0, 1300.0
#: Two tones of one loudness have half of the energy each; what is not there has next to nothing.
SHARED, ABSENT = 0.2, 0.02


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ringback]:
    running = Ringback(tmp_path_factory.mktemp("server"), config=SETTINGS)
    try:
        for number in ("101", "102", "103"):
            running.add_user(number, password=PASSWORD)
        yield running
    finally:
        running.stop()


def present(server: Ringback, room: str) -> list[str]:
    rooms = json.loads(server.run("status", "--json"))["conferences"]
    return sorted(rooms.get(room, {}).get("parties", []))


def seconds_of(path: Path, frequency: float, share: float) -> float:
    return sum(loudness(path, frequency, share=share)) / 10


def test_a_baresip_a_linphone_and_a_browser_hear_each_other_and_not_themselves(
    rig: Rig, server: Ringback, browser: Browser
) -> None:
    anna = rig.baresip(server, "101", frequency=ANNA_HZ)
    bob = rig.linphone(server, "102", frequency=BOB_HZ)
    carol = rig.browser_phone(browser, server, "103", tone=CAROL_HZ)
    room = f"sip:300@{server.domain}"
    anna.command("dial", room)
    bob.program.say(f"call {room}")
    carol.start("call", to=room)
    carol.wait_event("established")
    wait_until(
        lambda: present(server, "300") == ["101", "102", "103"],
        15,
        lambda: f"three in the room: {present(server, '300')}",
    )
    time.sleep(3)
    everything = (ANNA_HZ, BOB_HZ, CAROL_HZ)
    wait_until(
        lambda: carol.hears_of(*everything) == {ANNA_HZ, BOB_HZ}, 5, "the browser hears the two others"
    )
    anna.command("sndcode", "*")
    anna.command("sndcode", "6")
    wait_until(lambda: carol.hears_of(*everything) == {BOB_HZ}, 5, "the browser hears one who is not muted")
    anna.command("hangup")
    anna.wait_event("CALL_CLOSED")
    bob.program.say("terminate")
    carol.start("hangup")
    carol.wait_event("ended")
    wait_until(lambda: present(server, "300") == [], 5, "an empty room")
    for path, own, others in (
        (anna.heard(), ANNA_HZ, (BOB_HZ, CAROL_HZ)),
        (bob.heard(), BOB_HZ, (ANNA_HZ, CAROL_HZ)),
    ):
        assert [seconds_of(path, other, SHARED) > 1.5 for other in others] == [True, True]
        assert seconds_of(path, own, ABSENT) < 0.5


def baresip_presses(rig: Rig, server: Ringback, browser: Browser, call: str, keys: str) -> None:
    anna = rig.baresip(server, "101")
    anna.command("dial", call)
    anna.wait_event("CALL_ESTABLISHED")
    time.sleep(0.5)
    for key in keys:
        anna.command("sndcode", key)
        time.sleep(0.3)


def linphone_presses(rig: Rig, server: Ringback, browser: Browser, call: str, keys: str) -> None:
    anna = rig.linphone(server, "101")
    anna.program.say(f"call {call}")
    anna.program.wait_for(r"connected\.", 10)
    time.sleep(1.0)
    for key in keys:
        anna.program.say(key)
        time.sleep(0.4)


def browser_presses(by: str) -> Callable[[Rig, Ringback, Browser, str, str], None]:
    def press(rig: Rig, server: Ringback, browser: Browser, call: str, keys: str) -> None:
        anna = rig.browser_phone(browser, server, "101")
        anna.start("call", to=call)
        anna.wait_event("established")
        time.sleep(0.5)
        anna.start("keys", keys=keys, by=by)

    return press


@pytest.mark.parametrize(
    "press",
    [baresip_presses, linphone_presses, browser_presses("RFC2833"), browser_presses("INFO")],
    ids=["baresip", "linphone", "browser", "browser by INFO"],
)
def test_the_keys_of_each_kind_of_phone_open_the_room(
    rig: Rig, server: Ringback, browser: Browser, press: Callable[[Rig, Ringback, Browser, str, str], None]
) -> None:
    wait_until(lambda: present(server, "301") == [], 5, "an empty room")
    press(rig, server, browser, f"sip:301@{server.domain}", "4711")
    wait_until(lambda: present(server, "301") == ["101"], 8, "the caller in the room")
