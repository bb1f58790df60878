# SPDX-License-Identifier: Apache-2.0
"""Who calls whom, as the INVITE says it? Read from its text, for the record of the call.

A record is made for each call, so nothing is parsed for it that routing has not parsed already: to make the
header fields and the name in From costs 60 us, a look at the text 3.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ringback.kernel import BIT
from ringback.sip.errors import PeerError

if TYPE_CHECKING:
    from ringback.server.pipeline import Exchange
    from ringback.sip.message.message import Request

LONGEST_NAME = 80
LONGEST_CALL_ID = 300

_USER_AGENT, _FROM = BIT["user-agent"], BIT["from"]
_DISPLAY_NAME = re.compile(r'[ \t]*+(?:"((?:[^"\\]|\\.)*+)"[ \t]*+|([^<"]*+))<')
_ESCAPED = re.compile(r"\\(.)")


def user_agent(exchange: Exchange) -> str:
    """What program it is."""
    return clean(_line(exchange.request, _USER_AGENT, "User-Agent")) if exchange.present & _USER_AGENT else ""


def claimed(request: Request) -> tuple[str, str]:
    """The address and the name that somebody without an account here says to have."""
    facts = request.facts
    try:
        text = str(request.from_.uri) if facts is None else facts.from_uri
    except PeerError:
        return "", ""
    address = text.partition(":")[2].partition(";")[0].partition("?")[0]
    found = _DISPLAY_NAME.match(_line(request, _FROM, "From"))
    name = "" if found is None else found[1] or (found[2] or "").rstrip(" \t")
    return clean(address), clean(_ESCAPED.sub(r"\1", name) if "\\" in name else name)


def dialled(request: Request) -> str:
    """The user part of the Request-URI; without one the host."""
    text = request.target.partition(":")[2].partition(";")[0]
    user, at, host = text.rpartition("@")
    return clean(user.partition(":")[0] if at else host)


def clean(text: str, longest: int = LONGEST_NAME) -> str:
    """What strangers wrote: not too long, and no bytes that are no UTF-8."""
    text = text[:longest]
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _line(request: Request, bit: int, name: str) -> str:
    head = request.head
    text = None if head is None else head.value(bit)
    return (request.reading.get(name) or "") if text is None else text
