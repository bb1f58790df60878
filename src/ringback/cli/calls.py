# SPDX-License-Identifier: Apache-2.0
"""`ringback calls`: the calls that are on, those that were, and what can be done with them."""

from __future__ import annotations

import csv
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from ringback.cli.options import Place, installation_options, place_of_server
from ringback.cli.output import Failure, note, print_json, print_table

if TYPE_CHECKING:
    from ringback.server.storage.records import Search

RESULTS = ("answered", "busy", "no answer", "declined", "cancelled", "failed", "refused")

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
side_option = click.option(
    "--side", type=click.Choice(("caller", "callee")), default=None, help="Which of the two is meant."
)


@click.group(invoke_without_command=True)
@click.option("--before", is_flag=True, help="The calls that were, instead of those that are on.")
@click.option("--search", default="", metavar="WORDS", help="With --before: those with these words in them.")
@click.option("--number", default="", metavar="NUMBER", help="With --before: calls of this number only.")
@click.option("--result", type=click.Choice(RESULTS), default=None, help="With --before: how they ended.")
@click.option("--days", type=float, default=0.0, help="With --before: not older than so many days.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many.")
@click.option("--csv", "as_csv", is_flag=True, help="With --before: print CSV for a spreadsheet.")
@json_option
@installation_options
@click.pass_context
def command(
    context: click.Context,
    *,
    before: bool,
    search: str,
    number: str,
    result: str | None,
    days: float,
    limit: int,
    as_csv: bool,
    as_json: bool,
    data: str | None,
    config: str | None,
) -> None:
    """Show the calls that are on; with --before, those that were."""
    if context.invoked_subcommand is not None:
        return
    where = place_of_server(data, config)
    if before or as_csv:
        from ringback.server.storage.records import Search

        since = time.time() - days * 86_400 if days else 0.0
        asked = Search(search, since, result=result or "", number=number)
        _show_records(where, asked, limit=limit, as_csv=as_csv, as_json=as_json)
        return
    calls = _ask(where, "calls", limit=limit)["calls"]
    if as_json:
        print_json(calls)
        return
    headings = ("ID", "FROM", "TO", "STATE", "FOR", "SOUND")
    print_table(headings, map(_live_row, calls), when_empty="No call is on.")


@command.command()
@click.argument("call")
@json_option
@installation_options
def show(call: str, *, as_json: bool, data: str | None, config: str | None) -> None:
    """Tell all about one call: CALL is its id, or the Call-ID of one of its legs."""
    where = place_of_server(data, config)
    record = _live(where, call) or _kept(where, call)
    if record is None:
        raise Failure(f"there is no call {call}")
    if as_json:
        print_json(record)
        return
    print_table(("CALL", record["id"]), _described(record), when_empty="")


@command.command()
@click.argument("caller")
@click.argument("to")
@installation_options
def place(caller: str, to: str, *, data: str | None, config: str | None) -> None:
    """Ring the phones of CALLER; whoever picks up there is connected with TO."""
    answer = _ask(place_of_server(data, config), "call-place", **{"from": caller, "to": to})
    click.echo(f"{caller} rings; call {answer['id']}")


@command.command()
@click.argument("call")
@installation_options
def hangup(call: str, *, data: str | None, config: str | None) -> None:
    """End a call."""
    _command(place_of_server(data, config), "call-hangup", call)
    click.echo("ended")


@command.command()
@click.argument("call")
@click.argument("to")
@side_option
@installation_options
def transfer(call: str, to: str, *, side: str | None, data: str | None, config: str | None) -> None:
    """Connect one side of a call (the caller, if nothing is said) with TO, and let the other one go."""
    _command(place_of_server(data, config), "call-transfer", call, to=to, leg=side or "")
    click.echo(f"{to} is called")


@command.command()
@click.argument("call")
@click.option("--stop", is_flag=True, help="Record no more.")
@installation_options
def record(call: str, *, stop: bool, data: str | None, config: str | None) -> None:
    """Record a call into a stereo WAV file in the data directory."""
    where = place_of_server(data, config)
    answer = _command(where, "call-record", call, on=not stop)
    click.echo(str(where.directory / "recordings" / answer["recording"]))


