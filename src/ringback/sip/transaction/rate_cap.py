# SPDX-License-Identifier: Apache-2.0
"""How often do we answer one and the same message again? A cap against storms of repetitions.

RFC 3261 repeats at most ten times in 32 seconds; a peer that repeats a thousand times a second is broken or
hostile.
"""

from dataclasses import dataclass

#: Answers in one second, per transaction.
REPEATS_PER_SECOND = 20


@dataclass(slots=True)
class RateCap:
    """Counts in windows of one second."""

    limit: int = REPEATS_PER_SECOND
    _since: float = float("-inf")
    _count: int = 0

    def allows(self, now: float) -> bool:
        """True for the first `limit` questions of a second."""
        if now - self._since >= 1.0:
            self._since, self._count = now, 0
        self._count += 1
        return self._count <= self.limit
