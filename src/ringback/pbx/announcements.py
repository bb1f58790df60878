# SPDX-License-Identifier: Apache-2.0
"""What does a caller hear instead of a phone? Announcements: said as early media, then the call is refused.

The caller pays nothing and still hears why (RFC 3960 section 4); its phone gets the final response as well.
Without an offer in the INVITE there is nowhere to say it, and the response comes at once.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringback.media.pcm import SILENCE
from ringback.media.prompts import say
from ringback.media.tones import TONES, Tone
from ringback.ua.errors import NotAcceptable

if TYPE_CHECKING:
    from ringback.pbx.conversation import Conversation


@dataclass(frozen=True, slots=True)
class Announcement:
    """A tone, then recorded prompts, then the final response `status`."""

    name: str
    tone: Tone
    prompts: tuple[str, ...]
    status: int


NOT_IN_SERVICE = Announcement("not-in-service", TONES["sit"], ("not-in-service",), 404)

#: By name: the one the server's applications are found by.
ANNOUNCEMENTS: dict[str, Announcement] = {row.name: row for row in (NOT_IN_SERVICE,)}


async def announce(announcement: Announcement, conversation: Conversation) -> None:
    """Say it if it can be heard, then refuse the call."""
    call = conversation.call
    if conversation.has_offer:
        with suppress(NotAcceptable):
            await call.preview()
            await call.play(announcement.tone)
            # A little silence: the last word still waits in the caller's jitter buffer when it was sent.
            await call.play(say(*announcement.prompts) + 5 * SILENCE)
    await call.reject(announcement.status)
