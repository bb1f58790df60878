# SPDX-License-Identifier: Apache-2.0
"""What the tests with real programs share: a server, phones that are stopped, and a ladder when something fails."""

import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from interop_baresip import Baresip
from interop_jssip import Jssip
from interop_kamailio import Kamailio
from interop_linphone import Linphone
from interop_ringback import Ringback
from interop_sipp import Sipp
from interop_trace import ladders

PASSWORD = "secret-pass-1234"
STARTED = pytest.StashKey[float]()


class Stoppable(Protocol):
    def stop(self) -> object: ...


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "interop" in item.path.parts:
            item.add_marker(pytest.mark.interop)
            item.add_marker(pytest.mark.timeout(120))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    item.stash[STARTED] = time.time()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that failed shows the ladders of its calls."""
    report = yield
    if report.failed and STARTED in item.stash:
        report.sections += ladders(Ringback.traces, since=item.stash[STARTED])
    return report


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ringback]:
    """A fresh `ringback serve` with users 101 (Anna), 102 (Bob) and 103."""
    running = Ringback(tmp_path_factory.mktemp("server"))
    try:
        for number, name in (("101", "Anna"), ("102", "Bob"), ("103", "Carol")):
            running.add_user(number, name, PASSWORD)
        yield running
    finally:
        running.stop()


class Rig:
    """Starts real programs for one test and stops them all, the last one first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: list[Stoppable] = []

    def keep(self, program: Any) -> Any:
        self._running.append(program)
        return program

    def baresip(self, server: Ringback, user: str, *, transport: str = "udp", **settings: Any) -> Baresip:
        phone = Baresip(
            self._place(f"baresip-{user}"), user=user, password=PASSWORD, domain=server.domain,
            server=server.address(transport), transport=transport, **settings,
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

    def sipp(self, *arguments: str) -> Sipp:
        sipp = Sipp(self._place("sipp"), *arguments)
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


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    running = Rig(tmp_path)
    try:
        yield running
    finally:
        running.stop()


Predicate = Callable[[], object]
