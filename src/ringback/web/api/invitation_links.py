# SPDX-License-Identifier: Apache-2.0
"""How is somebody invited to choose a password? With a link that works once, for a week."""

from __future__ import annotations

import asyncio
import ipaddress

from starlette.requests import Request

from ringback.web.api.people_shapes import Invitation
from ringback.web.house import House

LIFETIME = 7 * 86_400.0
KIND = "invite"


async def invite(house: House, number: str, request: Request) -> Invitation:
    """A new link; an older one for the same number works no longer."""
    now = house.clock()
    secret = await asyncio.to_thread(house.links.make, KIND, number, now=now, lifetime=LIFETIME)
    return Invitation(
        link=house.link_to(f"/invite/{secret}", host=host_for_others(request)), expires_at=now + LIFETIME
    )


def host_for_others(request: Request) -> str:
    """The name by which this page was reached, since others reach it by the same; empty if that is only this
    machine's own.
    """
    host = request.headers.get("host", "")
    name = request.url.hostname or ""
    if name == "localhost" or name.endswith(".localhost"):
        return ""
    try:
        return "" if ipaddress.ip_address(name).is_loopback else host
    except ValueError:
        return host
