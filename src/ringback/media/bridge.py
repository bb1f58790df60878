# SPDX-License-Identifier: Apache-2.0
"""What belongs to one bridged call? Its legs, who hears whom, and a recording."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ringback.media.bridge_recording import BridgeRecording
from ringback.media.errors import UnreadableAudio
from ringback.media.facilities import Facilities
from ringback.media.files import read_frames
from ringback.media.join import Join, Speaking
from ringback.media.leg import Leg
from ringback.media.leg_numbers import leg_statistics
from ringback.media.output import Output, Playing
from ringback.media.plane import (
    BridgeStatistics,
    LegProfile,
    MediaEvent,
    MediaEventKind,
    PlaneUnavailable,
)
from ringback.media.tones import TONES, key_tone
from ringback.media.verdicts import Verdicts
from ringback.rtp.telephone_event import event_code
from ringback.sdp.errors import UnacceptableSession
from ringback.sdp.session import SessionDescription

#: A call that forks to more phones than this gets no media for the rest.
MOST_LEGS = 16
MOST_KEYS = 64
#: What is played instead of a file: "tone:ringback".
TONE = "tone:"


class Bridge:
    """One call. One negotiation at a time: `lock` is held meanwhile."""

    def __init__(self, name: str, facilities: Facilities, tell: Callable[[MediaEvent], None]) -> None:
        self.name = name
        self.lock = asyncio.Lock()
        self.legs: dict[str, Leg] = {}
        self.verdicts = Verdicts()
        self._facilities = facilities
        self._tell = tell
        #: By the name of each of the two.
        self._joins: dict[str, Join] = {}
        self._recording: BridgeRecording | None = None
        #: What is played, by the leg that hears it: it ends when the leg gets another partner.
        self._playing: dict[str, tuple[Output, Playing]] = {}
        self._was_transcoded = False

    # --- negotiating

    async def offer(
        self, source: str, target: str, sdp: bytes, profiles: tuple[LegProfile, LegProfile]
    ) -> bytes:
        """What `target` is offered."""
        description = SessionDescription.parse(sdp)
        if source == target or len(self.legs.keys() | {source, target}) > MOST_LEGS:
            raise PlaneUnavailable("too many legs in one bridge")
        new = [name for name in (source, target) if name not in self.legs]
        one, other = self._leg(source, profiles[0]), self._leg(target, profiles[1])
        try:
            offer = await one.take_offer(description)
            words = await other.make_offer(offer)
        except BaseException:
            for name in new:
                self.legs.pop(name).close()
            raise
        return words.to_bytes()

    def answer(self, source: str, target: str, sdp: bytes) -> bytes:
        """What `target` is answered; the two hear each other now."""
        description = SessionDescription.parse(sdp)
        one, other = self.legs.get(source), self.legs.get(target)
        if one is None or other is None:
            raise UnacceptableSession("an answer without an offer", section="RFC 3264 6")
        answer = one.take_answer(description)
        words = other.make_answer(answer)
        one.agreed(answer)
        other.answered(words)
        self._connect(one, other)
        return words.to_bytes()

    def drop(self, name: str) -> None:
        """A leg has gone."""
        leg = self.legs.pop(name, None)
        if leg is not None:
            self._disconnect(leg)
            leg.close()

    def close(self) -> None:
        """All have gone."""
        self.stop_recording()
        for name in list(self.legs):
            self.drop(name)

    def _leg(self, name: str, profile: LegProfile) -> Leg:
        """A leg that has agreed on nothing yet may be offered something else: another try, in another way."""
        leg = self.legs.get(name)
        if leg is not None and leg.theirs is None and not leg.has_offered and leg.profile != profile:
            self.drop(name)
            leg = None
        if leg is None:
            leg = self.legs[name] = Leg(name, profile, self._facilities)
        leg.profile = profile
        return leg

    def _connect(self, one: Leg, other: Leg) -> None:
        join = self._joins.get(one.name)
        if join is None or join is not self._joins.get(other.name):
            self._disconnect(one)
            self._disconnect(other)
            join = self._joins[one.name] = self._joins[other.name] = Join(
                one, other, self._facilities.random_bytes
            )
        for leg in (one, other):
            self._listen_for_keys(leg)
        join.renew()
        self._was_transcoded = self._was_transcoded or join.is_transcoded
        if self._recording is not None:
            self._recording.follow(join)

    def _disconnect(self, leg: Leg) -> None:
        """Its partner, if any, is alone then."""
        join = self._joins.pop(leg.name, None)
        if join is not None:
            if self._recording is not None:
                self._recording.leave(join)
            for each in join.legs:
                output, playing = self._playing.pop(each.name, (None, None))
                if output is not None and playing is not None:
                    output.stop(playing)
            join.stop()
            self._joins.pop(join.partner(leg).name, None)

    # --- what can be done with it

    def record(self, path: str) -> None:
        """Record the two that talk, whoever they are."""
        self.stop_recording()
        recording = BridgeRecording(Path(path))
        recording.on_failure = self._recording_failed
        self._recording = recording
        for join in self._pairs():
            recording.follow(join)

    def stop_recording(self) -> None:
        """Finish the file."""
        recording, self._recording = self._recording, None
        if recording is not None:
            recording.stop()

    async def play(self, name: str, path: str) -> None:
        """A file, to its end; or a tone."""
        if path.startswith(TONE):
            tone = TONES.get(path.removeprefix(TONE))
            if tone is None:
                raise UnreadableAudio(f"there is no tone {path!r}")
            await self._speak(name, iter(tone))
            return
        frames = await asyncio.to_thread(lambda: iter(list(read_frames(path))))
        await self._speak(name, frames)

    async def press(self, name: str, keys: str) -> None:
        """Keys, one after the other; ValueError for what is no key."""
        for key in keys[:MOST_KEYS]:
            event_code(key)
        with self._speaking(name) as speaking:
            if speaking is None:
                return
            for key in keys[:MOST_KEYS]:
                if speaking.sender.telephone_event is not None:
                    await speaking.sender.press(key).finished
                else:
                    await speaking.output.play(iter(key_tone(key))).finished

    async def _speak(self, name: str, frames: Iterator[bytes]) -> None:
        with self._speaking(name) as speaking:
            if speaking is None:
                return
            playing = speaking.output.play(frames)
            self._playing[name] = speaking.output, playing
            try:
                await playing.finished
            finally:
                speaking.output.stop(playing)
                if self._playing.get(name) == (speaking.output, playing):
                    del self._playing[name]

    @contextmanager
    def _speaking(self, name: str) -> Iterator[Speaking | None]:
        """We speak to a leg in place of its partner; None while it has no sound."""
        join, leg = self._joins.get(name), self.legs.get(name)
        if join is None or leg is None:
            yield None
            return
        join.watch(on=True)
        try:
            speaking = join.speak(leg)
            try:
                yield speaking
            finally:
                if speaking is not None:
                    speaking.stop()
        finally:
            join.watch(on=False)

    # --- how it is doing

    def look(self, now: float) -> None:
        """Once a second: who is silent?"""
        for kind, leg, detail in self.verdicts.judge(self._pairs(), now):
            self._tell(MediaEvent(self.name, leg, kind, detail))

    def statistics(self) -> BridgeStatistics:
        """In numbers."""
        return BridgeStatistics(
            self.name,
            tuple(leg_statistics(leg) for leg in self.legs.values()),
            is_transcoded=self._was_transcoded,
            verdicts=tuple(self.verdicts.sentences),
        )

    def _pairs(self) -> list[Join]:
        return list({id(join): join for join in self._joins.values()}.values())

    def _listen_for_keys(self, leg: Leg) -> None:
        def tell(key: str) -> None:
            self._tell(MediaEvent(self.name, leg.name, MediaEventKind.DIGIT, key))

        for _, port in leg.ports.all():
            port.on_key = tell

    def _recording_failed(self, reason: str) -> None:
        self._recording = None
        self._tell(MediaEvent(self.name, "", MediaEventKind.RECORDING_ENDED, reason))
