# SPDX-License-Identifier: Apache-2.0
"""Who puts the changes of all workers into one order? The feed in the supervisor's memory.

It keeps the value of each key, and the last changes, so that who reads slowly goes on where it was; who was
away for too long, or is new, gets all values. Nothing waits for a reader.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from ringback.server.cluster.state import ALL_THERE, RESET, Change, Revised

#: Changes that are kept for slow readers; one of a registration takes about a kilobyte.
KEPT = 10_000

#: The origin of what the supervisor itself changes, and of a snapshot.
NOBODY = -1


class Feed:
    """A `State`. `told` is called after each change."""

    __slots__ = ("_recent", "_values", "revision", "told")

    def __init__(self, *, kept: int = KEPT) -> None:
        self._values: dict[str, bytes] = {}
        self._recent: deque[tuple[int, Change]] = deque(maxlen=kept)
        #: How many changes there were. The last ones are those in `_recent`.
        self.revision = 0
        self.told: Callable[[], None] | None = None

    def __len__(self) -> int:
        return len(self._values)

    def items(self, kind: str) -> Iterator[tuple[str, bytes]]:
        """The keys of one kind, and their values."""
        prefix = f"{kind}\0"
        return ((key, value) for key, value in self._values.items() if key.startswith(prefix))

    def get(self, key: str) -> bytes | None:
        """The value of a key."""
        return self._values.get(key)

    def apply(self, change: Change, *, origin: int = NOBODY) -> int:
        """Put a change behind all others; its revision."""
        if change.value is None:
            self._values.pop(change.key, None)
        else:
            self._values[change.key] = change.value
        self._recent.append((origin, change))
        self.revision += 1
        if self.told is not None:
            self.told()
        return self.revision

    def changes(self, since: int) -> Iterator[Revised]:
        """What came after revision `since`; everything, when that is too long ago or before the start (-1).
        What changes while this is read is not in it.
        """
        behind = self.revision - since
        if since < 0 or behind > len(self._recent):
            return self._snapshot(self.revision, list(self._values.items()))
        recent = [self._recent[-place] for place in range(behind, 0, -1)]
        return (Revised(since + place, origin, change) for place, (origin, change) in enumerate(recent, 1))

    @staticmethod
    def _snapshot(revision: int, values: list[tuple[str, bytes]]) -> Iterator[Revised]:
        yield Revised(revision, NOBODY, RESET)
        for key, value in values:
            yield Revised(revision, NOBODY, Change(key, value))
        yield Revised(revision, NOBODY, ALL_THERE)
