# SPDX-License-Identifier: Apache-2.0
"""`ringback trace`: the calls of the running server and their messages, on a screen or line by line."""

from __future__ import annotations

import os
import sys

import click

from ringback.cli.options import installation_options, place_of_server
from ringback.cli.output import Failure, note
from ringback.cli.trace_calls import CALLS_ONLY, Filter
from ringback.cli.trace_lines import follow, follow_call, print_messages, printer
from ringback.cli.trace_saving import save
from ringback.cli.trace_source import Flow, TraceSource


@click.command()
@click.argument("call", metavar="[CALL-ID]", default="")
@click.option("--from", "caller", metavar="X", default="", help="Only calls from X: a number, or +4420*.")
@click.option("--to", "callee", metavar="X", default="", help="Only calls to X.")
@click.option("--method", metavar="METHODS", help="Only these, such as REGISTER,OPTIONS. [screen: INVITE]")
@click.option("--live", is_flag=True, help="Only what happens from now on, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document for each message.")
@click.option("--plain", is_flag=True, help="Print lines, also on a terminal.")
@click.option("--save", "file", metavar="FILE", help="Write CALL-ID into FILE: .pcap, .txt, .html or .json.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=1_000, help="Print no more messages.")
@installation_options
def command(
    call: str,
    *,
    caller: str,
    callee: str,
    method: str | None,
    live: bool,
    as_json: bool,
    plain: bool,
    file: str | None,
    limit: int,
    data: str | None,
    config: str | None,
) -> None:
    """Watch the calls of the running server: a live list, the ladder of each, every message.

    The keys are those of sngrep; F1 shows them. CALL-ID opens the ladder of one call: its id, the Call-ID of
    any leg, or the beginning of it. Where the output is no terminal, messages are printed line by line.
    """
    if call and (caller or callee or method):
        raise click.UsageError("a CALL-ID says already which call; leave out --from, --to and --method")
    if file and not call:
        raise click.UsageError("--save needs a CALL-ID")
    source = TraceSource(place_of_server(data, config))
    call = call.rstrip("…")
    flow = source.flow([call]) if call else None
    if file and flow is not None:
        _save(flow, file)
    elif as_json or plain or not _is_terminal():
        wanted = Filter(caller, callee, method or "")
        _print(source, flow, wanted, live=live, as_json=as_json, limit=limit)
    else:
        _show(source, flow, Filter(caller, callee, CALLS_ONLY if method is None else method), only_new=live)


def _save(flow: Flow, file: str) -> None:
    click.echo(f"{len(flow.messages)} messages are in {save(flow, file)}")


def _print(
    source: TraceSource, flow: Flow | None, wanted: Filter, *, live: bool, as_json: bool, limit: int
) -> None:
    show = printer(as_json=as_json)
    if flow is not None:
        for message in flow.messages[-limit:]:
            show(message)
        if live:
            sys.stdout.flush()
            told = flow.calls[0]
            follow_call(source, told.call_id, told.call_ids, show)
    elif live:
        follow(source, wanted, show)
    elif not print_messages(source, wanted, show, limit=limit):
        _nothing(wanted)


def _nothing(wanted: Filter) -> None:
    if wanted.caller or wanted.callee or wanted.method:
        raise Failure(
            f"the server remembers no message {wanted.described.partition('all methods, ')[2]}".strip()
        )
    note("the server remembers no message yet; --live waits for some")


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def _show(source: TraceSource, flow: Flow | None, wanted: Filter, *, only_new: bool) -> None:
    """Textual and its friends are read from the disk only here: they take half a second."""
    from ringback.cli.trace_screens.app import TraceApp

    source.now()  # where no server runs, that is said before there is a screen
    TraceApp(source, wanted, flow=flow, only_new=only_new).run()
