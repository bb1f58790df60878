# SPDX-License-Identifier: Apache-2.0
"""Who comes first? Whoever has the set-up link that `ringback serve` prints: they become the owner.

The same with `ringback setup-link --reset` gives somebody a new password. A link lives for 15 minutes and has
39 bits: after a hundred wrong guesses by everybody together all such links are withdrawn.
"""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from ringback.server.storage.entrances import Link
from ringback.server.storage.people import Person, new_identifier
from ringback.web.api.office import OFFICE, office_of
from ringback.web.house import House, house_of
from ringback.web.passwords import checked_password
from ringback.web.problems import ApiProblem, at_field
from ringback.web.sessions import address_of, must_come_from_us
from ringback.web.shapes import SessionShape, SetUpForm, SetUpShape
from ringback.web.sign_in import begin_session
from ringback.web.throttle import place

router = APIRouter(prefix="/api/v1/setup", tags=["set-up"])

TheHouse = Annotated[House, Depends(house_of)]
KINDS = ("setup", "reset")
GUESSES = 100
GONE = "This link does not work, or no longer. `ringback setup-link` makes a new one."


@router.get("/{token}", operation_id="look_at_setup_link")
async def look_at_setup_link(token: str, request: Request, house: TheHouse) -> SetUpShape:
    """What the link is for, and whether it works."""
    link = await _link(house, token, request)
    if link is None:
        return SetUpShape(valid=False)
    person = await house.in_thread(house.people.person, link.subject) if link.kind == "reset" else None
    office = await house.in_thread(office_of, house)
    return SetUpShape(
        valid=True,
        kind="reset" if link.kind == "reset" else "setup",
        name=person.name if person else "",
        email=person.email if person else "",
        office=office.name,
        country=office.country,
        domain=house.domain,
        expires_at=link.expires_at,
    )


@router.post("/{token}", operation_id="use_setup_link", status_code=201)
async def use_setup_link(
    token: str, form: SetUpForm, request: Request, response: Response, house: TheHouse
) -> SessionShape:
    """Make the owner, or give the person a new password; whoever did it is signed in."""
    must_come_from_us(request)
    link = await _link(house, token, request)
    if link is None:
        raise ApiProblem(404, GONE)
    if link.kind == "setup" and not form.name:
        raise at_field("name", "Say who you are.")
    kept = await house.passwords.hash(checked_password(form.password))
    if await house.in_thread(house.links.use, _told(token), now=house.clock()) is None:
        raise ApiProblem(404, GONE)
    person = await (_reset(house, link, kept) if link.kind == "reset" else _owner(house, form, kept))
    return await begin_session(house, person, request, response, how=f"{link.kind} link")


async def _reset(house: House, link: Link, kept: str) -> Person:
    """A new password, no code and no passkey: whoever lost the password often lost the telephone, or somebody
    else has it. API tokens stay: programs hold them.
    """
    person = await house.in_thread(house.people.change_person, link.subject, password=kept, totp="")
    await house.in_thread(house.recovery.remove_all, person.id)
    await house.in_thread(house.people.remove_passkeys, person.id)
    await house.in_thread(house.sessions.end_all, person.id)
    return person


async def _owner(house: House, form: SetUpForm, kept: str) -> Person:
    owner = Person(
        new_identifier(), form.name, form.email, role="owner", password=kept, created_at=house.clock()
    )
    person = await house.in_thread(house.people.add_person, owner, only_as_first=True)
    office = await house.in_thread(office_of, house)
    named = {"name": form.office or office.name, "country": form.country or office.country}
    await house.in_thread(house.store.put_value, OFFICE, json.dumps({**named, "set_up": office.set_up}))
    return person


async def _link(house: House, token: str, request: Request) -> Link | None:
    """The link, or None; whoever guesses has to wait."""
    names = (place(address_of(request)), ("setup", ""))
    house.throttle.check(names[0])
    link = await house.in_thread(house.links.look, _told(token), now=house.clock())
    if link is None or link.kind not in KINDS:
        house.throttle.wrong(*names)
        if house.throttle.count(names[1]) >= GUESSES:
            house.throttle.right(names[1])
            for kind in KINDS:
                await house.in_thread(house.links.withdraw, kind)
        return None
    return link


def _told(token: str) -> str:
    """As people type what they read: small letters, no dash."""
    text = token.strip().upper().replace("-", "").replace(" ", "")
    return f"{text[:4]}-{text[4:8]}" if len(text) == 8 else token
