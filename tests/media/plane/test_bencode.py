# SPDX-License-Identifier: Apache-2.0
"""Bencode: what is written is read again, and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.media.bencode import MalformedBencode, decode, encode

VALUES = st.recursive(
    st.integers(-(2**62), 2**62) | st.binary(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abcdefgh -", max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_what_is_written_is_read_again(value: object) -> None:
    assert decode(encode(value)) == value  # type: ignore[arg-type]


def test_keys_are_sorted_and_text_is_utf8() -> None:
    assert encode({"b": 1, "a": ["x", b"\x00"]}) == b"d1:al1:x1:\x00e1:bi1ee"


@given(st.binary(max_size=60))
def test_any_octets_are_read_or_refused(data: bytes) -> None:
    try:
        value = decode(data)
    except MalformedBencode:
        return
    assert decode(encode(value)) == value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"i",
        b"ie",
        b"i--1e",
        b"5:abc",
        b"-1:",
        b"l",
        b"d1:a",
        b"di1ei1ee",
        b"i1ei2e",
        b"i" + b"9" * 40 + b"e",
        b"99999999999999999999999:a",
        b"l" * 1000 + b"e" * 1000,
        b"0" * 70_000,
    ],
)
def test_what_is_broken_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedBencode):
        decode(data)
