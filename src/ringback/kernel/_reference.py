# SPDX-License-Identifier: Apache-2.0
"""What must every kernel function give? This file is the specification; the compiled twin is held to it.

Functions here tokenise and move bytes. They judge nothing: limits, duplicates, control characters and
mandatory fields are the business of `sip/message/parser.py`.
"""

_BLANK = b" \t"
_BLANK_OR_FOLD = b" \t\r\n"


def split_head(data: bytes) -> tuple[bytes, list[tuple[bytes, bytes]], int]:
    """Cut a message at its line ends (RFC 3261 section 7): start line, [(name, value)], offset of the body.

    A line ends with CRLF and nothing else. A name loses the blanks before its colon, a value the blanks
    and line folds around it; folds inside a value stay as they came. A line without a colon, or one that
    continues no header field, gives the empty name and the whole line as the value. ValueError if
    there is no empty line.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        raise ValueError("no empty line after the header fields")
    lines = data[:end].split(b"\r\n")
    start_line = lines.pop(0)
    if data.find(b"\r\n ", 0, end) >= 0 or data.find(b"\r\n\t", 0, end) >= 0:
        lines = _join_folds(lines)
    fields = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if colon and name[:1] not in _BLANK:
            fields.append((name.rstrip(_BLANK), value.strip(_BLANK_OR_FOLD)))
        else:
            fields.append((b"", line.strip(_BLANK_OR_FOLD)))
    return start_line, fields, end + 4


def _join_folds(lines: list[bytes]) -> list[bytes]:
    """Put continuation lines back onto the line they continue, in linear time."""
    groups: list[list[bytes]] = []
    for line in lines:
        if line[:1] in (b" ", b"\t") and groups:
            groups[-1].append(line)
        else:
            groups.append([line])
    return [b"\r\n".join(group) for group in groups]
