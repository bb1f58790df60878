# SPDX-License-Identifier: Apache-2.0
"""What makes a server one of several workers? A number, and what all of them have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringback.net.neighbours import Neighbours
    from ringback.server.binding import Binding


@dataclass(slots=True)
class Membership:
    """One worker's place among `count` of them. `secret` keys what any of them must recognise."""

    number: int
    count: int
    secret: bytes = field(repr=False)
    neighbours: Neighbours

    def looks_after(self, binding: Binding) -> bool:
        """True when this worker keeps the phone's NAT open: exactly one does, without asking the others."""
        return binding.handle[0] % self.count == self.number
