# SPDX-License-Identifier: Apache-2.0
"""How does a call look in the API? One shape, whether it is on or was long ago."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from ringback.web.api.shapes import Asked, AskedPage, Moment, Page, Shape


class Party(Shape):
    """Who calls, or is called."""

    number: str = ""
    name: str = ""
    device: str = ""
    user_agent: str = ""


class Stream(Shape):
    """One stream of sound or pictures of a leg."""

    kind: str = "audio"
    codec: str = ""
    packets_received: int | None = None
    packets_sent: int | None = None
    lost: int | None = None
    jitter_ms: float | None = None
    mos: float | None = None
    round_trip_ms: float | None = None


class Leg(Shape):
    """One side of a call."""

    name: str = ""
    number: str = ""
    display: str = ""
    address: str = ""
    """Where the phone is reached; empty for those who may not know."""
    call_id: str = ""
    status: int = 0
    """With which it refused; 0 when it did not."""
    media_address: str = ""
    """Where its sound comes from."""
    security: str = ""
    suite: str = ""
    streams: list[Stream] = []


class QualitySample(Shape):
    """How a leg sounded at one moment."""

    at: float
    leg: str = ""
    mos: float | None = None
    loss: float | None = None
    jitter_ms: float | None = None


class CallNote(Shape):
    """Something that happened in a call: held, transferred, recorded."""

    at: float
    text: str


class Decision(Shape):
    """Why it went there: one service or rule that looked at it."""

    at: float = 0.0
    service: str = ""
    rule: str = ""
    verdict: str = ""
    saw: str = ""
    chose: str = ""
    rejected: list[str] = []
    source: str = ""


class Verdict(Shape):
    """What was wrong with a call, and what to do about it."""

    code: str = ""
    title: str = ""
    severity: str = "note"
    text: str = ""
    advice: str = ""
    evidence: list[int] = []
    """Indexes into the messages of the call's trace."""
    page: str = ""
    """Where the manual explains it."""


class Call(Shape):
    """A call that is on, or was."""

    id: str
    began_at: float
    answered_at: float | None = None
    ended_at: float | None = None
    caller: Party = Party()
    callee: Party = Party()
    dialled: str = ""
    state: str = "ended"
    result: str = ""
    status: int = 0
    ended_by: str = ""
    how_ended: str = ""
    mode: str = "bridge"
    anchored: str = ""
    call_ids: list[str] = []
    legs: list[Leg] = []
    quality: list[QualitySample] = []
    notes: list[CallNote] = []
    decisions: list[Decision] = []
    verdicts: list[Verdict] = []
    recording: str = ""


class Calls(Shape):
    """The calls that are on now."""

    items: list[Call] = []
    total: int = 0


class Records(Page):
    """Calls of before, the newest first."""

    items: list[Call] = []


class AskedRecords(Asked):
    """Which records are wanted; what is left out asks for nothing."""

    search: Annotated[str, Field(max_length=200)] = ""
    since: Moment = 0.0
    until: Moment = 0.0
    result: Literal["", "answered", "busy", "no answer", "declined", "cancelled", "failed", "refused"] = ""
    number: Annotated[str, Field(max_length=64)] = ""


class AskedRecordPage(AskedRecords, AskedPage):
    """A page of them."""


def numbers_of(call: dict[str, Any]) -> set[str]:
    """Who may know of it: also those whose phones only rang."""
    parties = [call.get("caller") or {}, call.get("callee") or {}, *(call.get("legs") or ())]
    return {
        str(number) for number in (call.get("dialled"), *(each.get("number") for each in parties)) if number
    }


def is_speaker(call: dict[str, Any], number: str) -> bool:
    """True for one of the two whose call it is."""
    return number != "" and number in {(call.get(side) or {}).get("number") for side in ("caller", "callee")}


def as_seen_by_a_party(call: dict[str, Any], number: str) -> dict[str, Any]:
    """The call without what only those who look after the office may know: where the other side is, and what
    the server decided.
    """
    legs = [
        leg if leg.get("number") == number else {**leg, "address": "", "media_address": "", "call_id": ""}
        for leg in call.get("legs") or ()
    ]
    return {**call, "legs": legs, "decisions": [], "call_ids": []}
