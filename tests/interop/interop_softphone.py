# SPDX-License-Identifier: Apache-2.0
"""The softphone and the guest phone in Chromium: keys and buttons pressed, sound and pictures measured."""

import contextlib
import json
from pathlib import Path
from typing import Any

from interop_npm import installed
from interop_office import OWNER, PASSWORD, Office
from interop_process import Program, require, wait_until

SOURCE = Path(__file__).parent / "softphone"
#: The energy of Chromium's made-up microphone is 0.2 to 0.4 a second; of silence, nothing.
HEARD, QUIET = 0.02, 0.0005


class Softphones:
    """One Chromium; each page has a browser profile of its own."""

    def __init__(self, folder: Path) -> None:
        chromium, node = require("chromium", "chromium"), require("node", "nodejs")
        folder.mkdir(parents=True)
        settings = {"chromium": chromium, "source": str(SOURCE)}
        self.program = Program(
            [node, str(SOURCE / "driver.mjs"), json.dumps(settings)], folder / "log", cwd=installed(SOURCE)
        )
        self._asked = 0
        self.program.wait_for('"event":"ready"', 60)

    def do(self, command: str, timeout: float = 30.0, **details: Any) -> Any:
        """Do something in the browser; what came of it."""
        self._asked += 1
        begin = len(self.program.log.read_bytes())
        self.program.say(json.dumps({"number": self._asked, "command": command, **details}))

        def answer() -> dict[str, Any] | None:
            assert self.program.process.poll() is None, f"the browser ended\n{self.program.output[-3000:]}"
            for line in self.program.log.read_bytes()[begin:].split(b"\n")[:-1]:
                if line.startswith(b'{"event":'):
                    event: dict[str, Any] = json.loads(line)
                    if event.get("number") == self._asked:
                        return event
            return None

        event = wait_until(answer, timeout, f"{command} {details}")
        assert isinstance(event, dict)
        assert event["event"] == "done", (
            f"{command} {details}: {event['text']}\n{self.program.output[-3000:]}"
        )
        return event["result"]

    def open(self, office: Office, number: str, **look: Any) -> "Softphone":
        """The softphone of somebody who has signed in, ready for calls."""
        self.do(
            "open", phone=number, site=office.site, path="/phone", login=number, password=PASSWORD, **look
        )
        phone = Softphone(self, number)
        phone.see("Ready", exact=True)
        return phone

    def visit(self, office: Office, path: str) -> "Softphone":
        """A stranger's browser at some page."""
        return self.at(office.site, path)

    def at(self, site: str, path: str, name: str = "", **look: Any) -> "Softphone":
        """A browser of somebody who has not signed in; `name` is what the page is called here."""
        self.do("open", phone=name or path, site=site, path=path, **look)
        return Softphone(self, name or path)

    def console(self, office: Office, path: str, name: str = "console", **look: Any) -> "Softphone":
        """The owner's browser, signed in, at a page of the console."""
        self.do("open", phone=name, site=office.site, path=path, login=OWNER, password=PASSWORD, **look)
        return Softphone(self, name)

    def stop(self) -> None:
        """The driver ends with its input, and takes the browser with it."""
        assert self.program.process.stdin is not None
        self.program.process.stdin.close()
        with contextlib.suppress(AssertionError):
            self.program.wait(5)
        self.program.stop(timeout=5)


class Softphone:
    """One page."""

    def __init__(self, browser: Softphones, name: str) -> None:
        self.browser = browser
        self.name = name

    def do(self, command: str, **details: Any) -> Any:
        return self.browser.do(command, phone=self.name, **details)

    def press(self, keys: str) -> None:
        """A key of the keyboard."""
        self.do("press", keys=keys)

    def click(self, name: str, *, exact: bool = False) -> None:
        """A button, by its name."""
        self.do("click", role="button", name=name, exact=exact)

    def follow(self, name: str) -> None:
        """A link, by its name."""
        self.do("click", role="link", name=name)

    def window(self, name: str, opened: str) -> "Softphone":
        """A link that opens a window; `opened` is what that is called here."""
        self.do("window", role="link", name=name, **{"as": opened})
        return Softphone(self.browser, opened)

    def write(self, label: str, value: str) -> None:
        self.do("write", label=label, value=value)

    def go(self, path: str) -> None:
        """Another page of the same server."""
        self.do("go", path=path)

    def find(self, selector: str) -> None:
        """Wait for something that is known by a CSS selector."""
        self.do("see", selector=selector)

    def all(self, selector: str, attribute: str = "") -> list[str]:
        """The texts of all that fit now, or an attribute of each."""
        found: list[str] = self.do("all", selector=selector, name=attribute)
        return found

    def see(self, text: str, *, exact: bool = False) -> None:
        """Wait until this is to be read."""
        self.do("see", text=text, exact=exact)

    def see_button(self, name: str) -> None:
        self.do("see", role="button", name=name)

    def call(self, number: str) -> None:
        self.write("Number or name", number)
        self.press("Enter")

    def answer(self) -> None:
        self.see_button("Answer")
        self.press("a")

    def talking(self) -> None:
        """Wait until the time of the call is counted."""
        self.do("see", role="timer", name="Time of the call")

    def free(self) -> None:
        """Wait until there is no call any more."""
        self.do("gone", role="button", name="Hang up")

    def measure(self) -> dict[str, Any]:
        found: dict[str, Any] = self.do("measure")
        return found

    def hears(self, timeout: float = 10.0) -> None:
        """Wait until it hears the other one's microphone."""
        self._grows("energy", HEARD, timeout)

    def sees_pictures(self, timeout: float = 15.0) -> None:
        """Wait until ten more pictures were decoded."""
        self._grows("frames", 10, timeout)

    def hears_nothing(self, timeout: float = 10.0) -> None:
        """Wait until packets come for a second with no sound in them."""

        def is_silent() -> bool:
            before, after = self._after_packets(45)
            return bool(after["energy"] - before["energy"] < QUIET)

        wait_until(is_silent, timeout, f"silence at {self.name}")

    def _after_packets(self, more: int) -> tuple[dict[str, Any], dict[str, Any]]:
        before = self.measure()
        last: list[dict[str, Any]] = [before]

        def has_more() -> bool:
            last[0] = self.measure()
            return bool(last[0]["packets"] >= before["packets"] + more)

        wait_until(has_more, 10, f"{more} packets at {self.name}")
        return before, last[0]

    def _grows(self, what: str, by: float, timeout: float) -> None:
        seen = [self.measure()[what]]

        def has_grown() -> bool:
            seen.append(self.measure()[what])
            # a new connection, after a transfer, begins at nothing
            return bool(seen[-1] > min(seen) + by)

        wait_until(has_grown, timeout, lambda: f"{what} at {self.name}: {seen[-12:]}")

    def close(self) -> None:
        self.do("close")
