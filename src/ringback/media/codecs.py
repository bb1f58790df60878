# SPDX-License-Identifier: Apache-2.0
"""Which codecs do we have? The table, one row per encoding and clock rate. RFC 3551 section 4.5.

A codec object serves one stream: most of them remember what went before. The clock of RTP and the sample rate
are two things: G.722 has 16 000 samples and 8000 ticks a second (RFC 3551 section 4.5.2), Opus always 48 000
ticks (RFC 7587 section 4.1).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from ringback.media.comfort_noise import ComfortNoise
from ringback.media.errors import CodecUnavailable
from ringback.media.g711 import Pcma, Pcmu
from ringback.media.g722 import G722
from ringback.media.linear import Linear16
from ringback.media.opus import WANTED_PARAMETERS, Opus
from ringback.sdp.attributes import COMFORT_NOISE as COMFORT_NOISE_NAME
from ringback.sdp.attributes import TELEPHONE_EVENT, AudioFormat

log = logging.getLogger("ringback.media")

_EVENTS = "0-16"


class Codec(Protocol):
    """`encode` and `decode` go between PCM (16 bit, mono, `sample_rate`) and payloads.

    A payload that makes no sense is decoded to nothing. `duration` gives its ticks of the RTP clock.
    A codec without memory gives the same for the same, whatever was before.
    """

    format: AudioFormat

    @property
    def sample_rate(self) -> int: ...
    @property
    def has_no_memory(self) -> bool: ...

    def encode(self, pcm: bytes) -> bytes: ...
    def decode(self, payload: bytes) -> bytes: ...
    def duration(self, payload: bytes) -> int: ...


@dataclass(frozen=True, slots=True)
class CodecRow:
    """How a codec is offered, and made. Making one raises CodecUnavailable where a part of it is missing."""

    name: str
    format: AudioFormat
    make: Callable[[AudioFormat], Codec]


#: In order of preference, by name. What an encoding alone does not tell apart has its clock rate in the name.
CODECS: dict[str, CodecRow] = {
    row.name: row
    for row in (
        CodecRow("opus",      AudioFormat(111, "opus", 48_000, 2, WANTED_PARAMETERS), Opus),
        CodecRow("G722",      AudioFormat(9, "G722"), G722),
        CodecRow("PCMU",      AudioFormat(0, "PCMU"), Pcmu),
        CodecRow("PCMA",      AudioFormat(8, "PCMA"), Pcma),
        CodecRow("L16/16000", AudioFormat(117, "L16", 16_000), Linear16),
        CodecRow("L16/8000",  AudioFormat(118, "L16", 8_000), Linear16),
    )
}  # fmt: skip

#: RFC 3389: rides along with a codec of the same clock rate.
COMFORT_NOISE = AudioFormat(13, COMFORT_NOISE_NAME)

#: RFC 4733: events use the clock of the codec they ride along with.
EVENT_FORMATS: tuple[AudioFormat, ...] = (
    AudioFormat(101, TELEPHONE_EVENT, 8_000, parameters=_EVENTS),
    AudioFormat(102, TELEPHONE_EVENT, 16_000, parameters=_EVENTS),
    AudioFormat(110, TELEPHONE_EVENT, 48_000, parameters=_EVENTS),
)


def codec_for(wanted: AudioFormat) -> Codec | None:
    """A new codec for a negotiated format; None for one that we do not have, or not here."""
    if wanted.encoding.lower() == COMFORT_NOISE_NAME.lower():
        return ComfortNoise(wanted)
    row = next((row for row in CODECS.values() if row.format.is_same_encoding(wanted)), None)
    return row.make(wanted) if row is not None and is_available(row.name) else None


def formats_for(names: Sequence[str]) -> tuple[AudioFormat, ...]:
    """The formats of the named codecs that work here, in that order.

    "L16" names all its rows. KeyError for a name that is not in the table, CodecUnavailable if none is left.
    """
    rows = [row for name in names for row in _rows(name)]
    usable = [row for row in rows if is_available(row.name)]
    if rows and not usable:
        raise CodecUnavailable(_reason(rows[0].name) or rows[0].name)
    return tuple(row.format for row in usable)


@lru_cache(maxsize=len(CODECS))
def is_available(name: str) -> bool:
    """Whether the codec of a row can be made on this machine; if not, the log says once why."""
    reason = _reason(name)
    if reason is not None:
        log.warning("the codec %s is left out: %s", name, reason)
    return reason is None


def _reason(name: str) -> str | None:
    row = CODECS[name]
    try:
        row.make(row.format)
    except CodecUnavailable as error:
        return str(error)
    return None


def _rows(name: str) -> list[CodecRow]:
    wanted = name.lower()
    rows = [row for row in CODECS.values() if wanted in (row.name.lower(), row.format.encoding.lower())]
    if not rows:
        raise KeyError(name)
    return rows
