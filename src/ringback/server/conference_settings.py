# SPDX-License-Identifier: Apache-2.0
"""What does an entry for a conference room say? "300", or "301 pin=4711 limit=20 record guests"."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

NUMBER = re.compile(r"[0-9*#A-Za-z][0-9A-Za-z*#._-]{0,31}", re.ASCII)
PIN = re.compile(r"[0-9]{1,16}", re.ASCII)
SMALLEST, LARGEST, USUAL = 2, 200, 50


@dataclass(frozen=True, slots=True)
class RoomSettings:
    """One room. `pin` is empty when none is asked for."""

    number: str
    pin: str = field(default="", repr=False)
    limit: int = USUAL
    records: bool = False
    takes_guests: bool = False


def parse_room(text: str) -> RoomSettings:
    """Read an entry. ValueError says what is wrong with it, and never shows a PIN."""
    number, *words = text.split() or [""]
    if NUMBER.fullmatch(number) is None:
        raise ValueError('a room begins with its number, as in "300 pin=4711"')
    pin, limit, flags = "", USUAL, set()
    for word in words:
        name, equals, value = word.partition("=")
        if name == "pin" and PIN.fullmatch(value):
            pin = value
        elif name == "pin":
            raise ValueError(f"the PIN of room {number} must be 1 to 16 digits")
        elif name == "limit":
            limit = _limit(number, value)
        elif not equals and name in ("record", "guests"):
            flags.add(name)
        else:
            raise ValueError(
                f"room {number}: there is no {name!r}; there are: pin=DIGITS, limit=COUNT, record, guests"
            )
    if "guests" in flags and not pin:
        raise ValueError(f"room {number} needs a pin when guests may come in")
    return RoomSettings(number, pin, limit, "record" in flags, "guests" in flags)


def checked_room(text: str) -> str:
    """The entry itself, if it can be read."""
    parse_room(text)
    return text


def rooms_of(entries: Iterable[str]) -> dict[str, RoomSettings]:
    """The rooms by number; of two with one number the last counts."""
    return {room.number: room for room in map(parse_room, entries)}


def _limit(number: str, text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) < 4 and SMALLEST <= int(text) <= LARGEST:
        return int(text)
    raise ValueError(f"the limit of room {number} must be a number from {SMALLEST} to {LARGEST}")
