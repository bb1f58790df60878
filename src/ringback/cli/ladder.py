# SPDX-License-Identifier: Apache-2.0
"""`ringback ladder FILE`: draw the calls that `ringback serve --trace FILE` wrote down."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ringback.cli.output import Failure, note, print_table
from ringback.cli.text import printable

if TYPE_CHECKING:
    from ringback.server.trace_calls import Exchange
    from ringback.server.trace_file import TraceContents

HEADINGS = ("TIME", "CALL-ID", "FROM", "TO", "RESULT")
#: Of a ladder that goes into a file or a program.
WIDTH_IN_FILES = 132
#: How short a column may become on a narrow terminal; the time and the result are never cut.
NARROWEST = 8
FLEXIBLE = (1, 2, 3)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--call-id", metavar="ID", help="Draw this one; the beginning of its Call-ID is enough.")
@click.option("--last", is_flag=True, help="Draw the newest one.")
@click.option("--all", "everything", is_flag=True, help="Not only calls: registrations, texts, OPTIONS too.")
@click.option("--messages", is_flag=True, help="Print the messages whole as well, secrets hidden.")
def command(file: Path, *, call_id: str | None, last: bool, everything: bool, messages: bool) -> None:
    """Draw a call from FILE, the trace of a server; or list the calls in it, when there are several.

    `ringback serve --trace FILE` writes it. What is in FILE.1 belongs to it.
    """
    from ringback.server.trace_calls import exchanges
    from ringback.server.trace_file import read_trace

    if call_id and last:
        raise click.UsageError("--call-id and --last exclude each other")
    contents = read_trace(file)
    found = exchanges(contents.records)
    _tell_gaps(contents)
    if call_id is not None:
        _draw(_chosen(found, call_id.rstrip("…"), file), messages=messages)
        return
    shown = found if everything else [one for one in found if one.is_call]
    if last and shown:
        _draw(max(shown, key=lambda one: one.records[0].offset), messages=messages)
    elif len(shown) == 1:
        _draw(shown[0], messages=messages)
    elif shown:
        _list(shown)
    else:
        _nothing(file, len(found), is_failure=last)


def _chosen(found: Sequence[Exchange], beginning: str, file: Path) -> Exchange:
    exact = [one for one in found if one.call_id == beginning]
    near = exact or [one for one in found if one.call_id.startswith(beginning)]
    if len(near) == 1:
        return near[0]
    if near:
        raise Failure(f"{len(near)} Call-IDs in {file} begin with {beginning!r}; say more of it", code=2)
    raise Failure(f"there is no message with the Call-ID {beginning!r} in {file}")


def _nothing(file: Path, others: int, *, is_failure: bool) -> None:
    what = "messages" if others else "message"
    advice = "; --all shows the registrations, texts and OPTIONS" if others else ""
    sentence = f"there is no {'call' if others else what} in {file}{advice}"
    if is_failure:
        raise Failure(sentence)
    click.echo(f"{sentence[0].upper()}{sentence[1:]}.")


def _tell_gaps(contents: TraceContents) -> None:
    if contents.missing:
        note(f"messages that are missing, for the disk was full or too slow: {contents.missing}")
    if contents.unreadable:
        note(f"lines that cannot be read and are left out: {contents.unreadable}")


def _draw(one: Exchange, *, messages: bool) -> None:
    when = datetime.fromtimestamp(one.began).astimezone()
    click.echo(f"Call-ID  {printable(one.call_id)}")
    click.echo(f"Time     {when:%Y-%m-%d %H:%M:%S.%f}"[:-3])
    click.echo(f"From     {printable(one.caller)}")
    click.echo(f"To       {printable(one.callee)}")
    click.echo(f"Result   {printable(_result(one))}")
    click.echo()
    ladder = one.ladder()
    click.echo(ladder.text(width=_width() or WIDTH_IN_FILES))
    if messages:
        click.echo()
        click.echo(ladder.messages())


def _list(shown: Sequence[Exchange]) -> None:
    began = [datetime.fromtimestamp(one.began).astimezone() for one in shown]
    is_one_day = len({when.date() for when in began}) == 1
    form = "%H:%M:%S" if is_one_day else "%Y-%m-%d %H:%M:%S"
    rows = [
        [f"{when:{form}}", *(printable(text) for text in (one.call_id, one.caller, one.callee, _result(one)))]
        for when, one in zip(began, shown, strict=True)
    ]
    print_table(HEADINGS, _fitted(rows, _width()), when_empty="")


def _result(one: Exchange) -> str:
    return one.result() if one.is_call else f"{one.method}: {one.result()}"


def _fitted(rows: list[list[str]], width: int | None) -> list[list[str]]:
    """Cells short enough for the terminal: the widest column gives first."""
    from ringback.ua.ladder_label import cut

    widths = [max(len(row[column]) for row in [list(HEADINGS), *rows]) for column in range(len(HEADINGS))]
    room = width if width is not None else sum(widths) + 2 * len(widths)
    while sum(widths) + 2 * (len(widths) - 1) > room:
        widest = max(FLEXIBLE, key=lambda column: widths[column])
        if widths[widest] <= NARROWEST:
            break
        widths[widest] -= 1
    return [[cut(cell, widths[column]) for column, cell in enumerate(row)] for row in rows]


def _width() -> int | None:
    """Of the terminal; None where the output goes into a file or a program."""
    columns = shutil.get_terminal_size((0, 0)).columns if sys.stdout.isatty() else 0
    return columns or None
