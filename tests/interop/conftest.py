# SPDX-License-Identifier: Apache-2.0
"""What the tests with real programs share: a server, phones that are stopped, and a ladder when something fails."""

import datetime
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from interop_browser import Browser
from interop_office import Office
from interop_rig import PASSWORD, Rig
from interop_ringback import Ringback
from interop_softphone import Softphones
from interop_trace import ladders

import ringback.web
from ringback.server.certificates import local_certificate

OFFICE = """\
[proxy]
strangers_may_call = true
[media]
anchor = "always"
"""
#: A certificate that was made then has expired, and its authority has not.
LONG_AGO = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=3 * 365)
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


@pytest.fixture(scope="session")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """An office with a console: Anna (101), its owner, in browsers; Bob (102), Carol (103), Dora (104)
    and Emil (105) have phones.

    All sound goes through the server, strangers may call, and it trusts the authority `ca.pem` of its folder.
    """
    if not (Path(ringback.web.__file__).parent / "static" / "index.html").exists():
        pytest.skip("the pages are not built: make frontend")
    folder = tmp_path_factory.mktemp("office")
    authority = local_certificate(folder, ("127.0.0.1",), now=LONG_AGO).ca
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SSL_CERT_FILE", str(authority))
        server = Ringback(folder, config=OFFICE, console=True)
    try:
        made = Office(server)
        assert made.add("Anna Berg") == "101"
        for number, name in (
            ("102", "Bob Costa"),
            ("103", "Carol Dietz"),
            ("104", "Dora Engel"),
            ("105", "Emil Falk"),
        ):
            server.add_user(number, name, PASSWORD)
        yield made
    finally:
        server.stop()


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Softphones]:
    """One Chromium for the tests of the web pages; each opens browsers of its own in it."""
    running = Softphones(tmp_path_factory.mktemp("pages") / "browser")
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
