# SPDX-License-Identifier: Apache-2.0
"""Who is not heard, though it should be? "No RTP for 10 s", "one-way", and when it is over."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringback.media.plane import MediaEventKind
from ringback.media.stream_port import StreamPort

if TYPE_CHECKING:
    from ringback.media.join import Join
    from ringback.media.leg import Leg

#: Seconds without a packet.
SILENCE = 10.0
#: Sentences that are kept of one call.
MOST_SENTENCES = 20

Verdict = tuple[MediaEventKind, str, str]


@dataclass(slots=True)
class _Watch:
    """One leg's sound: how many packets had come when we looked last, and since when there are no more."""

    packets: int
    since: float
    verdict: MediaEventKind | None = None


class Verdicts:
    """What is to be said of one call."""

    __slots__ = ("_watches", "sentences")

    def __init__(self) -> None:
        self._watches: dict[StreamPort, _Watch] = {}
        self.sentences: deque[str] = deque(maxlen=MOST_SENTENCES)

    def judge(self, joins: Sequence[Join], now: float) -> Iterator[Verdict]:
        """Look at every stream of sound once; what has changed is told."""
        ports: set[StreamPort] = set()
        for join in joins:
            for leg in join.legs:
                for index, port in leg.ports.all():
                    if port.kind == "audio" and _should_send(leg, index):
                        ports.add(port)
                        yield from self._look(port, leg, join.partner(leg), now)
        self._watches = {port: watch for port, watch in self._watches.items() if port in ports}

    def _look(self, port: StreamPort, leg: Leg, partner: Leg, now: float) -> Iterator[Verdict]:
        watch = self._watches.setdefault(port, _Watch(port.packets_received, now))
        if port.packets_received != watch.packets:
            watch.packets, watch.since = port.packets_received, now
            if watch.verdict is not None:
                watch.verdict = None
                yield MediaEventKind.RESUMED, leg.name, f"{leg.name} is heard again"
            return
        if now - watch.since < SILENCE or watch.verdict is not None:
            return
        watch.verdict = MediaEventKind.ONE_WAY if self._is_heard(partner, now) else MediaEventKind.NO_RTP
        sentence = f"no RTP from {leg.name} for {SILENCE:g} s"
        if watch.verdict is MediaEventKind.ONE_WAY:
            sentence = f"one-way: {partner.name} is heard, {leg.name} is not"
        self.sentences.append(sentence)
        yield watch.verdict, leg.name, sentence

    def _is_heard(self, leg: Leg, now: float) -> bool:
        watches = (self._watches.get(port) for _, port in leg.ports.all())
        return any(watch is not None and now - watch.since < SILENCE for watch in watches)


def _should_send(leg: Leg, index: int) -> bool:
    """True when both ends have said that sound comes from this leg."""
    stream = leg.stream(index)
    return leg.ports[index] is not None and stream is not None and stream.direction.sends
