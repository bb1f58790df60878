# SPDX-License-Identifier: Apache-2.0
"""Browsers and desk phones meet in a room and see who speaks."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from interop_browser import Browser, BrowserPhone
from interop_rig import PASSWORD, Rig
from interop_ringback import Ringback

ROOM = "300"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ringback]:
    """A server with a room."""
    folder: Path = tmp_path_factory.mktemp("server")
    running = Ringback(folder, config=f'[conference]\nrooms = ["{ROOM}"]\n')
    try:
        for number, name in (("101", "Anna"), ("102", "Bob"), ("103", "Carol")):
            running.add_user(number, name, PASSWORD)
        yield running
    finally:
        running.stop()


def joins(rig: Rig, server: Ringback, browser: Browser, user: str, **settings: object) -> BrowserPhone:
    """A browser in the room, silent at first."""
    phone = rig.browser_phone(browser, server, user, video=True, **settings)
    phone.start("call", to=f"sip:{ROOM}@{server.domain}", video=True)
    phone.wait_event("established")
    phone.command("mute")
    return phone


def test_a_desk_phone_with_a_camera_and_browsers_see_each_other(
    rig: Rig, server: Ringback, browser: Browser
) -> None:
    desk = rig.baresip(server, "103", frequency=700.0, video=True)
    desk.command("dial", f"sip:{ROOM}@{server.domain}")
    desk.wait_event("CALL_ESTABLISHED")
    anna = joins(rig, server, browser, "101", tone=500, colour="red")
    anna.wait_hears(700)
    anna.wait_frames(30)
    bob = joins(rig, server, browser, "102", tone=900)
    bob.wait_hears(700)
    bob.wait_frames(30)
    desk.program.wait_for("video: receiving with resolution 320 x 240", 10)
    anna.start("hold")
    anna.wait_event("hold")
    anna.wait_silence()
    anna.start("unhold")
    anna.wait_event("unhold")
    anna.wait_frames(30)


def test_three_browsers_see_who_speaks(rig: Rig, server: Ringback, browser: Browser) -> None:
    anna = joins(rig, server, browser, "101", tone=500, colour="red")
    bob = joins(rig, server, browser, "102", tone=900, colour="lime")
    carol = joins(rig, server, browser, "103", tone=1300, colour="blue")
    anna.command("mute", on=False)
    for other in (bob, carol):
        other.wait_hears(500)
        other.wait_colour("red")
        other.wait_frames()
    anna.command("mute")
    bob.command("mute", on=False)
    for other in (anna, carol):
        other.wait_hears(900)
        other.wait_colour("lime")
        other.wait_frames()
    bob.wait_colour("red")  # who speaks sees the one who spoke before
    bob.command("mute")
    carol.command("mute", on=False)
    for other in (anna, bob):
        other.wait_colour("blue")
        other.wait_frames()
    carol.wait_colour("lime")
    carol.start("hangup")
    anna.wait_colour("lime")
    bob.wait_colour("red")
