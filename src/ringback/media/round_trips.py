# SPDX-License-Identifier: Apache-2.0
"""How long does it take to a peer and back, when the reports are not ours? RFC 3550 section 6.4.1.

A sender report that we pass on has a timestamp; the peer names it in its own report and says for how long it
had it. When we passed it on, we know.
"""

from __future__ import annotations

from ringback.rtp.reception import middle_bits

#: Reports that wait to be named by the peer.
MOST_REPORTS = 8
_SENDER_REPORT, _RECEIVER_REPORT = 200, 201
_SECOND = 65_536


class RoundTrips:
    """The reports that went to one peer, and what it said of them."""

    __slots__ = ("_passed", "seconds")

    def __init__(self) -> None:
        self._passed: dict[int, float] = {}
        #: The last round trip; None before the first.
        self.seconds: float | None = None

    def sent(self, data: bytes, *, now: float) -> None:
        """This went to the peer."""
        if len(data) >= 28 and data[1] == _SENDER_REPORT:
            if len(self._passed) >= MOST_REPORTS:
                del self._passed[next(iter(self._passed))]
            self._passed[middle_bits(int.from_bytes(data[8:16], "big"))] = now

    def received(self, data: bytes, *, now: float) -> None:
        """This came from it. Whatever is in it, nothing but a number comes of it."""
        if len(data) < 8 or data[1] not in (_SENDER_REPORT, _RECEIVER_REPORT):
            return
        first = 28 if data[1] == _SENDER_REPORT else 8
        for at in range(first, min(first + 24 * (data[0] & 0x1F), len(data) - 23), 24):
            self._take(int.from_bytes(data[at + 16 : at + 20], "big"), data[at + 20 : at + 24], now)

    def _take(self, report: int, held: bytes, now: float) -> None:
        passed = self._passed.get(report)
        if passed is not None:
            seconds = now - passed - int.from_bytes(held, "big") / _SECOND
            if 0.0 <= seconds < 60.0:
                self.seconds = seconds
