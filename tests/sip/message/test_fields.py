# SPDX-License-Identifier: Apache-2.0
"""Does each row of the table read and write what it promises?"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.sip.errors import PeerError
from ringback.sip.message.fields import (
    FIELDS,
    Field,
    Shape,
    canonical,
    canonical_text,
    long_name,
    print_value,
)

ROWS = list(FIELDS.values())
each_row = pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])

SECTION_20 = [
    "Accept", "Accept-Encoding", "Accept-Language", "Alert-Info", "Allow", "Authentication-Info",
    "Authorization", "Call-ID", "Call-Info", "Contact", "Content-Disposition", "Content-Encoding",
    "Content-Language", "Content-Length", "Content-Type", "CSeq", "Date", "Error-Info", "Expires",
    "From", "In-Reply-To", "Max-Forwards", "Min-Expires", "MIME-Version", "Organization", "Priority",
    "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Require", "Record-Route", "Reply-To", "Require",
    "Retry-After", "Route", "Server", "Subject", "Supported", "Timestamp", "To", "Unsupported",
    "User-Agent", "Via", "Warning", "WWW-Authenticate",
]  # fmt: skip

#: What separates and quotes, and a little of everything else.
PIECES = st.sampled_from(
    [
        *'",;=<>()\\/:@[]*?&%. \t',
        "a",
        "B",
        "7",
        "0",
        "é",
        "\x00",
        "sip:",
        "SIP/2.0/UDP ",
        "tag",
        '""',
        "%41",
        "2.0",
        "GMT",
    ]
)
TEXTS = st.lists(PIECES, max_size=12).map("".join)


@each_row
def test_the_example_survives_parsing_and_printing(row: Field):
    value = row.parse(row.example)

    assert value not in (None, [])
    assert row.parse(print_value(value)) == value


@each_row
def test_the_example_is_printed_as_it_stands_but_for_spelling(row: Field):
    printed = print_value(row.parse(row.example))

    assert blankless(printed) == blankless(row.example)


def blankless(text: str) -> str:
    """Without what may differ: blanks, case, and quotes around what may also stand bare."""
    return text.replace(" ", "").replace('"', "").lower()


@each_row
@settings(max_examples=15)
@given(data=st.data())
def test_garbage_raises_peer_error_or_parses_and_then_prints_what_it_means(row: Field, data: st.DataObject):
    start = data.draw(st.integers(0, len(row.example)))
    stop = data.draw(st.integers(start, len(row.example)))
    text = (row.example[:start] + data.draw(TEXTS) + row.example[stop:]).strip(" \t")
    try:
        value = row.parse(text)
    except PeerError:
        return
    assert row.parse(print_value(value)) == value


def test_every_header_field_of_rfc_3261_section_20_has_a_row():
    assert [name for name in SECTION_20 if name.lower() not in FIELDS] == []


def test_the_table_is_in_order_and_has_no_row_twice():
    names = [row.name.lower() for row in ROWS]

    assert names == sorted(names)
    assert len(names) == len(FIELDS)
    compact = [row.compact for row in ROWS if row.compact]
    assert len(compact) == len(set(compact))


def test_compact_forms_are_those_of_the_registry():
    assert {row.compact: row.name for row in ROWS if row.compact} == {
        "a": "Accept-Contact",
        "b": "Referred-By",
        "c": "Content-Type",
        "d": "Request-Disposition",
        "e": "Content-Encoding",
        "f": "From",
        "i": "Call-ID",
        "j": "Reject-Contact",
        "k": "Supported",
        "l": "Content-Length",
        "m": "Contact",
        "o": "Event",
        "r": "Refer-To",
        "s": "Subject",
        "t": "To",
        "u": "Allow-Events",
        "v": "Via",
        "x": "Session-Expires",
        "y": "Identity",
    }


@each_row
def test_every_spelling_of_a_name_has_one_key(row: Field):
    spellings = {row.name, row.name.lower(), row.name.upper(), row.name.swapcase()}
    spellings |= {row.compact, row.compact.upper()} - {""}

    assert {canonical(name.encode()) for name in spellings} == {row.name.lower()}
    assert {canonical_text(name) for name in spellings} == {row.name.lower()}
    assert long_name(row.name.lower(), b"x") == row.name


def test_letters_beyond_ascii_are_not_folded():
    kelvin = "\u212a".encode()  # lower() of this character is "k", the compact form of Supported

    assert canonical(kelvin) == "\u212a"


def test_the_cache_of_names_is_bounded():
    for number in range(5000):
        canonical(b"X-%d" % number)

    assert canonical(b"X-4999") == "x-4999"
    assert len(__import__("ringback.sip.message.fields", fromlist=["KEYS"]).KEYS) <= 2048


def test_lists_may_not_hold_empty_elements_but_word_lists_forgive_them():
    for name in ("Via", "Route", "Contact", "Call-Info"):
        with pytest.raises(PeerError):
            FIELDS[name.lower()].parse(FIELDS[name.lower()].example + ",")
    assert FIELDS["supported"].parse("100rel,, timer,") == ["100rel", "timer"]


def test_lines_are_not_cut_at_commas():
    assert {row.name for row in ROWS if row.shape is Shape.LINES} == {
        "Authorization",
        "Identity",
        "P-Visited-Network-ID",
        "Proxy-Authenticate",
        "Proxy-Authorization",
        "WWW-Authenticate",
    }
