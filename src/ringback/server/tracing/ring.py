# SPDX-License-Identifier: Apache-2.0
"""Which messages does the memory still hold? The newest, as far as size and age allow."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from ringback.server.tracing.chunk import Chunk, Kept


class Ring:
    """Chunks, oldest first; never more than `memory` octets of them, none older than `age` seconds."""

    __slots__ = ("_chunks", "_memory", "age", "dropped", "size")

    def __init__(self, *, memory: int, age: float) -> None:
        self._chunks: deque[Chunk] = deque()
        self._memory = memory
        self.age = age
        self.size = 0
        #: Messages that had to make room.
        self.dropped = 0

    def limit(self, *, memory: int, age: float) -> None:
        """Other limits from now on."""
        self._memory, self.age = memory, age
        self._make_room()

    def add(self, chunk: Chunk) -> None:
        """The newest."""
        self._chunks.append(chunk)
        self.size += chunk.size
        self._make_room()

    def expire(self, now: float) -> float | None:
        """Forget what is too old. When to do it again; None when nothing is left."""
        while self._chunks and self._chunks[0].last_at + self.age <= now:
            self._forget()
        return self._chunks[0].last_at + self.age if self._chunks else None

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        """What is there now; they never change."""
        return tuple(self._chunks)

    def __len__(self) -> int:
        return sum(len(chunk) for chunk in self._chunks)

    @property
    def oldest_at(self) -> float | None:
        """When the oldest message came; None if there is none."""
        return self._chunks[0].message(0).at if self._chunks else None

    def since(self, number: int, limit: int) -> Iterator[tuple[int, Kept]]:
        """Messages with this number or a greater one, each with its own; at most so many."""
        for chunk in self.chunks:
            start = max(0, number - chunk.first)
            for index in range(start, min(len(chunk), start + limit)):
                limit -= 1
                yield chunk.first + index, chunk.message(index)

    def _make_room(self) -> None:
        while self.size > self._memory and self._chunks:
            self.dropped += len(self._chunks[0])
            self._forget()

    def _forget(self) -> None:
        self.size -= self._chunks.popleft().size
