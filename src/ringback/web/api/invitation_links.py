# SPDX-License-Identifier: Apache-2.0
"""How is somebody invited to choose a password? With a link that works once, for a week."""

from __future__ import annotations

import asyncio

from ringback.web.api.people_shapes import Invitation
from ringback.web.house import House

LIFETIME = 7 * 86_400.0
KIND = "invite"


async def invite(house: House, number: str) -> Invitation:
    """A new link; an older one for the same number works no longer."""
    now = house.clock()
    secret = await asyncio.to_thread(house.links.make, KIND, number, now=now, lifetime=LIFETIME)
    return Invitation(link=house.link_to(f"/invite/{secret}"), expires_at=now + LIFETIME)
