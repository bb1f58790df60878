# SPDX-License-Identifier: Apache-2.0
"""What does a session description say? RFC 8866 sections 5 and 9: lines in, lines out, typed when asked.

A description keeps every line it came with, in order, also those it does not understand; printing it gives
the same lines with CRLF ends. Only the frame is judged here (line shape, order of the first line, sizes);
what a line means is judged when somebody asks for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from ringback.sdp.addresses import canonical_host
from ringback.sdp.errors import UnacceptableSession, WarnCode
from ringback.sip.errors import PeerError
from ringback.sip.message.numbers import decimal

MAXIMUM_BYTES = 65_536
MAXIMUM_LINES = 1_024
MAXIMUM_MEDIA = 16
MAXIMUM_ATTRIBUTES = 512
MAXIMUM_FORMATS = 64

_LINE = re.compile(r"[a-z]=", re.ASCII)
_TOKEN = re.compile(r"[!#$%&'*+.0-9A-Z^_`a-z{|}~-]{1,64}", re.ASCII)
_PROTOCOL = re.compile(
    r"[!#$%&'*+.0-9A-Z^_`a-z{|}~-]{1,32}(?:/[!#$%&'*+.0-9A-Z^_`a-z{|}~-]{1,32}){0,4}", re.ASCII
)


class Line(NamedTuple):
    """One line: `type` is the letter before "=", `value` the rest."""

    type: str
    value: str

    def __str__(self) -> str:
        return f"{self.type}={self.value}"


@dataclass(frozen=True, slots=True)
class Origin:
    """o= (RFC 8866 section 5.2). The version is compared, never computed with, when it is the peer's."""

    username: str
    session_id: str
    version: str
    host: str

    @classmethod
    def parse(cls, value: str) -> Origin:
        parts = _words(value)
        if len(parts) != 6 or parts[3] != "IN" or parts[4] not in ("IP4", "IP6"):
            raise UnacceptableSession("o= is malformed", section="RFC 8866 5.2")
        return cls(username=parts[0], session_id=parts[1], version=parts[2], host=parts[5])

    def __str__(self) -> str:
        return f"{self.username} {self.session_id} {self.version} IN {address_type(self.host)} {self.host}"


@dataclass(frozen=True, slots=True)
class MediaLine:
    """m= (RFC 8866 section 5.14). `port_count` is None where it is not written."""

    media: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    port_count: int | None = None

    @classmethod
    def parse(cls, value: str) -> MediaLine:
        parts = _words(value)
        if len(parts) < 4 or not _TOKEN.fullmatch(parts[0]) or not _PROTOCOL.fullmatch(parts[2]):
            raise UnacceptableSession("m= is malformed", section="RFC 8866 5.14")
        if len(parts) - 3 > MAXIMUM_FORMATS:
            raise UnacceptableSession("too many formats in m=", section="RFC 8866 5.14")
        port, slash, count = parts[1].partition("/")
        return cls(
            media=parts[0],
            port=number(port, limit=65_535, what="port in m="),
            protocol=parts[2],
            formats=tuple(parts[3:]),
            port_count=number(count, limit=65_535, what="number of ports in m=") if slash else None,
        )

    def __str__(self) -> str:
        count = "" if self.port_count is None else f"/{self.port_count}"
        return f"{self.media} {self.port}{count} {self.protocol} {' '.join(self.formats)}"


@dataclass(frozen=True, slots=True)
class Section:
    """Lines that belong together: those of the session, or those of one m= line."""

    lines: tuple[Line, ...]

    def value(self, line_type: str) -> str | None:
        """The value of the first line of this type."""
        return next((line.value for line in self.lines if line.type == line_type), None)

    def attribute_values(self, name: str) -> list[str]:
        """The values of every a= line of this name; a flag ("a=sendonly") has the value ""."""
        prefix = name + ":"
        return [
            line.value[len(prefix) :]
            for line in self.lines
            if line.type == "a" and (line.value == name or line.value.startswith(prefix))
        ]

    def attribute(self, name: str) -> str | None:
        """The value of the first a= line of this name; None without one."""
        return next(iter(self.attribute_values(name)), None)

    @property
    def connection_host(self) -> str | None:
        """The canonical address of c=; None without one. A name instead of an address is refused."""
        value = self.value("c")
        return None if value is None else parse_connection(value)


