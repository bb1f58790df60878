# SPDX-License-Identifier: Apache-2.0
"""What do the small header field values say? CSeq, RAck, Reason, Session-Expires, Warning and their like."""

import re
from dataclasses import dataclass
from typing import Self

from ringback.sip.errors import PeerError
from ringback.sip.message.escapes import quote_string, unquote_string
from ringback.sip.message.names import reason_phrase
from ringback.sip.message.numbers import MAX_32, MAX_CSEQ, decimal
from ringback.sip.message.parameters import (
    QUOTED,
    TOKEN,
    HasParameters,
    Parameterised,
    Parameters,
    find_parameter,
    parse_parameters,
    print_parameters,
    token,
)

_CSEQ = re.compile(rf"([0-9]+)[ \t]+({TOKEN})")
_RACK = re.compile(rf"([0-9]+)[ \t]+([0-9]+)[ \t]+({TOKEN})")
#: word [ "@" word ] (RFC 3261 25.1); letters beyond ASCII are no word.
_WORD = r"[A-Za-z0-9\-.!%*_+`'~()<>:\\\"/\[\]?{}]+"
_CALL_ID = re.compile(rf"{_WORD}(?:@{_WORD})?")
_TIMESTAMP = re.compile(r"([0-9]{1,20}(?:\.[0-9]{0,20})?)(?:[ \t]+([0-9]{0,20}(?:\.[0-9]{0,20})?))?")
_RETRY_AFTER = re.compile(r"([0-9]+)[ \t]*(\((?:[^()\\]|\\.)*+\))?[ \t]*(;.*)?", re.DOTALL)
_WARNING = re.compile(rf"([0-9]{{3}})[ \t]+([^ \t\",]+)[ \t]+({QUOTED})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class CSeq:
    """Number and method (20.16)."""

    number: int
    method: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """The number must be below 2**31 (8.1.1.5)."""
        found = _CSEQ.fullmatch(text)
        if found is None:
            raise PeerError("malformed CSeq", section="RFC 3261 20.16")
        return cls(decimal(found.group(1), limit=MAX_CSEQ), found.group(2))

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


@dataclass(frozen=True, slots=True)
class RAck:
    """The provisional response a PRACK acknowledges (RFC 3262 7.2)."""

    rseq: int
    cseq: int
    method: str

    @classmethod
    def parse(cls, text: str) -> Self:
        found = _RACK.fullmatch(text)
        if found is None:
            raise PeerError("malformed RAck", section="RFC 3262 7.2")
        rseq, cseq, method = found.groups()
        return cls(decimal(rseq, limit=MAX_32), decimal(cseq, limit=MAX_CSEQ), method)

    def __str__(self) -> str:
        return f"{self.rseq} {self.cseq} {self.method}"


@dataclass(frozen=True, slots=True)
class SessionExpires:
    """The session interval and who refreshes it, "uac" or "uas" (RFC 4028 4)."""

    seconds: int
    refresher: str | None = None
    parameters: Parameters = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        value = Parameterised.parse(text)
        refresher = value.parameter("refresher")
        others = tuple(pair for pair in value.parameters if pair[0].lower() != "refresher")
        return cls(decimal(value.value, limit=MAX_32), refresher.lower() if refresher else None, others)

    def __str__(self) -> str:
        refresher = f";refresher={self.refresher}" if self.refresher else ""
        return f"{self.seconds}{refresher}{print_parameters(self.parameters)}"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a request is sent: protocol, cause and text (RFC 3326)."""

    protocol: str
    cause: int | None = None
    text: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        value = Parameterised.parse(text)
        cause = value.parameter("cause")
        return cls(
            token(value.value),
            None if cause is None else decimal(cause, limit=MAX_32),
            value.parameter("text") or "",
        )

    @classmethod
    def sip(cls, status: int, text: str = "") -> Self:
        """A reason that is a SIP status."""
        return cls("SIP", status, text or reason_phrase(status))

    def __str__(self) -> str:
        cause = "" if self.cause is None else f";cause={self.cause}"
        return f"{self.protocol}{cause}" + (f";text={quote_string(self.text)}" if self.text else "")


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """When to try again, in seconds (20.33)."""

    seconds: int
    comment: str = ""
    parameters: Parameters = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        found = _RETRY_AFTER.fullmatch(text)
        if found is None:
            raise PeerError("malformed Retry-After", section="RFC 3261 20.33")
        seconds, comment, parameters = found.groups()
        return cls(
            decimal(seconds, limit=MAX_32),
            comment or "",
            parse_parameters(parameters) if parameters else (),
        )

    def __str__(self) -> str:
        comment = f" {self.comment}" if self.comment else ""
        return f"{self.seconds}{comment}{print_parameters(self.parameters)}"

    @property
    def duration(self) -> int | None:
        """How long the callee will then be reachable, in seconds."""
        value = find_parameter(self.parameters, "duration")
        return decimal(value, limit=MAX_32) if value else None


@dataclass(frozen=True, slots=True)
class Warning:  # noqa: A001 - the RFC's noun
    """A warning code, who warns, and the text (20.43)."""

    code: int
    agent: str
    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        found = _WARNING.fullmatch(text)
        if found is None:
            raise PeerError("malformed Warning", section="RFC 3261 20.43")
        code, agent, quoted = found.groups()
        return cls(decimal(code, limit=999), agent, unquote_string(quoted))

    def __str__(self) -> str:
        return f"{self.code:03} {self.agent} {quote_string(self.text)}"


@dataclass(frozen=True, slots=True)
class Timestamp:
    """When the request was sent, and how long the server held it: both as written (20.38)."""

    sent: str
    delay: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        found = _TIMESTAMP.fullmatch(text)
        if found is None:
            raise PeerError("malformed Timestamp", section="RFC 3261 20.38")
        return cls(found.group(1), found.group(2) or "")

    def __str__(self) -> str:
        return f"{self.sent} {self.delay}" if self.delay else self.sent


@dataclass(frozen=True, slots=True)
class DialogReference(HasParameters):
    """A dialog of somebody else: Replaces (RFC 3891), Join (RFC 3911), Target-Dialog (RFC 4538).

    Its parameters: to-tag, from-tag, early-only, local-tag, remote-tag.
    """

    call_id: str
    parameters: Parameters = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        name, semicolon, rest = text.partition(";")
        return cls(call_id(name.strip(" \t")), parse_parameters(semicolon + rest))

    def __str__(self) -> str:
        return self.call_id + print_parameters(self.parameters)


def call_id(text: str) -> str:
    """A Call-ID, which is compared byte for byte (20.8)."""
    if _CALL_ID.fullmatch(text) is None:
        raise PeerError("malformed Call-ID", section="RFC 3261 20.8")
    return text
