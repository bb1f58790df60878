# SPDX-License-Identifier: Apache-2.0
"""Starts real programs for one test, with accounts on a Ringback server, and stops them all."""

from pathlib import Path
from typing import Any, Protocol

from interop_baresip import Baresip
from interop_browser import Browser, BrowserPhone
from interop_jssip import Jssip
from interop_kamailio import Kamailio
from interop_linphone import Linphone
from interop_ringback import Ringback
from interop_sipp import Sipp

PASSWORD = "secret-pass-1234"


class Stoppable(Protocol):
    def stop(self) -> object: ...


class Rig:
    """Starts real programs for one test and stops them all, the last one first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: list[Stoppable] = []

    def keep(self, program: Any) -> Any:
        self._running.append(program)
        return program

    def baresip(self, server: Ringback, user: str, *, transport: str = "udp", **settings: Any) -> Baresip:
        account: dict[str, Any] = {"password": PASSWORD, **settings}
        phone = Baresip(
            self._place(f"baresip-{user}"), user=user, domain=server.domain,
            server=server.address(transport), transport=transport, **account,
        )  # fmt: skip
        self.keep(phone)
        phone.wait_registered()
        return phone

    def linphone(self, server: Ringback, user: str, *, transport: str = "udp", **settings: Any) -> Linphone:
        phone = Linphone(
            self._place(f"linphone-{user}"), user=user, password=PASSWORD, domain=server.domain,
            server=server.address(transport), transport=transport, **settings,
        )  # fmt: skip
        self.keep(phone)
        phone.wait_registered()
        return phone

    def jssip(self, server: Ringback, user: str, *, transport: str = "ws", **settings: Any) -> Jssip:
        account: dict[str, Any] = {"password": PASSWORD, "ca": server.ca, **settings}
        phone = Jssip(
            self._place(f"jssip-{user}"), user=user, domain=server.domain,
            url=f"{transport}://{server.address(transport)}/ws", **account,
        )  # fmt: skip
        self.keep(phone)
        return phone

    def browser(self) -> Browser:
        """Chromium, with a page for each phone that is opened in it."""
        browser = Browser(self._place("browser"))
        self.keep(browser)
        return browser

    def browser_phone(self, browser: Browser, server: Ringback, user: str, **settings: Any) -> BrowserPhone:
        phone = browser.open(
            user, password=PASSWORD, domain=server.domain, url=f"ws://{server.address('ws')}/ws", **settings
        )
        self.keep(phone)
        phone.wait_event("registered")
        return phone

    def sipp(self, *arguments: str, host: str = "127.0.0.1") -> Sipp:
        sipp = Sipp(self._place("sipp"), *arguments, host=host)
        self.keep(sipp)
        return sipp

    def kamailio(self, **settings: Any) -> Kamailio:
        kamailio = Kamailio(self._place("kamailio"), **settings)
        self.keep(kamailio)
        return kamailio

    def ringback(self, **settings: Any) -> Ringback:
        server = Ringback(self._place("ringback"), **settings)
        self.keep(server)
        return server

    def stop(self) -> None:
        for program in reversed(self._running):
            program.stop()

    def _place(self, name: str) -> Path:
        for number in range(100):
            folder = self.folder / f"{name}-{number}"
            if not folder.exists():
                return folder
        raise AssertionError("too many programs in one test")
