# SPDX-License-Identifier: Apache-2.0
"""What is a text message (RFC 3428), and how is it read from a request?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringback.sip.errors import PeerError
from ringback.ua.party import Party, sender_of

if TYPE_CHECKING:
    from ringback.sip.message import Request

PLAIN_TEXT = "text/plain;charset=UTF-8"

#: RFC 3428 section 8 allows no more over UDP, and senders do not know the path.
LONGEST_MESSAGE = 1300


@dataclass(frozen=True, slots=True)
class TextMessage:
    """A message that arrived. `request` is the MESSAGE itself, with all its header fields."""

    sender: Party
    text: str
    request: Request


def text_of(request: Request) -> TextMessage | None:
    """The message in a MESSAGE request; None when it is no plain text."""
    try:
        kind = request.content_type
    except PeerError:
        return None
    if kind is not None and kind.media_type != "text/plain":
        return None
    charset = (kind.parameter("charset") if kind is not None else None) or "utf-8"
    if charset.lower() not in ("utf-8", "us-ascii", "ascii", "iso-8859-1", "latin-1"):
        return None
    text = request.body.decode(charset, "replace")
    return TextMessage(sender_of(request), text, request)
