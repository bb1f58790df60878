# SPDX-License-Identifier: Apache-2.0
"""JsSIP, a phone for browsers, running in Node without a browser: SIP over WebSocket, no sound.

npm installs it once into the virtual environment; `jssip/phone.mjs` is what runs there.
"""

import json
from pathlib import Path
from typing import Any

from interop_npm import installed
from interop_process import Program, require, wait_until

SOURCE = Path(__file__).parent / "jssip"


class Jssip:
    """One JsSIP phone with one account. `calls`: "reject" them with 486, "answer" them, or let them "ring"."""

    def __init__(
        self,
        folder: Path,
        *,
        user: str,
        password: str,
        domain: str,
        url: str,
        ca: str = "",
        calls: str = "reject",
        expires: int = 600,
        **settings: Any,
    ) -> None:
        node = require("node", "nodejs")
        home = installed(SOURCE)
        folder.mkdir(parents=True)
        self.user = user
        account = {
            "url": url, "user": user, "password": password, "domain": domain, "calls": calls, "expires": expires,
            "settings": settings,
        }  # fmt: skip
        self.program = Program(
            [node, str(SOURCE / "phone.mjs"), json.dumps(account)],
            folder / "log",
            cwd=home,
            env={"DEBUG": "JsSIP:*", "NO_COLOR": "1", **({"NODE_EXTRA_CA_CERTS": ca} if ca else {})},
        )
        self._taken = 0
        self.events: list[dict[str, Any]] = []

    def command(self, name: str, **details: Any) -> None:
        self.program.say(json.dumps({"command": name, **details}))

    def wait_registered(self, timeout: float = 10.0) -> dict[str, Any]:
        return self.wait_event("registered", timeout)

    def wait_event(self, kind: str, timeout: float = 10.0) -> dict[str, Any]:
        """Wait for an event of phone.mjs; it and those before it are forgotten."""

        def find() -> dict[str, Any] | None:
            self._read()
            for index, event in enumerate(self.events):
                if event["event"] == kind:
                    del self.events[: index + 1]
                    return event
            if self.program.process.poll() is not None:
                raise AssertionError(f"JsSIP ended\n{self.log_tail()}")
            return None

        event = wait_until(find, timeout, f"{kind} at {self.user}, got {self.events}\n{self.log_tail()}")
        assert isinstance(event, dict)
        return event

    def message(self, to: str, text: str) -> int:
        """Send a text; the status that answered it."""
        self.command("message", to=to, text=text)
        return int(self.wait_event("messageSent")["status"])

    def options(self, to: str) -> int:
        self.command("options", to=to)
        return int(self.wait_event("optionsAnswered")["status"])

    def log_tail(self) -> str:
        return self.program.output[-4000:]

    def kill(self) -> None:
        """End it so that it can say goodbye to nobody."""
        self.program.process.kill()
        self.program.process.wait(5)

    def stop(self) -> None:
        self.program.stop(timeout=3)

    def _read(self) -> None:
        """Take in whole lines that are events; JsSIP's own account stands between them."""
        text = self.program.log.read_bytes()
        end = text.rfind(b"\n") + 1
        for line in text[self._taken : end].split(b"\n"):
            if line.startswith(b'{"event":'):
                self.events.append(json.loads(line))
        self._taken = end
