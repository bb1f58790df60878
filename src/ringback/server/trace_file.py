# SPDX-License-Identifier: Apache-2.0
"""What does a trace look like in its file? One JSON object a line, for each message sent or received.

    {"time": "2026-03-01T14:03:05.123456+00:00", "offset": 1.25, "direction": "received", "transport": "UDP",
     "local": "192.0.2.1:5060", "remote": "192.0.2.9:5060", "message": "INVITE sip:102@..."}
    {"time": "2026-03-01T14:03:06.000000+00:00", "missing": 12}

`time` is the wall clock; `offset` counts seconds since tracing was switched on, by a clock nobody sets. The
second kind of line stands where messages could not be written. The file is pure ASCII: nothing in it steers
a terminal.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from ringback.sip.errors import RingbackError
from ringback.sip.flow import Address, Flow, Transport
from ringback.sip.message.numbers import decimal

#: How every line begins: what else begins so is hardly another program's file.
FIRST_BYTES = b'{"time": "'
#: No line of ours is longer: a message of 1 MB, each octet written as six characters.
LONGEST_LINE = 8 * 1024 * 1024
#: So many lines that are no records in a row at the beginning, and it is no trace.
PATIENCE = 20


class TraceError(RingbackError):
    """A trace cannot be written, or a file is no trace."""


@dataclass(frozen=True, slots=True)
class TraceRecord:
    """One message as it stands in a trace, secrets hidden."""

    time: float
    offset: float
    sent: bool
    flow: Flow
    data: bytes

    def line(self) -> bytes:
        """The record as its line."""
        values = {
            "time": _written(self.time),
            "offset": round(self.offset, 6),
            "direction": "sent" if self.sent else "received",
            "transport": str(self.flow.transport),
            "local": str(self.flow.local),
            "remote": str(self.flow.remote),
            "message": self.data.decode("utf-8", "surrogateescape"),
        }
        return json.dumps(values).encode("ascii") + b"\n"


@dataclass(frozen=True, slots=True)
class Missing:
    """Messages that were not written: the disk was full or too slow."""

    time: float
    count: int

    def line(self) -> bytes:
        """The gap as its line."""
        return json.dumps({"time": _written(self.time), "missing": self.count}).encode("ascii") + b"\n"


@dataclass(slots=True)
class TraceContents:
    """What a trace holds. Offsets grow from record to record, also where tracing began anew."""

    records: list[TraceRecord]
    #: Messages that could not be written when they were due.
    missing: int = 0
    #: Lines that are no records: torn by a crash or a full disk.
    unreadable: int = 0


def parse_line(line: bytes) -> TraceRecord | Missing:
    """One line of a trace. ValueError if it is none."""
    values = json.loads(line)
    try:
        time = datetime.fromisoformat(values["time"]).timestamp()
        if "missing" in values:
            return Missing(time, int(values["missing"]))
        flow = Flow(
            Transport(values["transport"]),
            _parsed_address(values["local"]),
            _parsed_address(values["remote"]),
        )
        data = values["message"].encode("utf-8", "surrogateescape")
        sent = {"sent": True, "received": False}[values["direction"]]
        offset = float(values["offset"])
    except (KeyError, TypeError, AttributeError, OverflowError, RingbackError) as error:
        raise ValueError("no record") from error
    if not math.isfinite(offset):
        raise ValueError("no offset")
    return TraceRecord(time, offset, sent, flow, data)


def record_of(message: Mapping[str, Any], *, start: float) -> TraceRecord:
    """What a server answered as a message (`tracing/message.py`), `start` being the time of the first one."""
    flow = Flow(
        Transport(message["transport"]),
        _parsed_address(message["local"]),
        _parsed_address(message["remote"]),
    )
    data = str(message["text"]).encode("utf-8")
    return TraceRecord(message["at"], message["at"] - start, message["direction"] == "sent", flow, data)


def read_trace(file: Path) -> TraceContents:
    """All of a trace; what was moved to FILE.1 comes first. TraceError if it is none."""
    contents, clock = TraceContents([]), _Clock()
    older = file.with_name(f"{file.name}.1")
    with _opened(file) as newer:  # first: it must be there
        if older.is_file():
            with _opened(older) as stream:
                _read(contents, stream, older, clock)
        _read(contents, newer, file, clock)
    return contents


def _opened(file: Path) -> BinaryIO:
    if file.exists() and not file.is_file():
        raise TraceError(f"{file} is no file")
    try:
        return file.open("rb")
    except OSError as error:
        raise TraceError(f"{file} cannot be read: {error.strerror or error}") from error


def _read(contents: TraceContents, stream: BinaryIO, file: Path, clock: _Clock) -> None:
    unreadable = 0
    is_trace = False
    for line in _lines(stream):
        try:
            entry = parse_line(line)
        except (ValueError, RecursionError):
            unreadable += 1
            if not is_trace and unreadable >= PATIENCE:
                break
            continue
        is_trace = True
        if isinstance(entry, Missing):
            contents.missing += entry.count
        else:
            contents.records.append(clock.placed(entry))
    if unreadable and not is_trace:
        raise TraceError(f"{file} is no trace; `ringback serve --trace FILE` writes one")
    contents.unreadable += unreadable


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    while line := stream.readline(LONGEST_LINE):
        if line != b"\n":
            yield line


class _Clock:
    """Offsets that never go back."""

    __slots__ = ("_at", "_last")

    def __init__(self) -> None:
        self._at = 0.0
        self._last: TraceRecord | None = None

    def placed(self, record: TraceRecord) -> TraceRecord:
        """The record with the offset that follows those before it."""
        last, self._last = self._last, record
        if last is None:
            self._at = record.offset
        elif record.offset == 0.0 or record.offset < last.offset:  # the first of another run
            self._at += max(0.0, record.time - last.time)
        else:
            self._at += record.offset - last.offset
        return replace(record, offset=self._at)


def _written(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="microseconds")


def _parsed_address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return Address(host.strip("[]"), decimal(port, limit=65_535))
