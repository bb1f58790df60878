# SPDX-License-Identifier: Apache-2.0
"""What must every kernel function give? This file is the specification; the compiled twin is held to it.

Functions here tokenise and move bytes. They judge nothing: limits, duplicates, control characters and
mandatory fields are the business of `sip/message/parser.py`.
"""

import re

from ringback.kernel._reference_datagrams import DatagramBatch
from ringback.kernel._reference_digest import auth_parameters
from ringback.kernel._reference_edit import edit_request, pop_via, respond
from ringback.kernel._reference_overload import Door, keyed_hash
from ringback.kernel._reference_peek import message_end, peek
from ringback.kernel._reference_relay import EVENT, STRAY, UNSENT, RelayBoard, RelayPath
from ringback.kernel._reference_scan import Head, scan
from ringback.kernel._reference_secrets import without_secrets
from ringback.kernel._reference_tape import Tape

__all__ = [
    "EVENT",
    "STRAY",
    "UNSENT",
    "DatagramBatch",
    "Door",
    "Head",
    "RelayBoard",
    "RelayPath",
    "Tape",
    "auth_parameters",
    "edit_request",
    "keyed_hash",
    "message_end",
    "peek",
    "pop_via",
    "respond",
    "scan",
    "split_head",
    "without_secrets",
]

#: A header field on one line, with nothing unusual about it. Possessive: what does not match fails at once.
_PLAIN_FIELD = re.compile(rb"\r\n([^:\r\n \t]++):[ \t]*+(?!\r.)(.*[^ \t\r\n]|)(?=\r\n)")


def split_head(data: bytes) -> tuple[bytes, list[tuple[bytes, bytes]], int]:
    """Cut a message at its line ends (RFC 3261 section 7): start line, [(name, value)], offset of the body.

    A line ends with CRLF and nothing else; one that begins with a blank continues the line before it
    (7.3.1). A name loses the blanks before its colon, a value the blanks, CRs and LFs around it; folds
    inside a value stay as they came. A line with no name before a colon, or a continuation of the start
    line, gives the empty name and the whole line as the value. ValueError if there is no empty line.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        raise ValueError("no empty line after the header fields")
    start = data.find(b"\r\n")
    fields = _PLAIN_FIELD.findall(data, start, end + 2)
    if len(fields) != data.count(b"\r\n", start, end):
        fields = _split_unusual(data[start + 2 : end])
    return data[:start], fields, end + 4


def _split_unusual(block: bytes) -> list[tuple[bytes, bytes]]:
    """The same for any block of header lines, in linear time."""
    lines: list[list[bytes]] = []
    for line in block.split(b"\r\n"):
        if lines and line[:1] in (b" ", b"\t"):
            lines[-1].append(line)
        else:
            lines.append([line])
    return [_split_field(b"\r\n".join(parts)) for parts in lines]


def _split_field(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    name = name.rstrip(b" \t")
    if colon and name and name[:1] not in (b" ", b"\t"):
        return name, value.strip(b" \t\r\n")
    return b"", line.strip(b" \t\r\n")
