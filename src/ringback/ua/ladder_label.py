# SPDX-License-Identifier: Apache-2.0
"""What does a ladder write on an arrow? A message in a few words, without secrets, as short as it must be.

INVITE sip:102@example.com (SDP)     INVITE 102@exa… (SDP)     INVITE 102 (SDP)     INVITE (SDP)
407 Proxy Authentication Required (INVITE)        407 Proxy Auth… (INVITE)          407 (INVITE)
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ringback import kernel
from ringback.sip.errors import PeerError
from ringback.sip.message import SipUri, parse_uri

LONGEST_LABEL = 60
#: A reason phrase with less left of it says nothing.
SHORTEST_REASON = 5

#: What a label is made of: method or status, what it is about, remarks: "(INVITE)", "(SDP)", "(again)".
_PARTS = re.compile(r"([^ ]{1,64}) (.*?)((?: \([^()]{1,20}\)){0,3})", re.DOTALL)


def label_of(data: bytes) -> str:
    """One message in a few words, without secrets."""
    try:
        start, fields, _body = kernel.split_head(data)
    except ValueError:
        return "bytes that are no SIP message"
    first, _, rest = start.decode("utf-8", "replace").partition(" ")
    label = f"{rest} ({_cseq_method(fields)})" if first.upper() == "SIP/2.0" else f"{first} {_target(rest)}"
    if _has_sdp(fields):
        label += " (SDP)"
    return fitted(visible(label), LONGEST_LABEL)


def fitted(label: str, room: int) -> str:
    """The label with the most that fits into the room."""
    if len(label) <= room:
        return label
    parts = _PARTS.fullmatch(label)
    if parts is None:
        return cut(label, room)
    what, about, remarks = parts[1], parts[2], parts[3]
    shorter = _shorter_response if what.isdecimal() else _shorter_request
    return next((text for text in shorter(what, about, remarks, room) if len(text) <= room), cut(label, room))


def _shorter_request(method: str, target: str, remarks: str, room: int) -> Iterator[str]:
    """Without the scheme, with less of the host, without the host, without the target."""
    address = re.sub(r"^sips?:", "", target)
    user, at, _host = address.partition("@")
    yield f"{method} {address}{remarks}"
    rest = room - len(method) - 1 - len(remarks)
    if at and rest > len(user) + 3:
        yield f"{method} {cut(address, rest)}{remarks}"
    if at:
        yield f"{method} {user}{remarks}"
    yield f"{method}{remarks}"
    yield method


def _shorter_response(status: str, reason: str, remarks: str, room: int) -> Iterator[str]:
    """With less of the reason, without it, without the remarks behind the first."""
    rest = room - len(status) - 1 - len(remarks)
    if rest >= SHORTEST_REASON:
        yield f"{status} {cut(reason, rest)}{remarks}"
    yield f"{status}{remarks}"
    yield f"{status}{remarks[: remarks.find(')') + 1]}"


def cut(text: str, room: int) -> str:
    """At most `room` characters."""
    return text if len(text) <= room else text[: max(room - 1, 0)].rstrip(" ") + "…"


def _cseq_method(fields: list[tuple[bytes, bytes]]) -> str:
    value = _field(fields, b"cseq")
    return value.rpartition(b" ")[2].decode("utf-8", "replace") or "?"


def _has_sdp(fields: list[tuple[bytes, bytes]]) -> bool:
    value = _field(fields, b"content-type") or _field(fields, b"c")
    return value.lower().startswith((b"application/sdp", b"multipart/"))


def _field(fields: list[tuple[bytes, bytes]], name: bytes) -> bytes:
    return next((value for given, value in fields if given.lower() == name), b"")


def _target(rest: str) -> str:
    """The Request-URI, without password, parameters and headers."""
    text = rest.rpartition(" ")[0]
    try:
        uri = parse_uri(text)
    except PeerError:
        return "(unreadable target)"
    return str(uri.address_of_record()) if isinstance(uri, SipUri) else str(uri)


def visible(text: str, *, keep_lines: bool = False) -> str:
    """No byte of a peer's may steer the terminal the ladder is shown on."""
    if keep_lines:
        text = text.replace("\r\n", "\n")
    return "".join(
        character if character.isprintable() or (keep_lines and character == "\n") else "·"
        for character in text
    )
