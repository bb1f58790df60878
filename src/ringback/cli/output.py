# SPDX-License-Identifier: Apache-2.0
"""How commands speak: failures, tables, QR codes.

Exit codes: 0 it worked, 1 it did not, 2 it was asked wrongly. Commands of the phone define more of their own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence

import click

from ringback.cli.text import printable


class Failure(Exception):
    """One clear sentence for the user, on standard error, and the exit code."""

    def __init__(self, sentence: str, *, code: int = 1) -> None:
        super().__init__(sentence)
        self.code = code

    def show(self) -> None:
        click.echo(f"ringback: {printable(str(self), keep_lines=True)}", err=True)


def note(sentence: str) -> None:
    """Something worth knowing that is not the result: to standard error."""
    click.echo(f"ringback: {printable(sentence)}", err=True)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, when_empty: str) -> None:
    """Columns as wide as they need to be. What strangers wrote cannot move the cursor."""
    cells = [[printable(str(cell)) for cell in row] for row in rows]
    if not cells:
        click.echo(when_empty)
        return
    widths = [max(len(line[column]) for line in [list(headings), *cells]) for column in range(len(headings))]
    for line in [list(headings), *cells]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def print_json(value: object) -> None:
    """One JSON document, for programs."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=True))


def print_qr(text: str) -> None:
    """A QR code made of half blocks; nothing at all where the terminal cannot show them."""
    import io

    import segno

    picture = io.StringIO()
    segno.make(text, error="m", micro=False).terminal(out=picture, border=2, compact=True)
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    try:
        picture.getvalue().encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return
    click.echo(picture.getvalue())
