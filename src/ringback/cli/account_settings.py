# SPDX-License-Identifier: Apache-2.0
"""What a person has to type into a phone, printed once with the password in it, and as a QR code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import click

from ringback.cli.output import print_qr
from ringback.cli.text import printable

#: How transports are called on a phone's screen, in the order phones should try them.
TRANSPORTS = (("udp", "UDP"), ("tcp", "TCP"), ("tls", "TLS"))


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where phones reach the server: "udp" -> "192.168.1.20:5060". Empty when it never ran."""

    domain: str
    addresses: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Account:
    """One account with its password, which nobody can print a second time."""

    number: str
    name: str
    password: str = field(repr=False)
    server: ServerAddress

    @property
    def domain(self) -> str:
        """The domain as it stands in an address: IPv6 in brackets."""
        return f"[{self.server.domain}]" if ":" in self.server.domain else self.server.domain

    @property
    def address(self) -> str:
        return f"sip:{self.number}@{self.domain}"

    @property
    def phone_uri(self) -> str:
        """A SIP URI with everything a softphone needs. It holds the password: show it to the phone only."""
        host, _, port = self.server.addresses.get("udp", f"{self.domain}:5060").rpartition(":")
        user = f"{self.number}:{quote(self.password, safe='')}"
        if host == self.domain:
            shown_port = "" if port == "5060" else f":{port}"
            return f"sip:{user}@{self.domain}{shown_port};transport=udp"
        route = quote(f"<sip:{host}:{port};lr>", safe="")
        return f"sip:{user}@{self.domain};transport=udp?Route={route}"


def print_account(account: Account, *, with_qr: bool) -> None:
    """The settings of one account, for people, and a code for phones that read one."""
    rows = [
        ("User name", account.number),
        ("Password", f"{account.password}   (shown only now: we keep no passwords)"),
        ("Domain", account.domain),
        *_server_rows(account.server),
        ("Display name", printable(account.name)),
        ("Address", account.address),
    ]
    click.echo()
    for label, value in rows:
        if value:
            click.echo(f"  {label:<14}{value}")
    click.echo()
    if with_qr:
        print_qr(account.phone_uri)


def described(account: Account) -> dict[str, Any]:
    """The same for programs."""
    return {
        "number": account.number,
        "name": account.name,
        "password": account.password,
        "domain": account.server.domain,
        "addresses": dict(account.server.addresses),
        "address": account.address,
        "phone_uri": account.phone_uri,
    }


def _server_rows(server: ServerAddress) -> list[tuple[str, str]]:
    """One line if all transports are on one host, as they nearly always are."""
    if not server.addresses:
        return []
    hosts = {server.addresses[key].rpartition(":")[0] for key, _ in TRANSPORTS if key in server.addresses}
    ports = [
        f"{server.addresses[key].rpartition(':')[2]} ({word})"
        for key, word in TRANSPORTS
        if key in server.addresses
    ]
    return [("Server", f"{', '.join(sorted(hosts))}   port {', '.join(ports)}")]
