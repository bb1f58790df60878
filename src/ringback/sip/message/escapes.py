# SPDX-License-Identifier: Apache-2.0
"""How are characters hidden in URIs and in quotes? "%41" and "\\A" (RFC 3261 19.1.2 and 25.1)."""

import re
from urllib.parse import quote, unquote_to_bytes

from ringback.sip.errors import PeerError

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_NEEDS_BACKSLASH = re.compile(r'(["\\\x00-\x08\x0b\x0c\x0e-\x1f\x7f])')
_LINE_END = re.compile(r"[\r\n]+")

#: `unreserved` of RFC 3261 25.1 beyond letters, digits and the four characters `quote` never touches.
_MARKS = "!*'()"
USER_SAFE = _MARKS + "&=+$,;?/"
PASSWORD_SAFE = _MARKS + "&=+$,"
PARAMETER_SAFE = _MARKS + "[]/:&+$"
HEADER_SAFE = _MARKS + "[]/?:+$"


def unescape(text: str) -> str:
    """Undo "%HH" once; bytes that are no UTF-8 survive as surrogates. PeerError for a stray "%"."""
    if "%" not in text:
        return text
    if _BAD_ESCAPE.search(text):
        raise PeerError("percent sign without two hexadecimal digits", section="RFC 3261 25.1")
    return unquote_to_bytes(text).decode("utf-8", "surrogateescape")


def escape(text: str, safe: str) -> str:
    """Write every character that is neither unreserved nor in `safe` as "%HH"."""
    return quote(text, safe=safe, encoding="utf-8", errors="surrogateescape")


def quote_string(text: str) -> str:
    """`text` as a quoted-string. Line ends, which no quoting can carry, become one space."""
    if "\r" in text or "\n" in text:
        text = _LINE_END.sub(" ", text)
    return '"' + _NEEDS_BACKSLASH.sub(r"\\\1", text) + '"'


def unquote_string(text: str) -> str:
    """What a quoted-string (with its quotes) says."""
    inner = text[1:-1]
    return _QUOTED_PAIR.sub(r"\1", inner) if "\\" in inner else inner
