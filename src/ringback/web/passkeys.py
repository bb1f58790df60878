# SPDX-License-Identifier: Apache-2.0
"""How does somebody come in with a passkey (WebAuthn)? A challenge, and what the device makes of it.

A passkey belongs to a name ("relying party"): browsers refuse numeric addresses, and what was made for one
name does not open another.
"""

from __future__ import annotations

import ipaddress
import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from webauthn import (
    base64url_to_bytes,
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from ringback.server.storage.people import Passkey
from ringback.web.house import House, house_of
from ringback.web.pending import Pending
from ringback.web.problems import ApiProblem
from ringback.web.sessions import Role, Visitor, address_of, must_come_from_us, needs
from ringback.web.shapes import PasskeyForm, PasskeyShape, PasskeySignInForm, SessionShape
from ringback.web.sign_in import begin_session, described_passkey
from ringback.web.throttle import place

router = APIRouter(prefix="/api/v1", tags=["passkeys"])

TheHouse = Annotated[House, Depends(house_of)]
Me = Annotated[Visitor, Depends(needs(Role.PERSON))]
MAX_IDENTIFIER = 1_400
FAILED = "This passkey was not accepted."


@router.post("/me/passkeys/options", operation_id="begin_passkey")
async def begin_passkey(visitor: Me, request: Request, house: TheHouse) -> dict[str, Any]:
    """What `navigator.credentials.create` needs."""
    known = await house.in_thread(house.people.passkeys, visitor.person_id)
    options = generate_registration_options(
        rp_id=_party(request),
        rp_name="Ringback",
        user_id=visitor.person_id.encode(),
        user_name=visitor.email or visitor.name,
        user_display_name=visitor.name,
        exclude_credentials=[PublicKeyCredentialDescriptor(base64url_to_bytes(each.id)) for each in known],
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
    )
    return _begun(house, ("make", visitor.person_id), options.challenge, options_to_json(options))


@router.post("/me/passkeys", operation_id="make_passkey", status_code=201)
async def make_passkey(form: PasskeyForm, visitor: Me, request: Request, house: TheHouse) -> PasskeyShape:
    """What it answered."""
    challenge = _ours(house, form.credential, ("make", visitor.person_id))
    if challenge is None:
        raise ApiProblem(409, "This took too long; begin again.")
    try:
        made = verify_registration_response(
            credential=form.credential,
            expected_challenge=challenge,
            expected_rp_id=_party(request),
            expected_origin=_origin(request),
            require_user_verification=True,
        )
    except BAD_CREDENTIAL as error:
        raise ApiProblem(422, FAILED) from error
    identifier = bytes_to_base64url(made.credential_id)
    known = await house.in_thread(house.people.passkey, identifier)
    if known is not None or len(identifier) > MAX_IDENTIFIER:
        raise ApiProblem(409, "This passkey is known already.")
    passkey = Passkey(
        identifier, visitor.person_id, form.name, made.credential_public_key, made.sign_count, house.clock()
    )
    await house.in_thread(house.people.put_passkey, passkey)
    await house.audit(visitor, "made a passkey", form.name)
    return described_passkey(passkey)


@router.delete("/me/passkeys/{identifier}", operation_id="remove_passkey", status_code=204)
async def remove_passkey(identifier: str, visitor: Me, house: TheHouse) -> None:
    """It opens nothing any more."""
    if not await house.in_thread(house.people.remove_passkey, visitor.person_id, identifier):
        raise ApiProblem(404, "There is no such passkey.")
    await house.audit(visitor, "removed a passkey", identifier[:20])


@router.post("/session/passkey/options", operation_id="begin_passkey_sign_in")
async def begin_passkey_sign_in(request: Request, house: TheHouse) -> dict[str, Any]:
    """What `navigator.credentials.get` needs; the device knows whose passkeys it has."""
    must_come_from_us(request)
    house.throttle.check(place(address_of(request)))
    options = generate_authentication_options(
        rp_id=_party(request), user_verification=UserVerificationRequirement.REQUIRED
    )
    return _begun(house, ("use", ""), options.challenge, options_to_json(options))


@router.post("/session/passkey", operation_id="sign_in_with_passkey")
async def sign_in_with_passkey(
    form: PasskeySignInForm, request: Request, response: Response, house: TheHouse
) -> SessionShape:
    """What it answered. The device has asked for a finger or a PIN: no code on top."""
    must_come_from_us(request)
    name = place(address_of(request))
    house.throttle.check(name)
    passkey = await _proved(house, form, request)
    person = await house.in_thread(house.people.person, passkey.person) if passkey else None
    if person is None:
        house.throttle.wrong(name)
        raise ApiProblem(401, FAILED)
    house.throttle.right(name)
    return await begin_session(house, person, request, response, how="passkey")


async def _proved(house: House, form: PasskeySignInForm, request: Request) -> Passkey | None:
    """The passkey, if the answer is one to our question."""
    challenge = _ours(house, form.credential, ("use", ""))
    identifier = form.credential.get("id")
    if challenge is None or not isinstance(identifier, str):
        return None
    passkey = await house.in_thread(house.people.passkey, identifier[:MAX_IDENTIFIER])
    if passkey is None:
        return None
    try:
        used = verify_authentication_response(
            credential=form.credential,
            expected_challenge=challenge,
            expected_rp_id=_party(request),
            expected_origin=_origin(request),
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.uses,
            require_user_verification=True,
        )
    except BAD_CREDENTIAL:
        return None
    now = house.clock()
    again = Passkey(
        passkey.id,
        passkey.person,
        passkey.name,
        passkey.public_key,
        used.new_sign_count,
        passkey.created_at,
        now,
    )
    await house.in_thread(house.people.put_passkey, again)
    return passkey


def _party(request: Request) -> str:
    """The name in the address the visitor uses."""
    name = request.url.hostname or ""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name
    raise ApiProblem(
        409, "Passkeys need a name in the address, not a number; open this page by a name.", kind="no-name"
    )


def _origin(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}"


def _begun(house: House, purpose: tuple[str, str], challenge: bytes, options: str) -> dict[str, Any]:
    """Remember the question; the browser gets it."""
    _pending(house, purpose).put(f"passkey {bytes_to_base64url(challenge)}", purpose)
    found: dict[str, Any] = json.loads(options)
    return found


def _ours(house: House, credential: dict[str, Any], purpose: tuple[str, str]) -> bytes | None:
    """The question this answers, if we asked it, for this purpose; each counts once."""
    try:
        client = json.loads(base64url_to_bytes(credential["response"]["clientDataJSON"]))
        challenge = base64url_to_bytes(client["challenge"])
    except BAD_CREDENTIAL:
        return None
    asked = _pending(house, purpose).take(f"passkey {bytes_to_base64url(challenge)}")
    return challenge if asked == purpose else None


def _pending(house: House, purpose: tuple[str, str]) -> Pending:
    """Anybody can begin to sign in."""
    return house.pending if purpose[1] else house.strangers


#: What the library raises for what a stranger sent: its own errors, and those of decoding.
BAD_CREDENTIAL: tuple[type[Exception], ...] = (
    WebAuthnException,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    RecursionError,
)
