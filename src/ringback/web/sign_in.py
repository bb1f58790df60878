# SPDX-License-Identifier: Apache-2.0
"""How do people come in and go out? /api/v1/session: password and code, slowly for those who guess."""

from __future__ import annotations

import logging
from typing import Annotated

import pyotp
from fastapi import APIRouter, Depends, Request, Response

from ringback.server.storage.people import Passkey, Person
from ringback.web.house import House, house_of
from ringback.web.problems import ApiProblem
from ringback.web.sessions import (
    Role,
    Visitor,
    address_of,
    give_cookie,
    must_come_from_us,
    needs,
    take_cookie,
    visitor_of,
)
from ringback.web.shapes import PasskeyShape, PersonShape, SessionShape, SignInForm
from ringback.web.throttle import place

logger = logging.getLogger("ringback.web")

router = APIRouter(prefix="/api/v1/session", tags=["session"])

TheHouse = Annotated[House, Depends(house_of)]
SignedIn = Annotated[Visitor, Depends(needs(Role.PERSON))]
WRONG = "The name or the password is wrong."
#: Codes of 30 seconds before and after count, too: clocks differ.
CODE_WINDOW, CODE_SECONDS = 1, 30


@router.get("", operation_id="session")
async def session(request: Request, house: TheHouse) -> SessionShape:
    """Who is signed in here, and whether there is an owner yet. Strangers may ask."""
    try:
        visitor = await visitor_of(request, house)
    except ApiProblem:
        visitor = None
    person = await house.in_thread(house.people.person, visitor.person_id) if visitor else None
    record = visitor.session if visitor else None
    if person is None or record is None:
        return SessionShape(person=None, csrf="", set_up=await house.in_thread(house.people.has_owner))
    return SessionShape(person=described(person), csrf=record.csrf, set_up=True, expires_at=record.expires_at)


@router.post("", operation_id="sign_in")
async def sign_in(form: SignInForm, request: Request, response: Response, house: TheHouse) -> SessionShape:
    """Sign in. 401 with the type "urn:ringback:code-needed" asks for the code as well."""
    must_come_from_us(request)
    names = (place(address_of(request)), ("account", form.login.casefold()))
    house.throttle.attempt(*names)
    person = await house.in_thread(house.people.sign_in_as, form.login)
    try:
        is_right = await house.passwords.fits(person.password if person else "", form.password)
    except ApiProblem:  # too many people at once: it was not looked at
        house.throttle.undone(*names)
        raise
    if not is_right or person is None:
        logger.warning("a sign-in from %s was refused", address_of(request))
        raise ApiProblem(401, WRONG)
    if person.totp and not form.code:
        house.throttle.undone(*names)
        raise ApiProblem(401, "Enter the code of your authenticator app.", kind="code-needed", needs="code")
    if person.totp:
        await _must_have_code(house, person, form.code)
    house.throttle.right(*names)
    return await begin_session(house, person, request, response, how="password")


@router.delete("", operation_id="sign_out", status_code=204)
async def sign_out(visitor: SignedIn, response: Response, house: TheHouse) -> None:
    """Sign out here."""
    assert visitor.session is not None
    await house.in_thread(house.sessions.end, visitor.person_id, visitor.session.hash)
    take_cookie(response)


async def begin_session(
    house: House, person: Person, request: Request, response: Response, *, how: str
) -> SessionShape:
    """Let them in: the cookie, and who they are."""
    lifetime = int(house.settings.web.session_hours * 3600)
    cookie, record = await house.in_thread(
        house.sessions.make,
        person.id,
        now=house.clock(),
        lifetime=lifetime,
        address=address_of(request),
        agent="".join(each if each.isprintable() else "?" for each in request.headers.get("user-agent", "")),
    )
    give_cookie(response, request, cookie, seconds=lifetime)
    visitor = Visitor(
        person.id, person.name, person.email, person.number, Role.named(person.role), address=record.address
    )
    await house.audit(visitor, "signed in", person.name, after={"with": how, "agent": record.agent})
    return SessionShape(person=described(person), csrf=record.csrf, set_up=True, expires_at=record.expires_at)


async def _must_have_code(house: House, person: Person, code: str) -> None:
    """Who has the password already guesses at a million codes: their wait grows as long as any, wherever they
    come from.
    """
    name = ("code", person.id)
    house.throttle.attempt(name)
    if not code_fits(house, person, code) and not await _recovers(house, person, code):
        raise ApiProblem(401, "This code is wrong, or was used already.", kind="code-needed", needs="code")
    house.throttle.right(name)


async def _recovers(house: House, person: Person, code: str) -> bool:
    """True for a recovery code: whoever uses one learns of it in the audit log."""
    if code.replace(" ", "").isdigit() or not await house.in_thread(house.recovery.use, person.id, code):
        return False
    visitor = Visitor(person.id, person.name, person.email, person.number, Role.named(person.role))
    left = await house.in_thread(house.recovery.left, person.id)
    await house.audit(visitor, "used a recovery code", person.name, after={"left": left})
    return True


def code_fits(house: House, person: Person, code: str) -> bool:
    """True for a code of now that was not used before (RFC 6238 5.2)."""
    totp = pyotp.TOTP(person.totp)
    digits = code.replace(" ", "")
    now = int(house.clock())
    for step in range(-CODE_WINDOW, CODE_WINDOW + 1):
        at = now // CODE_SECONDS + step
        if digits.isascii() and pyotp.utils.strings_equal(digits, totp.at(at * CODE_SECONDS)):
            return house.throttle.once(f"{person.id} {at}", until=(at + 2 + CODE_WINDOW) * CODE_SECONDS)
    return False


def described(person: Person) -> PersonShape:
    """As others may see them."""
    return PersonShape(
        id=person.id,
        name=person.name,
        email=person.email,
        number=person.number,
        role=Role.named(person.role).word,  # type: ignore[arg-type]
        totp=bool(person.totp),
    )


def described_passkey(passkey: Passkey) -> PasskeyShape:
    """As its owner sees it."""
    return PasskeyShape(
        id=passkey.id, name=passkey.name, created_at=passkey.created_at, last_used=passkey.used_at
    )
