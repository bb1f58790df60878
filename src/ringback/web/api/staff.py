# SPDX-License-Identifier: Apache-2.0
"""How is a user added, changed and removed? A number in the directory, and a person who may sign in."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import count

from starlette.requests import Request

from ringback.pbx.accounts import (
    EMERGENCY_NUMBERS,
    InvalidAccount,
    checked_name,
    make_password,
    new_user,
)
from ringback.server.conference_settings import rooms_of
from ringback.server.storage.people import Person, new_identifier
from ringback.server.storage.store import UserRecord
from ringback.web.api.access import missing
from ringback.web.api.account_cards import account_of
from ringback.web.api.invitation_links import invite
from ringback.web.api.pasted_lines import read_lines
from ringback.web.api.people_shapes import AddedUser, AddedUsers, LineProblem, NewUser, User, UserChange
from ringback.web.api.server_news import tell_server
from ringback.web.house import House
from ringback.web.problems import ApiProblem, at_field
from ringback.web.sessions import Role, Visitor

FIRST_NUMBER = 101
MAX_USERS = 100_000
#: Looking for a free number and taking it must not be two steps for two threads.
_ADDING = threading.Lock()


async def users_of(house: House) -> list[User]:
    """All users by number."""
    registered, busy = await _presence(house)
    return await asyncio.to_thread(_all_users, house, registered, busy)


async def existing_user(house: House, number: str) -> User:
    """One user. Raises 404."""
    records = await asyncio.to_thread(house.store.users, number=number[:64])
    if not records:
        raise missing("user", number)
    registered, busy = await _presence(house)
    return await asyncio.to_thread(_one_user, house, records[0], registered, busy)


async def add_user_to(house: House, visitor: Visitor, wish: NewUser, request: Request) -> AddedUser:
    """A new user with a password for a phone, and an invitation for a person who is new, too."""
    added = await _add(house, visitor, wish, request)
    await tell_server(house)
    return added


async def add_pasted(house: House, visitor: Visitor, text: str, request: Request) -> AddedUsers:
    """One user a line; a line that cannot be used does not hold up the others."""
    items: list[AddedUser] = []
    wishes, problems = read_lines(text)
    for line, wish in wishes:
        try:
            items.append(await _add(house, visitor, wish, request))
        except (ApiProblem, InvalidAccount) as error:
            problems.append(LineProblem(line=line, message=str(error)))
    if items:
        await tell_server(house)
    return AddedUsers(items=items, problems=sorted(problems, key=lambda problem: problem.line))


async def change_user_in(house: House, visitor: Visitor, user: User, wish: UserChange) -> User:
    """Change name, e-mail address and role. Nobody gives or takes a role above their own."""
    must_not_rise_above(visitor, user.role, wish.role or user.role)
    name = _checked_name(wish.name) if wish.name is not None else user.name
    await asyncio.to_thread(_change, house, user, name, wish)
    if name != user.name:
        await tell_server(house)
    return await existing_user(house, user.number)


async def remove_user_from(house: House, visitor: Visitor, user: User) -> None:
    """The user, their devices and registrations, and their way to sign in."""
    must_not_rise_above(visitor, user.role, user.role)
    await asyncio.to_thread(_remove, house, user.number)
    await tell_server(house)


def must_not_rise_above(visitor: Visitor, *roles: str) -> None:
    """An admin neither makes an owner nor takes one over. A token does not even make or take over an admin:
    whoever then signed in would have no scopes that hold them.
    """
    highest = max((Role.named(role) for role in roles if role), default=Role.PERSON)
    if visitor.scopes is not None and highest > Role.PERSON:
        raise ApiProblem(403, f"No token may do this with the role {highest.word}; sign in instead.")
    if highest > visitor.role:
        raise ApiProblem(403, f"This needs the role {highest.word}; you have {visitor.role.word}.")


async def _add(house: House, visitor: Visitor, wish: NewUser, request: Request) -> AddedUser:
    name = _checked_name(wish.name)
    password = make_password()
    record, person = await asyncio.to_thread(_put, house, visitor, name, wish, password)
    account = account_of(house, record.number, name, password)
    if not person.password:
        account.invitation = await invite(house, record.number, request)
    user = User(number=record.number, name=name, email=person.email, role=person.role)
    return AddedUser(user=user, account=account)


def _put(
    house: House, visitor: Visitor, name: str, wish: NewUser, password: str
) -> tuple[UserRecord, Person]:
    with _ADDING:
        number = _number_for(house, wish.number)
        known = _known_person(house, visitor, name, wish, number)
        if known is not None:
            person = house.people.change_person(
                known.id, number=number, **({"email": wish.email} if wish.email else {})
            )
        else:
            person = house.people.add_person(_person(number, name, wish.email, house.clock()))
        record = new_user(number, name, password=password, realm=house.realm)
        house.store.put_user(record)
        return record, person


def _number_for(house: House, wanted: str | None) -> str:
    """The number that is wanted, or the next that is free."""
    taken = {user.number for user in house.store.users(asleep=True)}
    rooms = set(rooms_of(house.settings.conference.rooms))
    if len(taken) >= MAX_USERS:
        raise ApiProblem(409, "there are too many users")
    if wanted in taken:
        raise at_field("number", f"user {wanted} is there already", status=409)
    if wanted in rooms:
        raise at_field("number", f"{wanted} is the number of a room", status=409)
    return wanted or _free_number(taken | rooms, house.records.has_calls_of)


def _known_person(house: House, visitor: Visitor, name: str, wish: NewUser, number: str) -> Person | None:
    """Who signs in already and has no phone yet: the owner after the set-up, found by e-mail address; or
    whoever adds themselves by their own name.
    """
    known = house.people.person_with(number)
    if known is None and wish.email:
        known = house.people.sign_in_as(wish.email)
    if known is None and not wish.email and name.casefold() == visitor.name.casefold():
        known = house.people.person(visitor.person_id)
    if known is None:
        return None
    if known.number and known.number != number:
        if wish.email:
            raise at_field("email", f"{known.name} ({known.number}) has this address", status=409)
        return None
    must_not_rise_above(visitor, known.role)
    return known


def _person(number: str, name: str, email: str, now: float) -> Person:
    return Person(new_identifier(), name or number, email, number, created_at=now)


def _free_number(taken: set[str], has_past: Callable[[str], bool]) -> str:
    """The first from 101 that nobody has, that calls no ambulance anywhere, and of which no calls are
    remembered: whoever gets it would see those of somebody else.
    """
    numbers = (str(number) for number in count(FIRST_NUMBER))
    return next(
        number
        for number in numbers
        if number not in taken and number not in EMERGENCY_NUMBERS and not has_past(number)
    )


def _change(house: House, user: User, name: str, wish: UserChange) -> None:
    changes = {
        key: value for key, value in (("name", wish.name), ("email", wish.email), ("role", wish.role))
        if value is not None
    }  # fmt: skip
    person = house.people.person_with(user.number)
    if person is not None:
        house.people.change_person(person.id, **{**changes, "name": name or person.name})
    elif wish.email or wish.role:
        new = _person(user.number, name, wish.email or "", house.clock())
        house.people.add_person(replace(new, role=wish.role or "person"))
    if name != user.name:
        for record in house.store.users(number=user.number):
            house.store.put_user(replace(record, name=name))


def _remove(house: House, number: str) -> None:
    """Whoever looks after the office still signs in; everybody else goes with their number."""
    person = house.people.person_with(number)
    if person is not None and Role.named(person.role) > Role.PERSON:
        house.people.change_person(person.id, number="")
    elif person is not None:
        house.people.remove_person(person.id)
    house.links.withdraw("invite", number)
    for device in house.store.devices(number=number):
        house.store.remove_device(device.id)
    house.store.remove_user(number)


async def _presence(house: House) -> tuple[Counter[str], set[str]]:
    """How many phones of each number are registered, and which numbers are in a call."""
    registrations = (await house.server.ask("registrations"))["registrations"]
    calls = (await house.server.ask("calls", limit=1000))["calls"]
    parties = [call.get(side) or {} for call in calls for side in ("caller", "callee")]
    return Counter(each["user"] for each in registrations), {str(each.get("number")) for each in parties}


def _all_users(house: House, registered: Counter[str], busy: set[str]) -> list[User]:
    people = {person.number: person for person in house.people.people() if person.number}
    devices = Counter(device.number for device in house.store.devices())
    records = sorted(house.store.users(asleep=True), key=lambda user: (len(user.number), user.number))
    return [_user(each, people.get(each.number), devices, registered, busy) for each in records]


def _one_user(house: House, record: UserRecord, registered: Counter[str], busy: set[str]) -> User:
    devices = Counter(device.number for device in house.store.devices(number=record.number))
    return _user(record, house.people.person_with(record.number), devices, registered, busy)


def _user(
    record: UserRecord,
    person: Person | None,
    devices: Counter[str],
    registered: Counter[str],
    busy: Iterable[str],
) -> User:
    return User(
        number=record.number,
        name=record.name,
        email=person.email if person else "",
        role=person.role if person else "",
        devices=devices[record.number],
        registered=registered[record.number],
        on_call=record.number in busy,
    )


def _checked_name(text: str) -> str:
    try:
        return checked_name(text)
    except InvalidAccount as error:
        raise at_field("name", str(error)) from error
