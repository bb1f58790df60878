# SPDX-License-Identifier: Apache-2.0
"""How do the descriptions of a call reach the media plane, and what becomes of the call when it is slow?

Whether a pair of legs is anchored is decided when an offer sets out from one to the other. What is not
anchored passes without waiting for anybody. The plane gets a few seconds for each answer; a plane that hangs
fails its own calls and no others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from ringback.media.errors import MediaError
from ringback.media.plane import BridgeStatistics, MediaEventKind, PlaneUnavailable
from ringback.server.anchoring import (
    AnchoringPolicy,
    Attempt,
    attempts,
    check_answer,
    check_security,
    described,
    profile_for,
    profile_of,
    reason_to_anchor,
)

if TYPE_CHECKING:
    from ringback.media.plane import MediaEvent, MediaPlane
    from ringback.server.b2bua.leg import BridgeLeg

logger = logging.getLogger("ringback.calls")

Result = TypeVar("Result")

#: How long the plane may think about one description, in seconds.
PATIENCE = 4.0

#: Verdicts that are kept of one call.
VERDICT_LIMIT = 8


class CallMedia:
    """The media of one call: passed by, or anchored for a reason."""

    __slots__ = (
        "_bridge",
        "_is_recording",
        "_plane",
        "_playing",
        "_recording_lost",
        "is_carried",
        "is_open",
        "numbers",
        "policy",
        "reason",
        "recording",
        "verdicts",
    )

    def __init__(self, bridge: str, plane: MediaPlane | None, policy: AnchoringPolicy) -> None:
        self._bridge = bridge
        self._plane = plane
        self.policy = policy
        self.reason = ""
        """Why the pair that speaks is anchored; "" when it is not."""
        self.is_open = False
        """The plane has something of this call."""
        self.is_carried = False
        """The two who speak are joined in the plane."""
        self.recording = ""
        """The file into which the call is to be recorded; "" for none."""
        self._is_recording = False
        self._recording_lost: Callable[[str], None] | None = None
        self._playing: set[asyncio.Task[Any]] = set()
        self.verdicts: list[str] = []
        self.numbers: BridgeStatistics | None = None
        """As they were when somebody looked."""

    async def first_offer(self, source: BridgeLeg, target: BridgeLeg, sdp: bytes) -> bytes:
        """The offer of the INVITE to `target`, in the manner of its attempt."""
        attempt = target.attempt
        if attempt is None or not attempt.reason:
            return target.told.offer(sdp)
        return await self._translated_offer(source, target, sdp, attempt)

    async def offer(self, source: BridgeLeg, target: BridgeLeg, sdp: bytes) -> bytes:
        """An offer in a call that stands. Once anchored, a pair stays anchored."""
        source.end = described(source.end, sdp)
        check_security(source.end, self.policy)
        reason = self.reason or reason_to_anchor(source.end, target.end, self.policy)
        if not reason:
            return target.told.offer(sdp)
        self.reason = reason
        attempt = target.attempt if target.attempt is not None and target.attempt.reason else None
        if attempt is None and target.end.security is None:
            attempt = replace(attempts(source.end, target.end, self.policy)[0], reason=reason)
        return await self._translated_offer(source, target, sdp, attempt)

    async def answer(self, source: BridgeLeg, target: BridgeLeg, sdp: bytes) -> bytes:
        """The answer of `source` to the offer that `target` made."""
        source.end = described(source.end, sdp)
        check_security(source.end, self.policy)
        streams = target.offered_streams
        if not self._is_anchored(source, target):
            check_answer(source.end, target.end)
            return target.told.answer(sdp, streams=streams)
        ours, theirs = profile_of(source.end), profile_of(target.end)
        assert self._plane is not None, "what is anchored has a plane"
        answer = await _in_time(
            self._plane.answer(
                self._bridge, source.name, target.name, sdp, source_profile=ours, target_profile=theirs
            )
        )
        self.is_carried = True
        await self._keep_recording()
        return target.told.answer(answer, streams=streams)

    def settle(self, leg: BridgeLeg) -> None:
        """This is the leg that speaks with the caller now: what was decided for it holds."""
        leg.is_settled = True
        if leg.attempt is not None:
            self.reason = leg.attempt.reason

    async def drop(self, name: str) -> None:
        """A leg is of the call no more."""
        if self.is_open and self._plane is not None:
            with suppress(MediaError):
                await _in_time(self._plane.drop(self._bridge, name))

    async def press(self, leg: BridgeLeg, keys: str) -> None:
        """Let a leg hear keys, if its sound comes from here."""
        if self.is_open and self._plane is not None:
            with suppress(MediaError):
                await _in_time(self._plane.press(self._bridge, leg.name, keys))

    async def play(self, leg: BridgeLeg, path: str) -> None:
        """Let a leg hear a file, to its end, in place of its partner."""
        if self._plane is None:
            raise PlaneUnavailable("nobody carries media here")
        task = asyncio.current_task()
        assert task is not None, "called by a task"
        self._playing.add(task)
        try:
            await self._plane.play(self._bridge, leg.name, path)
        finally:
            self._playing.discard(task)

    async def record(self, path: str, lost: Callable[[str], None]) -> None:
        """Record what the two say from now on, or as soon as their sound comes through here. `lost` is told
        when that ends by itself.
        """
        self.recording, self._is_recording, self._recording_lost = path, False, lost
        if self.is_carried:
            await self._keep_recording()

    async def stop_recording(self) -> None:
        """Finish the file."""
        was_recording, self._is_recording, self.recording = self._is_recording, False, ""
        if was_recording and self.is_open and self._plane is not None:
            await _in_time(self._plane.stop_recording(self._bridge))

    async def look(self) -> None:
        """Ask the plane how the sound is now, if it comes through here."""
        if self.is_open and self._plane is not None:
            with suppress(MediaError):
                self.numbers = await _in_time(self._plane.statistics(self._bridge))

    async def close(self) -> BridgeStatistics | None:
        """The call is over: its numbers, if there are any."""
        for task in self._playing:
            task.cancel()
        if not self.is_open or self._plane is None:
            return None
        self.is_open = False
        try:
            return await _in_time(self._plane.delete(self._bridge))
        except MediaError as error:
            logger.warning("a bridge could not be ended: %s", error)
            return None

    def note(self, event: MediaEvent, name: str) -> str:
        """Keep what the plane found out about the sound, in words; "" for what says nothing of it."""
        template = _WORDS.get(event.kind)
        if template is None:
            return ""
        if event.kind is MediaEventKind.LOST:
            self.is_carried = self._is_recording = False
        words = template.format(name=name or "the call")
        if len(self.verdicts) < VERDICT_LIMIT:
            self.verdicts.append(words)
        return words

    def lose_recording(self, why: str) -> None:
        """It has ended, or never began."""
        if self.recording:
            logger.warning("a call is not recorded: %s", why)
            self.recording, self._is_recording = "", False
            if self._recording_lost is not None:
                self._recording_lost(why)

    @property
    def may_be_carried(self) -> bool:
        """True if the sound of this call can be made to come through here."""
        return self._plane is not None and self.policy.is_possible and self.policy.anchor != "never"

    # --- inside

    async def _keep_recording(self) -> None:
        """A recording follows the call, also to another media worker. What cannot be written ends it."""
        if not self.recording or self._is_recording or self._plane is None:
            return
        self._is_recording = True
        try:
            await _in_time(self._plane.record(self._bridge, self.recording))
        except MediaError as error:
            self.lose_recording(str(error))

    def _is_anchored(self, source: BridgeLeg, target: BridgeLeg) -> bool:
        """A leg that is being called has its own way; else the pair that speaks has one."""
        for leg in (source, target):
            if leg.attempt is not None and not leg.is_settled:
                return bool(leg.attempt.reason)
        return bool(self.reason)

    async def _translated_offer(
        self, source: BridgeLeg, target: BridgeLeg, sdp: bytes, attempt: Attempt | None
    ) -> bytes:
        if self._plane is None:
            raise PlaneUnavailable("nobody carries media here")
        ours = profile_of(source.end)
        theirs = profile_of(target.end) if attempt is None else profile_for(target.end, attempt)
        self.is_open = True
        offer = await _in_time(
            self._plane.offer(
                self._bridge, source.name, target.name, sdp, source_profile=ours, target_profile=theirs
            )
        )
        return target.told.offer(offer)


async def _in_time(answer: Awaitable[Result]) -> Result:
    try:
        async with asyncio.timeout(PATIENCE):
            return await answer
    except TimeoutError:
        raise PlaneUnavailable(f"the media plane said nothing for {PATIENCE:g} s") from None


_WORDS = {
    MediaEventKind.NO_RTP: "no RTP from {name} for 10 s",
    MediaEventKind.ONE_WAY: "one-way: {name} is not heard, the other is",
    MediaEventKind.RESUMED: "RTP from {name} again",
    MediaEventKind.LOST: "the process that carried the sound was lost",
}
