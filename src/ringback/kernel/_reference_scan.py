# SPDX-License-Identifier: Apache-2.0
"""Is this message plain, and what does it say that every element asks? Method, branch, tags, addresses.

`scan` gives a Head only for what `sip/message/parser.py` reads without a defect, and then with the same
answers. It judges nothing: None means that the careful parser has to look.
"""

import ipaddress
import re

from ringback.kernel._grammar import (
    BIT,
    COMPACT,
    DISPLAY,
    HOST,
    MAGIC_COOKIE,
    MAX_CSEQ,
    MAX_EXPIRES,
    MAX_HOST,
    MAX_LINE,
    MAX_LINES,
    MAX_MESSAGE,
    MAX_PARAMETERS,
    MAX_TARGET,
    MAX_VALUES,
    METHODS,
    ONCE,
    REQUIRED,
    TOKEN,
    URI_PARAMETER,
    USER,
    VALUE,
    WORD,
)

_METHODS = {method: method.decode("ascii") for method in METHODS}
_KEYS = {name.encode("ascii"): name for name in BIT} | {
    short.encode("ascii"): name for short, name in COMPACT.items()
}

_BYTE = rb"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = rb"%b\.%b\.%b\.%b(?![%b])" % (_BYTE, _BYTE, _BYTE, _BYTE, HOST)
#: The last label begins with no digit: "127.1" and "0x7f.1" are addresses to some resolvers.
_NAME = rb"(?!-|[%b]{%d})(?:[A-Za-z0-9_\-]++\.)*+[A-Za-z_\-][A-Za-z0-9_\-]*+(?![.])" % (HOST, MAX_HOST + 1)
_ANY_HOST = rb"(?:%b|%b|\[[0-9a-f:]{2,39}\])" % (_IPV4, _NAME)
#: 1 to 65535, without leading zeros.
_PORT = (
    rb"(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])(?![0-9])"
)
_HEX = rb"%[0-9A-Fa-f]{2}"
_URI = (
    rb"sips?:(?:(?:[" + USER + rb"]|" + _HEX + rb")++@)?"
    rb"(" + _ANY_HOST + rb")(?::" + _PORT + rb")?"
    rb"((?:;[" + URI_PARAMETER + rb"]++(?:=(?:[" + URI_PARAMETER + rb"]|" + _HEX + rb")++)?)*+)"
)
#: Quotes without backslashes in them.
_QUOTED = rb'"[^"\\]*+"'
_PARAMETER = rb";([%b]++)(?:=([%b]++|%b))?" % (TOKEN, VALUE, _QUOTED)
_HOP_PARAMETER = rb";([%b]++)(?:=([%b]++))?" % (TOKEN, VALUE)

_IS_URI = re.compile(_URI)
#: (name-addr, its URI, or addr-spec, parameters)
_ADDRESS = re.compile(
    rb"(?:(?:%b[ \t]*+|[%b]*+)<([^<>\" \t]++)>|([^<>\"; \t,?]++))((?:;[%b]++(?:=(?:[%b]++|%b))?)*+)"
    % (_QUOTED, DISPLAY, TOKEN, VALUE, _QUOTED)
)
_PARAMETERS = re.compile(_PARAMETER)
_SEPARATOR = re.compile(rb",[ \t]*+")
_HOP = re.compile(
    rb"SIP/2\.0/([%b]++) (%b)(?::(%b))?((?:;[%b]++(?:=[%b]++)?)*+)" % (TOKEN, _ANY_HOST, _PORT, TOKEN, VALUE)
)
_HOP_PARAMETERS = re.compile(_HOP_PARAMETER)
_IS_PORT = re.compile(_PORT)
_FIELD = re.compile(rb"([%b]++):[ \t]*+(.*)" % TOKEN, re.DOTALL)
_PLAIN = bytes(octet for octet in range(256) if octet == 9 or octet not in (*range(32), 127))
_REQUEST_LINE = re.compile(rb"([A-Z]{3,9}) ([^ ]{1,%d}) SIP/2\.0" % MAX_TARGET)
_STATUS_LINE = re.compile(rb"SIP/2\.0 ([1-6][0-9][0-9]) (?!SIP/2\.0\Z)(.*)", re.DOTALL)
_CALL_ID = re.compile(rb"[%b]++(?:@[%b]++)?" % (WORD, WORD))
_CSEQ = re.compile(rb"([0-9]{1,10}) ([A-Z]{3,9})")
_NUMBER = re.compile(rb"[0-9]{1,10}")
_SMALL_NUMBER = re.compile(rb"[0-9]{1,3}")
_TOKENS = re.compile(rb"[%b]++(?:,[ \t]*+[%b]++)*+" % (TOKEN, TOKEN))
_MEDIA_TYPE = re.compile(rb"[%b]++/[%b]++((?:;[%b]++(?:=(?:[%b]++|%b))?)*+)" % (TOKEN, TOKEN, TOKEN, VALUE, _QUOTED))
_STAMP = re.compile(rb"[%b]++" % VALUE)


