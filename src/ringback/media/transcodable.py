# SPDX-License-Identifier: Apache-2.0
"""Which encodings can we put between two ends, and what was agreed on with one of them?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from ringback.media.codecs import CODECS, EVENT_FORMATS, formats_for, is_available
from ringback.sdp.attributes import AudioFormat


@lru_cache(maxsize=1)
def decodable_formats() -> tuple[AudioFormat, ...]:
    """All that work here, in order of preference."""
    return tuple(row.format for row in CODECS.values() if is_available(row.name))


def formats_of(names: Sequence[str]) -> tuple[AudioFormat, ...]:
    """The named ones that work here, and telephone events in their clock rates.

    What is unknown or missing is left out.
    """
    known = {row.lower() for row in CODECS} | {row.format.encoding.lower() for row in CODECS.values()}
    usable = [name for name in names if name.lower() in known and _works(name)]
    formats = formats_for(usable) if usable else ()
    clocks = {each.clock_rate for each in formats}
    return (*formats, *(each for each in EVENT_FORMATS if each.clock_rate in clocks))


def _works(name: str) -> bool:
    wanted = name.lower()
    return any(
        wanted in (row.name.lower(), row.format.encoding.lower()) and is_available(row.name)
        for row in CODECS.values()
    )
