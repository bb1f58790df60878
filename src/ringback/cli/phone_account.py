# SPDX-License-Identifier: Apache-2.0
"""Who is `--as 101`, and with which password?

A whole address (101@example.com) is itself. A number alone belongs to the server of this machine, if there
is one: its domain, address and authority are in its data directory, and so are the digests of its users, so
that no password has to be typed. Else the number belongs to `--server`, or to the host of who is called.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import click

from ringback.cli.options import place_of_server
from ringback.cli.output import Failure
from ringback.sip.errors import RingbackError
from ringback.sip.message import NameAddr, SipUri
from ringback.ua.account import InvalidAddress, parse_account, parse_server

PASSWORD_VARIABLE = "RINGBACK_PASSWORD"  # noqa: S105 (the name of a variable)


@dataclass(frozen=True, slots=True)
class Identity:
    """What `Phone` needs to know about who it is."""

    address: str | None = None
    password: str | None = field(default=None, repr=False)
    ha1s: Mapping[str, str] | None = field(default=None, repr=False)
    realm: str | None = None
    server: str | None = None
    authorities: str | None = None


@dataclass(frozen=True, slots=True)
class LocalUser:
    """A user of the server on this machine."""

    address: str
    realm: str
    ha1s: Mapping[str, str] = field(repr=False)
    servers: Mapping[str, str] = field(default_factory=dict)
    authorities: str | None = None


def identity(
    who: str | None,
    *,
    target: str | None = None,
    server: str | None = None,
    transport: str | None = None,
    password: str | None = None,
    data: str | None = None,
) -> Identity:
    """The identity that `--as` and its companions mean. `target` is whom we are going to call, if anybody."""
    secret = password if password is not None else os.environ.get(PASSWORD_VARIABLE)
    if who is None:
        return Identity(server=server)
    if "@" not in who:
        local = local_user(who, data)
        if local is not None and (server is None or server in local.servers.values()):
            way = server or local.servers.get((transport or "udp").lower())
            ha1s = None if secret is not None else local.ha1s
            return Identity(local.address, secret, ha1s, local.realm, way, local.authorities)
        who = f"{who}@{_domain(who, server, target)}"
    if secret is None:
        secret = _asked(who)
    return Identity(who, secret, server=server)


def local_user(number: str, data: str | None) -> LocalUser | None:
    """A user in the data directory of this machine; None when there is no directory or no such user in it."""
    from ringback.server.first_start import open_store

    try:
        directory = place_of_server(data, None).directory
        if not _is_readable(directory):
            return None
        store, _secret = open_store(directory)
        with closing(store):
            user = next((one for one in store.users() if one.number == number), None)
            domain = store.value("domain")
            addresses = json.loads(store.value("addresses") or "{}")
    except (RingbackError, OSError):
        return None
    if user is None or not domain:
        return None
    authority = directory / "ca.pem"
    return LocalUser(
        str(NameAddr(SipUri(number, domain), user.name)),
        user.realm,
        user.ha1s,
        addresses,
        str(authority) if authority.is_file() else None,
    )


def _is_readable(directory: Path) -> bool:
    """Only an installation that is there and ours: looking must not make one."""
    from ringback.server.storage.sqlite import FILE_NAME

    return (directory / FILE_NAME).is_file() and os.access(directory, os.R_OK | os.W_OK | os.X_OK)


def _domain(who: str, server: str | None, target: str | None) -> str:
    """The domain of a number that stands alone."""
    if server is not None:
        route = parse_server(server).uri
        assert isinstance(route, SipUri)
        return _printed_host(route.host)
    if target is not None:
        try:
            return _printed_host(parse_account(None).resolve(target).host)
        except InvalidAddress:
            pass
    raise Failure(
        f"whose number is {who}? There is no such user on this machine; "
        f"say --as {who}@DOMAIN, or --server HOST",
        code=2,
    )


def _printed_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _asked(who: str) -> str | None:
    """The password, asked where somebody can answer; else the phone goes without."""
    if not sys.stdin.isatty():
        return None
    answer: str = click.prompt(
        f"Password of {who}", hide_input=True, err=True, default="", show_default=False
    )
    return answer or None
