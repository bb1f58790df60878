# SPDX-License-Identifier: Apache-2.0
"""How do two calls of one program talk with each other?

await call.bridge(other)      # until one of them hangs up
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ringback.media.joined import Joined
from ringback.ua.errors import CallEnded

if TYPE_CHECKING:
    from ringback.ua.call import Call


async def bridge(one: Call, other: Call, *, keys: bool) -> None:
    """Join their sound until one of them ends, or until we are cancelled. Neither is hung up."""
    joined = Joined(one.living_audio(), other.living_audio())
    waiting: list[asyncio.Future[Any]] = [asyncio.ensure_future(call.wait_ended()) for call in (one, other)]
    passing = [(one, other), (other, one)] if keys else []
    waiting += [asyncio.ensure_future(_pass_keys(source, target)) for source, target in passing]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        joined.separate()
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def _pass_keys(source: Call, target: Call) -> None:
    """Telephone events and INFO are no sound: press the same keys there, until one of the calls ends."""
    with suppress(CallEnded):
        while True:
            key = await source.digit()
            if key is not None:
                await target.send_dtmf(key)
