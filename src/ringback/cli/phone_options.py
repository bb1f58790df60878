# SPDX-License-Identifier: Apache-2.0
"""Options that all commands of the phone share, and the phone they make."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ringback.sip.message import SipUri

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
    bind: str | None
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

    host, port = bound(options.bind)
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
        host=host,
        port=port,
        tls=client_context(verify=not options.insecure, authorities=me.authorities),
        register=register,
    )


def bound(text: str | None) -> tuple[str | None, int]:
    """What --bind means: "127.0.0.1:5070", "127.0.0.1", ":5070" or "[::1]:5070"."""
    from ringback.ua.account import InvalidAddress, parse_server

    if not text:
        return None, 0
    uri = parse_server(f"host{text}" if text.startswith(":") else text).uri
    if not isinstance(uri, SipUri):
        raise InvalidAddress(f"{text!r} is no place to listen: expected ADDRESS, :PORT or ADDRESS:PORT")
    return (None if text.startswith(":") else uri.host), uri.port or 0


OPTIONS = (
    click.option(
        "--as",
        "who",
        metavar="USER",
        help="Who you are: 101@example.com, or 101 on the server's own machine.",
    ),
    click.option("--server", metavar="HOST[:PORT]", help="Send everything through this server."),
    click.option("--transport", type=TRANSPORTS, help="How to speak to the server; else DNS says."),
    click.option(
        "--password",
        metavar="SECRET",
        help="The password. Others on this machine can see it; better set RINGBACK_PASSWORD, or be asked.",
    ),
    click.option("--insecure", is_flag=True, help="Believe any certificate."),
    click.option("--ladder", is_flag=True, help="At the end, draw which messages went where."),
    click.option("--trace", is_flag=True, help="At the end, print every message, secrets hidden."),
    click.option(
        "--bind", metavar="[ADDRESS][:PORT]", help="Listen there; else on every address and a free port."
    ),
    click.option("--data", metavar="DIR", help="The server's data directory, for --as 101.  [RINGBACK_DATA]"),
)
