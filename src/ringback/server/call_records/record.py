# SPDX-License-Identifier: Apache-2.0
"""What is written down of one call? Who, when, by which legs, how it sounded, how it ended.

A record only listens: no call waits for it, and nothing it does can end one. `described` makes the JSON
that lists, events, files and the REST interface share; nothing is formatted before somebody asks.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from ringback.server.call_records.quality import Sample, described_streams, leg_samples
from ringback.server.call_records.words import result_of

if TYPE_CHECKING:
    from ringback.media.plane import BridgeStatistics, LegStatistics
    from ringback.sip.flow import Flow

#: What one call may make grow.
MOST_LEGS = 64
MOST_NOTES = 100
MOST_SAMPLES = 720


@dataclass(slots=True)
class Party:
    """One of the two, as people know them."""

    number: str
    name: str = ""
    device: str = ""
    user_agent: str = ""

    @property
    def shown(self) -> str:
        """What a sentence calls it."""
        return self.number or self.name or "somebody"

    def described(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "name": self.name,
            "device": self.device,
            "user_agent": self.user_agent,
        }


@dataclass(slots=True, eq=False)
class LegRecord:
    """One phone that was in the call, or was asked to be."""

    name: str
    number: str
    way: Flow | str = ""
    """By what its signalling comes."""
    call_id: str = ""
    display: str = ""
    status: int = 0
    """With which it refused."""
    codec: str = ""
    """As it was agreed, for sound that does not pass here."""

    @property
    def address(self) -> str:
        """Where its signalling comes from."""
        way = self.way
        return way if isinstance(way, str) else f"{way.remote} ({way.transport.value})"

    def described(self, numbers: LegStatistics | None) -> dict[str, Any]:
        plain = [{"kind": "audio", "codec": self.codec, **NOT_MEASURED}] if self.codec else []
        return {
            "name": self.name,
            "number": self.number,
            "display": self.display,
            "address": self.address,
            "call_id": self.call_id,
            "status": self.status,
            "security": str(numbers.security) if numbers is not None else "",
            "suite": (numbers.suite or "") if numbers is not None else "",
            "media_address": str(numbers.address or "") if numbers is not None else "",
            "streams": described_streams(numbers) if numbers is not None else plain,
        }


NOT_MEASURED: dict[str, Any] = {
    "packets_received": None,
    "packets_sent": None,
    "lost": None,
    "jitter_ms": None,
    "mos": None,
    "round_trip_ms": None,
}


class Commands(Protocol):
    """What can be done with a call that is on. Each raises `RingbackError` when it cannot be done."""

    def hang_up(self) -> None: ...
    async def transfer(self, to: str, *, side: str = "") -> None: ...
    async def record(self, path: str) -> None: ...
    async def stop_recording(self) -> None: ...
    async def play(self, path: str, *, side: str = "") -> None: ...


class Listener(Protocol):
    """Who is told that something about a record has changed: the book it is in."""

    @property
    def now(self) -> float: ...
    def changed(self, record: CallRecord, kind: str) -> None: ...
    def closed(self, record: CallRecord) -> None: ...


@dataclass(slots=True, eq=False)
class CallRecord:
    """One call. `id` is 16 hexadecimal digits; times are seconds since 1970, 0 for "not yet"."""

    id: str
    book: Listener
    caller: Party
    callee: Party
    dialled: str
    mode: str
    began_at: float
    rang_at: float = 0.0
    answered_at: float = 0.0
    ended_at: float = 0.0
    status: int = 0
    reason: str = ""
    ended_by: str = ""
    ended_how: str = "remote"
    """What the session said of its end: "remote", "local", "timeout" or "transport"."""
    why: str = ""
    """A sentence, when it was this server that ended it."""
    how_ended: str = ""
    is_refused_here: bool = False
    """This server said no, not a phone."""
    anchored: str = ""
    recording: str = ""
    held_by: set[str] = field(default_factory=set)
    """The names of the legs that do not want to hear or to be heard."""
    legs: list[LegRecord] = field(default_factory=list)
    notes: list[tuple[float, str]] = field(default_factory=list)
    quality: deque[Sample] = field(default_factory=lambda: deque(maxlen=MOST_SAMPLES))
    decisions: list[dict[str, Any]] = field(default_factory=list)
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    numbers: BridgeStatistics | None = None
    commands: Commands | None = None
    """None when nothing can be done with it from here: it is over, or only passed on."""

    # --- what happens

    def add_leg(self, leg: LegRecord) -> None:
        """One more phone."""
        if len(self.legs) < MOST_LEGS:
            self.legs.append(leg)

    def rings(self) -> None:
        """A phone said that it rings."""
        if not self.rang_at and not self.answered_at:
            self.rang_at = self.book.now
            self.book.changed(self, "call.ringing")

    def answered(self) -> None:
        """Somebody took it."""
        if not self.answered_at:
            self.answered_at = self.book.now
            self.book.changed(self, "call.answered")

    def note(self, text: str) -> None:
        """Something that people want to find in the record: a hold, a transfer, a recording."""
        if len(self.notes) < MOST_NOTES:
            self.notes.append((self.book.now, text))
        self.book.changed(self, "call.changed")

    def hold(self, leg: str, name: str, *, is_held: bool) -> None:
        """A phone said whether it wants sound."""
        if is_held == (leg in self.held_by):
            return
        if is_held:
            self.held_by.add(leg)
        else:
            self.held_by.discard(leg)
        self.note(f"{name} put the call on hold" if is_held else f"{name} is back from hold")

    def measured(self, numbers: BridgeStatistics) -> None:
        """How the sound is now."""
        before = self.numbers
        self.quality.extend(leg_samples(self.book.now, before, numbers))
        self.numbers = numbers if before is None else _with_those_who_left(numbers, before)

    def end(self, status: int, *, by: str, how: str = "remote", reason: str = "", why: str = "") -> None:
        """Why it ends; what is said first counts. `close` follows when all is known of it."""
        if not self.ended_at:
            self.ended_at = self.book.now
            self.status, self.ended_by, self.ended_how = status, by, how
            self.reason, self.why = reason, why

    def close(self) -> None:
        """It has ended, and nothing more will be heard of it."""
        self.book.closed(self)

    # --- how it is shown

    @property
    def call_ids(self) -> list[str]:
        """Those of all legs, the caller's first."""
        return list(dict.fromkeys(leg.call_id for leg in self.legs if leg.call_id))

    @property
    def state(self) -> str:
        if self.ended_at:
            return "ended"
        if not self.answered_at:
            return "ringing"
        return "held" if self.held_by else "talking"

    def described(self) -> dict[str, Any]:
        """The record as JSON: 6 us for a call of two legs."""
        by_name = {leg.name: leg for leg in self.numbers.legs} if self.numbers is not None else {}
        return {
            "id": self.id,
            "began_at": self.began_at,
            "answered_at": self.answered_at or None,
            "ended_at": self.ended_at or None,
            "caller": self.caller.described(),
            "callee": self.callee.described(),
            "dialled": self.dialled,
            "state": self.state,
            "result": result_of(self),
            "status": self.status,
            "ended_by": self.ended_by,
            "how_ended": self.how_ended,
            "mode": self.mode,
            "anchored": self.anchored,
            "call_ids": self.call_ids,
            "legs": [leg.described(by_name.get(leg.name)) for leg in self.legs],
            "quality": [sample.described() for sample in self.quality],
            "notes": [{"at": at, "text": text} for at, text in self.notes],
            "decisions": self.decisions,
            "verdicts": self.verdicts,
            "recording": self.recording,
        }


def _with_those_who_left(now: BridgeStatistics, before: BridgeStatistics) -> BridgeStatistics:
    """How a leg sounded is known for good, though the plane has forgotten it after a transfer."""
    here = {leg.name for leg in now.legs}
    gone = tuple(leg for leg in before.legs if leg.name not in here)
    return replace(now, legs=(*now.legs, *gone)) if gone else now
