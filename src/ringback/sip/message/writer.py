# SPDX-License-Identifier: Apache-2.0
"""How does a message become bytes? Its lines as they came, with a fresh Content-Length (RFC 3261 20.14)."""

import re
from collections.abc import Iterable

from ringback.sip.errors import InvalidState, PeerError
from ringback.sip.message.fields import canonical
from ringback.sip.message.headers import Headers, Line
from ringback.sip.message.names import METHODS
from ringback.sip.message.uri import NameAddr

_LINE_END = re.compile(rb"[\r\n]")
#: A fold of blanks alone looks like the end of the head to a careless reader downstream.
_BLANK_FOLD = re.compile(rb"\r\n[ \t]*(?=\r\n)")
_CONTROLS_BUT_FOLDS = re.compile(rb"\r\n(?=[ \t])|[\0\r\n]")
_HAS_TAG = re.compile(rb";[ \t\r\n]*tag[ \t\r\n]*=", re.IGNORECASE)


def print_message(start_line: str, headers: Headers, body: bytes) -> bytes:
    """Start line, header lines and body. The first Content-Length line is corrected in its place."""
    first = start_line.encode("utf-8", "surrogateescape")
    if _LINE_END.search(first):
        raise InvalidState("a start line cannot hold a line end")
    lines = headers.lines
    if headers.by_key.get("content-length") != [b"%d" % len(body)]:
        lines = _with_length(lines, len(body))
    head = b"\r\n".join([first, *map(b": ".join, lines), b"\r\n"])
    if b"\r\n " in head or b"\r\n\t" in head:
        head = _BLANK_FOLD.sub(b"", head[:-2]) + b"\r\n"
    return head + body


def _with_length(lines: list[Line], length: int) -> list[Line]:
    """The lines with exactly one Content-Length."""
    corrected: list[Line] = []
    is_written = False
    for name, value in lines:
        if canonical(name) != "content-length":
            corrected.append((name, value))
        elif not is_written:
            corrected.append((name, b"%d" % length))
            is_written = True
    if not is_written:
        corrected.append((b"Content-Length", b"%d" % length))
    return corrected


def fill(headers: Headers, pairs: Iterable[tuple[str, str]], content_type: str | None) -> None:
    """Append header lines and the type of the body."""
    for name, value in pairs:
        headers.add(name, value)
    if content_type is not None:
        headers["Content-Type"] = content_type


def lines_for_response(
    headers: Headers, method: str, status: int, to_tag: str | None, *, is_clean: bool
) -> list[Line]:
    """What a response takes over from the request, raw (8.2.6.2, 12.1.1, 8.2.6.1).

    Works on requests too broken to be parsed: what is not there is left out, and what could end a line
    is blanked unless the request is clean.
    """
    wanted = ["via", "from", "to", "call-id", "cseq"]
    row = METHODS.get(method)
    if row is not None and row.creates_dialog and 100 < status < 300:
        wanted.insert(1, "record-route")
    if status == 100:
        wanted.append("timestamp")
    lines = []
    for key in wanted:
        for value in headers.raw(key):
            clean = value if is_clean else _CONTROLS_BUT_FOLDS.sub(_blank, value)
            lines.append((_NAMES[key], clean))
    if to_tag and status > 100:
        lines = [
            (name, _with_tag(value, to_tag)) if name == b"To" else (name, value) for name, value in lines
        ]
    return lines


_NAMES = {
    "via": b"Via",
    "record-route": b"Record-Route",
    "from": b"From",
    "to": b"To",
    "call-id": b"Call-ID",
    "cseq": b"CSeq",
    "timestamp": b"Timestamp",
}


def _blank(found: re.Match[bytes]) -> bytes:
    return found[0] if len(found[0]) > 1 else b" "


def _with_tag(value: bytes, tag: str) -> bytes:
    """The To of a request with our tag, unless it has one. A To nobody can read gets one by its looks."""
    if b"tag" in value.lower():
        try:
            if NameAddr.parse(Headers([(b"To", value)])["To"]).tag is not None:
                return value
        except PeerError:
            if _HAS_TAG.search(value):
                return value
    return value + b";tag=" + tag.encode("ascii")
