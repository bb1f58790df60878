# SPDX-License-Identifier: Apache-2.0
"""Is this message plain, and what does it say that every element asks? Method, branch, tags, addresses.

`scan` gives a Head only for what `sip/message/parser.py` reads without a defect, and then with the same
answers. It judges nothing: None means that the careful parser has to look.
"""

import re

from ringback.kernel._grammar import (
    BIT,
    COMPACT,
    MAGIC_COOKIE,
    MAX_CSEQ,
    MAX_EXPIRES,
    MAX_LINE,
    MAX_LINES,
    MAX_MESSAGE,
    MAX_TARGET,
    MAX_VALUES,
    METHODS,
    ONCE,
    REQUIRED,
    TOKEN,
    WORD,
)
from ringback.kernel._reference_values import (
    PARAMETERS,
    Hop,
    NotPlain,
    addresses,
    parameters_of,
    stamped,
    tagged,
    unique,
    uri,
    vias,
)

_METHODS = {method: method.decode("ascii") for method in METHODS}
_KEYS = {name.encode("ascii"): name for name in BIT} | {
    short.encode("ascii"): name for short, name in COMPACT.items()
}

_FIELD = re.compile(rb"([%b]++):[ \t]*+(.*)" % TOKEN, re.DOTALL)
_PLAIN = bytes(octet for octet in range(256) if octet == 9 or octet not in (*range(32), 127))
_REQUEST_LINE = re.compile(rb"([A-Z]{3,9}) ([^ ]{1,%d}) SIP/2\.0" % MAX_TARGET)
_STATUS_LINE = re.compile(rb"SIP/2\.0 ([1-6][0-9][0-9]) (?!SIP/2\.0\Z)(.*)", re.DOTALL)
_CALL_ID = re.compile(rb"[%b]++(?:@[%b]++)?" % (WORD, WORD))
_CSEQ = re.compile(rb"([0-9]{1,10}) ([A-Z]{3,9})")
_NUMBER = re.compile(rb"[0-9]{1,10}")
_SMALL_NUMBER = re.compile(rb"[0-9]{1,3}")
_TOKEN = re.compile(rb"[ \t]*+[%b]++" % TOKEN)
_MEDIA_TYPE = re.compile(rb"[%b]++/[%b]++(%b)" % (TOKEN, TOKEN, PARAMETERS))


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

    def value(self, bit: int) -> str | None:
        """The value of the only line of a field; None if there is none, or several."""
        found = []
        for line in self.data[: self.body_start - 4].split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if BIT.get(_KEYS.get(name.lower(), ""), 0) & bit:
                found.append(value)
        return found[0].strip(b" \t").decode("utf-8", "surrogateescape") if len(found) == 1 else None


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
        self.top_line: list[Hop] = []

    def read(self, host: str, port: int) -> Head:
        """Start line, lines, body, in the order in which they rest on one another."""
        self._read_start_line()
        self._cut_lines()
        self._read_once()
        self._read_lists()
        self._read_body()
        hop = self._read_vias()
        head = self.head
        head.branch = hop.branch.decode("ascii")
        head.sent_by = hop.sent_by
        head.via_transport = hop.transport
        head.reply_port = hop.rport if hop.rport > 0 else hop.port or 5060
        if host and not head.status:
            self._stamp(host, port)
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
        head.max_forwards = (
            _number(_SMALL_NUMBER, values["max-forwards"][0], 255) if "max-forwards" in values else -1
        )
        if "expires" in values:
            _number(_NUMBER, values["expires"][0], MAX_EXPIRES)
        if "content-type" in values:
            found = _MEDIA_TYPE.fullmatch(values["content-type"][0])
            if found is None:
                raise NotPlain
            unique(parameters_of(found[1]))

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
            words = [word for line in self.values.get(key, ()) for word in line.split(b",")]
            _check_count(key, len([_matching(_TOKEN, word) for word in words]))

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

    def _read_vias(self) -> Hop:
        lines = [vias(line) for line in self.values.get("via", ())]
        self.head.via_count = sum(map(len, lines))
        _check_count("via", self.head.via_count)
        if not lines:
            raise NotPlain
        self.top_line = lines[0]
        top = self.top_line[0]
        if not top.branch.startswith(MAGIC_COOKIE) or top.branch == MAGIC_COOKIE:
            raise NotPlain
        return top

    def _stamp(self, host: str, port: int) -> None:
        head = self.head
        if self.top_line[0].rport >= 0:
            head.reply_port = port
        line = self.values["via"][0]
        new = stamped(self.top_line, line, host, port)
        if new != line:
            start, end = self.first_via, self.first_via + len(line)
            head.data = head.data[:start] + new + head.data[end:]
            head.body_start += len(new) - len(line)


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
