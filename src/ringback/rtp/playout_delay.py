# SPDX-License-Identifier: Apache-2.0
"""How long must a packet wait before it is played? An estimate from arrival times, in ticks of the RTP clock.

The transit of a packet (arrival minus timestamp) has an unknown constant in it, so only differences count.
`base` is the smallest transit of the last one or two blocks of packets: it follows the drift of the two
clocks. A packet is late by its transit minus `base`; `target` is a wait that suits all but the latest few
packets of a block. It grows at once and shrinks slowly.
"""

from __future__ import annotations

from dataclasses import dataclass, field

BLOCK_PACKETS = 50
#: So many packets of a block may be later than the target.
OUTLIERS = 2


@dataclass(slots=True)
class PlayoutDelay:
    """Bounds and margin in ticks."""

    minimum: int
    maximum: int
    margin: int
    target: float = 0.0
    base: float = 0.0
    _previous_minimum: float | None = None
    _block: list[float] = field(default_factory=list, repr=False)
    _late_in_block: int = 0

    def __post_init__(self) -> None:
        self.target = max(self.target, float(self.minimum))

    def restart(self, transit: float) -> None:
        """A new timeline begins with a packet of this transit. What is known of the jitter stays."""
        self.base = transit
        self._previous_minimum = None
        self._block = [transit]
        self._late_in_block = 0

    def observe(self, transit: float) -> None:
        """Take a packet into account."""
        self.base = min(self.base, transit)
        self._block.append(transit)
        if len(self._block) >= BLOCK_PACKETS:
            self._end_block()

    def observe_late(self, transit: float) -> None:
        """A packet came too late to be played: when it is not the only one, wait longer from now on."""
        self._late_in_block += 1
        if self._late_in_block > 1:
            self._raise_to(transit - self.base + self.margin)

    def _end_block(self) -> None:
        minimum = min(self._block)
        self.base = minimum if self._previous_minimum is None else min(minimum, self._previous_minimum)
        self._previous_minimum = minimum
        wanted = sorted(self._block)[-1 - OUTLIERS] - self.base + self.margin
        if wanted > self.target:
            self._raise_to(wanted)
        else:
            step = max((self.target - wanted) / 4, self.margin)
            self.target = max(self.target - step, wanted, float(self.minimum))
        self._block = []
        self._late_in_block = 0

    def _raise_to(self, wanted: float) -> None:
        self.target = min(max(self.target, wanted), float(self.maximum))
