# SPDX-License-Identifier: Apache-2.0
"""What is in the body, and which parts has it (RFC 3261 7.4, RFC 2046 5.1, RFC 5621)?"""

import re
from dataclasses import dataclass
from typing import Self

from ringback.kernel import split_head
from ringback.sip.errors import PeerError
from ringback.sip.message.parameters import (
    TOKEN,
    HasParameters,
    Parameters,
    parse_parameters,
    print_parameters,
)

MAX_DEPTH = 3
MAX_PARTS = 16

_MEDIA_TYPE = re.compile(rf"({TOKEN})[ \t]*/[ \t]*({TOKEN})[ \t]*(;.*)?", re.DOTALL)
#: RFC 2046 5.1.1: at most 70 characters, the last one no blank.
_BOUNDARY = re.compile(r"[A-Za-z0-9'()+_,\-./:=? ]{0,69}[A-Za-z0-9'()+_,\-./:=?]")


@dataclass(frozen=True, slots=True)
class ContentType(HasParameters):
    """A media type or, in Accept, a media range: type and subtype in lower case."""

    type: str
    subtype: str
    parameters: Parameters = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        found = _MEDIA_TYPE.fullmatch(text)
        if found is None:
            raise PeerError("malformed media type", section="RFC 3261 20.15")
        kind, subtype, parameters = found.groups()
        return cls(kind.lower(), subtype.lower(), parse_parameters(parameters) if parameters else ())

    def __str__(self) -> str:
        return self.media_type + print_parameters(self.parameters)

    @property
    def media_type(self) -> str:
        """ "type/subtype" without parameters."""
        return f"{self.type}/{self.subtype}"

    def covers(self, other: "ContentType") -> bool:
        """True if this media range takes in the type `other` (20.1)."""
        return self.type in ("*", other.type) and self.subtype in ("*", other.subtype)


@dataclass(frozen=True, slots=True)
class Part:
    """One body part: header fields with lower-case names, type, bytes, the `parts` of a nested one."""

    headers: dict[str, str]
    content_type: ContentType
    body: bytes
    parts: tuple["Part", ...] = ()


_PLAIN_TEXT = ContentType("text", "plain")


def split_parts(content_type: ContentType, body: bytes, *, depth: int = 1) -> tuple[Part, ...]:
    """The parts of a multipart body. PeerError 400 if it is broken, 413 if it is too deep or has too many."""
    if depth > MAX_DEPTH:
        raise PeerError("multipart body nested too deeply", status=413, section="RFC 2046 5.1")
    boundary = content_type.parameter("boundary")
    if boundary is None or _BOUNDARY.fullmatch(boundary) is None:
        raise PeerError("multipart body without a boundary", section="RFC 2046 5.1.1")
    return tuple(_parse_part(chunk, depth=depth) for chunk in _chunks(body, boundary.encode("ascii")))


def find_part(content_type: ContentType | None, body: bytes, media_type: str) -> bytes | None:
    """The bytes of this media type: the body itself, or the first part that has it, however deep."""
    if content_type is None or not body:
        return None
    if content_type.media_type == media_type:
        return body
    if content_type.type != "multipart":
        return None
    return _find_in(split_parts(content_type, body), media_type)


def _find_in(parts: tuple[Part, ...], media_type: str) -> bytes | None:
    for part in parts:
        found = part.body if part.content_type.media_type == media_type else _find_in(part.parts, media_type)
        if found is not None:
            return found
    return None


def _chunks(body: bytes, boundary: bytes) -> list[bytes]:
    """Cut at the delimiters. Preamble and epilogue are dropped; the last delimiter must be there."""
    delimiter = re.compile(rb"(?:\A|\r\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?=\r\n|\Z)")
    chunks: list[bytes] = []
    start = -1
    for found in delimiter.finditer(body):
        if start >= 0:
            chunks.append(body[start : found.start()])
        if found.group(1):
            return _checked(chunks)
        if len(chunks) >= MAX_PARTS:
            raise PeerError("multipart body of too many parts", status=413, section="RFC 2046 5.1")
        start = found.end()
    raise PeerError("multipart body without an end", section="RFC 2046 5.1.1")


def _checked(chunks: list[bytes]) -> list[bytes]:
    if not chunks:
        raise PeerError("multipart body without parts", section="RFC 2046 5.1.1")
    return chunks


def _parse_part(chunk: bytes, *, depth: int) -> Part:
    """A chunk starts with the CRLF that ends its delimiter line; an empty line parts head and body."""
    try:
        _, fields, offset = split_head(chunk if b"\r\n\r\n" in chunk else chunk + b"\r\n\r\n")
    except ValueError:
        raise PeerError("malformed body part", section="RFC 2046 5.1.1") from None
    headers = {
        name.decode("ascii", "replace").lower(): re.sub(rb"[ \t]*\r\n[ \t]+", b" ", value).decode(
            "utf-8", "surrogateescape"
        )
        for name, value in fields
    }
    given = headers.get("content-type")
    content_type = _PLAIN_TEXT if given is None else ContentType.parse(given)
    body = chunk[offset:]
    nested = split_parts(content_type, body, depth=depth + 1) if content_type.type == "multipart" else ()
    return Part(headers, content_type, body, nested)
