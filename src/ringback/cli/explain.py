# SPDX-License-Identifier: Apache-2.0
"""`ringback explain CALL-ID|FILE`: why did a call go there, what went wrong, and where would this one go?"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from ringback.cli.options import Place, installation_options, place_of_server
from ringback.cli.output import Failure, note, print_json
from ringback.cli.text import printable

MARKS = {"passed": "ok", "refused": "REFUSED", "asked": "asked", "chosen": "->", "noted": "--"}
SEVERITIES = {"error": "red", "warning": "yellow", "note": "cyan"}
#: Of a record, what is long and explains nothing.
UNTOLD = frozenset({"quality", "verdicts"})
#: The text of a message that is larger is none.
LARGEST = 65_536


@click.command()
@click.argument("what", metavar="CALL-ID|FILE", required=False)
@click.option("--source", metavar="IP:PORT", help="Dry run: where the message comes from.")
@click.option("--transport", default="UDP", show_default=True, help="Dry run: UDP, TCP, TLS, WS or WSS.")
@click.option("--as", "user", metavar="USER", default="", help="Dry run: as a phone of this user.")
@click.option("--text", "full", is_flag=True, help="Print the messages that would be sent whole.")
@click.option("--tls", is_flag=True, help="Show whose TLS handshakes failed, and why.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@installation_options
def command(
    *,
    what: str | None,
    source: str | None,
    transport: str,
    user: str,
    full: bool,
    tls: bool,
    as_json: bool,
    data: str | None,
    config: str | None,
) -> None:
    """Say what the running server decided about a call, what went wrong with it, and what helps.

    CALL-ID may be the beginning of one, of any leg. With a FILE that holds a SIP request ("-" is the standard
    input) it is a dry run: the message goes through the very services of the running server as if it had come
    from --source, and nothing is sent.
    """
    where = place_of_server(data, config)
    if tls:
        answer = _asked(where, "tls-failures")
        print_json(answer) if as_json else _print_failures(answer["failures"])
        return
    if not what:
        raise click.UsageError("say a Call-ID, or a file with a message")
    is_message = what == "-" or Path(what).is_file()
    if is_message:
        arguments = {"source": source or "127.0.0.1:5060", "transport": transport, "as": user}
        answer = _asked(where, "dry-run", message=_read(what), **arguments)
    else:
        answer = _explained(where, what)
    if as_json:
        print_json({name: value for name, value in answer.items() if name != "ok"})
    elif is_message:
        _print_dry_run(answer, full=full)
    else:
        _print_explanation(what, answer)


def _explained(where: Place, what: str) -> dict[str, Any]:
    """What the running server knows, with what is written down of a call that is over; else that alone."""
    record = _kept(where, what)
    if record is None:
        return _asked(where, "explain", call_id=what)
    call_id = next(iter(record.get("call_ids") or ()), "")
    told = {name: value for name, value in record.items() if name not in UNTOLD}
    answer = where.ask("explain", call_id=call_id, record=told)
    if answer is None:
        note("the server is not running; this was written down when the call ended")
        names = ("decisions", "verdicts")
        answer = {"found": True, "call_id": call_id, "record": record, "messages": []}
        answer |= {name: record.get(name) or [] for name in names}
    elif not answer["verdicts"]:  # its messages are gone: what was said then still holds
        answer["verdicts"] = record.get("verdicts") or []
    return answer


def _kept(where: Place, what: str) -> dict[str, Any] | None:
    """The record with this id, or of the call with this Call-ID."""
    from ringback.server.first_start import open_records
    from ringback.server.storage.store import StorageError

    if not where.directory.is_dir():
        return None
    with contextlib.suppress(StorageError), contextlib.closing(open_records(where.directory)) as records:
        return records.record(what) or records.record_of_call(what)
    return None


def _asked(where: Place, verb: str, **arguments: object) -> dict[str, Any]:
    answer = where.ask(verb, **arguments)
    if answer is None:
        raise Failure(f"no server is running on {where.directory}; it is the one that explains")
    return answer


def _read(what: str) -> str:
    try:
        data = sys.stdin.buffer.read(LARGEST + 1) if what == "-" else Path(what).read_bytes()
    except OSError as error:
        raise Failure(f"{what} cannot be read: {error.strerror or error}", code=2) from error
    if len(data) > LARGEST:
        raise Failure(f"{what} is longer than {LARGEST} bytes; this is no SIP message", code=2)
    return data.decode("utf-8", "replace")


def _print_explanation(what: str, answer: Mapping[str, Any]) -> None:
    if not answer.get("found"):
        raise Failure(
            f"nothing is known of {what}: it was too long ago, or it never came here"
            " (`ringback calls --before` lists calls)"
        )
    click.echo(f"Call-ID  {printable(str(answer['call_id']))}")
    record = answer.get("record") or {}
    if record.get("how_ended"):
        click.echo(f"Ended    {printable(str(record['how_ended']))}")
    _print_decisions(answer["decisions"])
    _print_verdicts(answer["verdicts"])


def _print_dry_run(answer: Mapping[str, Any], *, full: bool) -> None:
    _print_decisions(answer["decisions"])
    click.echo()
    for message in answer["outgoing"]:
        click.echo(f"  -> {printable(message['summary'])}")
        click.echo(f"     to {printable(message['to'])} by {printable(message['transport'])}")
        if full:
            click.echo(_indented(message["text"]))
    response = answer["response"]
    if response is not None:
        click.echo(f"  <- {printable(response['summary'])}")
        if full:
            click.echo(_indented(response["text"]))
    click.echo("  Nothing was sent.")


def _print_decisions(decisions: Sequence[Mapping[str, Any]]) -> None:
    """One decision in two or three lines: who and where the rule stands, what it saw, what it chose."""
    click.echo()
    if not decisions:
        click.echo("  Nothing was decided about it here.")
    for number, each in enumerate(decisions, 1):
        mark = MARKS.get(str(each["verdict"]), str(each["verdict"]))
        head = f"{number:3} {each['service']:<15} {printable(str(each['saw']))}"
        click.echo(head.rstrip())
        source = f"   [{each['source']}]" if each.get("source") else ""
        click.echo(f"    {mark:>15} {printable(str(each['chose']) + source)}")
        for rejected in each.get("rejected") or ():
            click.echo(f"    {'not':>15} {printable(str(rejected))}")


def _print_verdicts(verdicts: Sequence[Mapping[str, Any]]) -> None:
    click.echo()
    if not verdicts:
        click.echo("  Nothing is wrong with it, as far as can be seen from here.")
    for each in verdicts:
        severity = str(each["severity"])
        title = f"{each['code']} {severity}: {each['title']}"
        click.echo("  " + click.style(printable(title), fg=SEVERITIES.get(severity), bold=True))
        click.echo(f"    {printable(str(each['text']))}")
        click.echo(f"    {printable(str(each['advice']))}")
        if each.get("evidence"):
            places = ", ".join(str(int(index) + 1) for index in each["evidence"])
            click.echo(f"    Messages: {places} (ringback ladder shows them)")


def _print_failures(failures: Sequence[Mapping[str, Any]]) -> None:
    if not failures:
        click.echo("No TLS handshake has failed.")
    for each in failures:
        verdict = each["verdict"]
        click.echo(f"{verdict['code']} {verdict['title']}")
        click.echo(f"    {printable(str(verdict['text']))}")
        click.echo(f"    {printable(str(verdict['advice']))}")


def _indented(text: str) -> str:
    lines = printable(text.replace("\r\n", "\n"), keep_lines=True).rstrip("\n").split("\n")
    return "\n".join(f"       {line}".rstrip() for line in lines)
