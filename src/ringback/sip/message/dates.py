# SPDX-License-Identifier: Apache-2.0
"""Which moment does a Date header field name? Always one in GMT (RFC 3261 20.17)."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from ringback.sip.errors import PeerError
from ringback.sip.message.numbers import decimal

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATE = re.compile(
    rf"(?:{'|'.join(_DAYS)}),[ \t]+([0-9]{{2}})[ \t]+({'|'.join(_MONTHS)})[ \t]+([0-9]{{4}})[ \t]+"
    r"([0-9]{2}):([0-9]{2}):([0-9]{2})[ \t]+GMT",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Date:
    """A moment, to the second."""

    moment: datetime

    @classmethod
    def parse(cls, text: str) -> Self:
        found = _DATE.fullmatch(text)
        if found is None:
            raise PeerError("malformed Date", section="RFC 3261 20.17")
        day, name, year, hour, minute, second = found.groups()
        month = _MONTHS.index(name) + 1
        d, h, m, s = (decimal(text, limit=99) for text in (day, hour, minute, second))
        try:
            moment = datetime(decimal(year, limit=9999), month, d, h, m, s, tzinfo=UTC)
        except ValueError:
            raise PeerError("impossible Date", section="RFC 3261 20.17") from None
        return cls(moment)

    def __str__(self) -> str:
        moment = self.moment.astimezone(UTC)
        return (
            f"{_DAYS[moment.weekday()]}, {moment.day:02} {_MONTHS[moment.month - 1]} {moment.year:04} "
            f"{moment.hour:02}:{moment.minute:02}:{moment.second:02} GMT"
        )
