# SPDX-License-Identifier: Apache-2.0
"""Can everybody use the pages? axe-core looks at each of them in light and in dark, on a wide and on a narrow screen.

The softphone and the guest phone are looked at in test_softphone.py.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from interop_mute_caller import MuteCaller
from interop_office import Office
from interop_process import wait_until
from interop_softphone import Softphone, Softphones

WIDE, NARROW = {"width": 1280, "height": 860}, {"width": 390, "height": 844}
LOOKS = {"wide and light": (WIDE, "light"), "narrow and dark": (NARROW, "dark")}
#: A page, and words by which one knows that it is there.
CONSOLE = {
    "/": "Berg & Partners",
    "/calls": "Calls",
    "/people": "People",
    "/people?add=1": "Add people",
    "/people/102": "Bob Costa",
    "/phones": "Phones",
    "/office": "Office",
    "/system": "System",
    "/settings": "Settings",
    "/account": "Your account",
    "/audit": "Who changed what",
    "/webhooks": "Webhooks",
    "/guests": "Guest pages",
    "/diagnostics": "What can go wrong with a call",
    "/docs": "Ringback API",
}


@pytest.fixture(scope="module")
def call(office: Office) -> str:
    """The id of one that failed, so that its page has all its parts."""
    with MuteCaller(office.server.sip, f"sip:103@{office.server.domain}", display="Carla") as caller:
        caller.invite()
        caller.receive("SIP/2.0 480")
        asked = f"/records?search={caller.call_id}"
        kept: Any = wait_until(lambda: office.ask("GET", asked)["items"], 10, "the record")
    return str(kept[0]["id"])


@pytest.fixture(scope="module")
def console(office: Office, pages: Softphones) -> Iterator[Softphone]:
    page = pages.console(office, "/")
    yield page
    page.close()
    assert pages.do("errors") == []


def problems(page: Softphone) -> dict[str, list[str]]:
    """What axe-core finds, in each of the looks."""
    found = {}
    for look, (size, scheme) in LOOKS.items():
        page.do("size", **size)
        page.do("look", colorScheme=scheme)
        found[look] = page.do("check")
    return {look: those for look, those in found.items() if those}


@pytest.mark.parametrize("path", CONSOLE)
def test_a_page_of_the_console(console: Softphone, path: str) -> None:
    console.go(path)
    console.do("see", role="heading", name=CONSOLE[path])
    assert problems(console) == {}


def test_the_page_of_a_call(console: Softphone, call: str) -> None:
    console.go(f"/calls/{call}")
    console.find("[data-testid=verdict]")
    console.find("[data-testid=arrow]")
    assert problems(console) == {}


def test_the_doors(office: Office, pages: Softphones) -> None:
    """The pages of those who are not signed in: with links that work, and with such that do not."""
    invited = office.ask("POST", "/users/104/invitations")["link"].removeprefix(office.site)
    doors = {
        "/login": "Sign in",
        invited: "Welcome, Dora Engel",
        "/invite/none": "This link no longer works",
        "/setup/AAAA-BBBB": "This link no longer works",
    }
    stranger = pages.at(office.site, "/login", "stranger")
    found = {}
    for path, words in doors.items():
        stranger.go(path)
        stranger.do("see", role="heading", name=words)
        found[path] = problems(stranger)
    stranger.close()
    assert not any(found.values()), found
