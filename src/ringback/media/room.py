# SPDX-License-Identifier: Apache-2.0
"""How do fifty people talk to each other? In a room: everybody hears all the others, and not himself.

room = Room()
member = room.join(session, name="Anna")       # an AudioSession or AudioStream
member.is_muted = True
member.leave()

Every 20 ms the room takes a frame of each party, adds up those who speak, and gives it to those who do not:
one sum, resampled once for each rate. Only who speaks gets a sum of his own. While all parties have telephone
codecs the room works at 8 kHz, else at 16 kHz.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ringback.media.input import Input, Recording
from ringback.media.mixer import Mix
from ringback.media.output import Output
from ringback.media.pacing import Pacer
from ringback.media.pcm import FRAME_MS, SAMPLE_RATE, frame_bytes
from ringback.media.resampling import Resampler
from ringback.media.room_member import Member, Port
from ringback.media.tones import Burst, Tone
from ringback.media.video_room import VideoRoom

#: What the others hear when somebody comes and goes.
JOIN_TONE = b"".join(Tone((Burst((440,), 100), Burst((660,), 140)), level=0.08))
LEAVE_TONE = b"".join(Tone((Burst((660,), 100), Burst((440,), 140)), level=0.08))

#: A new speaker is believed after so many frames in which he was the loudest, and by so much.
SPEAKER_FRAMES = 20
SPEAKER_LEAD = 1.5


class Bus:
    """The sum of one tick, and the filters that lead out of it to those who are silent."""

    __slots__ = ("_common", "_filters", "mix", "rate")

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.mix = Mix(())
        #: By rate.
        self._filters: dict[int, Resampler] = {}
        self._common: dict[int, bytes] = {}

    def begin(self, mix: Mix) -> None:
        """The next tick."""
        self.mix = mix
        self._common = {self.rate: mix.total}

    def common(self, rate: int) -> bytes:
        """What those hear who are silent."""
        pcm = self._common.get(rate)
        if pcm is None:
            pcm = self._common[rate] = self.way_out(rate).process(self.mix.total)
        return pcm

    def way_out(self, rate: int) -> Resampler:
        """The filter of those who are silent."""
        found = self._filters.get(rate)
        if found is None:
            found = self._filters[rate] = Resampler(self.rate, rate)
        return found


class Room:
    """A conference. It ticks while somebody is in it; `close` ends it."""

    def __init__(self, rate: int = 2 * SAMPLE_RATE, *, has_tones: bool = True) -> None:
        self.rate = rate
        self.has_tones = has_tones
        #: The sum of all, for recordings and for whoever listens.
        self.input = Input()
        #: Who speaks loudest at present, or did last.
        self.speaker: Member | None = None
        #: Who is seen by whom.
        self.video = VideoRoom()
        #: Called with every new speaker.
        self.on_speaker: list[Callable[[Member], None]] = [self.video.speaker_changed]
        self._members: list[Member] = []
        self._sounds = Output()
        self._bus = Bus(SAMPLE_RATE)
        self._pacer = Pacer(FRAME_MS / 1_000, self._tick)
        self._recordings: list[Recording] = []
        self._next_speaker: tuple[Member | None, int] = (None, 0)

    def __len__(self) -> int:
        return len(self._members)

    @property
    def members(self) -> tuple[Member, ...]:
        """Who is in the room, in the order they came."""
        return tuple(self._members)

    def join(self, port: Port, name: str = "") -> Member:
        """Somebody comes in; those who are there hear a tone."""
        member = Member(self, port, name)
        if self.has_tones and self._members:
            self.play(JOIN_TONE)
        self._members.append(member)
        self._pacer.start()
        return member

    def remove(self, member: Member) -> None:
        """Somebody leaves."""
        if member not in self._members:
            return
        member.detach()
        self.video.leave(member)
        self._members.remove(member)
        if self.speaker is member:
            self.speaker = None
        if not self._members:
            self._pacer.stop()
            self._sounds.clear()
        elif self.has_tones:
            self.play(LEAVE_TONE)

    def play(self, pcm: bytes, rate: int = SAMPLE_RATE) -> None:
        """All hear this, after what was played before."""
        self._sounds.write(pcm, rate)

    def record(self, path: Path | str) -> Recording:
        """Record the room, as somebody who says nothing hears it, until `stop()` or `close`."""
        recording = Recording(self.input, path, self.rate)
        self._recordings = [each for each in self._recordings if each.is_running]
        self._recordings.append(recording)
        return recording

    def close(self) -> None:
        """Everybody out; recordings are finished."""
        self._pacer.stop()
        self.video.close()
        for member in self._members:
            member.detach()
        self._members.clear()
        for recording in self._recordings:
            recording.stop()
        self.input.close()

    def _tick(self, missed: int) -> None:
        for member in [each for each in self._members if each.input.is_closed]:
            self.remove(member)
        bus = self._fitting_bus()
        sounds: list[bytes] = []
        for member in self._members:
            pcm = member.said(bus.rate)
            member.place = len(sounds) if pcm is not None else None
            if pcm is not None:
                sounds.append(pcm)
        if not self._sounds.is_idle:
            size = frame_bytes(bus.rate)
            played = self._sounds.take(size)
            sounds.append(played + bytes(size - len(played)))
        bus.begin(Mix(sounds))
        # Who has begun to speak takes a copy of the common filter: before it is used for this tick.
        for member in sorted(self._members, key=lambda each: not each.is_speaking):
            member.tell(bus)
        self.input.hear(bus.mix.total or bytes(frame_bytes(bus.rate)), bus.rate)
        self._find_speaker()

    def _fitting_bus(self) -> Bus:
        """The bus of the last tick, or a new one when the first wideband party came or the last one left."""
        is_narrow = all(each.rate == each.output.rate == SAMPLE_RATE for each in self._members)
        rate = SAMPLE_RATE if is_narrow else self.rate
        if rate != self._bus.rate:
            self._bus = Bus(rate)
            self._sounds.rate = rate
        return self._bus

    def _find_speaker(self) -> None:
        speaking = [each for each in self._members if each.is_speaking]
        if not speaking:
            return
        loudest = max(speaking, key=lambda each: each.level)
        current = self.speaker
        if loudest is current or (
            current is not None and current.is_speaking and loudest.level < current.level * SPEAKER_LEAD
        ):
            self._next_speaker = (None, 0)
            return
        candidate, frames = self._next_speaker
        frames = frames + 1 if candidate is loudest else 1
        self._next_speaker = (loudest, frames)
        if frames >= SPEAKER_FRAMES or current is None:
            self.speaker = loudest
            for callback in tuple(self.on_speaker):
                callback(loudest)
