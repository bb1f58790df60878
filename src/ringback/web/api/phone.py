# SPDX-License-Identifier: Apache-2.0
"""What does the softphone of a signed-in person need?"""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Depends, Request

from ringback.server.storage.records import Search
from ringback.web.api.access import TheHouse, routes
from ringback.web.api.browser_phones import browser_phone
from ringback.web.api.contacts import contacts_of, remembered
from ringback.web.api.people_shapes import Contacts, History, PhoneAccount, PhoneRequest
from ringback.web.api.shapes import PageNumber, PageSize
from ringback.web.problems import ApiProblem
from ringback.web.sessions import Role, Visitor, needs

router = routes("phone")

Person = Annotated[Visitor, Depends(needs(Role.PERSON, "phone:use"))]


@router.post("/phone", status_code=201)
async def open_phone(
    house: TheHouse, visitor: Person, request: Request, wish: PhoneRequest | None = None
) -> PhoneAccount:
    """Make this browser a phone of the person who is signed in."""
    if not visitor.number:
        raise ApiProblem(409, "nobody has given you a number yet; an administrator can")
    return await browser_phone(house, visitor, wish or PhoneRequest(), request)


@router.get("/phone/contacts")
async def list_contacts(house: TheHouse, visitor: Person) -> Contacts:
    """Everybody in the office, and whether they can be called now."""
    items = [each for each in await contacts_of(house) if each.number != visitor.number]
    return Contacts(items=items, total=len(items))


@router.get("/phone/history")
async def list_history(
    house: TheHouse, visitor: Person, page: PageNumber = 1, size: PageSize = 50
) -> History:
    """The calls of the person who is signed in."""
    if not visitor.number:
        return History(page=page, size=size)
    asked = Search(number=visitor.number)
    found, total = await asyncio.to_thread(house.records.search, asked, page=page, size=size)
    items = [remembered(record, visitor.number) for record in found]
    return History(items=items, total=total, page=page, size=size)
