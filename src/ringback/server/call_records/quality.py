# SPDX-License-Identifier: Apache-2.0
"""How did a call sound, minute by minute? Samples of the sound that comes through this server.

All calls of a process are looked at in turn, one question to the media plane at a time: every five seconds
while they are few, more seldom when they are many, so that looking never costs more than it may.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ringback.media.plane import BridgeStatistics, LegStatistics, StreamNumbers

#: Seconds between two samples of a call, and the most samples a second of all of them.
INTERVAL = 5.0
RATE = 40.0


@dataclass(slots=True)
class Sample:
    """What came from one leg since the sample before. `loss` is in percent."""

    at: float
    leg: str
    mos: float | None
    loss: float
    jitter_ms: float

    def described(self) -> dict[str, Any]:
        return {
            "at": round(self.at, 3),
            "leg": self.leg,
            "mos": None if self.mos is None else round(self.mos, 2),
            "loss": round(self.loss, 2),
            "jitter_ms": round(self.jitter_ms, 1),
        }


class Sampled(Protocol):
    """A call whose sound can be asked for."""

    @property
    def has_sound_here(self) -> bool: ...
    async def sample(self) -> None: ...


class Sampler:
    """Looks at every call that it was told to `watch`, until its sound is no longer here."""

    def __init__(self, *, interval: float = INTERVAL, rate: float = RATE) -> None:
        self._interval = interval
        self._pause = 1.0 / rate
        self._due: deque[tuple[float, Sampled]] = deque()
        self._task: asyncio.Task[None] | None = None

    def watch(self, call: Sampled) -> None:
        """From now on."""
        loop = asyncio.get_running_loop()
        self._due.append((loop.time() + self._interval, call))
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._run())

    def close(self) -> None:
        """Look no more."""
        self._due.clear()
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._due:
            when, call = self._due.popleft()
            if not call.has_sound_here:
                continue
            await asyncio.sleep(max(self._pause, when - loop.time()))
            if call.has_sound_here:
                await call.sample()
                self._due.append((max(when, loop.time()) + self._interval, call))


def leg_samples(at: float, before: BridgeStatistics | None, now: BridgeStatistics) -> Iterator[Sample]:
    """A sample of each leg from which sound has come."""
    known = {leg.name: leg for leg in before.legs} if before is not None else {}
    for leg in now.legs:
        stream = _sound(leg)
        if stream is not None and stream.packets_received:
            loss = _loss(_sound(known.get(leg.name)), stream)
            yield Sample(at, leg.name, stream.mos, loss, stream.jitter_ms)


def _sound(leg: LegStatistics | None) -> StreamNumbers | None:
    streams = leg.streams if leg is not None else ()
    return next((each for each in streams if each.kind == "audio"), None)


def _loss(before: StreamNumbers | None, now: StreamNumbers) -> float:
    """In percent of what was sent since; the counters begin anew when a leg does."""
    lost, received = now.lost, now.packets_received
    if before is not None and received >= before.packets_received:
        lost, received = lost - before.lost, received - before.packets_received
    return 100.0 * max(0, lost) / (lost + received) if lost > 0 and lost + received else 0.0


def described_streams(leg: LegStatistics) -> list[dict[str, Any]]:
    """The streams of a leg as JSON."""
    return [
        {
            "kind": each.kind,
            "codec": each.codec or "",
            "packets_received": each.packets_received,
            "packets_sent": each.packets_sent,
            "lost": each.lost,
            "jitter_ms": round(each.jitter_ms, 1),
            "mos": None if each.mos is None else round(each.mos, 2),
            "round_trip_ms": None if each.round_trip_ms is None else round(each.round_trip_ms, 1),
        }
        for each in leg.streams
    ]