class NotPlain(Exception):
    """Leave it to the careful parser."""


class Head:
    """What a plain message says. `data` is the whole message, a request's top Via stamped with its source."""

    __slots__ = (
        "body_start",
        "branch",
        "call_id",
        "contact_uri",
        "cseq",
        "data",
        "from_tag",
        "from_uri",
        "max_forwards",
        "method",
        "present",
        "reply_port",
        "routes",
        "sent_by",
        "status",
        "target",
        "to_tag",
        "to_uri",
        "via_count",
        "via_transport",
    )

    data: bytes
    status: int
    method: str
    target: str
    branch: str
    sent_by: str
    via_transport: str
    via_count: int
    reply_port: int
    call_id: str
    cseq: int
    from_tag: str | None
    to_tag: str | None
    from_uri: str
    to_uri: str
    contact_uri: str | None
    max_forwards: int
    body_start: int
    present: int
    routes: tuple[str, ...]


class Hop:
    """One Via value: where it stands, and what of it is asked."""

    __slots__ = ("branch", "end", "host", "parameters", "port", "rport", "transport")

    def __init__(self, line: bytes, start: int) -> None:
        found = _HOP.match(line, start)
        if found is None:
            raise NotPlain
        transport, host, port, parameters = found.groups()
        self.end = found.end()
        self.transport = transport.decode("ascii").upper()
        self.host = checked_host(host).decode("ascii").lower()
        self.port = 0 if port is None else _digits(port)
        self.parameters = _HOP_PARAMETERS.findall(parameters)
        named = unique(self.parameters)
        if b"maddr" in named or b"ttl" in named:
            raise NotPlain
        self.branch: bytes = named.get(b"branch", b"")
        #: 0: asked for, not filled in; -1: not asked for
        self.rport = _rport(named[b"rport"]) if b"rport" in named else -1

    @property
    def sent_by(self) -> str:
        """The one spelling by which sent-by values are compared."""
        return f"{self.host}:{self.port}" if self.port else self.host


def scan(data: bytes, host: str = "", port: int = 0) -> Head | None:
    """Read a plain message; None when it is not plain. With `host` a request's top Via is stamped with it."""
    try:
        return _Scanner(data).read(host, port)
    except NotPlain:
        return None


