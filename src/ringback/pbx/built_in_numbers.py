# SPDX-License-Identifier: Apache-2.0
"""Who answers when the server itself is called? Feature codes and announcements, as its applications."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ringback.media.errors import NoFreePort
from ringback.pbx.announcements import ANNOUNCEMENTS, Announcement, announce
from ringback.pbx.conference import Conference, Conferences
from ringback.pbx.feature_codes import FEATURE_CODES, FeatureCode
from ringback.pbx.own_media import OwnMedia

if TYPE_CHECKING:
    from ringback.pbx.conversation import Conversation
    from ringback.server.applications import Application, IncomingCall

logger = logging.getLogger("ringback.pbx")


class BuiltInNumbers:
    """Implements `ringback.server.applications.Applications`."""

    __slots__ = ("_media", "_wall_clock", "conferences")

    def __init__(
        self,
        media: OwnMedia,
        *,
        conferences: Conferences | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._media = media
        self.conferences = conferences or Conferences({}, wall_clock=wall_clock)
        self._wall_clock = wall_clock

    def find(self, name: str) -> Application | None:
        """The application of this name: a feature code's number, a room's or an announcement's name."""
        conference = self.conferences.find(name)
        if conference is not None:
            return partial(self._attend, conference)
        code = FEATURE_CODES.get(name)
        if code is not None:
            return partial(self._answer, code)
        announcement = ANNOUNCEMENTS.get(name)
        return None if announcement is None else partial(self._announce, announcement)

    async def _answer(self, code: FeatureCode, call: IncomingCall) -> None:
        conversation = await self._open(call)
        if conversation is None:
            _refuse(call, 503)
            return
        await conversation.conduct(code.answer(conversation, self._wall_clock))

    async def _attend(self, conference: Conference, call: IncomingCall) -> None:
        conversation = await self._open(call)
        if conversation is None:
            _refuse(call, 503)
            return
        await conversation.conduct(conference.attend(conversation))

    async def _announce(self, announcement: Announcement, call: IncomingCall) -> None:
        conversation = await self._open(call)
        if conversation is None:
            _refuse(call, announcement.status)
            return
        await conversation.conduct(announce(announcement, conversation))

    async def _open(self, call: IncomingCall) -> Conversation | None:
        """None when there is no room for its sound."""
        # not before the first call: see `OwnMedia.open`
        from ringback.pbx.conversation import Conversation  # noqa: PLC0415

        try:
            return await Conversation.open(call, self._media)
        except NoFreePort as error:
            logger.warning("no sound for a call to %s: %s", call.number, error)
            return None


def _refuse(call: IncomingCall, status: int) -> None:
    if call.session.ended is None:
        call.driver.perform(call.session.reject, status)
