# SPDX-License-Identifier: Apache-2.0
"""Is this a SIP message, and may it go on? Limits and judgements on syntax live here (RFC 3261 7, 8.1.1, 16.3).

`parse_message` raises only for bytes that are no message. What is wrong with a message that can still
be answered is kept as its `defect`; `check_request` and `check_response` raise it, and look at every field
that routing and transactions rest on: after them those attributes do not raise.
"""

import re

from ringback.kernel import split_head
from ringback.sip.errors import MalformedMessage, PeerError
from ringback.sip.message.fields import FIELDS, NEVER_TWICE
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
MAX_VALUES = {"via": 70, "route": 32, "record-route": 70, "contact": 32}

_VERSION = b"SIP/2.0"
_ANY_VERSION = re.compile(rb"SIP/[0-9]+\.[0-9]+", re.IGNORECASE)
_STATUS = re.compile(rb"[1-6][0-9][0-9]")
#: Everything that may stand in a head; what is left after deleting these must be quoted (RFC 3261 25.1).
_PLAIN = bytes(octet for octet in range(256) if octet in (9, 10, 13) or octet not in (*range(32), 127))
_LINE_ENDS = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_QUOTED_PAIR = re.compile(rb"\\[^\r\n\x80-\xff]", re.DOTALL)

_REQUIRED = ("via", "from", "to", "call-id", "cseq")
_CHECKED = (
    *_REQUIRED,
    "max-forwards",
    "contact",
    "route",
    "record-route",
    "content-type",
    "expires",
    "require",
    "proxy-require",
)


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
    defect = _find_defect(data, offset, lines) or _trim_body(message)
    if message.defect is None:
        message.defect = defect
    return message


def _parse_unfinished(data: bytes) -> Message:
    """A head without its empty line, perhaps cut off on the way: good for an answer, no more."""
    start_line, lines, _ = split_head(data.rstrip(b"\r\n") + b"\r\n\r\n")
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
    if parts[0] == _VERSION and len(parts) > 1:
        return _parse_status_line(line, headers)
    return _parse_odd_request_line(line, headers)


def _parse_status_line(line: bytes, headers: Headers) -> Response:
    """ "SIP/2.0 200 OK". The blank before an empty reason (RFC 4475 3.1.1.13) is not missed where it lacks."""
    _, _, rest = line.partition(b" ")
    status, _, reason = rest.partition(b" ")
    if _STATUS.fullmatch(status) is None:
        raise MalformedMessage("malformed status code", section="RFC 3261 7.2")
    return Response(int(status), reason.decode("utf-8", "surrogateescape"), headers)


def _parse_odd_request_line(line: bytes, headers: Headers) -> Request:
    """A Request-Line that breaks 7.1 but shows what it means: to be answered with 400 or 505."""
    words = line.split()
    if len(words) < 3 or _ANY_VERSION.fullmatch(words[-1]) is None or _ANY_VERSION.fullmatch(words[0]):
        raise MalformedMessage("no SIP start line", section="RFC 3261 7.1")
    method = words[0].decode("utf-8", "surrogateescape")
    target = b" ".join(words[1:-1]).decode("utf-8", "surrogateescape")
    request = Request(method, target, headers)
    if words[-1].upper() != _VERSION:
        request.defect = PeerError("SIP version not supported", status=505, section="RFC 3261 21.5.6")
    else:
        request.defect = PeerError("malformed Request-Line", section="RFC 3261 7.1")
    return request


def _find_defect(data: bytes, offset: int, lines: list[tuple[bytes, bytes]]) -> PeerError | None:
    """What is wrong with the head as bytes."""
    if len(lines) > MAX_LINES:
        return PeerError("too many header fields", section="RFC 3261 21.4.1")
    head = data[:offset]
    if head.translate(None, _PLAIN) and _QUOTED_PAIR.sub(b"", head).translate(None, _PLAIN):
        return PeerError("control character in a header field", section="RFC 3261 25.1")
    if offset > MAX_LINE and any(len(name) + len(value) > MAX_LINE for name, value in lines):
        return PeerError("header field too long", section="RFC 3261 21.4.1")
    if _LINE_ENDS.search(head):
        return PeerError("line end that is not CRLF", section="RFC 3261 7")
    return None


def _trim_body(message: Message) -> PeerError | None:
    """Obey Content-Length in a datagram: less than there is cuts, more than there is is an error (18.3)."""
    values = message.headers.raw("content-length")
    if not values:
        return None
    if len(values) > 1:
        return PeerError("Content-Length appears twice", section="RFC 3261 20.14")
    try:
        length = decimal(values[0], limit=MAX_MESSAGE)
    except PeerError as error:
        return PeerError(f"Content-Length: {error.detail}", section="RFC 3261 20.14")
    if length > len(message.body):
        return PeerError("body shorter than Content-Length", section="RFC 3261 18.3")
    message.body = message.body[:length]
    return None


def check_request(request: Request) -> None:
    """Raise PeerError with the status a faulty request deserves.

    What depends on what we are (420, 416, 404, 483, ...) is decided by those who know.
    """
    if request.defect is not None:
        raise request.defect
    headers = request.headers
    _check_names(headers)
    _check_fields(headers)
    if request.cseq.method != request.method:
        # A method nobody knows is better refused as such (RFC 4475 3.1.2.18).
        status = 400 if request.method in METHODS else 501
        raise PeerError("CSeq names another method", status=status, section="RFC 3261 8.1.1.5")
    _check_target(request)


def check_response(response: Response) -> None:
    """Raise PeerError for a response that must be dropped."""
    if response.defect is not None:
        raise response.defect
    _check_names(response.headers)
    _check_fields(response.headers)


def _check_names(headers: Headers) -> None:
    for name, _ in headers.lines:
        if not is_token(name.decode("utf-8", "surrogateescape")):
            raise PeerError("malformed header field name", section="RFC 3261 7.3.1")


def _check_fields(headers: Headers) -> None:
    for key in NEVER_TWICE:
        if headers.count(key) > 1:
            raise PeerError(f"{FIELDS[key].name} appears twice", section="RFC 3261 7.3.1")
    for key in _REQUIRED:
        if key not in headers:
            raise PeerError(f"{FIELDS[key].name} is missing", section="RFC 3261 8.1.1")
    for key in _CHECKED:
        if key in headers:
            headers.parsed(key)
    for key, limit in MAX_VALUES.items():
        if len(headers.get_all(key)) > limit:
            raise PeerError(f"too many values of {FIELDS[key].name}", section="RFC 3261 21.4.1")


def _check_target(request: Request) -> None:
    """The Request-URI is a URI without header fields in it (19.1.5 table 1; RFC 4475 3.1.2.11)."""
    uri = request.uri
    if isinstance(uri, SipUri) and uri.headers:
        raise PeerError("header fields in the Request-URI", section="RFC 3261 19.1.1")
