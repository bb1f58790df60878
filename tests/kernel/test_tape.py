# SPDX-License-Identifier: Apache-2.0
"""Is what was taken on the tape, whichever kernel writes it?"""

import mmap
from types import ModuleType
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from kernel_messages import compiled, kernels, needs_both, reference

FLOWS = [object(), object()]
BATCHES = st.lists(
    st.tuples(
        st.booleans(),
        st.lists(st.tuples(st.binary(max_size=40), st.sampled_from(FLOWS)), max_size=6),
        st.floats(0, 1e6),
    ),
    max_size=8,
)


class Reel:
    """A tape with memory for a few messages, and all that was cut from it."""

    def __init__(self, kernel: ModuleType, *, size: int = 100, most: int = 5) -> None:
        self.size = size
        self.begun = 0
        self.cuts: list[Any] = []
        self.memory = mmap.mmap(-1, size)
        self.tape = kernel.Tape(self.begin, self.turn, most)

    def begin(self) -> None:
        self.begun += 1

    def turn(self, size: int) -> None:
        """As a recorder does, but odd sizes find no room."""
        self.cut()
        if self.tape.room < size and size != 33:
            self.memory = mmap.mmap(-1, max(size, self.size))
            self.tape.load(self.memory)

    def cut(self) -> None:
        piece = self.tape.cut()
        if piece is not None:
            start, ends, *_ = piece
            self.cuts.append((piece, self.memory[start : ends[-1]]))

    def said(self) -> list[Any]:
        return [*self.cuts, self.begun, self.tape.room, len(self.tape)]


@kernels
def test_messages_lie_behind_one_another(kernel: ModuleType):
    reel = Reel(kernel)
    reel.tape.take(False, [(b"a" * 20, 1), (b"\r\n\r\n", 1), (b"b" * 30, 2)], 1.5)
    reel.tape.take(True, [(b"c" * 16, 3)], 2.5)
    reel.cut()
    reel.tape.take(True, ((b"d" * 16, 3),), 3.5)
    assert (reel.begun, len(reel.tape), reel.tape.room) == (2, 1, 100 - 82)
    ((start, ends, flows, firsts, times, ways), octets), *others = reel.cuts
    assert (start, list(ends), flows, list(firsts)) == (0, [20, 50, 66], [1, 2, 3], [0, 2])
    assert (list(times), ways, octets) == ([1.5, 2.5], b"\0\1", b"a" * 20 + b"b" * 30 + b"c" * 16)
    assert others == []
    assert reel.tape.cut()[0] == 66


@kernels
def test_what_finds_no_room_is_left_out(kernel: ModuleType):
    refused = []
    tape = kernel.Tape(lambda: None, refused.append, 5)
    tape.take(False, [(b"x" * 16, None)], 1.0)
    assert (refused, len(tape), tape.cut()) == ([16], 0, None)


@needs_both
@given(BATCHES, st.integers(1, 5))
def test_both_kernels_write_the_same(batches: list[Any], most: int):
    reels = Reel(compiled, most=most), Reel(reference, most=most)
    for reel in reels:
        for sent, batch, now in batches:
            reel.tape.take(sent, batch, now)
        reel.cut()
    assert reels[0].said() == reels[1].said()
    kept = [flow for sent, batch, now in batches for data, flow in batch if 16 <= len(data) != 33]
    assert all(flow in FLOWS for cut, _ in reels[0].cuts for flow in cut[2])
    assert sum(len(cut[2]) for cut, _ in reels[0].cuts) >= len(kept)
