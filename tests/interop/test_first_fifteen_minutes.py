# SPDX-License-Identifier: Apache-2.0
"""The first fifteen minutes of an office: from the link that `ringback serve` prints to a call that was heard, all of
it pressed and written in the pages.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from interop_office import PASSWORD
from interop_ringback import Ringback
from interop_softphone import Softphone, Softphones

import ringback.web

STATIC = Path(ringback.web.__file__).parent / "static"
PEOPLE = "Anna Berg, anna@example.com\nBen Ito, ben@example.com\nCarla Diaz\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Ringback]:
    """Nobody was here before."""
    if not (STATIC / "index.html").exists():
        pytest.skip("the pages are not built: make frontend")
    running = Ringback(tmp_path / "server", console=True)
    try:
        yield running
    finally:
        running.stop()


def test_from_the_link_to_a_call_that_both_hear(server: Ringback, pages: Softphones) -> None:
    console = begin(server, pages)
    name_the_office(console)
    link = give_numbers(console)
    owner, colleague = open_phones(server, pages, console, link)
    call_now(console, owner, colleague)
    finish(console)
    see_the_call(console, owner, colleague)
    assert pages.do("errors") == []
    for page in (colleague, console):
        page.close()


def begin(server: Ringback, pages: Softphones) -> Softphone:
    """The link that the banner shows."""
    link = server.program.wait_for(r"Finish set-up +(https://[^/\s]+)(/setup/[2-9A-Z]{4}-[2-9A-Z]{4})", 10)
    return pages.at(link[1], link[2], "console")


def name_the_office(console: Softphone) -> None:
    assert console.do("check") == []
    console.write("Name of the office", "Berg & Partners")
    console.do("choose", label="Country", value="DE")
    console.write("Your name", "Anna Berg")
    console.write("Your e-mail address", "anna@example.com")
    console.write("Your password", "short")
    console.click("Next")
    console.find("[aria-invalid=true][type=password]")
    console.write("Your password", PASSWORD)
    console.click("Next")


def give_numbers(console: Softphone) -> str:
    """Names are pasted; the invitation link of the second one."""
    console.do("see", role="heading", name="Who works here?")
    console.write("People", PEOPLE)
    console.click("Give them numbers")
    console.see("3 people have a number")
    console.do("click", selector="summary:has-text('Ben Ito')")
    console.find("img[alt='QR code with the account of Ben Ito']")
    assert console.do("check") == []
    (link,) = [text for text in console.all("details[open] code") if "/invite/" in text]
    console.click("Next", exact=True)
    return link


def open_phones(
    server: Ringback, pages: Softphones, console: Softphone, link: str
) -> tuple[Softphone, Softphone]:
    """The owner's in a window beside the set-up, the colleague's by the link, in a browser of their own."""
    owner = console.window("Open browser phone", "101")
    owner.see("Ready", exact=True)
    console.find("li.ready:has-text('Anna Berg')")
    path = link.removeprefix(f"https://{server.wss}")
    assert re.fullmatch(r"/invite/\S+", path), link
    colleague = pages.at(f"https://{server.wss}", path, "102")
    colleague.do("see", role="heading", name="Welcome, Ben Ito")
    colleague.write("Password", "my own password")
    colleague.click("Come in")
    colleague.follow("Open my phone")
    colleague.see("Ready", exact=True)
    console.find("li.ready:has-text('Ben Ito')")
    assert console.do("check") == []
    return owner, colleague


def call_now(console: Softphone, owner: Softphone, colleague: Softphone) -> None:
    """One press: the owner's own phone rings, then the colleague's. Sound is measured at both."""
    console.click("Call Ben Ito now")
    owner.answer()
    colleague.answer()
    colleague.talking()
    owner.talking()
    owner.hears()
    colleague.hears()


def finish(console: Softphone) -> None:
    console.click("Next", exact=True)
    console.see("Not yet.")
    assert console.do("check") == []
    console.click("Next", exact=True)
    console.see_button("Done")
    assert console.do("check") == []
    console.click("Done")
    console.do("see", role="heading", name="Berg & Partners")


def see_the_call(console: Softphone, owner: Softphone, colleague: Softphone) -> None:
    """Live on the first page, then in the list of those before, then its own page."""
    console.find(
        "ul[aria-label='Calls now'] li:has-text('Anna Berg'):has-text('Ben Ito'):has-text('Talking')"
    )
    colleague.press("x")
    owner.free()
    console.see("Nobody is on the phone.")
    console.go("/calls")
    row = "table[aria-label='Calls before'] tbody tr"
    console.find(f"{row}:has-text('Anna Berg'):has-text('Ben Ito')")
    assert len(console.all(row)) == 1
    console.do("click", selector=f"{row} a")
    console.do("see", role="heading", name="Anna Berg → Ben Ito")
    console.find("[data-testid=arrow][data-label^=INVITE]")
    console.find("[data-testid=lane]")
    console.see("Nothing was wrong with this call.")
    assert console.do("check") == []
