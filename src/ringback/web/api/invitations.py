# SPDX-License-Identifier: Apache-2.0
"""How does a colleague get a password of their own? With a link that works once."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Depends, Request, Response

from ringback.server.storage.people import Person, new_identifier
from ringback.web.api.access import TheHouse, routes
from ringback.web.api.invitation_links import KIND, invite
from ringback.web.api.office import office_of
from ringback.web.api.people_shapes import Acceptance, Invitation, InvitedPerson
from ringback.web.api.shapes import IdInPath, NumberInPath
from ringback.web.api.staff import existing_user, must_not_rise_above
from ringback.web.house import House
from ringback.web.passwords import checked_password
from ringback.web.problems import ApiProblem
from ringback.web.sessions import Role, Visitor, address_of, must_come_from_us, needs
from ringback.web.shapes import SessionShape
from ringback.web.sign_in import begin_session
from ringback.web.throttle import place

router = routes("invitations")

Writer = Annotated[Visitor, Depends(needs(Role.ADMIN, "users:write"))]
GONE = "This invitation does not work, or no longer. Ask whoever invited you for a new one."


@router.post("/users/{number}/invitations", status_code=201)
async def invite_user(house: TheHouse, visitor: Writer, request: Request, number: NumberInPath) -> Invitation:
    """Make a link with which this user chooses a password. It is shown once; older ones end."""
    user = await existing_user(house, number)
    must_not_rise_above(visitor, user.role)
    invitation = await invite(house, number, request)
    await house.audit(visitor, "invitation.add", number)
    return invitation


@router.get("/invitations/{token}")
async def read_invitation(house: TheHouse, request: Request, token: IdInPath) -> InvitedPerson:
    """Who is invited by this link. Needs no signing in."""
    number, expires_at = await _invited(house, request, token)
    return await asyncio.to_thread(_shown, house, number, expires_at)


@router.post("/invitations/{token}", status_code=201)
async def accept_invitation(
    house: TheHouse, request: Request, response: Response, token: IdInPath, form: Acceptance
) -> SessionShape:
    """Choose a password; whoever did it is signed in, and the link works no longer."""
    must_come_from_us(request)
    number, _ = await _invited(house, request, token)
    kept = await house.passwords.hash(checked_password(form.password))
    if await asyncio.to_thread(house.links.use, token, now=house.clock()) is None:
        raise ApiProblem(404, GONE)
    person = await asyncio.to_thread(_person_with_password, house, number, kept)
    await asyncio.to_thread(house.sessions.end_all, person.id)
    return await begin_session(house, person, request, response, how="invitation")


async def _invited(house: House, request: Request, token: str) -> tuple[str, float]:
    """The number that is invited; whoever guesses has to wait."""
    guessing = place(address_of(request))
    house.throttle.check(guessing)
    link = await asyncio.to_thread(house.links.look, token, now=house.clock())
    users = await asyncio.to_thread(house.store.users, number=link.subject) if link else ()
    if link is None or link.kind != KIND or not users:
        house.throttle.wrong(guessing)
        raise ApiProblem(404, GONE)
    return link.subject, link.expires_at


def _shown(house: House, number: str, expires_at: float) -> InvitedPerson:
    person = house.people.person_with(number)
    names = [user.name for user in house.store.users(number=number)]
    return InvitedPerson(
        name=person.name if person else (names or [""])[0],
        number=number,
        email=person.email if person else "",
        office=office_of(house).name,
        expires_at=expires_at,
    )


def _person_with_password(house: House, number: str, kept: str) -> Person:
    """An invitation is also how somebody who forgot password and codes comes in again."""
    person = house.people.person_with(number)
    if person is not None:
        return house.people.change_person(person.id, password=kept, totp="")
    names = [user.name for user in house.store.users(number=number)]
    new = Person(
        new_identifier(), (names or [""])[0] or number, "", number, password=kept, created_at=house.clock()
    )
    return house.people.add_person(new)
