# SPDX-License-Identifier: Apache-2.0
"""How does a browser become a phone, of somebody who works here or of a guest?"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from starlette.requests import Request

from ringback.pbx.accounts import checked_name, mint_device, mint_guest, renewed_device
from ringback.server.storage.devices import DeviceRecord, GuestPage
from ringback.web.api.ice_servers import ice_servers
from ringback.web.api.people_shapes import GuestAccount, PhoneAccount, PhoneRequest
from ringback.web.api.server_news import tell_server
from ringback.web.house import House
from ringback.web.problems import ApiProblem
from ringback.web.sessions import Visitor, address_of
from ringback.web.throttle import place

#: A browser that was not opened for so long has to come again.
LIFETIME = 30 * 86_400.0
#: How long the credentials for a TURN server hold: a page that stays open longer gets new ones when it is
#: opened again.
TURN_LIFETIME, TURN_LIFETIME_OF_GUESTS = 86_400.0, 3_600.0
#: Of so many browsers of one person the one that was away longest makes room for a new one.
MAX_BROWSERS = 8


async def browser_phone(house: House, visitor: Visitor, wish: PhoneRequest, request: Request) -> PhoneAccount:
    """A device for this browser; for one that was here before, a new password for the device it has."""
    record = await asyncio.to_thread(_device_for, house, visitor, wish)
    await tell_server(house, "devices-changed")
    users = await asyncio.to_thread(house.store.users, number=record.number)
    name = users[0].name if users else visitor.name
    return PhoneAccount(name=name, **await _credentials(house, record, request))


async def guest_phone(house: House, page: GuestPage, request: Request) -> GuestAccount:
    """A guest's browser, which may call the number of one page."""
    _take_turn(house, request)
    record, _ = await asyncio.to_thread(mint_guest, house.store, page, house.realm, now=house.clock())
    await tell_server(house, "devices-changed")
    users = await asyncio.to_thread(house.store.users, number=page.number)
    return GuestAccount(
        name=record.name,
        target=page.number,
        target_name=users[0].name if users else "",
        title=page.title,
        **await _credentials(house, record, request),
    )


def _take_turn(house: House, request: Request) -> None:
    """One place gets five guests at once, then one in half a minute: nobody takes the turns of all guests."""
    turn = ("account", f"guest {place(address_of(request))[1]}")
    try:
        house.throttle.check(turn)
    except ApiProblem as problem:
        raise ApiProblem(
            429, "Many calls begin where you are; try again soon.", headers=problem.headers
        ) from None
    house.throttle.wrong(turn)


def _device_for(house: House, visitor: Visitor, wish: PhoneRequest) -> DeviceRecord:
    now = house.clock()
    browsers = [each for each in house.store.devices(number=visitor.number) if each.kind == "browser"]
    known = next((each for each in browsers if each.id == wish.device), None)
    if known is not None:
        renewed, _ = renewed_device(house.store, replace(known, expires_at=now + LIFETIME))
        return renewed
    if len(browsers) >= MAX_BROWSERS:
        oldest = min(browsers, key=lambda each: max(each.last_seen, each.created_at))
        house.store.remove_device(oldest.id)
    made, _ = mint_device(
        house.store,
        visitor.number,
        name=checked_name(wish.name) or "Browser",
        kind="browser",
        realm=house.realm,
        lifetime=LIFETIME,
        now=now,
    )
    return made


async def _credentials(house: House, record: DeviceRecord, request: Request) -> dict[str, Any]:
    """The page speaks SIP with the host it came from: one certificate, one hole in the firewall."""
    domain = f"[{house.domain}]" if ":" in house.domain else house.domain
    host = request.headers.get("host") or house.addresses.get("wss", domain)
    until = house.clock() + (TURN_LIFETIME_OF_GUESTS if record.kind == "guest" else TURN_LIFETIME)
    helpers = await asyncio.to_thread(ice_servers, house.settings.web, record.id, until=until)
    return {
        "number": record.number,
        "uri": f"sip:{record.number}@{domain}",
        "ws": f"{'wss' if request.url.scheme == 'https' else 'ws'}://{host}/ws",
        "realm": house.realm,
        "ha1": record.ha1s["MD5"],
        "device": record.id,
        "ice_servers": helpers,
        "domain": house.domain,
        "expires_at": record.expires_at,
    }
