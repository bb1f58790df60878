# SPDX-License-Identifier: Apache-2.0
"""Options that all commands of the phone share, and the phone they make."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from ringback.ua.phone import Phone

Function = TypeVar("Function", bound=Callable[..., Any])

TRANSPORTS = click.Choice(["udp", "tcp", "tls", "ws", "wss"], case_sensitive=False)


@dataclass(frozen=True, slots=True)
class PhoneOptions:
    """What was said about the phone itself."""

    who: str | None
    server: str | None
    transport: str | None
    password: str | None
    insecure: bool
    ladder: bool
    trace: bool
    host: str | None
    port: int
    data: str | None


def phone_options(function: Function) -> Function:
    """The options; the command gets them as keywords and gives them to `gathered`."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function


def gathered(options: dict[str, Any]) -> PhoneOptions:
    """The shared options, taken out of a command's keywords."""
    return PhoneOptions(**{name: options.pop(name) for name in PhoneOptions.__slots__})


@asynccontextmanager
async def started_phone(
    options: PhoneOptions,
    *,
    target: str | None = None,
    register: bool = False,
    prepare: Callable[[Phone], None] | None = None,
) -> AsyncIterator[Phone]:
    """A phone as the options say, running; at its end the ladder is shown if it was asked for."""
    from ringback.ua.ladder import Ladder

    phone = make_phone(options, target=target, register=register)
    if prepare is not None:
        prepare(phone)
    ladder = Ladder(options.who or "you")
    if options.ladder or options.trace:
        phone.watch(ladder.record)
    try:
        async with phone:
            yield phone
    finally:
        if options.trace:
            click.echo(ladder.messages())
        if options.ladder:
            click.echo(ladder.text())


def make_phone(options: PhoneOptions, *, target: str | None = None, register: bool = False) -> Phone:
    """The phone, not started."""
    from ringback.cli.phone_account import identity
    from ringback.ua.phone import Phone
    from ringback.ua.tls import client_context

    me = identity(
        options.who,
        target=target,
        server=options.server,
        transport=options.transport,
        password=options.password,
        data=options.data,
    )
    return Phone(
        me.address,
        me.password,
        ha1s=me.ha1s,
        realm=me.realm,
        server=me.server,
        transport=options.transport,
        host=options.host,
        port=options.port,
        tls=client_context(verify=not options.insecure, authorities=me.authorities),
        register=register,
    )


OPTIONS = (
    click.option("--as", "who", metavar="USER", help="Who you are: 101@example.com, or 101 on the server's own machine."),
    click.option("--server", metavar="HOST[:PORT]", help="Send everything through this server."),
    click.option("--transport", type=TRANSPORTS, help="How to speak to the server; else DNS says."),
    click.option("--password", metavar="SECRET",
                 help="The password (others can see it in the list of processes; better RINGBACK_PASSWORD, or be asked)."),
    click.option("--insecure", is_flag=True, help="Believe any certificate."),
    click.option("--ladder", is_flag=True, help="At the end, draw which messages went where."),
    click.option("--trace", is_flag=True, help="At the end, print every message, secrets hidden."),
    click.option("--host", metavar="ADDRESS", help="Listen on this address only."),
    click.option("--port", type=click.IntRange(0, 65535), default=0, help="Listen on this port; else a free one."),
    click.option("--data", metavar="DIR", help="The server's data directory, for --as 101.  [RINGBACK_DATA]"),
)  # fmt: skip
