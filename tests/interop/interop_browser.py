# SPDX-License-Identifier: Apache-2.0
"""JsSIP in Chromium without a screen: phones that speak WebRTC, with a tone as voice and a made-up camera.

npm installs JsSIP and the remote control once into the virtual environment; `browser/driver.mjs` runs there.
"""

import json
from pathlib import Path
from typing import Any

from interop_npm import installed
from interop_process import Program, require, wait_until

SOURCE = Path(__file__).parent / "browser"
#: A tone counts as heard when the loudest frequency is this near, in Hz.
NEAR = 15.0
#: What cameras of one colour show, in the order of their channels.
COLOURS = ("red", "lime", "blue")


class Browser:
    """One Chromium. `open` gives it a page with a phone in it."""

    def __init__(self, folder: Path) -> None:
        chromium = require("chromium", "chromium")
        node = require("node", "nodejs")
        folder.mkdir(parents=True)
        settings = {"chromium": chromium, "source": str(SOURCE), "profile": str(folder / "profile")}
        self.program = Program(
            [node, str(SOURCE / "driver.mjs"), json.dumps(settings)],
            folder / "log",
            cwd=installed(SOURCE),
            env={"NO_COLOR": "1", "NODE_EXTRA_CA_CERTS": ""},
        )
        self._taken = 0
        self.events: dict[str, list[dict[str, Any]]] = {}
        self.wait("", "ready", 60.0)

    def open(self, user: str, **account: Any) -> "BrowserPhone":
        """A new page with a phone; `tone` is what it says, in Hz, `calls` what it does with a call."""
        self.say("open", user, user=user, **{"tone": 440, **account})
        return BrowserPhone(self, user)

    def say(self, command: str, phone: str, **details: Any) -> None:
        self.program.say(json.dumps({"command": command, "phone": phone, **details}))

    def wait(self, phone: str, kind: str, timeout: float, **details: Any) -> dict[str, Any]:
        """Wait for an event of one page, with these details; it and those before it are forgotten."""

        def find() -> dict[str, Any] | None:
            self._read()
            events = self.events.setdefault(phone, [])
            for index, event in enumerate(events):
                assert event["event"] != "error" or kind == "error", (
                    f"{phone}: {event['text']}\n{self.log_tail()}"
                )
                if event["event"] == kind and details.items() <= event.items():
                    del events[: index + 1]
                    return event
            assert self.program.process.poll() is None, f"the browser ended\n{self.log_tail()}"
            return None

        event = wait_until(
            find, timeout, lambda: f"{kind} at {phone}, got {self.events.get(phone)}\n{self.log_tail()}"
        )
        assert isinstance(event, dict)
        return event

    def log_tail(self) -> str:
        return self.program.output[-6000:]

    def stop(self) -> None:
        self.program.stop(timeout=5)

    def _read(self) -> None:
        text = self.program.log.read_bytes()
        end = text.rfind(b"\n") + 1
        for line in text[self._taken : end].split(b"\n"):
            if line.startswith(b'{"event":'):
                event = json.loads(line)
                self.events.setdefault(event["phone"], []).append(event)
        self._taken = end


class BrowserPhone:
    """One page. Commands are those of `browser/phone.js`."""

    def __init__(self, browser: Browser, user: str) -> None:
        self.browser = browser
        self.user = user

    def command(self, name: str, **details: Any) -> Any:
        """Do something; what it returned."""
        self.browser.say(name, self.user, **details)
        return self.browser.wait(self.user, "done", 15.0, command=name)["result"]

    def start(self, name: str, **details: Any) -> None:
        """Do something and do not wait: the events that come of it are not to be missed."""
        self.browser.say(name, self.user, **details)

    def wait_event(self, kind: str, timeout: float = 15.0) -> dict[str, Any]:
        return self.browser.wait(self.user, kind, timeout)

    def stop(self) -> None:
        """Unregister and close the page."""
        if self.browser.program.process.poll() is None:
            self.browser.events.pop(self.user, None)
            self.start("close")
            self.browser.wait(self.user, "closed", 10.0)

    def wait_hears(self, frequency: float, timeout: float = 10.0) -> None:
        """Until the loudest thing it hears is a tone of this frequency."""
        heard: list[float] = []

        def is_heard() -> bool:
            heard.append(self.command("hears")["frequency"])
            return abs(heard[-1] - frequency) < NEAR

        wait_until(is_heard, timeout, lambda: f"{frequency} Hz at {self.user}, heard {heard[-10:]}")

    def wait_silence(self, timeout: float = 10.0) -> None:
        wait_until(lambda: self.command("hears")["frequency"] == 0, timeout, f"silence at {self.user}")

    def hears_of(self, *frequencies: float, loud: float = -60.0) -> set[float]:
        """Which of these tones it hears now, of several at once."""
        levels = self.command("levels", frequencies=list(frequencies))
        return {one for one, level in zip(frequencies, levels, strict=True) if level > loud}

    def wait_colour(self, colour: str, timeout: float = 15.0) -> None:
        """Until the picture it sees is of the camera with this colour (`colour=` of the other phone)."""
        looks: list[list[int] | None] = []

        def is_seen() -> bool:
            looks.append(self.command("sees"))
            return (
                looks[-1] is not None
                and max(zip(looks[-1], COLOURS, strict=True))[1] == colour
                and max(looks[-1]) > 120
            )

        wait_until(is_seen, timeout, lambda: f"{colour} at {self.user}, saw {looks[-10:]}")

    def wait_frames(self, more: int = 10, timeout: float = 15.0) -> None:
        """Until this many more pictures were decoded."""

        def frames() -> int:
            return int(self.command("receives").get("video", {}).get("frames", 0))

        before = frames()
        wait_until(
            lambda: frames() >= before + more, timeout, f"{more} pictures more than {before} at {self.user}"
        )