@command.command()
@click.argument("call")
@click.argument("prompt")
@side_option
@installation_options
def play(call: str, prompt: str, *, side: str | None, data: str | None, config: str | None) -> None:
    """Play a WAV file of the folder `prompts` in the data directory, or a built-in prompt, to one side."""
    _command(place_of_server(data, config), "call-play", call, path=prompt, leg=side or "")
    click.echo("played")


# --- asking


def _ask(where: Place, verb: str, **arguments: object) -> dict[str, Any]:
    answer = where.ask(verb, **arguments)
    if answer is None:
        raise Failure(f"no server is running on {where.directory}")
    return answer


def _command(where: Place, verb: str, call: str, **arguments: object) -> dict[str, Any]:
    answer = _ask(where, verb, id=call, **arguments)
    if not answer.get("found"):
        raise Failure(f"call {call} is not on")
    return answer


def _live(where: Place, call: str) -> dict[str, Any] | None:
    answer = where.ask("call", id=call)
    return answer["call"] if answer is not None and answer.get("found") else None


def _kept(where: Place, call: str) -> dict[str, Any] | None:
    from ringback.server.first_start import open_records

    if not where.directory.is_dir():
        return None
    with closing(open_records(where.directory)) as records:
        return records.record(call) or records.record_of_call(call)


def _show_records(where: Place, asked: Search, *, limit: int, as_csv: bool, as_json: bool) -> None:
    from ringback.server.first_start import open_records

    where.must_exist()
    with closing(open_records(where.directory)) as records:
        if as_csv:
            csv.writer(sys.stdout, lineterminator="\n").writerows(records.csv_rows(asked))
            return
        items, total = records.search(asked, size=limit)
    if as_json:
        print_json(items)
        return
    headings = ("ID", "BEGAN", "FROM", "TO", "TALKED", "RESULT", "HOW IT ENDED")
    print_table(headings, map(_record_row, items), when_empty="No such call was written down.")
    if total > len(items):
        note(f"{total - len(items)} more; --limit shows more of them, --search and --number fewer")


# --- showing


def _live_row(call: dict[str, Any]) -> tuple[str, ...]:
    since = call["answered_at"] or call["began_at"]
    sound = f"through here: {call['anchored']}" if call["anchored"] else ""
    return (
        call["id"],
        _party(call["caller"]),
        _party(call["callee"]),
        call["state"],
        _span(time.time() - since),
        f"{sound}{' (recorded)' if call['recording'] else ''}",
    )


def _record_row(record: dict[str, Any]) -> tuple[str, ...]:
    talked = record["ended_at"] - record["answered_at"] if record["answered_at"] else 0
    return (
        record["id"],
        time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record["began_at"])),
        _party(record["caller"]),
        _party(record["callee"]),
        _span(talked) if record["answered_at"] else "",
        record["result"],
        record["how_ended"],
    )


def _described(record: dict[str, Any]) -> list[tuple[str, str]]:
    """Row by row, without what is empty."""
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record["began_at"]))
    rows = [
        ("from", _party(record["caller"])),
        ("to", _party(record["callee"])),
        ("dialled", record["dialled"]),
        ("began", began),
        ("state", record["state"]),
        ("ended", record["how_ended"]),
        ("sound through here", record["anchored"]),
        ("recording", record["recording"]),
        *((f"leg {leg['number']}", _leg(leg)) for leg in record["legs"]),
        *(("note", each["text"]) for each in record["notes"]),
        *(("verdict", f"{each['code']} {each['text']}") for each in record["verdicts"]),
    ]
    return [(label, value) for label, value in rows if value]


def _leg(leg: dict[str, Any]) -> str:
    refused = f" refused with {leg['status']}" if leg["status"] else ""
    return "; ".join([f"{leg['address']}{refused}", *map(_stream, leg["streams"])])


def _stream(stream: dict[str, Any]) -> str:
    if stream["packets_received"] is None:
        return f"{stream['kind']} {stream['codec']}"
    mos = "" if stream["mos"] is None else f", MOS {stream['mos']}"
    numbers = f"{stream['packets_received']} packets in, {stream['lost']} lost"
    return f"{stream['kind']} {stream['codec']}: {numbers}, jitter {stream['jitter_ms']} ms{mos}"


def _party(party: dict[str, Any]) -> str:
    name, number = party["name"], party["number"]
    return f"{number} ({name})" if name and name != number else number or name


def _span(seconds: float) -> str:
    minutes, left = divmod(max(0, round(seconds)), 60)
    return f"{minutes}:{left:02}"
