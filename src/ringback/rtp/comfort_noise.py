# SPDX-License-Identifier: Apache-2.0
"""How loud is the silence? The payload of comfort noise: RFC 3389 section 3.

The first byte is the level, in steps of 1 dB below the overload point (0 is as loud as can be, 127 is
nothing). What may follow are the reflection coefficients of a filter that colours the noise; we send none
and need none.
"""

from __future__ import annotations

LOWEST_LEVEL = 127


def level_of(payload: bytes) -> int | None:
    """The level in -dBov; None for an empty payload."""
    return payload[0] & LOWEST_LEVEL if payload else None


def payload_of(level: int) -> bytes:
    """The payload for a level in -dBov."""
    return bytes((min(max(level, 0), LOWEST_LEVEL),))