class _Scanner:
    """One message on its way to a Head."""

    def __init__(self, data: bytes) -> None:
        end = data.find(b"\r\n\r\n", 0, MAX_MESSAGE)
        if end < 0 or len(data) > MAX_MESSAGE:
            raise NotPlain
        self.data = data
        self.start_line, *self.lines = data[:end].split(b"\r\n")
        # Every control octet but TAB belongs to one of these line ends.
        if data[: end + 4].translate(None, _PLAIN) != b"\r\n" * (len(self.lines) + 2):
            raise NotPlain
        self.body_start = end + 4
        self.head = Head()
        self.values: dict[str, list[bytes]] = {}
        self.first_via = 0

    def read(self, host: str, port: int) -> Head:
        """Start line, lines, body, in the order in which they rest on one another."""
        self._read_start_line()
        self._cut_lines()
        self._read_once()
        self._read_lists()
        self._read_body()
        hop, count = self._read_vias()
        head = self.head
        head.via_count = count
        head.branch = hop.branch.decode("ascii")
        head.sent_by = hop.sent_by
        head.via_transport = hop.transport
        head.reply_port = hop.rport if hop.rport > 0 else hop.port or 5060
        if host and not head.status:
            self._stamp(hop, host, port)
        return head

    def _read_start_line(self) -> None:
        if len(self.start_line) > MAX_LINE:
            raise NotPlain
        head = self.head
        head.status, head.target = 0, ""
        found = _STATUS_LINE.fullmatch(self.start_line)
        if found is not None:
            head.status = _digits(found[1])
            return
        found = _REQUEST_LINE.fullmatch(self.start_line)
        if found is None or found[1] not in _METHODS:
            raise NotPlain
        head.method = _METHODS[found[1]]
        head.target = uri(found[2])

    def _cut_lines(self) -> None:
        if len(self.lines) > MAX_LINES:
            raise NotPlain
        present, place = 0, len(self.start_line) + 2
        for line in self.lines:
            found = _FIELD.fullmatch(line)
            if found is None or len(line) > MAX_LINE:
                raise NotPlain
            key = _KEYS.get(found[1].lower())
            if key is not None:
                present |= BIT[key]
                if key == "via" and key not in self.values:
                    self.first_via = place + found.start(2)
                self.values.setdefault(key, []).append(found[2].rstrip(b" \t"))
            place += len(line) + 2
        self.head.present = present

    def _read_once(self) -> None:
        values, head = self.values, self.head
        if any(key not in values for key in REQUIRED) or any(len(values.get(key, ())) > 1 for key in ONCE):
            raise NotPlain
        head.from_uri, head.from_tag = tagged(values["from"][0])
        head.to_uri, head.to_tag = tagged(values["to"][0])
        head.call_id = _matching(_CALL_ID, values["call-id"][0]).decode("ascii")
        self._read_cseq(values["cseq"][0])
        head.max_forwards = _number(_SMALL_NUMBER, values["max-forwards"][0], 255) if "max-forwards" in values else -1
        if "expires" in values:
            _number(_NUMBER, values["expires"][0], MAX_EXPIRES)
        if "content-type" in values:
            found = _MEDIA_TYPE.fullmatch(values["content-type"][0])
            if found is None:
                raise NotPlain
            unique(_PARAMETERS.findall(found[1]))

    def _read_cseq(self, value: bytes) -> None:
        found = _CSEQ.fullmatch(value)
        if found is None or found[2] not in _METHODS:
            raise NotPlain
        self.head.cseq = _number(_NUMBER, found[1], MAX_CSEQ)
        method = _METHODS[found[2]]
        if not self.head.status and method is not self.head.method:
            raise NotPlain
        self.head.method = method

    def _read_lists(self) -> None:
        self.head.routes = self._read_routes("route")
        self._read_routes("record-route")
        contacts = [value for line in self.values.get("contact", ()) for value in addresses(line)]
        _check_count("contact", len(contacts))
        self.head.contact_uri = contacts[0][0] if len(contacts) == 1 else None
        for key in ("require", "proxy-require"):
            words = [_matching(_TOKENS, line) for line in self.values.get(key, ())]
            _check_count(key, sum(line.count(b",") + 1 for line in words))

    def _read_routes(self, key: str) -> tuple[str, ...]:
        lines = self.values.get(key, ())
        routes = tuple([value[0] for line in lines for value in addresses(line, bracketed=True)])
        _check_count(key, len(routes))
        return routes

    def _read_body(self) -> None:
        length = _number(_NUMBER, self.values["content-length"][0], MAX_MESSAGE)
        if self.body_start + length > len(self.data):
            raise NotPlain
        self.head.body_start = self.body_start
        self.head.data = self.data[: self.body_start + length]

    def _read_vias(self) -> tuple[Hop, int]:
        hops = [hop for line in self.values.get("via", ()) for hop in vias(line)]
        _check_count("via", len(hops))
        if not hops or not hops[0].branch.startswith(MAGIC_COOKIE) or hops[0].branch == MAGIC_COOKIE:
            raise NotPlain
        return hops[0], len(hops)

    def _stamp(self, hop: Hop, host: str, port: int) -> None:
        head = self.head
        if hop.rport >= 0:
            head.reply_port = port
        line = self.values["via"][0]
        new = stamped(line, hop, host, port)
        if new != line:
            start, end = self.first_via, self.first_via + len(line)
            head.data = head.data[:start] + new + head.data[end:]
            head.body_start += len(new) - len(line)


