# SPDX-License-Identifier: Apache-2.0
"""What is the office called, where is it, and who answers for all?"""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

from fastapi import Depends

from ringback.server.storage.store import Store
from ringback.web.api.access import TheHouse, routes
from ringback.web.api.people_shapes import Office, OfficeChange
from ringback.web.api.server_news import tell_server
from ringback.web.house import House
from ringback.web.problems import at_field
from ringback.web.sessions import Role, Visitor, needs

router = routes("office")

Reader = Annotated[Visitor, Depends(needs(Role.PERSON, "users:read"))]
Writer = Annotated[Visitor, Depends(needs(Role.ADMIN, "users:write"))]

#: The named value of the store that holds name, country and whether the set-up is done; and the one that the
#: dial plan reads for 0.
OFFICE, OPERATOR = "office", "operator"


@router.get("/office")
async def read_office(house: TheHouse, _: Reader) -> Office:
    """The office."""
    return await asyncio.to_thread(office_of, house)


@router.put("/office")
async def change_office(house: TheHouse, visitor: Writer, wish: OfficeChange) -> Office:
    """Change the office. What is left out stays as it is."""
    before = await asyncio.to_thread(office_of, house)
    await asyncio.to_thread(_write, house.store, before, wish)
    if wish.operator is not None:
        await tell_server(house)
    after = await asyncio.to_thread(office_of, house)
    await house.audit(visitor, "office.change", "office", before.model_dump(), after.model_dump())
    return after


def office_of(house: House) -> Office:
    """Blocks, like every store."""
    kept = _json(house.store.value(OFFICE), {})
    return Office(
        name=str(kept.get("name", "")),
        country=str(kept.get("country", "")),
        set_up=bool(kept.get("set_up")),
        domain=house.domain,
        operator=[str(number) for number in _json(house.store.value(OPERATOR), [])],
    )


def _write(store: Store, before: Office, wish: OfficeChange) -> None:
    if wish.operator is not None:
        known = {user.number for user in store.users(asleep=True)}
        unknown = [number for number in wish.operator if number not in known]
        if unknown:
            raise at_field("operator", f"there is no user {unknown[0]}")
        store.put_value(OPERATOR, json.dumps(list(dict.fromkeys(wish.operator))))
    kept = {"name": before.name, "country": before.country, "set_up": before.set_up}
    change = wish.model_dump(exclude_none=True, exclude={"operator"})
    if change:
        store.put_value(OFFICE, json.dumps({**kept, **change}))


def _json(text: str | None, otherwise: Any) -> Any:
    """A value as it was stored; what is damaged counts as not there."""
    try:
        value = json.loads(text) if text else otherwise
    except ValueError:
        return otherwise
    return value if isinstance(value, type(otherwise)) else otherwise
