# SPDX-License-Identifier: Apache-2.0
"""How do people meet in a conference? They dial the number of a room, and its PIN if it has one.

In the room everybody hears all the others and sees who speaks; a tone says that somebody came or left; *6
mutes oneself and unmutes again. A room that is recorded says so to whoever comes in, and makes a file from
the first to the last one there.
"""

from __future__ import annotations

import asyncio
import logging
import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ringback.media.errors import MediaError
from ringback.media.prompts import say
from ringback.media.tones import TONES

if TYPE_CHECKING:
    from ringback.media.input import Recording
    from ringback.media.room import Room
    from ringback.media.room_member import Member
    from ringback.pbx.conversation import Conversation
    from ringback.server.conference_settings import RoomSettings
    from ringback.ua.call import Call

logger = logging.getLogger("ringback.pbx")

#: Between the name of an application and the number of a room.
PREFIX = "room:"
#: How often somebody may mistype the PIN before the room hangs up, and how long it waits for a key.
PIN_ATTEMPTS = 3
PIN_TIMEOUT = 10.0
#: No meeting takes longer; a phone that was left off the hook would.
LONGEST_STAY = 12 * 3600.0
MUTE_KEYS = "*6"
_PLAIN = re.compile(r"[^0-9A-Za-z_-]", re.ASCII)


class Conference:
    """One room of the settings, and who is in it now."""

    def __init__(
        self, settings: RoomSettings, *, folder: Path | None, wall_clock: Callable[[], float]
    ) -> None:
        self.settings = settings
        self._folder = folder
        self._wall_clock = wall_clock
        self._room: Room | None = None
        self._recording: Recording | None = None
        #: Who is in the room or on the way in.
        self._count = 0

    @property
    def is_full(self) -> bool:
        """True when nobody else may come in."""
        return self._count >= self.settings.limit

    @property
    def room(self) -> Room | None:
        """Where they talk; None while nobody does."""
        return self._room

    async def attend(self, conversation: Conversation) -> None:
        """One caller, from the first ring to the end."""
        call = conversation.call
        if self.is_full:
            await call.reject(486)
            return
        self._count += 1
        try:
            await call.answer(video=True)
            if await self._is_let_in(call):
                async with asyncio.timeout(LONGEST_STAY):
                    await self._take_part(call, _name_of(conversation))
        except TimeoutError:
            logger.info("somebody was in room %s for %g s and is let go", self.settings.number, LONGEST_STAY)
        finally:
            self._count -= 1

    async def _is_let_in(self, call: Call) -> bool:
        """Ask for the PIN."""
        pin = self.settings.pin
        for _ in range(PIN_ATTEMPTS if pin else 0):
            typed = await call.ask(say("enter-pin"), digits=len(pin), timeout=PIN_TIMEOUT)
            if typed == pin:
                return True
            await call.play(say("wrong-pin"))
        return not pin

    async def _take_part(self, call: Call, name: str) -> None:
        if self.settings.records:
            await call.play(say("recorded"))
        if not self._is_occupied:
            await call.play(say("first-in-room"))
        await call.play(TONES["beep"])
        room = self._opened()
        try:
            with call.mix(room, name=name) as member:
                await _obey_keys(call, member)
        finally:
            self._close_if_empty(room)

    @property
    def _is_occupied(self) -> bool:
        return self._room is not None and len(self._room) > 0

    def _opened(self) -> Room:
        if self._room is None:
            from ringback.media.room import Room  # noqa: PLC0415 - not before somebody comes in: 2 MB

            self._room = Room()
            self._recording = self._record(self._room) if self.settings.records else None
        return self._room

    def _record(self, room: Room) -> Recording | None:
        """A disk that takes no recording ends no meeting."""
        if self._folder is None:
            return None
        moment = datetime.fromtimestamp(self._wall_clock(), UTC).strftime("%Y%m%dT%H%M%SZ")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return room.record(self._folder / f"room-{_PLAIN.sub('_', self.settings.number)}-{moment}.wav")
        except (MediaError, OSError) as error:
            logger.error("room %s is not recorded: %s", self.settings.number, error)  # noqa: TRY400
            return None

    def _close_if_empty(self, room: Room) -> None:
        if len(room) == 0 and self._room is room:
            self._room = self._recording = None
            room.close()


class Conferences:
    """All rooms there are, by number."""

    def __init__(
        self,
        rooms: Mapping[str, RoomSettings],
        *,
        folder: Path | None = None,
        wall_clock: Callable[[], float],
    ) -> None:
        self._conferences = {
            number: Conference(settings, folder=folder, wall_clock=wall_clock)
            for number, settings in rooms.items()
        }

    def find(self, name: str) -> Conference | None:
        """The room that an application's name means."""
        return self._conferences.get(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else None

    def status(self) -> dict[str, dict[str, object]]:
        """Who is where, for people."""
        return {
            number: {
                "parties": [member.name for member in each.room.members],
                "speaker": each.room.speaker.name if each.room.speaker is not None else "",
            }
            for number, each in self._conferences.items()
            if each.room is not None
        }


def homes_of(rooms: Iterable[str], workers: int) -> dict[str, int]:
    """The worker that each room lives in: those who dial it must meet in one process."""
    return {number: zlib.crc32(number.encode()) % workers for number in rooms}


async def _obey_keys(call: Call, member: Member) -> None:
    """Until the caller hangs up."""
    typed = ""
    while True:
        typed = (typed + (await call.digit() or ""))[-len(MUTE_KEYS) :]
        if typed == MUTE_KEYS:
            typed = ""
            member.is_muted = not member.is_muted
            await call.play(say("muted" if member.is_muted else "unmuted"))


def _name_of(conversation: Conversation) -> str:
    caller = conversation.caller
    return caller.number if caller is not None else str(conversation.call.caller)
