# SPDX-License-Identifier: Apache-2.0
"""What holds for every attack: nothing raises out of the core, and nobody's fault is called ours."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringback.server.log_limit import LogLimit

TESTS = Path(__file__).parents[1]
for folder in ("server", "cli", "net"):
    sys.path.append(str(TESTS / folder))


class FaultLog(logging.Handler):
    """Keeps every line that calls something our fault."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name}: {record.getMessage()} {record.exc_info!r}")


@pytest.fixture(autouse=True)
def nothing_is_our_fault() -> Iterator[FaultLog]:
    """Every test here fails when our own code logs an error: an attack is the peer's fault."""
    log = FaultLog()
    loggers = [logging.getLogger(name) for name in ("ringback", "asyncio")]
    for logger in loggers:
        logger.addHandler(log)
    yield log
    for logger in loggers:
        logger.removeHandler(log)
    assert log.lines == []


@pytest.fixture(autouse=True)
def fresh_log_limits() -> None:
    """Sources that wrote a line in the test before may write one now."""
    for name in ("ringback.server", "ringback.authentication"):
        logger = logging.getLogger(name)
        for old in [each for each in logger.filters if isinstance(each, LogLimit)]:
            logger.removeFilter(old)
            logger.addFilter(LogLimit())
