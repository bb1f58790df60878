# SPDX-License-Identifier: Apache-2.0
"""What can be dialled that is nobody's phone? The table of feature codes: one row per code."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any

from ringback.media.pcm import duration_of
from ringback.media.prompts import say, say_digits, say_time
from ringback.media.tones import TONES

if TYPE_CHECKING:
    from ringback.pbx.conversation import Conversation

WallClock = Callable[[], float]

#: Nobody tests an echo for longer; a phone that lost its owner would, for ever.
LONGEST_ECHO = 600.0
#: Sound of an echo that may wait to be sent; more would only make the echo later.
ECHO_ROOM = 0.1
TIMES_THE_TIME_IS_TOLD = 3
#: The time is told for a second that can be divided by this.
TIME_GRID = 10
SHORT_PAUSE = 0.4


@dataclass(frozen=True, slots=True)
class FeatureCode:
    """`answer` conducts the call; it gets the clock for whoever tells the time."""

    number: str
    name: str
    about: str
    answer: Callable[[Conversation, WallClock], Coroutine[Any, Any, None]]


async def echo(conversation: Conversation, wall_clock: WallClock) -> None:
    """Say back what is said, after a beep."""
    call = conversation.call
    await call.answer()
    await call.play(TONES["beep"])
    try:
        async with asyncio.timeout(LONGEST_ECHO):
            async for frame in call.frames():
                if call.audio.queued < ECHO_ROOM:
                    call.write(frame)
    except TimeoutError:
        return


async def tell_time(conversation: Conversation, wall_clock: WallClock) -> None:
    """Say for which moment the beep will be, and beep at that moment."""
    call = conversation.call
    await call.answer()
    for _ in range(TIMES_THE_TIME_IS_TOLD):
        await asyncio.sleep(SHORT_PAUSE)
        moment, words = _next_telling(wall_clock())
        await call.play(words)
        await asyncio.sleep(max(0.0, moment - wall_clock()))
        await call.play(TONES["beep"])
    await asyncio.sleep(SHORT_PAUSE)


async def tell_own_number(conversation: Conversation, wall_clock: WallClock) -> None:
    """Say the number of whoever calls, twice."""
    call = conversation.call
    await call.answer()
    number = say_digits(conversation.caller.number if conversation.caller else "")
    for _ in range(2):
        await asyncio.sleep(SHORT_PAUSE)
        await call.play(say("your-number-is") + number)
    await asyncio.sleep(SHORT_PAUSE)


def local_time(now: float, zone: tzinfo | None = None) -> datetime:
    """The wall clock in this machine's time zone, or in a given one."""
    return datetime.fromtimestamp(now, UTC).astimezone(zone)


def _next_telling(now: float) -> tuple[float, bytes]:
    """The next round moment that can be told in time, and its words."""
    moment = (now // TIME_GRID + 1) * TIME_GRID
    while True:
        time = local_time(moment)
        words = say("at-the-tone") + say_time(time.hour, time.minute, time.second)
        if now + duration_of(words) <= moment:
            return moment, words
        moment += TIME_GRID


#: By number. The number is also the name by which the server's applications are found.
FEATURE_CODES: dict[str, FeatureCode] = {
    row.number: row
    for row in (
        FeatureCode("*43", "echo test", "Repeats what you say.", echo),
        FeatureCode("*60", "speaking clock", "Tells the time, with a beep.", tell_time),
        FeatureCode("*65", "own number", "Tells the number you call from.", tell_own_number),
    )
}
