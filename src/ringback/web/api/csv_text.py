# SPDX-License-Identifier: Apache-2.0
"""How does a list become a CSV file (RFC 4180) that no spreadsheet executes?

Names come from strangers. A cell that begins like a formula gets an apostrophe in front, which spreadsheets
show as text; control characters and those that turn the direction of writing become blanks.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable, Sequence

from fastapi import Response

FORMULA_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_download(file_name: str, rows: Iterable[Sequence[object]]) -> Response:
    """The table, its headings first, as an answer that browsers save."""
    return Response(
        csv_text(rows),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{file_name}"'},
    )


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """A line a row."""
    text = io.StringIO()
    writer = csv.writer(text)
    for row in rows:
        writer.writerow([cell(value) for value in row])
    return text.getvalue()


def cell(value: object) -> str:
    """One value as text that is nothing but text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return str(value)
    text = str(value)
    clean = "".join(" " if unicodedata.category(each)[0] == "C" else each for each in text)
    is_formula = text.startswith(FORMULA_BEGINNINGS) or clean.lstrip().startswith(FORMULA_BEGINNINGS)
    return f"'{clean}" if is_formula else clean
