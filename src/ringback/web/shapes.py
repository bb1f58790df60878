# SPDX-License-Identifier: Apache-2.0
"""How do people and sessions look in JSON?"""

from __future__ import annotations

import unicodedata
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints


def _visible(text: str) -> str:
    """Nothing that hides, or turns the writing round (RELIABILITY row 14)."""
    if any(unicodedata.category(character)[0] == "C" for character in text):
        raise ValueError("it has characters that cannot be seen; write it anew")
    return text


RoleWord = Literal["person", "operator", "admin", "owner"]
#: One line of visible text.
Line = Annotated[str, StringConstraints(strip_whitespace=True, max_length=100), AfterValidator(_visible)]
Name = Annotated[Line, Field(min_length=1)]
Email = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        max_length=254,
        pattern=r"^$|^[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]{1,189}$",
    ),
]
Secret = Annotated[str, StringConstraints(max_length=1_000)]
Code = Annotated[str, StringConstraints(strip_whitespace=True, max_length=20)]


class Form(BaseModel):
    """What a visitor sends. Unknown fields are mistakes."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Shape(BaseModel):
    """What a visitor gets."""


class PersonShape(Shape):
    """Somebody who signs in; `totp`: with a code on top."""

    id: str
    name: str
    email: str
    number: str
    role: RoleWord
    totp: bool


class SessionShape(Shape):
    """Who is signed in here (null: nobody), what pages must send in X-Ringback-CSRF, and whether there is an
    owner yet.
    """

    person: PersonShape | None
    csrf: str
    set_up: bool
    expires_at: float = 0.0


class SignInForm(Form):
    """`login` is an e-mail address, an extension or a name; `code` only with codes switched on."""

    login: Line
    password: Secret
    code: Code = ""


class SetUpShape(Shape):
    """What a set-up link is for: "setup" makes the owner, "reset" gives `name` a new password."""

    valid: bool
    kind: Literal["setup", "reset"] = "setup"
    name: str = ""
    email: str = ""
    office: str = ""
    country: str = ""
    domain: str = ""
    expires_at: float = 0.0


class SetUpForm(Form):
    """`office`, `country`, `name` and `email` are for the set-up; a reset needs the password alone."""

    password: Secret
    name: Line = ""
    email: Email = ""
    office: Line = ""
    country: Annotated[str, StringConstraints(pattern=r"^([A-Za-z]{2})?$", to_upper=True)] = ""


class MeForm(Form):
    """What people may change of themselves."""

    name: Name | None = None
    email: Email | None = None


class PasswordForm(Form):
    """A new password, and the one until now."""

    current: Secret
    password: Secret


class CurrentPasswordForm(Form):
    """What weakens an account needs the password once more."""

    password: Secret


class TotpShape(Shape):
    """What an authenticator app needs: `qr` is an SVG picture of `uri` as a data address."""

    secret: str
    uri: str
    qr: str


class TotpForm(Form):
    """The first code proves that the app has it."""

    code: Code


class RecoveryCodesShape(Shape):
    """Each replaces a code of the app once; they are never shown again."""

    recovery_codes: list[str]


class PasskeyShape(Shape):
    """A passkey; its secret never leaves the device."""

    id: str
    name: str
    created_at: float
    last_used: float


class PasskeyForm(Form):
    """What `navigator.credentials.create` answered, as JSON (WebAuthn level 3)."""

    name: Name
    credential: dict[str, Any]


class PasskeySignInForm(Form):
    """What `navigator.credentials.get` answered."""

    credential: dict[str, Any]


class BrowserShape(Shape):
    """Where somebody is signed in."""

    id: str
    address: str
    user_agent: str
    created_at: float
    last_seen: float
    expires_at: float
    current: bool


class MeShape(PersonShape):
    """Oneself."""

    passkeys: list[PasskeyShape]
    sessions: list[BrowserShape]
    recovery_codes_left: int
