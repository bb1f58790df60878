# SPDX-License-Identifier: Apache-2.0
"""Which calls are in the list of `ringback trace`? One line a call, both its legs in it, as messages come in.

The list begins with what the server counted and goes on with every message that is heard: the server is
asked for what is new, not for everything again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ringback.cli.trace_source import MOST_CALLS
from ringback.server.tracing.message import Message, method_of
from ringback.server.tracing.query import names
from ringback.sip.message.names import REASON_PHRASES

CALLS_ONLY = "INVITE"


@dataclass(frozen=True, slots=True)
class Filter:
    """What is shown. Empty: everything. A `*` at the end of a number stands for the rest."""

    caller: str = ""
    callee: str = ""
    method: str = CALLS_ONLY
    words: str = ""

    def fits(self, line: Line) -> bool:
        """True if the line is to be shown."""
        methods = self.method.upper().replace(",", " ").split()
        return (
            (not methods or line.method.upper() in methods)
            and names(self.caller, line.caller)
            and names(self.callee, line.callee)
            and all(word in line.words for word in self.words.lower().split())
        )

    @property
    def described(self) -> str:
        """In words, for the head of the list."""
        parts = [
            "calls only" if self.method == CALLS_ONLY else self.method or "all methods",
            *([f"from {self.caller}"] if self.caller else ()),
            *([f"to {self.callee}"] if self.callee else ()),
            *([f"with {self.words!r}"] if self.words else ()),
        ]
        return ", ".join(parts)


@dataclass(slots=True)
class Line:
    """One call, or one registration, text, OPTIONS."""

    call_id: str
    method: str
    caller: str
    callee: str
    remote: str
    began_at: float
    last_at: float
    messages: int
    status: int
    legs: set[str] = field(default_factory=set)
    record: Mapping[str, Any] | None = None

    @property
    def words(self) -> str:
        """What a search looks at."""
        parts = (self.call_id, self.method, self.shown_caller, self.shown_callee, self.remote, self.result)
        return " ".join((*parts, self.caller, self.callee)).lower()

    @property
    def shown_caller(self) -> str:
        """Number and name where they are known, else the address."""
        return person_of((self.record or {}).get("caller")) or address(self.caller)

    @property
    def shown_callee(self) -> str:
        """The same of who was called."""
        return person_of((self.record or {}).get("callee")) or address(self.callee)

    @property
    def result(self) -> str:
        """How it is, or what came of it."""
        if self.record is not None:
            state = str(self.record.get("state") or "")
            return state if state != "ended" else str(self.record.get("result") or "ended")
        if self.status < 200:
            return "" if not self.status else "ringing" if self.status >= 180 else "trying"
        return f"{self.status} {REASON_PHRASES.get(self.status, '')}".rstrip(" ")

    @property
    def kind(self) -> str:
        """For its colour: on, good, refused, asked."""
        if self.record is not None and self.record.get("state") != "ended":
            return "on"
        if self.record is not None:
            return "good" if self.record.get("result") in ("answered", "") else "refused"
        return "on" if self.status < 200 else "good" if self.status < 300 else "refused"


class CallTable:
    """All calls that are known, the oldest first."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}
        self._main: dict[str, str] = {}
        self._records: dict[str, Mapping[str, Any]] = {}
        self._counted_until = 0.0
        self._cleared = False

    def load(self, calls: Iterable[Mapping[str, Any]]) -> None:
        """Begin with these, as the server counted them."""
        self._lines.clear()
        for call in calls:
            self._lines[call["call_id"]] = Line(
                call["call_id"], call["method"], call["from"], call["to"], call["remote"],
                call["began_at"], call["last_at"], call["messages"], call["status"],
            )  # fmt: skip
        self._counted_until = max((line.last_at for line in self._lines.values()), default=0.0)

    def clear(self) -> None:
        """Forget all of them: only what begins from now on is shown."""
        self._lines.clear()
        self._cleared = True

    def learn(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Which legs belong together, what people are called and what came of it."""
        for record in records:
            call_ids = [str(each) for each in record.get("call_ids") or ()]
            if not call_ids:
                continue
            kept = ("state", "result", "caller", "callee")
            self._records.pop(call_ids[0], None)
            self._records[call_ids[0]] = {name: record.get(name) for name in kept}
            self._main |= dict.fromkeys(call_ids, call_ids[0])
        self._forget_the_oldest()

    def hear(self, messages: Sequence[Message]) -> set[str]:
        """Take what is new. The answer is whose messages they were."""
        heard: set[str] = set()
        for message in messages:
            call_id = message["call_id"]
            if not call_id or message["at"] <= self._counted_until:
                continue
            heard.add(call_id)
            line = self._lines.get(call_id)
            if line is None:
                if self._cleared and ("status" in message or message["to_tag"]):
                    continue  # it began before the list was cleared
                line = self._lines[call_id] = _line_of(message)
            _count(line, message)
        self._forget_the_oldest()
        return heard

    def lines(self, wanted: Filter) -> list[Line]:
        """One for each call that fits."""
        found: dict[str, Line] = {}
        for call_id, line in self._lines.items():
            main = self._main.get(call_id, call_id)
            if main not in self._lines:
                main = call_id
            whole = found.get(main)
            if whole is None:
                found[main] = self._whole(self._lines[main], main)
                if main != call_id:
                    _join(found[main], line)
            elif main != call_id:
                _join(whole, line)
        return sorted((line for line in found.values() if wanted.fits(line)), key=lambda line: line.began_at)

    def _whole(self, line: Line, call_id: str) -> Line:
        return Line(
            line.call_id, line.method, line.caller, line.callee, line.remote, line.began_at, line.last_at,
            line.messages, line.status, {line.call_id}, self._records.get(call_id),
        )  # fmt: skip

    def _forget_the_oldest(self) -> None:
        while len(self._lines) > MOST_CALLS:
            del self._lines[next(iter(self._lines))]
        while len(self._records) > MOST_CALLS:
            del self._records[next(iter(self._records))]
        while len(self._main) > 4 * MOST_CALLS:
            del self._main[next(iter(self._main))]


def _line_of(message: Message) -> Line:
    at = message["at"]
    return Line(
        message["call_id"],
        method_of(message),
        message["from"],
        message["to"],
        message["remote"],
        at,
        at,
        0,
        0,
    )


def _count(line: Line, message: Message) -> None:
    line.messages += 1
    line.last_at = max(line.last_at, message["at"])
    status = message.get("status", 0)
    if status and method_of(message) == line.method and not 200 <= line.status < 300:
        line.status = status


def _join(whole: Line, leg: Line) -> None:
    """A leg counts with the call it belongs to."""
    whole.legs.add(leg.call_id)
    whole.messages += leg.messages
    whole.last_at = max(whole.last_at, leg.last_at)
    whole.began_at = min(whole.began_at, leg.began_at)


def person_of(person: Mapping[str, Any] | None) -> str:
    """Number and name of a caller or callee in a record, as far as they are known."""
    number, name = ((person or {}).get(part) or "" for part in ("number", "name"))
    return f"{number} {name if name != number else ''}".strip(" ")


def address(uri: str) -> str:
    """A URI without its scheme and parameters, as people say it."""
    return (uri.partition(":")[2] or uri).partition(";")[0]
