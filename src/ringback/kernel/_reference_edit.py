# SPDX-License-Identifier: Apache-2.0
"""How does a message change on its way, and how is it answered, without being taken apart?

Lines are cut at CRLF, and one that begins with a token and a colon has a name; everything else is copied as
it is. Written for the bytes of a `Head`; only `respond` takes what nobody has looked at, and then says no
to anything unusual.
"""

import re
from collections.abc import Iterator

from ringback.kernel._grammar import BIT, COMPACT, MAX_LINE, MAX_LINES, MAX_MESSAGE, TOKEN
from ringback.kernel._reference_values import NotPlain, stamped, tagged, vias

_BITS = {name.encode("ascii"): bit for name, bit in BIT.items()} | {
    short.encode("ascii"): BIT[name] for short, name in COMPACT.items()
}
_NAMED = re.compile(rb"([%b]++):[ \t]*+" % TOKEN)
#: The end of the first value of a comma list; quotes and brackets hide commas.
_VALUE_END = re.compile(rb'(?:[^",<]|"[^"]*+"|<[^>]*+>)*+')
_BLANKS = re.compile(rb"[ \t]*+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")

_VIA, _ROUTE, _MAX_FORWARDS = BIT["via"], BIT["route"], BIT["max-forwards"]
_RECORD_ROUTE, _TIMESTAMP = BIT["record-route"], BIT["timestamp"]
#: What a response takes over from the request, in the order in which it is written (RFC 3261 8.2.6.2).
_TAKEN_OVER = (
    (_VIA, b"Via: "),
    (_RECORD_ROUTE, b"Record-Route: "),
    (BIT["from"], b"From: "),
    (BIT["to"], b"To: "),
    (BIT["call-id"], b"Call-ID: "),
    (BIT["cseq"], b"CSeq: "),
    (_TIMESTAMP, b"Timestamp: "),
)


def edit_request(
    data: bytes,
    *,
    target: str | None = None,
    max_forwards: int = -1,
    drop_routes: int = 0,
    without: int = 0,
    on_top: bytes = b"",
    at_end: bytes = b"",
) -> bytes:
    """A request as it goes on (RFC 3261 16.6), everything else byte for byte. ValueError if it has no head.

    `target` replaces the Request-URI, `max_forwards` the number of Max-Forwards (which is added at the end
    when absent); the first `drop_routes` Route values and all lines whose bit is in `without` are gone;
    `on_top` follows the start line, `at_end` comes before the empty line.
    """
    start_line, lines, rest = _cut(data)
    if target is not None:
        start_line = _with_target(start_line, target)
    kept = [start_line + b"\r\n", on_top]
    for line, bit, value in lines:
        if bit & without:
            continue
        if bit == _MAX_FORWARDS and max_forwards >= 0:
            kept.append(b"%b%d\r\n" % (line[:value], max_forwards))
            max_forwards = -1
        elif bit == _ROUTE and drop_routes > 0:
            shorter, dropped = _without_values(line, value, drop_routes)
            drop_routes -= dropped
            kept.append(shorter)
        else:
            kept.append(line)
    if max_forwards >= 0:
        kept.append(b"Max-Forwards: %d\r\n" % max_forwards)
    return b"".join([*kept, at_end, rest])


def pop_via(data: bytes, without: int = 0) -> bytes:
    """A response without its first Via value (RFC 3261 16.7 step 3), and without the lines of `without`."""
    start_line, lines, rest = _cut(data)
    kept = [start_line + b"\r\n"]
    is_there = False
    for line, bit, value in lines:
        if bit & without:
            continue
        if bit == _VIA and not is_there:
            is_there = True
            kept.append(_without_values(line, value, 1)[0])
        else:
            kept.append(line)
    return b"".join([*kept, rest])


def respond(
    data: bytes,
    status_line: bytes,
    *,
    to_tag: str | None,
    at_end: bytes,
    with_record_route: bool = False,
    with_timestamp: bool = False,
    host: str = "",
    port: int = 0,
) -> bytes | None:
    """A response to a request that nobody has looked at yet (RFC 3261 8.2.6.2, 12.1.1, 8.2.6.1).

    `status_line` comes without its CRLF; `at_end` is all the rest, empty line and body included. With `host`
    the top Via says where the request came from. None when the request is not plain where it matters.
    """
    wanted = dict(_TAKEN_OVER)
    if not with_record_route:
        del wanted[_RECORD_ROUTE]
    if not with_timestamp:
        del wanted[_TIMESTAMP]
    try:
        values = _taken_over(data, wanted)
        if host:
            values[_VIA][0] = stamped(vias(values[_VIA][0]), values[_VIA][0], host, port)
        if to_tag is not None and tagged(values[BIT["to"]][0])[1] is None:
            values[BIT["to"]][0] += b";tag=" + to_tag.encode("ascii")
    except NotPlain:
        return None
    lines = [b"%b%b\r\n" % (name, value) for bit, name in wanted.items() for value in values.get(bit, ())]
    return b"".join([status_line, b"\r\n", *lines, at_end])


def _cut(data: bytes) -> tuple[bytes, Iterator[tuple[bytes, int, int]], bytes]:
    """Start line, lines with their bit and the place of their value, and all from the empty line on."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        raise ValueError("no empty line after the header fields")
    start_line, *lines = data[:end].split(b"\r\n")
    if len(lines) > MAX_LINES:
        raise ValueError("too many header fields")
    return start_line, map(_named, lines), data[end + 2 :]


def _named(line: bytes) -> tuple[bytes, int, int]:
    found = _NAMED.match(line)
    if found is None:
        return line + b"\r\n", 0, 0
    return line + b"\r\n", _BITS.get(found[1].lower(), 0), found.end()


def _with_target(start_line: bytes, target: str) -> bytes:
    method, _, rest = start_line.partition(b" ")
    _, blank, version = rest.partition(b" ")
    if not blank:
        raise ValueError("no Request-Line")
    return b" ".join((method, target.encode("utf-8", "surrogateescape"), version))


def _without_values(line: bytes, start: int, count: int) -> tuple[bytes, int]:
    """A line without its first values, which vanishes with the last one; and how many it lost."""
    place, end = start, len(line) - 2
    for dropped in range(1, count + 1):
        found = _VALUE_END.match(line, place, end)
        comma = end if found is None else found.end()
        if comma >= end or line[comma : comma + 1] != b",":
            return b"", dropped
        blanks = _BLANKS.match(line, comma + 1, end)
        place = end if blanks is None else blanks.end()
    return line[:start] + line[place:], count


def _taken_over(data: bytes, wanted: dict[int, bytes]) -> dict[int, list[bytes]]:
    end = data.find(b"\r\n\r\n", 0, MAX_MESSAGE)
    lines = data[:end].split(b"\r\n") if end >= 0 else []
    if not 1 < len(lines) <= MAX_LINES + 1 or _CONTROL.search(b"".join(lines)):
        raise NotPlain
    values: dict[int, list[bytes]] = {}
    for line in lines[1:]:
        found = _NAMED.match(line)
        if found is None or len(line) > MAX_LINE:
            raise NotPlain
        bit = _BITS.get(found[1].lower(), 0)
        if bit in wanted:
            values.setdefault(bit, []).append(line[found.end() :].rstrip(b" \t"))
    for bit in wanted:
        count = len(values.get(bit, ()))
        if bit not in (_VIA, _RECORD_ROUTE) and count > 1:
            raise NotPlain
        if count == 0 and bit not in (_RECORD_ROUTE, _TIMESTAMP):
            raise NotPlain
    return values
