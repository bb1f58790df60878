# SPDX-License-Identifier: Apache-2.0
"""The feed: changes in one order, whole snapshots, and nothing for readers to wait for."""

from hypothesis import given
from hypothesis import strategies as st

from ringback.server.cluster.feed import NOBODY, Feed
from ringback.server.cluster.state import (
    ALL_THERE,
    RESET,
    Change,
    Revised,
    binding_key,
    connection_key,
    decode,
    encode,
    parts,
)

A, B, GONE = Change("a", b"1"), Change("b", b""), Change("a", None)


def test_a_new_reader_hears_the_values_then_what_comes() -> None:
    feed = Feed()
    feed.apply(A, origin=0)
    feed.apply(B, origin=1)
    feed.apply(GONE, origin=0)
    assert list(feed.changes(-1)) == [Revised(3, NOBODY, change) for change in (RESET, B, ALL_THERE)]
    feed.apply(A, origin=2)
    assert list(feed.changes(3)) == [Revised(4, 2, A)]
    assert list(feed.changes(4)) == []


def test_who_was_away_for_too_long_hears_the_values_again() -> None:
    feed = Feed(kept=2)
    for place in range(5):
        feed.apply(Change("key", b"%d" % place), origin=0)
    assert [revised.change.value for revised in feed.changes(3)] == [b"3", b"4"]
    assert [revised.change for revised in feed.changes(2)] == [RESET, Change("key", b"4"), ALL_THERE]


def test_a_change_is_told() -> None:
    told: list[int] = []
    feed = Feed()
    feed.told = lambda: told.append(feed.revision)
    feed.apply(A)
    feed.apply(GONE)
    assert told == [1, 2]
    assert len(feed) == 0


def test_values_are_found_by_what_they_are() -> None:
    feed = Feed()
    binding, connection = binding_key("101", "sip:101@h"), connection_key(7)
    feed.apply(Change(binding, b"x"))
    feed.apply(Change(connection, b"y"))
    assert list(feed.items("binding")) == [(binding, b"x")]
    assert parts(binding) == ("binding", "101", "sip:101@h")
    assert parts(connection) == ("connection", "7", "")


@given(st.text(st.characters(max_codepoint=0xFFFF)), st.none() | st.binary())
def test_a_change_travels_unchanged(key: str, value: bytes | None) -> None:
    key = key.encode("utf-8", "ignore").decode("utf-8") + "\udcff"  # an octet that is no UTF-8
    assert decode(encode(Change(key, value))) == Change(key, value)


CHANGES = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from("abc"), st.none() | st.binary(max_size=1)), max_size=30
)


@given(CHANGES, st.integers(1, 8), st.data())
def test_every_reader_ends_with_the_same_values_however_it_reads(
    changes: list[tuple[int, str, bytes | None]], kept: int, data: st.DataObject
) -> None:
    feed, expected = Feed(kept=kept), dict[str, bytes]()
    known: dict[str, bytes] = {}
    revision = -1
    for origin, key, value in changes:
        feed.apply(Change(key, value), origin=origin)
        expected.pop(key, None) if value is None else expected.__setitem__(key, value)
        if data.draw(st.booleans()):
            revision = read(feed, revision, known)
    read(feed, revision, known)
    assert known == expected


def read(feed: Feed, revision: int, known: dict[str, bytes]) -> int:
    for revised in feed.changes(revision):
        revision = revised.revision
        if revised.change == RESET:
            known.clear()
        elif revised.change.value is None:
            known.pop(revised.change.key, None)
        elif revised.change != ALL_THERE:
            known[revised.change.key] = revised.change.value
    return revision
