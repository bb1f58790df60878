# SPDX-License-Identifier: Apache-2.0
"""Is this a SIP message, and may it go on? Limits and judgements on syntax (RFC 3261 7, 8.1.1, 16.3).

`parse_message` raises only for bytes that are no message. What is wrong with a message that can still
be answered is kept as its `defect`; `check_request` and `check_response` raise it, and look at every field
that routing and transactions rest on: after them those attributes do not raise.
"""

import re

from ringback.kernel import split_head
from ringback.sip.errors import MalformedMessage, PeerError
from ringback.sip.message.fields import FIELDS, KEYS, NEVER_TWICE
from ringback.sip.message.headers import Headers
from ringback.sip.message.message import Message, Request, Response
from ringback.sip.message.names import METHODS
from ringback.sip.message.numbers import decimal
from ringback.sip.message.parameters import is_token
from ringback.sip.message.sip_uri import SipUri

MAX_MESSAGE = 65536
MAX_LINE = 8192
MAX_LINES = 256
MAX_PHYSICAL_LINES = 1024
#: RFC 4475 3.1.1.2 has a method of 44 characters.
MAX_METHOD = 64

_VERSION = b"SIP/2.0"
_ANY_VERSION = re.compile(rb"SIP/[0-9]+\.[0-9]+", re.IGNORECASE)
_STATUS = re.compile(rb"[1-6][0-9][0-9]")
#: What may stand in a head without more ado (RFC 3261 25.1): all octets but controls. TAB is a blank.
_PLAIN = bytes(octet for octet in range(256) if octet == 9 or octet not in (*range(32), 127))
_QUOTED_PAIR = re.compile(rb"\\[^\r\n\x80-\xff]", re.DOTALL)

_REQUIRED = ("via", "from", "to", "call-id", "cseq")
#: What routing and transactions rest on, and how many values each may have.
_CHECKED = {
    "via": 70,
    "from": 1,
    "to": 1,
    "call-id": 1,
    "cseq": 1,
    "max-forwards": 1,
    "contact": 32,
    "route": 32,
    "record-route": 70,
    "content-type": 1,
    "expires": 1,
    "require": 32,
    "proxy-require": 32,
}


def parse_message(data: bytes) -> Message:
    """Read one whole message: a datagram, a WebSocket frame, or what the framer cut from a stream.

    MalformedMessage if there is no head or no start line of either kind.
    """
    if len(data) > MAX_MESSAGE:
        raise MalformedMessage("message too large", status=513, section="RFC 3261 21.5.7")
    if data[:1] == b"\r":
        data = data.lstrip(b"\r\n")
    try:
        start_line, lines, offset = split_head(data)
    except ValueError:
        return _parse_unfinished(data)
    message = _parse_start_line(start_line, Headers(lines))
    message.body = data[offset:]
    defect = _find_defect(data[:offset], lines) or _trim_body(message, MAX_MESSAGE - offset)
    if message.defect is None:
        message.defect = defect
    return message


def _parse_unfinished(data: bytes) -> Message:
    """A head without its empty line, perhaps cut off on the way: good for an answer, no more."""
    start_line, lines, _ = split_head(data.rstrip(b"\r\n")[:MAX_MESSAGE] + b"\r\n\r\n")
    message = _parse_start_line(start_line, Headers(lines))
    message.defect = PeerError("no empty line after the header fields", section="RFC 3261 7")
    return message


def _parse_start_line(line: bytes, headers: Headers) -> Message:
    parts = line.split(b" ")
    if len(parts) == 3 and parts[2] == _VERSION and parts[0] and parts[1]:
        method = parts[0].decode("utf-8", "surrogateescape")
        request = Request(method, parts[1].decode("utf-8", "surrogateescape"), headers)
        if method not in METHODS and (len(method) > MAX_METHOD or not is_token(method)):
            request.defect = PeerError("malformed method", section="RFC 3261 7.1")
        return request
    if _ANY_VERSION.fullmatch(parts[0]):
        return _parse_status_line(line, headers)
    return _parse_odd_request_line(line, headers)


def _parse_status_line(line: bytes, headers: Headers) -> Response:
    """ "SIP/2.0 200 OK". Nobody misses the blank before an empty reason (RFC 4475 3.1.1.13)."""
    version, _, rest = line.partition(b" ")
    status, _, reason = rest.partition(b" ")
    if version.upper() != _VERSION or _STATUS.fullmatch(status) is None:
        raise MalformedMessage("malformed Status-Line", section="RFC 3261 7.2")
    return Response(decimal(status, limit=699), reason.decode("utf-8", "surrogateescape"), headers)


