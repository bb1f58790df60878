# SPDX-License-Identifier: Apache-2.0
"""Who works here, and what does a new colleague need?"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from ringback.web.api.access import TheHouse, must_be_theirs, routes, sees_all
from ringback.web.api.people_shapes import (
    AddedUser,
    AddedUsers,
    NewUser,
    PastedUsers,
    User,
    UserChange,
    Users,
)
from ringback.web.api.shapes import Done, NumberInPath, PageNumber, PageSize, SearchText, part
from ringback.web.api.staff import (
    add_pasted,
    add_user_to,
    change_user_in,
    existing_user,
    remove_user_from,
    users_of,
)
from ringback.web.sessions import Role, Visitor, needs

router = routes("users")

Reader = Annotated[Visitor, Depends(needs(Role.PERSON, "users:read"))]
Writer = Annotated[Visitor, Depends(needs(Role.ADMIN, "users:write"))]


@router.get("/users")
async def list_users(
    house: TheHouse, visitor: Reader, search: SearchText = "", page: PageNumber = 1, size: PageSize = 50
) -> Users:
    """The users by number; somebody who looks after nothing sees only themselves."""
    words = search.casefold()
    found = [
        user
        for user in await users_of(house)
        if (sees_all(visitor) or user.number == visitor.number)
        and words in f"{user.number} {user.name} {user.email}".casefold()
    ]
    return Users(items=part(found, page=page, size=size), total=len(found), page=page, size=size)


@router.post("/users", status_code=201)
async def add_user(house: TheHouse, visitor: Writer, wish: NewUser, request: Request) -> AddedUser:
    """Add a user. The answer has the password for a phone, which is shown only now, and an invitation."""
    added = await add_user_to(house, visitor, wish, request)
    await house.audit(visitor, "user.add", added.user.number, None, wish.model_dump())
    return added


@router.post("/users/bulk", status_code=201)
async def add_users(house: TheHouse, visitor: Writer, wish: PastedUsers, request: Request) -> AddedUsers:
    """Add a user for each line: a name, and after commas an e-mail address and a number if wanted."""
    added = await add_pasted(house, visitor, wish.text, request)
    numbers = [each.user.number for each in added.items]
    if numbers:
        await house.audit(visitor, "user.add", ", ".join(numbers)[:200], None, {"numbers": numbers})
    return added


@router.get("/users/{number}")
async def read_user(house: TheHouse, visitor: Reader, number: NumberInPath) -> User:
    """One user."""
    must_be_theirs(visitor, number)
    return await existing_user(house, number)


@router.patch("/users/{number}")
async def change_user(house: TheHouse, visitor: Writer, number: NumberInPath, wish: UserChange) -> User:
    """Change a user. What is left out stays as it is."""
    before = await existing_user(house, number)
    after = await change_user_in(house, visitor, before, wish)
    await house.audit(visitor, "user.change", number, before.model_dump(), after.model_dump())
    return after


@router.delete("/users/{number}")
async def remove_user(house: TheHouse, visitor: Writer, number: NumberInPath) -> Done:
    """Remove a user, their devices and registrations, and their way to sign in."""
    before = await existing_user(house, number)
    await remove_user_from(house, visitor, before)
    await house.audit(visitor, "user.remove", number, before.model_dump(), None)
    return Done()
