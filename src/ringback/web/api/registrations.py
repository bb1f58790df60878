# SPDX-License-Identifier: Apache-2.0
"""Which phones are registered, and how does one make the server forget one?"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Response

from ringback.web.api.access import TheHouse, missing, must_be_theirs, routes, sees_all
from ringback.web.api.csv_text import csv_download
from ringback.web.api.people_shapes import Registration, Registrations
from ringback.web.api.shapes import Done, IdInPath, NumberInPath, PageNumber, PageSize, SearchText, part
from ringback.web.house import House
from ringback.web.sessions import Role, Visitor, needs

router = routes("registrations")

Reader = Annotated[Visitor, Depends(needs(Role.PERSON, "registrations:read"))]
Writer = Annotated[Visitor, Depends(needs(Role.PERSON, "registrations:write"))]

COLUMNS = ("user", "name", "device", "contact", "transport", "source", "expires", "agent", "registered_at")


@router.get("/registrations")
async def list_registrations(
    house: TheHouse, visitor: Reader, search: SearchText = "", page: PageNumber = 1, size: PageSize = 50
) -> Registrations:
    """The phones that are registered now."""
    found = await _visible(house, visitor, search)
    items = [Registration.model_validate(each) for each in part(found, page=page, size=size)]
    return Registrations(items=items, total=len(found), page=page, size=size)


@router.get("/registrations.csv", response_class=Response)
async def download_registrations(house: TheHouse, visitor: Reader, search: SearchText = "") -> Response:
    """The same as a table."""
    found = await _visible(house, visitor, search)
    rows = ([each.get(column) for column in COLUMNS] for each in found)
    return csv_download("registrations.csv", [COLUMNS, *rows])


@router.delete("/registrations/{number}/{key:path}")
async def remove_registration(house: TheHouse, visitor: Writer, number: NumberInPath, key: IdInPath) -> Done:
    """Forget one phone. It may register again, if its password still holds."""
    must_be_theirs(visitor, number)
    answer = await house.server.ask("registration-remove", number=number, key=key)
    if not answer.get("found"):
        raise missing("registration", f"{number}/{key}")
    await house.audit(visitor, "registration.remove", number)
    return Done()


async def _visible(house: House, visitor: Visitor, search: str) -> list[dict[str, Any]]:
    everything = (await house.server.ask("registrations"))["registrations"]
    own = [each for each in everything if sees_all(visitor) or each.get("user") == visitor.number != ""]
    words = search.casefold()
    found = [each for each in own if words in " ".join(str(value) for value in each.values()).casefold()]
    return sorted(found, key=lambda each: (len(each["user"]), each["user"], each["contact"]))
