# SPDX-License-Identifier: Apache-2.0
"""Who calls whom, as the INVITE says it? Kept as it stands there, for the record of the call.

Nothing is parsed that routing has not parsed already, and nothing is put into words before somebody wants the
record: to make the header fields and the name in From costs 60 us, to keep the lines 0.8.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ringback.kernel import BIT
from ringback.sip.errors import PeerError

if TYPE_CHECKING:
    from ringback.server.call_records.record import CallRecord
    from ringback.server.pipeline import Exchange
    from ringback.sip.message.message import Request

LONGEST_NAME = 80
LONGEST_CALL_ID = 300
#: Of a line: thousands of calls may be kept.
LONGEST_LINE = 500

_USER_AGENT, _FROM = BIT["user-agent"], BIT["from"]
_DISPLAY_NAME = re.compile(r'[ \t]*+(?:"((?:[^"\\]|\\.)*+)"[ \t]*+|([^<"]*+))<')
_ESCAPED = re.compile(r"\\(.)")


class Invitation:
    """All of an INVITE that its record is made of. Nobody can make it large."""

    __slots__ = (
        "agent_line",
        "began_at",
        "call_id",
        "decision",
        "flow",
        "from_line",
        "from_tag",
        "from_uri",
        "principal",
        "target",
    )

    def __init__(self, exchange: Exchange, now: float) -> None:
        request, head = exchange.request, exchange.request.head
        self.began_at = now
        self.flow, self.decision = exchange.flow, exchange.decision
        self.principal = principal = exchange.principal
        said = request if head is None else head  # plain attributes
        self.call_id, self.from_tag = said.call_id[:LONGEST_CALL_ID], said.from_tag
        self.target = said.target[:LONGEST_LINE]
        self.agent_line = self.from_line = self.from_uri = ""
        if exchange.present & _USER_AGENT:
            self.agent_line = _line(request, _USER_AGENT, "User-Agent")
        if principal is None:  # else who calls is known better than From says it
            self.from_line, self.from_uri = _line(request, _FROM, "From"), _from_uri(request)

    @property
    def user_agent(self) -> str:
        """What program it is."""
        return clean(self.agent_line)

    @property
    def claimed(self) -> tuple[str, str]:
        """The address and the name that somebody without an account here says to have."""
        address = self.from_uri.partition(":")[2].partition(";")[0].partition("?")[0]
        found = _DISPLAY_NAME.match(self.from_line)
        name = "" if found is None else found[1] or (found[2] or "").rstrip(" \t")
        return clean(address), clean(_ESCAPED.sub(r"\1", name) if "\\" in name else name)

    @property
    def dialled(self) -> str:
        """The user part of the Request-URI; without one the host."""
        text = self.target.partition(":")[2].partition(";")[0]
        user, at, host = text.rpartition("@")
        return clean(user.partition(":")[0] if at else host)


class PassedCall(Invitation):
    """A call that is only passed on, and what became of it. Its record is made when somebody asks."""

    __slots__ = ("answered_at", "ended_at", "ended_by", "record", "status", "why")

    def __init__(self, exchange: Exchange, now: float) -> None:
        super().__init__(exchange, now)
        self.answered_at = self.ended_at = 0.0
        self.record: CallRecord | None = None

    def is_called(self, key: str) -> bool:
        """True if people name it so."""
        return clean(self.call_id, LONGEST_CALL_ID) == key or (
            self.record is not None and self.record.id == key
        )

    def end(self, now: float, status: int, by: str, why: str) -> None:
        """It is over."""
        self.ended_at, self.status, self.ended_by, self.why = now, status, by, why


def clean(text: str, longest: int = LONGEST_NAME) -> str:
    """What strangers wrote: not too long, and no bytes that are no UTF-8."""
    text = text[:longest]
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _line(request: Request, bit: int, name: str) -> str:
    head = request.head
    text = None if head is None else head.value(bit)
    return ((request.reading.get(name) or "") if text is None else text)[:LONGEST_LINE]


def _from_uri(request: Request) -> str:
    facts = request.facts
    try:
        return (str(request.from_.uri) if facts is None else facts.from_uri)[:LONGEST_LINE]
    except PeerError:
        return ""
