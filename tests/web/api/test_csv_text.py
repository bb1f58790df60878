# SPDX-License-Identifier: Apache-2.0
"""A table for a spreadsheet: nothing in it is executed, nothing is lost (RELIABILITY row 14)."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.web.api.csv_text import cell, csv_text


@pytest.mark.parametrize("text", ["=1+1", "+49", "-5", "@cmd", "\t=1", " =1", "\r=1", "\u00a0=1", "\u3000@x"])
def test_what_a_spreadsheet_takes_for_a_formula_begins_with_a_quote(text: str) -> None:
    assert cell(text).startswith("'")


def test_numbers_stay_numbers_and_nothing_is_empty() -> None:
    assert [cell(value) for value in (-5, 1.5, None, True, "Anna")] == ["-5", "1.5", "", "yes", "Anna"]


@given(st.lists(st.lists(st.text(), min_size=2, max_size=2), min_size=1))
def test_whatever_strangers_call_themselves_each_row_stays_a_row(rows: list[list[str]]) -> None:
    found = list(csv.reader(io.StringIO(csv_text(rows), newline="")))
    assert len(found) == len(rows)
    for row, cells in zip(rows, found, strict=True):
        assert len(cells) == 2
        for given_text, shown in zip(row, cells, strict=True):
            assert not shown.lstrip().startswith(("=", "+", "-", "@"))
            assert all(ord(character) >= 32 for character in shown)
            assert len(shown) in (len(given_text), len(given_text) + 1)
