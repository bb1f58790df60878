# SPDX-License-Identifier: Apache-2.0
"""How does a trace look in the API? Messages, and the picture (ladder) that is drawn of them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from ringback.web.api.call_shapes import Decision, QualitySample, Verdict
from ringback.web.api.shapes import Asked, Given, Moment, Shape


class TraceMessage(Shape):
    """One SIP message that crossed the server's sockets. Secrets in its text are struck out."""

    at: float = 0.0
    direction: str = "received"
    transport: str = ""
    local: str = ""
    remote: str = ""
    call_id: str = ""
    method: str = ""
    status: int = 0
    summary: str = ""
    cseq: str = ""
    from_: Annotated[str, Field(alias="from", serialization_alias="from")] = ""
    to: str = ""
    from_tag: str = ""
    to_tag: str = ""
    text: str = ""
    size: int = 0


class Column(Shape):
    """One vertical line of a ladder."""

    id: str
    label: str = ""
    address: str = ""


class Arrow(Shape):
    """One arrow of a ladder. `index` is the first of its messages, `repeats` how often it was sent again."""

    at: float = 0.0
    offset: float = 0.0
    from_: Annotated[str, Field(alias="from", serialization_alias="from")] = ""
    to: str = ""
    label: str = ""
    kind: str = "request"
    index: int | None = None
    repeats: int = 0
    note: str = ""


class Lane(Shape):
    """The sound of one leg over time, beside the ladder."""

    leg: str = ""
    from_: Annotated[str, Field(alias="from", serialization_alias="from")] = ""
    to: str = ""
    began: float | None = None
    ended: float | None = None
    codec: str = ""
    loss: float | None = None
    jitter_ms: float | None = None
    mos: float | None = None
    series: list[QualitySample] = []
    held: list[list[float | None]] = []


class Picture(Shape):
    """A ladder, ready to be drawn."""

    columns: list[Column] = []
    arrows: list[Arrow] = []
    lanes: list[Lane] = []


class CallTrace(Shape):
    """The messages of one call, and their ladder."""

    messages: list[TraceMessage] = []
    picture: Picture = Picture()
    verdicts: list[Verdict] = []
    left_out: int = 0
    dropped: int = 0


class Traces(Shape):
    """Messages that were asked for, the oldest first. `left_out`: how many more there are; `dropped`: how
    many were forgotten since the start.
    """

    messages: list[TraceMessage] = []
    left_out: int = 0
    dropped: int = 0


class TracedCall(Shape):
    """A line for each Call-ID in the trace."""

    call_id: str
    method: str = ""
    from_: Annotated[str, Field(alias="from", serialization_alias="from")] = ""
    to: str = ""
    remote: str = ""
    began_at: float = 0.0
    last_at: float = 0.0
    messages: int = 0
    status: int = 0


class TracedCalls(Shape):
    """Calls in the trace, the newest first."""

    items: list[TracedCall] = []
    total: int = 0


class AskedTraces(Asked):
    """Which messages are wanted: of a call, from somebody, to somebody, of a time; the newest `limit`."""

    call_id: Annotated[str, Field(max_length=256)] = ""
    from_: Annotated[str, Field(alias="from", max_length=256)] = ""
    to: Annotated[str, Field(max_length=256)] = ""
    since: Moment = 0.0
    until: Moment = 0.0
    limit: Annotated[int, Field(ge=1, le=5000)] = 500


class TraceSwitch(Given):
    """What the trace is to look at; what is left out stays as it is."""

    enabled: bool | None = None
    sampling: Annotated[float, Field(ge=0, le=1)] | None = None
    domains: Annotated[list[Annotated[str, Field(max_length=253)]], Field(max_length=100)] | None = None
    users: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=1000)] | None = None
    devices: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=1000)] | None = None


class TraceStatus(Shape):
    """How the trace is set, and what it holds."""

    enabled: bool = False
    sampling: float = 1.0
    domains: list[str] = []
    users: list[str] = []
    devices: list[str] = []
    messages: int = 0
    """How many are in memory; `seen` is how many passed since the start."""
    seen: int = 0
    bytes: int = 0
    memory: int = 0
    dropped: int = 0
    oldest_at: float | None = None
    sinks: dict[str, Any] = {}
    """Where messages go besides: files, HEP."""


class DryRun(Given):
    """A message that somebody would like to try."""

    message: Annotated[str, Field(min_length=1, max_length=65_536)]
    source: Annotated[str, Field(max_length=64)] = ""
    transport: Annotated[str, Field(pattern=r"^(UDP|TCP|TLS|WS|WSS|udp|tcp|tls|ws|wss)$")] = "UDP"
    as_: Annotated[str, Field(alias="as", max_length=64)] = ""
    """The number of a user whose password is taken as given."""


class OutgoingMessage(Shape):
    """What would have been sent."""

    to: str = ""
    transport: str = ""
    summary: str = ""
    text: str = ""


class TriedResponse(Shape):
    """What the sender would have heard."""

    status: int
    summary: str = ""
    text: str = ""


class DryRunResult(Shape):
    """What the server would have done. Nothing was sent, nothing was changed."""

    decisions: list[Decision] = []
    outgoing: list[OutgoingMessage] = []
    response: TriedResponse | None = None
    call_id: str = ""


class Explanation(Shape):
    """Why a call went where it went, and what was wrong with it."""

    call_ids: list[str] = []
    decisions: list[Decision] = []
    verdicts: list[Verdict] = []
    messages: list[TraceMessage] = []
    """Those that the evidence of the verdicts points into."""
