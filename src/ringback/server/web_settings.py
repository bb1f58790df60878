# SPDX-License-Identifier: Apache-2.0
"""Which settings has the web server: its ports, its console, and how long people stay signed in?"""

from typing import Annotated

from pydantic import AfterValidator, Field

from ringback.server.config_types import Port, Section
from ringback.server.networks import checked_network


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

    webhook_allow: Annotated[
        tuple[Annotated[str, AfterValidator(checked_network)], ...], Field(max_length=100)
    ] = ()
    """Networks inside of yours that webhooks may be sent to, as "192.168.1.0/24". All others that are not
    public are refused, so that nobody makes this server ask your other machines. A change holds at once."""
