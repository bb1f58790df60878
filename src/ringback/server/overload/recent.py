# SPDX-License-Identifier: Apache-2.0
"""What was seen lately? Two sets that take turns: one fills, the other is forgotten as a whole."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

Member = TypeVar("Member", bound=Hashable)


class Recent(Generic[Member]):
    """Remembers for `lifetime` to twice as long, but never more than twice `limit` members.

    Others may add to `sets[0]` themselves, if they look at the limit and call `forget` now and then.
    """

    __slots__ = ("_changed", "lifetime", "limit", "sets")

    def __init__(self, *, lifetime: float, limit: int) -> None:
        self.lifetime = lifetime
        self.limit = limit
        #: The one that fills and the one that will be forgotten next; always the same list.
        self.sets: list[set[Member]] = [set(), set()]
        self._changed = float("-inf")

    def __contains__(self, member: Member) -> bool:
        return member in self.sets[0] or member in self.sets[1]

    def __len__(self) -> int:
        return len(self.sets[0]) + len(self.sets[1])

    def add(self, member: Member, now: float) -> None:
        """It was seen now."""
        if now - self._changed >= self.lifetime or len(self.sets[0]) >= self.limit:
            self._change(now)
        self.sets[0].add(member)

    def forget(self, now: float) -> None:
        """Let go of what is too old."""
        if now - self._changed >= self.lifetime:
            self._change(now)

    def _change(self, now: float) -> None:
        is_all_old = now - self._changed >= 2 * self.lifetime
        self.sets[:] = [set(), set() if is_all_old else self.sets[0]]
        self._changed = now
