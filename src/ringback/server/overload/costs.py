# SPDX-License-Identifier: Apache-2.0
"""How many messages can be worked on in a few milliseconds? Learned from how long the last ones took."""

from __future__ import annotations

#: Messages in one go, however quick they are.
MOST_AT_ONCE = 128
#: So many urgent ones are always taken at once: fewer would cost more than they save. A slice costs 60 us,
#: besides what is in it.
LEAST_AT_ONCE = 32
#: The weight of the latest measurement. A slow one counts little: as a rule it was somebody else's turn.
QUICKER, SLOWER = 0.2, 0.02
LEAST_COST = 1e-6


class Costs:
    """What a message costs, in seconds: `urgent` ones continue something, `new` ones begin it."""

    __slots__ = ("new", "urgent")

    def __init__(self) -> None:
        self.urgent = 20e-6
        self.new = 100e-6

    def urgent_in(self, seconds: float) -> int:
        """How many urgent ones."""
        return max(LEAST_AT_ONCE, min(MOST_AT_ONCE, int(seconds / self.urgent)))

    def new_in(self, seconds: float, *, beside: int) -> int:
        """How many new ones after so many urgent ones; one when there are no others."""
        left = int((seconds - beside * self.urgent) / self.new)
        return min(MOST_AT_ONCE - beside, max(left, 0 if beside else 1))

    def measure(self, seconds: float, *, urgent: int, new: int) -> None:
        """So many took so long."""
        if not new:
            self.urgent = _nearer(self.urgent, seconds / urgent)
        else:
            self.new = _nearer(self.new, (seconds - urgent * self.urgent) / new)


def _nearer(known: float, seen: float) -> float:
    weight = QUICKER if seen < known else SLOWER
    return max(LEAST_COST, known + weight * (seen - known))