def stamped(line: bytes, hop: Hop, host: str, port: int) -> bytes:
    """A Via line whose top value says where the request came from (RFC 3261 18.2.1, RFC 3581 4)."""
    source = host.encode("utf-8", "surrogateescape")
    if _STAMP.fullmatch(source) is None:
        raise NotPlain
    parameters: list[tuple[bytes, bytes]] = []
    for name, value in hop.parameters:
        if name.lower() == b"rport":
            parameters.append((b"rport", b"%d" % port))
        elif name.lower() != b"received":
            parameters.append((name, value))
    if hop.rport >= 0 or hop.host.strip("[]") != host:
        parameters.append((b"received", source))
    if parameters == hop.parameters:
        return line
    text = "".join(("SIP/2.0/", hop.transport, " ", hop.sent_by)).encode("ascii")
    text += b"".join(b";" + name + (b"=" + value if value else b"") for name, value in parameters)
    return b", ".join([text, *_SEPARATOR.split(line[hop.end :])[1:]])


def vias(line: bytes) -> list[Hop]:
    """The values of one Via line."""
    hops = [Hop(line, 0)]
    while hops[-1].end < len(line):
        separator = _SEPARATOR.match(line, hops[-1].end)
        if separator is None:
            raise NotPlain
        hops.append(Hop(line, separator.end()))
    return hops


def addresses(line: bytes, *, bracketed: bool = False) -> list[tuple[str, list[tuple[bytes, bytes]]]]:
    """The values of a line of addresses: URI, and the parameters behind it."""
    values, place = [], 0
    while True:
        found = _ADDRESS.match(line, place)
        if found is None or (bracketed and found[1] is None):
            raise NotPlain
        parameters = _PARAMETERS.findall(found[3])
        unique(parameters)
        values.append((uri(found[1] or found[2]), parameters))
        if found.end() == len(line):
            return values
        separator = _SEPARATOR.match(line, found.end())
        if separator is None:
            raise NotPlain
        place = separator.end()


def tagged(line: bytes) -> tuple[str, str | None]:
    """From or To: its URI and its tag."""
    values = addresses(line)
    if len(values) > 1:
        raise NotPlain
    for name, value in values[0][1]:
        if name.lower() == b"tag":
            if not value or value[:1] == b'"':
                raise NotPlain
            return values[0][0], value.decode("ascii")
    return values[0][0], None


def uri(text: bytes) -> str:
    """A SIP or SIPS URI without header fields and without a password."""
    found = _IS_URI.fullmatch(text)
    if found is None:
        raise NotPlain
    checked_host(found[1])
    unique([parameter.partition(b"=")[::2] for parameter in found[2].split(b";")[1:]])
    return text.decode("ascii")


def unique(parameters: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The parameters by name; none may come twice (RFC 3261 7.3.1)."""
    named = {name.lower(): value for name, value in parameters}
    if len(named) < len(parameters) or len(parameters) > MAX_PARAMETERS:
        raise NotPlain
    return named


def checked_host(host: bytes) -> bytes:
    """An IPv6 address must have its one spelling already (RFC 5952)."""
    if host[:1] == b"[":
        text = host[1:-1].decode("ascii")
        try:
            address = ipaddress.IPv6Address(text)
        except ValueError:
            raise NotPlain from None
        # Mapped and compatible addresses: some print them with dots, others without.
        if (not any(address.packed[:10]) and any(address.packed[10:14])) or str(address) != text:
            raise NotPlain
    return host


def _rport(value: bytes) -> int:
    return _digits(_matching(_IS_PORT, value)) if value else 0


def _matching(pattern: re.Pattern[bytes], value: bytes) -> bytes:
    if pattern.fullmatch(value) is None:
        raise NotPlain
    return value


def _number(pattern: re.Pattern[bytes], value: bytes, limit: int) -> int:
    number = _digits(_matching(pattern, value))
    if number > limit:
        raise NotPlain
    return number


def _digits(text: bytes) -> int:
    return int(text)  # checked: a pattern that takes a few ASCII digits only has matched it


def _check_count(key: str, count: int) -> None:
    if count > MAX_VALUES[key]:
        raise NotPlain
