# SPDX-License-Identifier: Apache-2.0
"""How is a call doing that we answer ourselves, in the numbers that bridged calls have?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.media.plane import LegStatistics, StreamNumbers
from ringback.sdp.security import Security

if TYPE_CHECKING:
    from ringback.media.session import AudioSession


def session_numbers(audio: AudioSession, name: str) -> LegStatistics:
    """What came from the phone at its other end, and what went to it; no stream before one is agreed on."""
    numbers, agreed = audio.statistics, audio.negotiated
    stream = agreed.remote_stream if agreed is not None else None
    sound = StreamNumbers(
        kind="audio",
        codec=numbers.codec,
        packets_received=numbers.packets_received,
        packets_sent=numbers.packets_sent,
        lost=numbers.lost,
        jitter_ms=numbers.jitter_ms,
        round_trip_ms=numbers.round_trip_ms,
        mos=numbers.mos,
    )
    return LegStatistics(
        name,
        numbers.remote,
        stream.security if stream is not None else Security.PLAIN,
        numbers.suite,
        (sound,) if agreed is not None else (),
    )
