# SPDX-License-Identifier: Apache-2.0
"""What a person has to type into a phone, printed once with the password in it, and as a QR code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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


def print_account(number: str, name: str, password: str, server: ServerAddress, *, with_qr: bool) -> None:
    """The settings of one account, for people, and a code for phones that read one."""
    domain = f"[{server.domain}]" if ":" in server.domain else server.domain
    rows = [
        ("User name", number),
        ("Password", f"{password}   (shown only now: we keep no passwords)"),
        ("Domain", domain),
        *_server_rows(server),
        ("Display name", printable(name) if name else ""),
        ("Your address", f"sip:{number}@{domain}"),
    ]
    click.echo()
    for label, value in rows:
        if value:
            click.echo(f"  {label:<14}{value}")
    click.echo()
    if with_qr:
        print_qr(phone_uri(number, password, server))


def phone_uri(number: str, password: str, server: ServerAddress) -> str:
    """A SIP URI with everything a softphone needs. It holds the password: show it to the phone only."""
    host, _, port = server.addresses.get("udp", f"{server.domain}:5060").rpartition(":")
    domain = f"[{server.domain}]" if ":" in server.domain else server.domain
    route = (
        "" if host.strip("[]") == server.domain else f"?Route=%3Csip:{quote(f'{host}:{port}', safe='')};lr%3E"
    )
    shown_port = f":{port}" if not route and port != "5060" else ""
    return f"sip:{number}:{quote(password, safe='')}@{domain}{shown_port};transport=udp{route}"


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