def _parse_odd_request_line(line: bytes, headers: Headers) -> Request:
    """A Request-Line that breaks 7.1 but shows what it means: to be answered with 400 or 505."""
    words = [word for word in line.replace(b"\t", b" ").split(b" ") if word]
    if len(words) < 3 or _ANY_VERSION.fullmatch(words[-1]) is None:
        raise MalformedMessage("no SIP start line", section="RFC 3261 7.1")
    method = words[0].decode("utf-8", "surrogateescape")
    target = b" ".join(words[1:-1]).decode("utf-8", "surrogateescape")
    request = Request(method, target, headers)
    if words[-1].upper() != _VERSION:
        request.defect = PeerError("SIP version not supported", status=505, section="RFC 3261 21.5.6")
    elif len(words) != 3 or line != b" ".join(words) or not is_token(method):
        request.defect = PeerError("malformed Request-Line", section="RFC 3261 7.1")
    return request


def _find_defect(head: bytes, lines: list[tuple[bytes, bytes]]) -> PeerError | None:
    """What is wrong with the head as bytes."""
    if len(lines) > MAX_LINES:
        return PeerError("too many header fields", section="RFC 3261 21.4.1")
    if len(head) > MAX_LINE and any(len(name) + len(value) > MAX_LINE for name, value in lines):
        return PeerError("header field too long", section="RFC 3261 21.4.1")
    if head.translate(None, _PLAIN) != b"\r\n" * (len(lines) + 2):
        return _find_control(head)
    return None


def _find_control(head: bytes) -> PeerError | None:
    """There are folds, or control characters: only quoted ones may stay."""
    line_ends = head.count(b"\r\n")
    if line_ends > MAX_PHYSICAL_LINES:
        return PeerError("too many folded lines", section="RFC 3261 21.4.1")
    residue = _QUOTED_PAIR.sub(b"", head).translate(None, _PLAIN)
    if residue != b"\r\n" * line_ends:
        return PeerError("control character in a header field", section="RFC 3261 25.1")
    return None


def _trim_body(message: Message, room: int) -> PeerError | None:
    """Obey Content-Length in a datagram: less than there is cuts, more than there is is an error (18.3)."""
    value = message.headers.first("content-length")
    if value is None:
        return None
    if message.headers.count("content-length") > 1:
        return PeerError("Content-Length appears twice", section="RFC 3261 20.14")
    try:
        length = decimal(value, limit=MAX_MESSAGE)
    except PeerError as error:
        return PeerError(f"Content-Length: {error.detail}", section="RFC 3261 20.14")
    missing = length - len(message.body)
    if missing > 0 and length > room:
        return PeerError("message too large", status=513, section="RFC 3261 21.5.7")
    if missing > 0:
        return PeerError("body shorter than Content-Length", section="RFC 3261 18.3")
    if missing < 0:
        message.body = message.body[:length]
    return None


def check_request(request: Request) -> None:
    """Raise PeerError with the status a faulty request deserves.

    What depends on what we are (420, 416, 404, 483, ...) is decided by those who know.
    """
    if request.defect is not None:
        raise request.defect
    _check_fields(request.headers)
    if request.cseq.method != request.method:
        # A method nobody knows is better refused as such (RFC 4475 3.1.2.18).
        status = 400 if request.method in METHODS else 501
        raise PeerError("CSeq names another method", status=status, section="RFC 3261 8.1.1.5")
    _check_target(request)


def check_response(response: Response) -> None:
    """Raise PeerError for a response that must be dropped."""
    if response.defect is not None:
        raise response.defect
    _check_fields(response.headers)


def _check_fields(headers: Headers) -> None:
    values = headers.by_key
    for name, _ in headers.lines:
        if name not in KEYS and not is_token(name.decode("utf-8", "surrogateescape")):
            raise PeerError("malformed header field name", section="RFC 3261 7.3.1")
    for key in _REQUIRED:
        if key not in values:
            raise PeerError(f"{FIELDS[key].name} is missing", section="RFC 3261 8.1.1")
    for key in NEVER_TWICE:
        if key in values and len(values[key]) > 1:
            raise PeerError(f"{FIELDS[key].name} appears twice", section="RFC 3261 7.3.1")
    for key, limit in _CHECKED.items():
        if key in values:
            value = headers.parsed(key)
            if key == "via" and not value:
                raise PeerError("Via is empty", section="RFC 3261 20.42")
            if isinstance(value, list) and len(value) > limit:
                raise PeerError(f"too many values of {FIELDS[key].name}", section="RFC 3261 21.4.1")
    _check_stars(headers)


def _check_stars(headers: Headers) -> None:
    """ "Contact: *" stands alone (20.10)."""
    lines = headers.by_key.get("contact", ())
    if len(lines) > 1 and b"*" in lines:
        raise PeerError("Contact: * beside other contacts", section="RFC 3261 20.10")


def _check_target(request: Request) -> None:
    """The Request-URI is a URI without header fields in it (19.1.5 table 1; RFC 4475 3.1.2.11)."""
    uri = request.uri
    if isinstance(uri, SipUri) and uri.headers:
        raise PeerError("header fields in the Request-URI", section="RFC 3261 19.1.1")
