# SPDX-License-Identifier: Apache-2.0
"""How do guests call one number from a page, and who allows it?"""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Depends, Request

from ringback.server.storage.devices import GuestPage as PageRecord
from ringback.web.api.access import TheHouse, missing, routes
from ringback.web.api.browser_phones import guest_phone
from ringback.web.api.office import office_of
from ringback.web.api.people_shapes import GuestAccount, GuestPage, GuestPages, GuestWelcome, NewGuestPage
from ringback.web.api.server_news import tell_server
from ringback.web.api.shapes import Done, IdInPath
from ringback.web.api.staff import existing_user
from ringback.web.house import House
from ringback.web.problems import ApiProblem
from ringback.web.sessions import Role, Visitor, needs

router = routes("guests")

Reader = Annotated[Visitor, Depends(needs(Role.OPERATOR, "users:read"))]
Writer = Annotated[Visitor, Depends(needs(Role.ADMIN, "users:write"))]

MAX_PAGES = 200


@router.get("/guest/{name}")
async def read_guest_page(house: TheHouse, name: IdInPath) -> GuestWelcome:
    """What a guest sees. Needs no signing in."""
    page = await _open_page(house, name)
    office = await asyncio.to_thread(office_of, house)
    return GuestWelcome(name=page.name, title=page.title or office.name, office=office.name)


@router.post("/guest/{name}", status_code=201)
async def open_guest_phone(house: TheHouse, request: Request, name: IdInPath) -> GuestAccount:
    """Make the guest's browser a phone that may call this one number, for an hour. Needs no signing in."""
    return await guest_phone(house, await _open_page(house, name), request)


@router.get("/guest-pages")
async def list_guest_pages(house: TheHouse, _: Reader) -> GuestPages:
    """All pages for guests."""
    found = await asyncio.to_thread(house.store.guest_pages)
    items = [GuestPage.model_validate(each, from_attributes=True) for each in found]
    return GuestPages(items=items, total=len(items))


@router.post("/guest-pages", status_code=201)
async def put_guest_page(house: TheHouse, visitor: Writer, wish: NewGuestPage) -> GuestPage:
    """Make or change a page for guests."""
    await existing_user(house, wish.number)
    if len(await asyncio.to_thread(house.store.guest_pages)) >= MAX_PAGES:
        raise ApiProblem(409, f"{MAX_PAGES} pages are enough; remove one first")
    page = PageRecord(**wish.model_dump(), created_at=house.clock())
    await asyncio.to_thread(house.store.put_guest_page, page)
    await tell_server(house)
    await house.audit(visitor, "guest-page.put", wish.name, None, wish.model_dump())
    return GuestPage(**wish.model_dump())


@router.delete("/guest-pages/{name}")
async def remove_guest_page(house: TheHouse, visitor: Writer, name: IdInPath) -> Done:
    """Remove a page for guests."""
    if not await asyncio.to_thread(house.store.remove_guest_page, name):
        raise missing("page", name)
    await tell_server(house)
    await house.audit(visitor, "guest-page.remove", name)
    return Done()


async def _open_page(house: House, name: str) -> PageRecord:
    """The page of that name. A closed one is as if it were not there."""
    pages = await asyncio.to_thread(house.store.guest_pages)
    found = next((page for page in pages if page.name == name and page.enabled), None)
    if found is None:
        raise missing("page", name)
    return found
