# SPDX-License-Identifier: Apache-2.0
"""What the tests with real programs share: a server, phones that are stopped, and a ladder when something fails."""

import time
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from interop_browser import Browser
from interop_rig import PASSWORD, Rig
from interop_ringback import Ringback
from interop_trace import ladders

STARTED = pytest.StashKey[float]()


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


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One Chromium for all tests; each opens pages of its own, which are closed after it."""
    running = Browser(tmp_path_factory.mktemp("chromium") / "browser")
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    running = Rig(tmp_path)
    try:
        yield running
    finally:
        running.stop()
