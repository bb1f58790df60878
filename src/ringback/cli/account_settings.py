# SPDX-License-Identifier: Apache-2.0
"""What a person has to type into a phone, printed once with the password in it, and as a QR code."""

from __future__ import annotations

from typing import Any

import click

from ringback.cli.output import print_qr
from ringback.cli.text import printable
from ringback.pbx.phone_settings import PhoneSettings, ServerAddress

#: How transports are called on a phone's screen, in the order phones should try them.
TRANSPORTS = (("udp", "UDP"), ("tcp", "TCP"), ("tls", "TLS"))


def print_account(account: PhoneSettings, *, with_qr: bool) -> None:
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


def described(account: PhoneSettings) -> dict[str, Any]:
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
