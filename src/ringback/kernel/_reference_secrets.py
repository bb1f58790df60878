# SPDX-License-Identifier: Apache-2.0
"""What of a message may be shown or written down? All but what its reader could use or should not know.

Hidden are credentials, keys in SDP, passwords in URIs, dialled digits (often somebody's PIN), and what people
write to each other.

This looks at bytes, not at a parsed message: what is too broken to be parsed is shown too, and when in doubt
more is hidden. Hiding twice gives the same as hiding once.
"""

import re

HIDDEN = b"(hidden)"
_HIDDEN_BEHIND = rb"\1" + HIDDEN

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
#: A message in small letters, every line begun by LF: so that a glance is enough for most of what follows.
_SMALL = bytes(range(256)).lower().replace(b"\r", b"\n")
_PRIVATE_WORD = re.compile(rb"message[ \t\n]")
_SECRET_NAMES = re.compile(rb"\n(?:authori|proxy-auth|authent|identity|y[ \t]*:)")
_SECRET_LINES = re.compile(rb"\n(?:a=crypto:|a=key-mgmt:|a=ice-pwd:|k=|signal)")
#: Without all octets but these a URI with a password is "::@".
_STRUCTURE = b":@<> \t\r\n\f\v"
_OTHERS = bytes(octet for octet in range(256) if octet not in _STRUCTURE)

_END_OF_HEAD = re.compile(rb"\r\n\r\n|\n\n")
_HIDDEN_BODY = re.compile(rb"\(hidden: [0-9]{1,9} bytes\)")
_END_OF_LINE = re.compile(rb"(\r\n|\r|\n)")


def without_secrets(data: bytes) -> bytes:
    """The message with everything hidden that could be used by who reads it.

    4 us where there is nothing to hide; the patterns themselves, which spell out what is, would take 75.
    """
    small = b"\n" + data.translate(_SMALL)
    has_password = b"::@" in data.translate(None, _OTHERS)
    if b"/dtmf" in small or b"/kpml" in small or (b"message" in small and _PRIVATE_WORD.search(small)):
        data = _without_private_body(data)
    if _SECRET_NAMES.search(small):
        data = _without_secret_fields(data)
    if _SECRET_LINES.search(small):
        data = _SECRET_LINE.sub(_HIDDEN_BEHIND, data)
    if has_password:
        data = _SECRET_IN_URI.sub(_HIDDEN_BEHIND, data)
    if b"authorization=" in small:
        data = _SECRET_URI_HEADER.sub(_HIDDEN_BEHIND, data)
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
