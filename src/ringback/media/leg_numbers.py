# SPDX-License-Identifier: Apache-2.0
"""How is a leg doing, in numbers?"""

from __future__ import annotations

from ringback.media.leg import Leg
from ringback.media.plane import LegStatistics, StreamNumbers
from ringback.media.statistics import mean_opinion_score
from ringback.media.stream_port import StreamPort

#: What a phone's own jitter buffer and packets add to the way through the network.
_DELAY_OF_PHONES_MS = 60.0


def leg_statistics(leg: Leg) -> LegStatistics:
    """What came from it, and what went to it."""
    ports = leg.ports.all()
    carriers = [port.carrier for _, port in ports]
    stream = next((each for each in (leg.stream(index) for index, _ in ports) if each is not None), None)
    return LegStatistics(
        leg.name,
        next((carrier.destination for carrier in carriers if carrier.destination is not None), None),
        stream.security if stream is not None else leg.profile.security,
        next((carrier.suite for carrier in carriers if carrier.suite is not None), None),
        tuple(_numbers(leg, index, port) for index, port in ports),
    )


def _numbers(leg: Leg, index: int, port: StreamPort) -> StreamNumbers:
    round_trip = port.round_trips.seconds
    round_trip_ms = round_trip * 1_000 if round_trip is not None else None
    return StreamNumbers(
        kind=port.kind,
        codec=leg.codec(index),
        packets_received=port.packets_received,
        packets_sent=port.packets_sent,
        bytes_received=port.bytes_received,
        bytes_sent=port.bytes_sent,
        lost=port.lost,
        jitter_ms=port.jitter_ms,
        round_trip_ms=round_trip_ms,
        mos=_mos(port, round_trip_ms or 0.0) if port.kind == "audio" else None,
    )


def _mos(port: StreamPort, round_trip_ms: float) -> float | None:
    """What the partner hears of it, as far as the way to us goes."""
    received, lost = port.packets_received, port.lost
    if not received:
        return None
    delay_ms = round_trip_ms / 2 + 2 * port.jitter_ms + _DELAY_OF_PHONES_MS
    return mean_opinion_score(loss=lost / (received + lost), delay_ms=delay_ms)
