# SPDX-License-Identifier: Apache-2.0
"""What can be told of octets at a glance, before anybody reads them? Whose turn they are, and where they end.

A glance may be wrong about what is malformed: it decides in which queue a message waits, or hands back to the
careful reader, and nothing else.
"""

import re

from ringback.kernel._grammar import TOKEN

_REQUEST_LINE = re.compile(rb"([%b]{1,64}) [^\r\n]* SIP/2\.0" % TOKEN)
_VIA = re.compile(rb"\r\nv(?:ia)?[ \t]*+:([^\r\n]*+)", re.IGNORECASE)
_TO = re.compile(rb"\r\nto?[ \t]*+:([^\r\n]*+)", re.IGNORECASE)
_BRANCH = re.compile(rb";branch=([^;, \t\"]*+)", re.IGNORECASE)
_ODD_LINE = re.compile(rb"\r\n[\r\n \t]")
_LENGTH = re.compile(
    rb"\r\n(?:content-length|l)[ \t]*+:[ \t]*+(?:([0-9]{1,9})[ \t]*+(?=\r\n))?", re.IGNORECASE
)


def peek(data: bytes) -> tuple[bytes, bool, bytes] | None:
    """(method, whether To has a tag, branch of the top Via or b""); None for what does not look like SIP.

    The method of a response is b"". Of Via and To only the first line is looked at; the head may be cut off.
    """
    stop = data.find(b"\r\n")
    if stop < 0:
        return None
    method = b""
    if not data.startswith(b"SIP/2.0 "):
        found = _REQUEST_LINE.fullmatch(data, 0, stop)
        if found is None:
            return None
        method = found[1]
    end = data.find(b"\r\n\r\n")
    end = len(data) if end < 0 else end
    via, to = _VIA.search(data, stop, end), _TO.search(data, stop, end)
    branch = _BRANCH.search(via[1].partition(b",")[0]) if via else None
    has_tag = to is not None and b";tag=" in to[1].rpartition(b">")[2].lower()
    return method, has_tag, branch[1] if branch else b""


def message_end(data: bytes, start: int) -> int:
    """Where the message ends that begins at `start` in a stream; that may lie behind what is there (18.3).

    0 as long as its empty line has not come. -1 if the careful framer has to look: folds, blank lines before
    it, or anything but one Content-Length of at most nine digits.
    """
    if data[start : start + 1] in (b"\r", b"\n", b" ", b"\t"):
        return -1
    end = data.find(b"\r\n\r\n", start)
    if end < 0:
        return 0
    lengths = _LENGTH.findall(data, start, end + 2)
    if len(lengths) != 1 or not lengths[0] or _ODD_LINE.search(data, start, end):
        return -1
    return end + 4 + int(lengths[0])  # checked: at most nine ASCII digits
