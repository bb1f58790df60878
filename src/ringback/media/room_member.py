# SPDX-License-Identifier: Apache-2.0
"""What does one party bring into a room, and take out of it?"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Protocol

from ringback.media.input import Input
from ringback.media.live_sound import LiveSound
from ringback.media.output import Output
from ringback.media.pcm import SAMPLE_BYTES, SAMPLE_RATE, audioop, frame_bytes
from ringback.media.resampling import Resampler

if TYPE_CHECKING:
    from ringback.media.room import Bus, Room

#: RMS of a sample below which nobody speaks (-58 dBov), and how many frames later that is believed.
QUIET = 40
QUIET_FRAMES = 15
#: How much of the loudness of a frame goes into `level`.
_SMOOTHING = 0.15


class Port(Protocol):
    """An AudioSession, an AudioStream, or whatever has both."""

    @property
    def input(self) -> Input: ...
    @property
    def output(self) -> Output: ...


class Member:
    """One party of a room, from `join` to `leave`. Muted, it hears and is not heard."""

    __slots__ = (
        "_heard",
        "_into_bus",
        "_out_of_bus",
        "_quiet",
        "_room",
        "input",
        "is_muted",
        "level",
        "name",
        "output",
        "place",
    )

    def __init__(self, room: Room, port: Port, name: str) -> None:
        self._room = room
        self.name = name
        self.input, self.output = port.input, port.output
        self.is_muted = False
        #: How loud it is at present: the RMS of a sample, smoothed.
        self.level = 0.0
        #: Which sound of the mix is its own; None while it is silent.
        self.place: int | None = None
        self._heard = LiveSound(SAMPLE_RATE)
        self._quiet = QUIET_FRAMES
        self._into_bus: Resampler | None = None
        self._out_of_bus: Resampler | None = None
        self.input.hearers.append(self._hear)

    @property
    def rate(self) -> int:
        """The rate of its sound."""
        return self._heard.rate

    @property
    def is_speaking(self) -> bool:
        """True while it is heard by the others."""
        return self.place is not None

    def leave(self) -> None:
        """Out of the room. Twice is as good as once."""
        self._room.remove(self)

    def detach(self) -> None:
        """Listen to the port no more."""
        if self._hear in self.input.hearers:
            self.input.hearers.remove(self._hear)

    def said(self, rate: int) -> bytes | None:
        """What it says in this tick, at the rate of the bus; None when nothing is to be heard of it."""
        size = frame_bytes(self.rate)
        pcm = self._heard.take(size)
        loudness = audioop.rms(pcm, SAMPLE_BYTES) if pcm and not self.is_muted else 0
        self.level += (loudness - self.level) * _SMOOTHING
        self._quiet = 0 if loudness > QUIET else self._quiet + 1
        if self._quiet >= QUIET_FRAMES or self.is_muted:
            self._into_bus = None
            return None
        pcm += bytes(size - len(pcm))
        if self.rate == rate:
            return pcm
        if self._into_bus is None or (self._into_bus.old, self._into_bus.new) != (self.rate, rate):
            self._into_bus = Resampler(self.rate, rate)
        return self._into_bus.process(pcm)

    def tell(self, bus: Bus) -> None:
        """Let it hear the others."""
        rate = self.output.rate
        if self.place is None:
            self._out_of_bus = None
            pcm = bus.common(rate)
        else:
            pcm = bus.mix.without(self.place)
            if rate != bus.rate:
                pcm = self._way_out(bus, rate).process(pcm)
        if pcm:
            self.output.forward(pcm, rate)

    def _way_out(self, bus: Bus, rate: int) -> Resampler:
        """A filter of its own. It begins as that of those who are silent: so far it heard the same."""
        way = self._out_of_bus
        if way is None or (way.old, way.new) != (bus.rate, rate):
            way = self._out_of_bus = copy.deepcopy(bus.way_out(rate))
        return way

    def _hear(self, frame: bytes, rate: int) -> None:
        if rate != self.rate:
            self._heard = LiveSound(rate)
        self._heard.put(frame, rate)
