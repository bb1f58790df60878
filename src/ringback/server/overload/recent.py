# SPDX-License-Identifier: Apache-2.0
"""What was seen lately? Two sets that take turns: one fills, the other is forgotten as a whole."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

Member = TypeVar("Member", bound=Hashable)


class Recent(Generic[Member]):
    """Remembers for `lifetime` to twice as long, but never more than twice `limit` members."""

    __slots__ = ("_before", "_changed", "_current", "lifetime", "limit")

    def __init__(self, *, lifetime: float, limit: int) -> None:
        self.lifetime = lifetime
        self.limit = limit
        self._current: set[Member] = set()
        self._before: set[Member] = set()
        self._changed = float("-inf")

    def __contains__(self, member: Member) -> bool:
        return member in self._current or member in self._before

    def __len__(self) -> int:
        return len(self._current) + len(self._before)

    def add(self, member: Member, now: float) -> None:
        """It was seen now."""
        if now - self._changed >= self.lifetime or len(self._current) >= self.limit:
            self._change(now)
        self._current.add(member)

    def forget(self, now: float) -> None:
        """Let go of what is too old."""
        if now - self._changed >= self.lifetime and (self._current or self._before):
            self._change(now)

    def _change(self, now: float) -> None:
        is_all_old = now - self._changed >= 2 * self.lifetime
        self._before = set() if is_all_old else self._current
        self._current = set()
        self._changed = now
