# SPDX-License-Identifier: Apache-2.0
"""What does the running server know of calls and their messages? The questions of `ringback trace`.

Every method blocks: the screens ask from a thread. A call is told whole, with the messages of all its legs.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ringback.cli.options import Place
from ringback.cli.output import Failure
from ringback.server.tracing.message import Message
from ringback.server.tracing.picture import Picture, picture
from ringback.server.tracing.picture_lanes import lanes_of
from ringback.server.tracing.picture_notes import notes_of

Record = dict[str, Any]
Cursor = dict[str, Any]

#: Calls in the list, and messages of a call that are looked at.
MOST_CALLS, MOST_MESSAGES = 2_000, 2_000
#: Records that are read from the disk for the list.
RECORDS = 200
#: Of a record, what is long and explains nothing: a question to the server has 64 kB.
UNTOLD = frozenset({"quality", "verdicts", "decisions"})
#: Within so many seconds after its last message the record of a call is on the disk.
WRITTEN_AFTER = 10.0
#: Messages in one answer to what is new, and how many answers are taken before those in between are left out.
NEW_AT_ONCE, ANSWERS = 1_000, 5


class NoSuchCall(Failure):
    """Nothing is known of the call."""


@dataclass(frozen=True, slots=True)
class Told:
    """One call: its record as far as there is one, its messages, what was decided and what is wrong."""

    call_id: str
    call_ids: tuple[str, ...]
    record: Record | None
    messages: Sequence[Message]
    decisions: Sequence[Mapping[str, Any]]
    verdicts: Sequence[Mapping[str, Any]]
    evidence: frozenset[tuple[object, ...]] = frozenset()
    left_out: int = 0

    @property
    def is_on(self) -> bool:
        """True while the call lasts."""
        return self.record is not None and not self.record.get("ended_at")

    def after(self, before: Told | None) -> Told:
        """With the record that was known before, while the new one is still being written."""
        if self.record is not None or before is None or before.record is None:
            return self
        last_at = self.messages[-1]["at"] if self.messages else 0.0
        return self if time.time() - last_at > WRITTEN_AFTER else replace(self, record=before.record)


@dataclass(frozen=True, slots=True)
class Flow:
    """One call or several, as one picture."""

    calls: tuple[Told, ...]
    messages: Sequence[Message]
    picture: Picture
    #: Places of the messages that verdicts rest on.
    evidence: frozenset[int]

    @property
    def call_ids(self) -> frozenset[str]:
        """Those of all legs."""
        return frozenset(call_id for call in self.calls for call_id in call.call_ids)

    @property
    def verdicts(self) -> list[Mapping[str, Any]]:
        """Of all calls."""
        return [verdict for call in self.calls for verdict in call.verdicts]


class TraceSource:
    """Asks the server of one installation."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def ask(self, verb: str, **arguments: object) -> dict[str, Any]:
        """The answer. Raises `Failure` where no server runs, `RingbackError` where it refuses."""
        answer = self._place.ask(verb, **arguments)
        if answer is None:
            raise Failure(
                f"no server is running on {self._place.directory}; it is the one that remembers calls"
            )
        return answer

    def calls(self, *, caller: str = "", callee: str = "", since: float = 0.0) -> list[dict[str, Any]]:
        """A line for each Call-ID, the oldest first."""
        asked = {"from": caller, "to": callee, "since": since, "limit": MOST_CALLS}
        return list(reversed(self.ask("trace-calls", **asked)["calls"]))

    def now(self) -> Cursor:
        """Where what is new begins."""
        return dict(self.ask("trace-since")["cursor"])

    def since(self, cursor: Cursor) -> tuple[list[Message], Cursor, bool]:
        """What is new, and whether some was left out since it is too much to be shown."""
        messages: list[Message] = []
        for _ in range(ANSWERS):
            answer = self.ask("trace-since", cursor=cursor, limit=NEW_AT_ONCE)
            messages += answer["messages"]
            cursor = dict(answer["cursor"])
            if len(answer["messages"]) < NEW_AT_ONCE:
                return messages, cursor, False
        return messages, self.now(), True

    def records(self, *, size: int = RECORDS) -> list[Record]:
        """The newest calls that are over, and those that are on."""
        return [*self._kept(size), *self.ask("calls", limit=RECORDS)["calls"]]

    def messages(self, call_ids: Sequence[str] = (), **query: object) -> tuple[list[Message], int]:
        """Messages, the oldest first, and how many older ones fit, too."""
        answer = self.ask("trace", call_ids=list(call_ids)[:100], **query)
        return answer["messages"], int(answer["left_out"])

    def told(self, call: str) -> Told:
        """All about a call: by its id, the Call-ID of one of its legs, or the beginning of that."""
        answer = self._explained(call)
        record: Record | None = answer.get("record")
        if not answer.get("found"):
            raise NoSuchCall(
                f"nothing is known of {call}: it was too long ago, or it never came here"
                " (`ringback trace` lists calls)"
            )
        since = max(0.0, float((record or {}).get("began_at") or 0.0) - 2.0)
        messages, left_out = self.messages(answer["call_ids"], since=since, limit=MOST_MESSAGES)
        return Told(
            answer["call_id"] or call,
            tuple(answer["call_ids"]),
            record,
            messages,
            answer["decisions"],
            answer["verdicts"] or (record or {}).get("verdicts") or [],
            _evidence(answer),
            left_out,
        )

    def flow(self, calls: Sequence[str]) -> Flow:
        """These calls as one picture; those of which nothing is known any more are left out."""
        if len(calls) == 1:
            return flow_of([self.told(calls[0])])
        found: dict[str, Told] = {}
        for call in calls:
            with contextlib.suppress(NoSuchCall):
                told = self.told(call)
                found.setdefault(told.call_id, told)
        if not found:
            raise NoSuchCall("nothing is known of these calls any more")
        return flow_of(list(found.values()))

    def _explained(self, call: str) -> dict[str, Any]:
        """By the server alone, else with what is written down, else by what the Call-ID begins with."""
        answer = self.ask("explain", call_id=call)
        if answer.get("record"):
            return answer
        record = self._kept_one(str(answer.get("call_id") or call)) or self._kept_one(call)
        if record is not None:
            answer = self._with_record(record)
        if answer.get("found"):
            return answer
        near = [each["call_id"] for each in self.calls() if each["call_id"].startswith(call)]
        if len(near) > 1 and call not in near:
            raise Failure(f"{len(near)} Call-IDs begin with {call!r}; say more of it", code=2)
        return self.ask("explain", call_id=near[0]) if near and near != [call] else answer

    def _with_record(self, record: Record) -> dict[str, Any]:
        told = {name: value for name, value in record.items() if name not in UNTOLD}
        call_id = next(iter(record.get("call_ids") or ()), "")
        answer = self.ask("explain", call_id=call_id, record=told)
        answer["record"] = record
        answer["decisions"] = answer.get("decisions") or record.get("decisions") or []
        return answer

    def _kept_one(self, call: str) -> Record | None:
        from ringback.server.first_start import open_records
        from ringback.server.storage.store import StorageError

        with (
            contextlib.suppress(StorageError),
            contextlib.closing(open_records(self._place.directory)) as records,
        ):
            return records.record(call) or records.record_of_call(call)
        return None

    def _kept(self, size: int) -> list[Record]:
        from ringback.server.first_start import open_records
        from ringback.server.storage.store import StorageError

        with (
            contextlib.suppress(StorageError),
            contextlib.closing(open_records(self._place.directory)) as records,
        ):
            return list(reversed(records.search(size=size)[0]))
        return []


