# SPDX-License-Identifier: Apache-2.0
"""What of a message may be shown or written down? All but what its reader could use or should not know.

The one place that hides secrets: ladders and traces ask here. Hidden are credentials, keys in SDP, passwords
in URIs, dialled digits (often somebody's PIN), and what people write to each other.

This looks at bytes, not at a parsed message: what is too broken to be parsed is shown too, and when in doubt
more is hidden. Hiding twice gives the same as hiding once.
"""

import re

HIDDEN = b"(hidden)"

#: Header fields that prove who somebody is (RFC 3261 20.6, 20.7, 20.27, 20.28, RFC 8224), in any header,
#: also that of a message inside a message (RFC 3420).
_SECRET_FIELD = re.compile(
    rb"(?i)(?:authorization|proxy-authorization|authentication-info|proxy-authentication-info|identity|y)"
    rb"[ \t]*:"
)
#: Lines of SDP that carry keys (RFC 4568, RFC 8866 5.12, RFC 8839 5.4, RFC 4567), and digits in INFO
#: (application/dtmf-relay).
_SECRET_LINE = re.compile(rb"(?i)((?:^|[\r\n])(?:a=crypto:|a=key-mgmt:|a=ice-pwd:|k=|signal[ \t]*=))[^\r\n]*")
#: The password of a SIP URI (RFC 3261 19.1.1), and credentials among its headers.
_SECRET_IN_URI = re.compile(rb"(?i)(sips?:[^\s:@<>]{1,256}:)[^\s@<>]{1,256}(?=@)")
_SECRET_URI_HEADER = re.compile(rb"(?i)([?&](?:proxy-)?authorization=)[^\s&<>]*")

#: Messages whose whole body is private: texts (RFC 3428), digits without a name before them.
_PRIVATE = re.compile(
    rb"(?i)^[\r\n]*message[ ]"
    rb"|[\r\n]cseq[ \t]*:[^\r\n]*[ \t]message[ \t]*[\r\n]"
    rb"|[\r\n](?:content-type|c)[ \t]*:\s*application/(?:dtmf\s*[;\r\n]|kpml-response)"
)
_END_OF_HEAD = re.compile(rb"\r\n\r\n|\n\n")
_HIDDEN_BODY = re.compile(rb"\(hidden: [0-9]{1,9} bytes\)")
_END_OF_LINE = re.compile(rb"(\r\n|\r|\n)")


def without_secrets(data: bytes) -> bytes:
    """The message with everything hidden that could be used by who reads it."""
    data = _without_secret_fields(_without_private_body(data))
    for pattern in (_SECRET_LINE, _SECRET_IN_URI, _SECRET_URI_HEADER):
        data = pattern.sub(rb"\1" + HIDDEN, data)
    return data


def _without_private_body(data: bytes) -> bytes:
    """Of a private body only the length is left."""
    start = len(data) - len(data.lstrip(b"\r\n"))
    end = _END_OF_HEAD.search(data, start)
    if end is None:
        return data
    head, body = data[: end.end()], data[end.end() :]
    if not body or _HIDDEN_BODY.fullmatch(body) or not _PRIVATE.search(head):
        return data
    return head + b"(hidden: %d bytes)" % len(body)


def _without_secret_fields(data: bytes) -> bytes:
    """Without the values of secret fields, their folded lines (RFC 3261 7.3.1) too."""
    if not _SECRET_FIELD.search(data):
        return data
    pieces = _END_OF_LINE.split(data)
    kept: list[bytes] = []
    hiding = False
    for line, end in zip(pieces[::2], [*pieces[1::2], b""], strict=True):
        if hiding and line[:1] in (b" ", b"\t"):
            continue
        secret = _SECRET_FIELD.match(line)
        hiding = secret is not None
        kept += [line[: secret.end()] + b" " + HIDDEN if secret else line, end]
    return b"".join(kept)
