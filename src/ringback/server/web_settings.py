# SPDX-License-Identifier: Apache-2.0
"""Which settings has the web server: its ports, its console, and how long people stay signed in?"""

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from ringback.server.config_types import Port, Section
from ringback.server.networks import checked_network

#: RFC 7064 and 7065: stun:host[:port], stuns:, turn:host[:port][?transport=udp], turns:
_ICE_SERVER = re.compile(
    r"(stuns?:(?P<stun>.+)|turns?:(?P<turn>.+?)(\?transport=(udp|tcp))?)", re.ASCII | re.IGNORECASE
)
_HOST_AND_PORT = re.compile(r"([a-z0-9][a-z0-9.-]{0,253}|\[[0-9a-f:.]{2,45}\])(:[0-9]{1,5})?", re.ASCII)


def _ice_server(text: str) -> str:
    """Lower case. ValueError for what a browser would refuse."""
    lower = text.lower()
    found = _ICE_SERVER.fullmatch(lower) if len(lower) <= 300 else None
    if found is None or not _HOST_AND_PORT.fullmatch(found["stun"] or found["turn"]):
        raise ValueError(f"{text[:60]!r} is no server like stun:host:3478 or turn:host:3478?transport=udp")
    return lower


class WebSettings(Section):
    """The web server: the console, the browser telephone and the API over HTTPS; on the same ports SIP over
    WebSocket at the path /ws (RFC 7118)."""

    http_port: Port = 8080
    """The port for HTTP and WebSocket without encryption. 0 takes a free one. From other machines it leads to
    HTTPS."""

    https_port: Port = 8443
    """The port for HTTPS and encrypted WebSocket. 0 takes a free one."""

    console: bool = True
    """Serve the console, the browser telephone and the API, in a process of their own. Otherwise only SIP is
    spoken on these ports."""

    session_hours: Annotated[float, Field(ge=0.1, le=8760)] = 168.0
    """How long people stay signed in without coming by, in hours. A change holds at once."""

    ice_servers: Annotated[tuple[Annotated[str, AfterValidator(_ice_server)], ...], Field(max_length=8)] = ()
    """STUN and TURN servers for browser telephones, as "turn:turn.example.com:3478". Where browsers reach the
    media ports of this server none is needed; a TURN server helps those whose network lets no UDP out. A
    change holds for pages that are opened later."""

    turn_secret_file: Path | None = None
    """A file with the secret that the TURN server has too (coturn: `use-auth-secret`, `static-auth-secret`).
    Browsers get passwords made of it that hold for a day, guests for an hour."""

    webhook_allow: Annotated[
        tuple[Annotated[str, AfterValidator(checked_network)], ...], Field(max_length=100)
    ] = ()
    """Networks inside of yours that webhooks may be sent to, as "192.168.1.0/24". All others that are not
    public are refused, so that nobody makes this server ask your other machines. A change holds at once."""