def flow_of(calls: Sequence[Told]) -> Flow:
    """Several calls drawn into one picture, each with its own lanes of sound."""
    unique = {
        (message["call_id"], *identity(message)): message for call in calls for message in call.messages
    }
    messages = sorted(unique.values(), key=lambda message: message["at"])[-MOST_MESSAGES:]
    seen = picture(messages, calls[0].record)
    if len(calls) > 1:
        seen["lanes"] = [
            lane
            for call in calls
            for lane in lanes_of(call.messages, notes_of(call.messages), seen["columns"], call.record)
        ]
    known = frozenset().union(*(call.evidence for call in calls))
    evidence = frozenset(place for place, message in enumerate(messages) if identity(message) in known)
    return Flow(tuple(calls), messages, seen, evidence)


def identity(message: Message) -> tuple[object, ...]:
    """The same message in two answers."""
    return message["at"], message["direction"], message["remote"], message["summary"]


def _evidence(answer: Mapping[str, Any]) -> frozenset[tuple[object, ...]]:
    """Evidence is places in the messages of the answer."""
    messages = answer.get("messages") or []
    places = {place for verdict in answer["verdicts"] for place in verdict.get("evidence") or ()}
    return frozenset(identity(messages[place]) for place in places if 0 <= place < len(messages))
