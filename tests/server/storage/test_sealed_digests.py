# SPDX-License-Identifier: Apache-2.0
"""Digests are opened when somebody asks, and never to find out that nothing has changed."""

import pytest

from ringback.server.storage.sealed_digests import SealedDigests
from ringback.server.storage.sealing import Sealer


class Counting(Sealer):
    """Counts what it opens."""

    opened = 0

    def open(self, sealed: bytes, *belongs_to: str) -> str | None:
        self.opened += 1
        return super().open(sealed, *belongs_to)


def digests(sealer: Sealer, number: str = "101", **ha1s: str) -> SealedDigests:
    sealed = tuple((name, sealer.seal(ha1, number, "realm", name)) for name, ha1 in ha1s.items())
    return SealedDigests(sealer, number, "realm", sealed)


def test_nothing_is_opened_before_somebody_asks_and_nothing_twice() -> None:
    sealer = Counting(b"k" * 32)
    found = digests(sealer, MD5="a", SHA="b")
    assert sealer.opened == 0
    assert (found["MD5"], found.get("SHA"), found.get("other"), dict(found)) == (
        "a", "b", None, {"MD5": "a", "SHA": "b"},
    )  # fmt: skip
    assert sealer.opened == 2


def test_the_same_seals_are_equal_unopened_and_other_seals_when_they_hold_the_same() -> None:
    sealer = Counting(b"k" * 32)
    one = digests(sealer, MD5="a")
    same = SealedDigests(sealer, "101", "realm", one._sealed)
    assert one == same
    assert sealer.opened == 0
    assert one == digests(sealer, MD5="a") == {"MD5": "a"}
    assert one != digests(sealer, MD5="b")
    assert one != {"MD5": "b"}


def test_what_cannot_be_opened_is_not_there_and_the_log_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    theirs = digests(Sealer(b"x" * 32), MD5="a")
    found = SealedDigests(Sealer(b"k" * 32), "101", "realm", theirs._sealed)
    assert (len(found), list(found), found.get("MD5")) == (0, [], None)
    assert caplog.text.count("the stored password of user 101 cannot be opened") == 1
    assert "a" * 3 not in repr(found)
