# SPDX-License-Identifier: Apache-2.0
"""Take a picture of every page: `python tools/take_screenshots.py`, which `make screenshots` does.

A server is started and set up through its pages; eight people of an office that does not exist call each other. Each page is
taken in light and dark, wide and narrow, into docs/screenshots/, and docs/screens.md is written, which shows them.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / "interop"), str(ROOT / "tools" / "screenshots")]

from interop_office import PASSWORD, Office
from interop_ringback import Ringback
from interop_softphone import Softphone, Softphones
from staff import NAMES, Staff, history

FOLDER = ROOT / "docs" / "screenshots"
DOMAIN = "berg.example.com"
#: Ina, who is not of the office, is heard about her broken call.
SETTINGS = '[proxy]\nstrangers_may_call = true\n\n[media]\nanchor = "always"\n'
QUALITY = 45
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
LOOKS = {
    "wide-light": (WIDE, "light"),
    "wide-dark": (WIDE, "dark"),
    "narrow-light": (NARROW, "light"),
    "narrow-dark": (NARROW, "dark"),
}
HEAD = """# Screens

Every page of Ringback in light and dark, wide and narrow. The people do not exist; all else is a server that was started,
set up and used by `make screenshots`, which also writes this page.
"""


class Shot(NamedTuple):
    name: str
    title: str
    about: str


#: The sections of docs/screens.md. What is taken is in `take_all`, under these names.
SECTIONS: dict[str, tuple[Shot, ...]] = {
    "Set-up": (
        Shot("setup-office", "Office", "The link that `ringback serve` prints leads here."),
        Shot("setup-people", "People", "Names are pasted, one a line."),
        Shot(
            "setup-accounts", "People, with numbers", "Each has a number, a password, a QR code and a link."
        ),
        Shot(
            "setup-phones",
            "Phones",
            "A dot turns green when a phone registers; one press makes the first call.",
        ),
        Shot("setup-outside", "Outside line", "Not yet, and it says so."),
        Shot("setup-answers", "Who answers?", "Who rings when somebody dials 0."),
    ),
    "Console": (
        Shot("home", "Home", "Calls that are on, today, who can be reached."),
        Shot("calls", "Calls", "Now, and before."),
        Shot("call", "A call", "How it went: messages, sound, decisions."),
        Shot("call-trouble", "A call that went wrong", "What was wrong, and what helps."),
        Shot("call-message", "A message", "A press on an arrow shows its text, without secrets."),
        Shot("people", "People", "Who has which number."),
        Shot("people-add", "Adding people", "One, or many at once."),
        Shot("person", "A person", "Their devices, each with a password of its own."),
        Shot("phones", "Phones", "What is registered, from where, until when."),
        Shot("office", "Office", "Its name, its country, who answers 0."),
        Shot("system", "System", "Is all well?"),
        Shot("settings", "Settings", "Each with where its value comes from."),
        Shot("guests", "Guest pages", "Whom strangers may call from their browser."),
        Shot("webhooks", "Webhooks", "Who is told of calls."),
        Shot("audit", "Who changed what", "With the values before and after."),
        Shot("account", "Your account", "Password, codes, passkeys, tokens."),
        Shot("diagnostics", "Diagnostics", "The manual of what can go wrong."),
        Shot("docs", "API", "Every endpoint, from the OpenAPI document."),
    ),
    "Doors": (
        Shot("login", "Sign in", "With a password, a code or a passkey."),
        Shot("invite", "Invitation", "A colleague chooses a password."),
    ),
    "Softphone": (
        Shot("phone-keypad", "Keypad", "Type a name or a number."),
        Shot("phone-contacts", "Contacts", "Who is there, who is in a call."),
        Shot("phone-recents", "Recent calls", ""),
        Shot("phone-messages", "Messages", ""),
        Shot("phone-settings", "Settings", "Microphone, loudspeaker, camera, ring tone."),
        Shot("phone-incoming", "It rings", ""),
        Shot("phone-talking", "In a call", ""),
        Shot("phone-transfer", "Transfer", "At once, or after asking."),
    ),
    "Guest": (
        Shot("guest", "Guest page", "A stranger calls the one number that the office allowed."),
        Shot("guest-talking", "Guest in a call", ""),
    ),
}


def main() -> int:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.webp"):
        old.unlink()
    with tempfile.TemporaryDirectory(prefix="ringback-") as name:
        folder = Path(name)
        server = Ringback(folder / "server", domain=DOMAIN, console=True, traced=False, config=SETTINGS)
        browser = Softphones(folder / "browser")
        try:
            take_all(server, browser)
        finally:
            browser.stop()
            server.stop()
    (ROOT / "docs" / "screens.md").write_text("\n".join([HEAD, *_sections()]))
    size = sum(file.stat().st_size for file in FOLDER.glob("*.webp"))
    print(f"{len(list(FOLDER.glob('*.webp')))} pictures, {size / 1e6:.1f} MB")
    return 0


def take_all(server: Ringback, browser: Softphones) -> None:
    console = set_up(server, browser)
    office = Office(server, login="101")
    with Staff(office, server) as staff:
        staff.live_through_a_morning()
        history(server.data)
        office.ask("POST", "/guest-pages", {"name": "sales", "number": "103", "title": "Our sales desk"})
        office.ask("POST", "/guest-pages", {"name": "support", "number": "104", "title": "Support"})
        office.ask(
            "POST",
            "/webhooks",
            {"url": "https://crm.example.com/calls", "events": ["phone.registered", "phone.unregistered"]},
        )
        with staff.talking():
            of_console(office, console, staff)
        of_doors(office, browser)
        of_phones(office, browser, staff)
        of_guests(office, browser)


def taken(page: Softphone, name: str, *, height: int = 0) -> None:
    """All four looks of what is shown now; with `height`, of so much of it."""
    for look, (size, scheme) in LOOKS.items():
        page.do("size", **size | ({"height": height} if height else {}))
        page.do("look", colorScheme=scheme)
        page.do("evaluate", script=SETTLED)
        page.do("keep", file=str(FOLDER / f"{name}-{look}.webp"), quality=QUALITY)
    page.do("size", **WIDE)
    page.do("look", colorScheme="light")


#: Nothing moves any more, and the folder of this run is called as it would be on a server.
SETTLED = r"""async () => {
  await new Promise((done) => setTimeout(done, 350));
  const said = (text) => text.replace(/\S*\/ringback-[^/\s]+\/server(\/data)?/g, '/var/lib/ringback');
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) if (texts.currentNode.data.includes('/ringback-')) texts.currentNode.data = said(texts.currentNode.data);
  for (const field of document.querySelectorAll('input, textarea')) if (field.value.includes('/ringback-')) field.value = said(field.value);
}"""


def set_up(server: Ringback, browser: Softphones) -> Softphone:
    """The five screens."""
    link = server.program.wait_for(r"Finish set-up +(https://[^/\s]+)(/setup/\S+)", 10)
    page = browser.at(link[1], link[2], "console", viewport=WIDE, locale="en-GB")
    page.write("Name of the office", "Berg & Partners")
    page.do("choose", label="Country", value="DE")
    page.write("Your name", "Anna Berg")
    page.write("Your e-mail address", "anna@example.com")
    page.write("Your password", PASSWORD)
    taken(page, "setup-office")
    page.click("Next", exact=True)
    page.do("see", role="heading", name="Who works here?")
    page.write("People", "\n".join(f"{name}, {name.split()[0].lower()}@example.com" for name in NAMES))
    taken(page, "setup-people")
    page.click("Give them numbers")
    page.do("click", selector="summary:has-text('Ben Ito')")
    page.find("img[alt='QR code with the account of Ben Ito']")
    taken(page, "setup-accounts")
    page.click("Next", exact=True)
    phone = page.window("Open browser phone", "first")
    phone.see("Ready", exact=True)
    page.find("li.ready:has-text('Anna Berg')")
    taken(page, "setup-phones")
    phone.do("evaluate", script="() => globalThis.close()")
    page.click("Next", exact=True)
    taken(page, "setup-outside")
    page.click("Next", exact=True)
    taken(page, "setup-answers")
    page.click("Done")
    page.do("see", role="heading", name="Berg & Partners")
    return page


def of_console(office: Office, page: Softphone, staff: Staff) -> None:
    good, bad = staff.good_call, staff.bad_call
    plain = {
        "home": "/", "calls": "/calls", "people": "/people", "people-add": "/people?add=1", "person": "/people/102",
        "phones": "/phones", "office": "/office", "system": "/system", "settings": "/settings", "guests": "/guests",
        "webhooks": "/webhooks", "audit": "/audit", "account": "/account", "diagnostics": "/diagnostics", "docs": "/docs",
        "call-trouble": f"/calls/{bad}", "call": f"/calls/{good}",
    }  # fmt: skip
    for name, path in plain.items():
        page.go(path)
        page.find("h1")
        if name.startswith("call-") or name == "call":
            page.find("[data-testid=arrow]")
        taken(page, name, height=1500 if name.startswith("call-") or name == "call" else 0)
    page.do("click", selector="[data-testid=arrow] >> nth=3")
    page.find("[data-testid=message-text]")
    taken(page, "call-message")


def of_doors(office: Office, browser: Softphones) -> None:
    invited = office.ask("POST", "/users/108/invitations")["link"].removeprefix(office.site)
    page = browser.at(office.site, "/login", "door", locale="en-GB")
    page.do("see", role="heading", name="Sign in")
    taken(page, "login")
    page.go(invited)
    page.do("see", role="heading", name="Welcome")
    taken(page, "invite")
    page.close()


def of_phones(office: Office, browser: Softphones, staff: Staff) -> None:
    anna = browser.open(office, "101", locale="en-GB")
    taken(anna, "phone-keypad")
    in_a_call(anna, staff)
    anna.call("106")
    anna.talking()
    anna.press("x")
    for button in ("Contacts", "Recent", "Messages", "Settings"):
        anna.click(button, exact=True)
        if button == "Messages":
            staff.write("103", "101", "The contract is ready. Shall I send it?")
            anna.see("The contract is ready.")
        taken(anna, "phone-recents" if button == "Recent" else f"phone-{button.lower()}")
    anna.close()


def in_a_call(anna: Softphone, staff: Staff) -> None:
    call = staff.ring("104", "101")
    anna.see_button("Answer")
    taken(anna, "phone-incoming")
    anna.press("a")
    anna.talking()
    taken(anna, "phone-talking")
    anna.press("t")
    taken(anna, "phone-transfer")
    anna.press("Escape")
    anna.press("x")
    call.result(20)
    anna.free()


def of_guests(office: Office, browser: Softphones) -> None:
    guest = browser.at(office.site, "/call/sales", "guest", locale="en-GB")
    guest.see("Our sales desk")
    taken(guest, "guest")
    guest.click("Call now")
    guest.talking()
    taken(guest, "guest-talking")
    guest.close()


def _sections() -> Iterator[str]:
    for section, shots in SECTIONS.items():
        yield f"## {section}\n"
        for shot in shots:
            yield f"### {shot.title}\n"
            if shot.about:
                yield f"{shot.about}\n"
            pictures = [f"screenshots/{shot.name}-{look}.webp" for look in LOOKS]
            titles = [look.replace("-", ", ") for look in LOOKS]
            yield (
                "<p>"
                + "\n".join(
                    f'<img src="{file}" alt="{shot.title}: {title}" height="300">'
                    for file, title in zip(pictures, titles, strict=True)
                )
                + "</p>\n"
            )


if __name__ == "__main__":
    sys.exit(main())
