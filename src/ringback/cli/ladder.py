# SPDX-License-Identifier: Apache-2.0
"""`ringback ladder [CALL-ID | FILE]`: draw a call, from the running server or from a trace in a file."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ringback.cli.options import Place, installation_options, place_of_server
from ringback.cli.output import Failure, note, print_table
from ringback.cli.text import printable

if TYPE_CHECKING:
    from ringback.server.trace_calls import Exchange
    from ringback.server.trace_file import TraceContents, TraceRecord

HEADINGS = ("TIME", "CALL-ID", "FROM", "TO", "RESULT")
#: Of a ladder that goes into a file or a program.
WIDTH_IN_FILES = 132
#: How short a column may become on a narrow terminal; the time and the result are never cut.
NARROWEST = 8
FLEXIBLE = (1, 2, 3)
#: Messages of a server that are looked at for the list.
LIMIT = 5_000


@click.command()
@click.argument("source", metavar="[CALL-ID | FILE]", default="")
@click.option("--call-id", metavar="ID", help="Draw this one; the beginning of its Call-ID is enough.")
@click.option("--last", is_flag=True, help="Draw the newest one.")
@click.option("--all", "everything", is_flag=True, help="Not only calls: registrations, texts, OPTIONS too.")
@click.option("--messages", is_flag=True, help="Print the messages whole as well, secrets hidden.")
@installation_options
def command(
    source: str,
    *,
    call_id: str | None,
    last: bool,
    everything: bool,
    messages: bool,
    data: str | None,
    config: str | None,
) -> None:
    """Draw a call that the running server remembers, or list the calls. The beginning of a CALL-ID is enough.

    With FILE, which `ringback serve --trace FILE` wrote, it draws from there. FILE.1 belongs to it.
    """
    if call_id and last:
        raise click.UsageError("--call-id and --last exclude each other")
    file = Path(source) if source and _is_file(source) else None
    if file is None and source and call_id:
        raise click.UsageError(f"there is no file {source}, and two Call-IDs are too many")
    if file is not None:
        found, place = _of_file(file), str(file)
    else:
        found, place = (
            _of_server(place_of_server(data, config), (call_id or source).rstrip("…")),
            "the server",
        )
        call_id = call_id or source or None
    if call_id is not None:
        _draw(_chosen(found, call_id.rstrip("…"), place), messages=messages)
        return
    shown = found if everything else [one for one in found if one.is_call]
    if last and shown:
        newest = max(shown, key=lambda one: one.records[0].offset)
        whole = newest if file is not None else _of_server(place_of_server(data, config), newest.call_id)[0]
        _draw(whole, messages=messages)
    elif len(shown) == 1:
        _draw(shown[0], messages=messages)
    elif shown:
        _list(shown)
    else:
        _nothing(place, len(found), is_failure=last)


def _is_file(source: str) -> bool:
    """What looks like a path is one, so that a file that is missing is told as such."""
    return ("/" in source and "@" not in source) or Path(source).exists()


def _of_file(file: Path) -> list[Exchange]:
    from ringback.server.trace_calls import exchanges
    from ringback.server.trace_file import read_trace

    contents = read_trace(file)
    found = exchanges(contents.records)
    _tell_gaps(contents)
    return found


def _of_server(place: Place, call_id: str) -> list[Exchange]:
    """All legs of one call as one exchange; without a Call-ID everything that is remembered, leg by leg."""
    from ringback.server.trace_calls import Exchange, exchanges

    if not call_id:
        return exchanges(_records(_asked(place, "trace", limit=LIMIT)))
    found = _asked(place, "explain", call_id=call_id)
    legs = exchanges(_records(_asked(place, "trace", call_ids=found.get("call_ids") or [call_id])))
    if not legs:
        return [one for one in _of_server(place, "") if one.call_id.startswith(call_id)]
    first = next((one for one in legs if one.call_id == call_id), legs[0])
    both = [pair for one in legs for pair in zip(one.records, one.messages, strict=True)]
    both.sort(key=lambda pair: pair[0].time)
    return [Exchange(first.call_id, [record for record, _ in both], [message for _, message in both])]


def _asked(place: Place, verb: str, **arguments: object) -> dict[str, Any]:
    answer = place.ask(verb, **arguments)
    if answer is None:
        raise Failure(f"no server is running on {place.directory}; say the FILE of a trace")
    if answer.get("left_out"):
        note(f"older messages that are not looked at: {answer['left_out']}")
    return answer


def _records(answer: dict[str, Any]) -> list[TraceRecord]:
    from ringback.server.trace_file import record_of

    messages = answer["messages"]
    return [record_of(message, start=messages[0]["at"]) for message in messages]


def _chosen(found: Sequence[Exchange], beginning: str, place: str) -> Exchange:
    exact = [one for one in found if one.call_id == beginning]
    near = exact or [one for one in found if one.call_id.startswith(beginning)]
    if len(near) == 1:
        return near[0]
    if near:
        raise Failure(f"{len(near)} Call-IDs in {place} begin with {beginning!r}; say more of it", code=2)
    raise Failure(f"there is no message with the Call-ID {beginning!r} in {place}")


def _nothing(place: str, others: int, *, is_failure: bool) -> None:
    what = "messages" if others else "message"
    advice = "; --all shows the registrations, texts and OPTIONS" if others else ""
    sentence = f"there is no {'call' if others else what} in {place}{advice}"
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
