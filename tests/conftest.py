# SPDX-License-Identifier: Apache-2.0
"""What holds for every test: how Hypothesis looks for examples, and that programs we start can be interrupted."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No deadline: machines are shared. The same examples in every CI run.
settings.register_profile("ringback", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("ringback"), derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "ringback")

# A run in the background of a shell inherits "ignore SIGINT", and so would every program that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _nothing_a_test_starts_outlives_it() -> Iterator[None]:
    """A test that failed half-way may have left a program running."""
    yield
    for children in Path("/proc/self/task").glob("*/children"):
        for child in children.read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """`make test` gives a test a second chance (--reruns): what failed first is shown whole."""
    for report in terminalreporter.getreports("rerun"):
        terminalreporter.section(f"failed first, then run again: {report.nodeid}", sep="_", yellow=True)
        terminalreporter.line(report.longreprtext)
        for name, text in report.sections:
            terminalreporter.section(name, sep="-")
            terminalreporter.line(text)