@dataclass(frozen=True, slots=True)
class MediaDescription(Section):
    """One m= line with the lines that follow it."""

    @classmethod
    def new(cls, line: MediaLine, lines: tuple[Line, ...] = ()) -> MediaDescription:
        return cls((Line("m", str(line)), *lines))

    @property
    def line(self) -> MediaLine:
        return _media_line(self.lines[0].value)


@lru_cache(maxsize=64)  # a bridge asks 110 times a call
def _media_line(value: str) -> MediaLine:
    return MediaLine.parse(value)


@dataclass(frozen=True, slots=True)
class SessionDescription(Section):
    """A whole description. `lines` are those before the first m=."""

    media: tuple[MediaDescription, ...] = ()

    @classmethod
    def parse(cls, data: bytes) -> SessionDescription:
        """Read `data`; UnacceptableSession when it breaks the grammar or a limit."""
        lines = _lines(data)
        starts = [index for index, line in enumerate(lines) if line.type == "m"]
        if len(starts) > MAXIMUM_MEDIA:
            raise UnacceptableSession("too many m= lines", section="RFC 8866 5.14")
        ends = [*starts, len(lines)]
        media = tuple(MediaDescription(tuple(lines[start:end])) for start, end in pairwise(ends))
        description = cls(tuple(lines[: ends[0]]), media)
        description._check()
        return description

    def to_bytes(self) -> bytes:
        """The description as it goes into a body."""
        lines = [*self.lines, *(line for media in self.media for line in media.lines)]
        return "".join(f"{line.type}={line.value}\r\n" for line in lines).encode("utf-8", "surrogateescape")

    @property
    def origin(self) -> Origin:
        return Origin.parse(self.value("o") or "")

    def _check(self) -> None:
        if not self.lines or self.lines[0] != Line("v", "0"):
            raise UnacceptableSession("the description does not start with v=0", section="RFC 8866 5.1")
        if sum(line.type == "o" for line in self.lines) != 1:
            raise UnacceptableSession("there must be one o= line", section="RFC 8866 5.2")
        Origin.parse(self.value("o") or "")
        for media in self.media:
            MediaLine.parse(media.lines[0].value)


def parse_connection(value: str) -> str:
    """The canonical address of the value of a c= line (RFC 8866 section 5.7)."""
    parts = _words(value)
    if len(parts) != 3 or parts[0] != "IN" or parts[1] not in ("IP4", "IP6"):
        raise UnacceptableSession(
            "c= is malformed", warning=WarnCode.INCOMPATIBLE_NETWORK_PROTOCOL, section="RFC 8866 5.7"
        )
    try:
        return canonical_host(parts[2].partition("/")[0])
    except ValueError:
        raise UnacceptableSession(
            "c= holds no IP address", warning=WarnCode.INCOMPATIBLE_ADDRESS_FORMAT, section="RFC 8866 5.7"
        ) from None


def address_type(host: str) -> str:
    """The word before an address in o= and c=."""
    return "IP6" if ":" in host else "IP4"


def connection_line(host: str) -> Line:
    """The c= line for `host`."""
    return Line("c", f"IN {address_type(host)} {host}")


def number(text: str, *, limit: int, what: str) -> int:
    """A decimal number of at most `limit`; `what` names it in the error."""
    try:
        return decimal(text, limit=limit)
    except PeerError:
        raise UnacceptableSession(f"{what} is no number up to {limit}", section="RFC 8866 9") from None


def _words(value: str) -> list[str]:
    return [word for word in value.split(" ") if word]


def _lines(data: bytes) -> list[Line]:
    if len(data) > MAXIMUM_BYTES:
        raise UnacceptableSession("the description is too long")
    texts = data.decode("utf-8", "surrogateescape").split("\n", MAXIMUM_LINES + 1)
    while texts and texts[-1] in ("", "\r"):
        texts.pop()
    if len(texts) > MAXIMUM_LINES:
        raise UnacceptableSession("the description has too many lines")
    lines = [_line(text.removesuffix("\r")) for text in texts]
    if sum(line.type == "a" for line in lines) > MAXIMUM_ATTRIBUTES:
        raise UnacceptableSession("the description has too many attributes")
    return lines


def _line(text: str) -> Line:
    if not _LINE.match(text) or "\r" in text or "\0" in text:
        raise UnacceptableSession("a line is not of the form type=value", section="RFC 8866 5")
    return Line(text[0], text[2:])
