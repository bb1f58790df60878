# SPDX-License-Identifier: Apache-2.0
"""How much may one datagram bring to whoever stands as its sender? Three times its size, and no more.

Over UDP the sender's address proves nothing: an answer may hit somebody who asked for nothing. What is
needless in an answer is left out until it is small enough; requests of real phones are so large that
nothing ever is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringback.sip.message.message import Message, Request, Response

FACTOR = 3

#: What an answer can do without, first things first.
NEEDLESS = ("Server", "Accept", "Supported", "Allow")

#: Of several challenges the first is the strongest (RFC 8760 2.3), and enough.
CHALLENGES = ("WWW-Authenticate", "Proxy-Authenticate")


def keep_small(response: Response, request: Request) -> None:
    """Leave out of `response` what makes it too large for `request`."""
    room = FACTOR * _size(request)
    for name in NEEDLESS:
        if _size(response) <= room:
            return
        response.headers.remove(name)
    if _size(response) <= room:
        return
    for name in CHALLENGES:
        lines = response.reading.get_all(name)
        if len(lines) > 1:
            response.headers[name] = lines[0]


def _size(message: Message) -> int:
    """Without the start line, which weighs about what our stamp adds to the Via of a request."""
    octets = message.to_bytes()
    return len(octets) - octets.index(b"\r\n")
