# SPDX-License-Identifier: Apache-2.0
"""One line a second about each source: RELIABILITY 2.1, what "correct" always includes."""

import logging

from ringback.server.log_limit import LINES_PER_SECOND, MEMORY, LogLimit
from ringback.sip.flow import Address, Flow, Transport

SERVER = Address("10.0.0.1", 5060)


def record(host: str, at: float, *, port: int = 5060) -> logging.LogRecord:
    flow = Flow(Transport.UDP, SERVER, Address(host, port))
    line = logging.LogRecord("x", logging.INFO, "", 1, "%s from %s", ("INVITE", flow), None)
    line.created = at
    return line


def test_the_second_line_within_a_second_waits_for_the_next_and_is_counted():
    limit = LogLimit()
    assert limit.filter(record("10.0.0.66", 100.0))
    assert not any(limit.filter(record("10.0.0.66", 100.5, port=port)) for port in range(9))
    assert limit.filter(record("10.0.0.77", 100.5))
    later = record("10.0.0.66", 101.0)
    assert limit.filter(later)
    assert later.getMessage().startswith("INVITE from UDP 10.0.0.66:5060")
    assert later.getMessage().endswith("(and 9 more that were not written)")
    again = record("10.0.0.66", 102.5)
    assert limit.filter(again)
    assert "more" not in again.getMessage()


def test_many_sources_together_have_a_limit_and_are_not_remembered_for_ever():
    limit = LogLimit()
    hosts = [f"10.{number >> 8}.{number & 255}.1" for number in range(2 * MEMORY)]
    assert sum(limit.filter(record(host, 100.0)) for host in hosts) == LINES_PER_SECOND
    assert len(limit._sources) == MEMORY
    assert limit.filter(record("10.0.0.66", 101.0))


def test_a_clock_that_was_set_back_silences_nobody():
    limit = LogLimit()
    assert limit.filter(record("10.0.0.66", 100.0))
    assert limit.filter(record("10.0.0.66", 50.0))


def test_lines_about_ourselves_pass():
    line = logging.LogRecord("x", logging.INFO, "", 1, "listening on %s", ("UDP",), None)
    assert all(LogLimit().filter(line) for _ in range(100))
