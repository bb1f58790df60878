# SPDX-License-Identifier: Apache-2.0
"""What may people change of themselves? Name, password, codes, and where they are signed in: /api/v1/me."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import pyotp
import segno
from fastapi import APIRouter, Depends

from ringback.server.storage.entrances import SessionRecord
from ringback.server.storage.people import Person
from ringback.web.house import House, house_of
from ringback.web.passwords import checked_password
from ringback.web.problems import ApiProblem, at_field
from ringback.web.sessions import Role, Visitor, needs
from ringback.web.shapes import (
    BrowserShape,
    CurrentPasswordForm,
    MeForm,
    MeShape,
    PasswordForm,
    RecoveryCodesShape,
    TotpForm,
    TotpShape,
)
from ringback.web.sign_in import code_fits, described, described_passkey
from ringback.web.throttle import place

router = APIRouter(prefix="/api/v1/me", tags=["me"])

TheHouse = Annotated[House, Depends(house_of)]
Me = Annotated[Visitor, Depends(needs(Role.PERSON))]


@router.get("", operation_id="me")
async def me(visitor: Me, house: TheHouse) -> MeShape:
    """Oneself, with passkeys and the browsers one is signed in with."""
    person = await _person(house, visitor)
    passkeys = await house.in_thread(house.people.passkeys, person.id)
    sessions = await house.in_thread(house.sessions.of, person.id, now=house.clock())
    return MeShape(
        **described(person).model_dump(),
        passkeys=[described_passkey(each) for each in passkeys],
        sessions=[_browser(record, current=record.hash == _this(visitor)) for record in sessions],
        recovery_codes_left=await house.in_thread(house.recovery.left, person.id),
    )


@router.patch("", operation_id="change_me")
async def change_me(form: MeForm, visitor: Me, house: TheHouse) -> MeShape:
    """A new name or e-mail address."""
    changes = form.model_dump(exclude_none=True)
    if changes:
        before = await _person(house, visitor)
        after = await house.in_thread(house.people.change_person, visitor.person_id, **changes)
        was = {name: getattr(before, name) for name in changes}
        await house.audit(visitor, "changed themselves", after.name, before=was, after=changes)
    return await me(visitor, house)


@router.post("/password", operation_id="change_my_password", status_code=204)
async def change_my_password(form: PasswordForm, visitor: Me, house: TheHouse) -> None:
    """A new password; every other browser is signed out."""
    await _prove(house, visitor, form.current)
    kept = await house.passwords.hash(checked_password(form.password))
    await house.in_thread(house.people.change_person, visitor.person_id, password=kept)
    await house.in_thread(house.sessions.end_all, visitor.person_id, but=_this(visitor))
    await house.audit(visitor, "changed their password", visitor.name)


# --- codes (TOTP, RFC 6238)


@router.post("/totp", operation_id="begin_totp")
async def begin_totp(visitor: Me, house: TheHouse) -> TotpShape:
    """A secret for an authenticator app. It counts when the first code has come."""
    secret = pyotp.random_base32()
    name = visitor.email or visitor.name
    uri = pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=f"Ringback {house.domain}")
    house.pending.put(f"totp {visitor.person_id}", secret)
    return TotpShape(secret=secret, uri=uri, qr=segno.make(uri).svg_data_uri(scale=4))


@router.post("/totp/confirm", operation_id="confirm_totp")
async def confirm_totp(form: TotpForm, visitor: Me, house: TheHouse) -> RecoveryCodesShape:
    """From now on signing in takes a code; every other browser is signed out."""
    pending = f"totp {visitor.person_id}"
    secret = house.pending.take(pending)
    if not isinstance(secret, str):
        raise ApiProblem(409, "This took too long; begin again.")
    person = await _person(house, visitor)
    house.throttle.check(("code", person.id))
    if not code_fits(house, replace(person, totp=secret), form.code):
        house.throttle.wrong(("code", person.id))
        house.pending.put(pending, secret)
        raise at_field("code", "This code is wrong. Is the clock of your phone right?")
    await house.in_thread(house.people.change_person, person.id, totp=secret)
    await house.in_thread(house.sessions.end_all, person.id, but=_this(visitor))
    await house.audit(visitor, "switched codes on", person.name)
    return RecoveryCodesShape(recovery_codes=await house.in_thread(house.recovery.renew, person.id))


@router.post("/totp/recovery-codes", operation_id="renew_recovery_codes")
async def renew_recovery_codes(form: CurrentPasswordForm, visitor: Me, house: TheHouse) -> RecoveryCodesShape:
    """Ten new ones for when the phone is lost; those until now work no longer."""
    await _prove(house, visitor, form.password, field="password")
    if not (await _person(house, visitor)).totp:
        raise ApiProblem(409, "Switch codes on first.")
    codes = await house.in_thread(house.recovery.renew, visitor.person_id)
    await house.audit(visitor, "renewed their recovery codes", visitor.name)
    return RecoveryCodesShape(recovery_codes=codes)


@router.delete("/totp", operation_id="remove_totp", status_code=204)
async def remove_totp(form: CurrentPasswordForm, visitor: Me, house: TheHouse) -> None:
    """The password alone suffices again."""
    await _prove(house, visitor, form.password, field="password")
    await house.in_thread(house.people.change_person, visitor.person_id, totp="")
    await house.in_thread(house.recovery.remove_all, visitor.person_id)
    await house.audit(visitor, "switched codes off", visitor.name)


@router.delete("/sessions/{identifier}", operation_id="end_my_session", status_code=204)
async def end_my_session(identifier: str, visitor: Me, house: TheHouse) -> None:
    """Sign out there."""
    if not await house.in_thread(house.sessions.end, visitor.person_id, identifier):
        raise ApiProblem(404, "There is no such session.")


async def _person(house: House, visitor: Visitor) -> Person:
    person = await house.in_thread(house.people.person, visitor.person_id)
    if person is None:
        raise ApiProblem(401, "Sign in first.")
    return person


async def _prove(house: House, visitor: Visitor, password: str, *, field: str = "current") -> None:
    """It is still them; a stolen session shall not guess, either. Who has no password yet has a passkey."""
    person = await _person(house, visitor)
    names = (place(visitor.address), ("account", person.id))
    house.throttle.attempt(*names)
    if person.password and not await house.passwords.fits(person.password, password):
        raise at_field(field, "This is not your password.")
    house.throttle.right(*names)


def _browser(record: SessionRecord, *, current: bool) -> BrowserShape:
    return BrowserShape(
        id=record.hash,
        address=record.address,
        user_agent=record.agent,
        created_at=record.created_at,
        last_seen=record.seen_at,
        expires_at=record.expires_at,
        current=current,
    )


def _this(visitor: Visitor) -> str:
    return visitor.session.hash if visitor.session else ""
