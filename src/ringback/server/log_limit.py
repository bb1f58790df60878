# SPDX-License-Identifier: Apache-2.0
"""How many lines may a stranger write into our log? One a second each, and all of them together a few.

A filter for loggers whose lines name a `Flow`: the source is the address of its socket and nothing that a
message says. Lines without a flow are about ourselves, and pass.
"""

from __future__ import annotations

import logging
from collections import OrderedDict

from ringback.sip.flow import Flow

#: Lines about all sources in one second, and sources that are remembered.
LINES_PER_SECOND = 50
MEMORY = 4096


class LogLimit(logging.Filter):
    """One line a second about each source. The next one says how many were left out."""

    def __init__(self) -> None:
        super().__init__()
        self._sources: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._second = 0
        self._lines = 0

    def filter(self, record: logging.LogRecord) -> bool:
        source = _source_of(record)
        if source is None:
            return True
        since, left_out = self._sources.pop(source, (float("-inf"), 0))
        is_new = not 0.0 <= record.created - since < 1.0
        if is_new and self._has_room(record.created):
            self._remember(source, record.created, 0)
            if left_out:
                record.msg = f"{record.getMessage()} (and {left_out} more that were not written)"
                record.args = None
            return True
        self._remember(source, record.created if is_new else since, left_out + 1)
        return False

    def _has_room(self, now: float) -> bool:
        if int(now) != self._second:
            self._second, self._lines = int(now), 0
        self._lines += 1
        return self._lines <= LINES_PER_SECOND

    def _remember(self, source: str, since: float, left_out: int) -> None:
        self._sources[source] = since, left_out
        if len(self._sources) > MEMORY:
            self._sources.popitem(last=False)


def _source_of(record: logging.LogRecord) -> str | None:
    arguments = record.args if isinstance(record.args, tuple) else ()
    return next((argument.remote.host for argument in arguments if isinstance(argument, Flow)), None)
