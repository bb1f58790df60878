# SPDX-License-Identifier: Apache-2.0
"""How are messages printed for scripts? A line or a JSON document each, as they are or as they come."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import click

from ringback.cli.output import note
from ringback.cli.text import printable
from ringback.cli.trace_calls import Filter
from ringback.cli.trace_source import TraceSource
from ringback.server.tracing.message import Message, method_of
from ringback.server.tracing.query import names

#: The server is asked so often while messages are awaited, in seconds.
PACE = 0.5

Print = Callable[[Message], None]


def line_of(message: Message) -> str:
    """`2026-01-01 12:00:00.250  <-  UDP 192.0.2.9:5060  INVITE sip:102@office.test SIP/2.0  a84b4c7`"""
    way = "->" if message["direction"] == "sent" else "<-"
    end = f"{message['transport']} {message['remote']}"
    what = f"{printable(message['summary'])}  {printable(message['call_id'])}"
    return f"{when(message['at'])}  {way}  {end:<26}  {what}"


def when(at: float) -> str:
    """Local time with milliseconds."""
    thousandths = round(at * 1000)
    return (
        f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(thousandths // 1000))}.{thousandths % 1000:03}"
    )


def printer(*, as_json: bool) -> Print:
    """What prints a message."""

    def show(message: Message) -> None:
        click.echo(json.dumps(message, ensure_ascii=True) if as_json else line_of(message))

    return show


def print_messages(source: TraceSource, wanted: Filter, show: Print, *, limit: int) -> int:
    """Those that are kept and fit, the newest `limit`. The answer is how many."""
    messages, left_out = source.messages(limit=limit, **{"from": wanted.caller, "to": wanted.callee})
    fitting = [message for message in messages if fits(message, wanted)]
    for message in fitting:
        show(message)
    if left_out:
        note(f"{left_out} older messages are not printed; --limit prints more")
    return len(fitting)


def follow(source: TraceSource, wanted: Filter, show: Print) -> None:
    """What comes from now on, until somebody presses Ctrl-C or the server ends."""
    for messages in _new(source):
        for message in messages:
            if fits(message, wanted):
                show(message)
        sys.stdout.flush()


def follow_call(source: TraceSource, call: str, call_ids: Sequence[str], show: Print) -> None:
    """The same for one call: a leg that is called later belongs to it, too."""
    known = set(call_ids)
    for messages in _new(source):
        if any(message["call_id"] in known for message in messages):
            known |= set(source.told(call).call_ids)
        for message in messages:
            if message["call_id"] in known:
                show(message)
        sys.stdout.flush()


def fits(message: Message, wanted: Filter) -> bool:
    """True if a message is to be printed."""
    methods = wanted.method.upper().replace(",", " ").split()
    return (
        names(wanted.caller, message["from"])
        and names(wanted.callee, message["to"])
        and (not methods or method_of(message).upper() in methods)
    )


def _new(source: TraceSource) -> Iterator[list[Message]]:
    cursor = source.now()
    while True:
        messages, cursor, is_gap = source.since(cursor)
        yield messages
        if is_gap:
            note("more comes than can be printed; some messages are left out here")
        time.sleep(PACE)
