# SPDX-License-Identifier: Apache-2.0
"""Who is asking, and what may they do? A browser's session with a role, or a program's token with scopes.

    Admin = Annotated[Visitor, Depends(needs(Role.ADMIN, "users:write"))]

A cookie travels with every request a browser makes, whoever's page made it: what changes something must also
carry the header X-Ringback-CSRF, which only our pages know, and come from our own origin.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import IntEnum
from hmac import compare_digest
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends
from starlette.requests import HTTPConnection
from starlette.responses import Response

from ringback.server.storage.entrances import SessionRecord, TokenRecord
from ringback.server.storage.people import Person
from ringback.web.house import House, house_of
from ringback.web.problems import ApiProblem

COOKIE = "ringback_session"
CSRF_HEADER = "x-ringback-csrf"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
#: A session that was seen so long ago is written down again (seconds), and lives on from there.
SEEN_AGAIN = 300.0
MAX_TOKEN = 200


class Role(IntEnum):
    """What somebody may do; each may what the ones below may."""

    PERSON = 1
    OPERATOR = 2
    ADMIN = 3
    OWNER = 4

    @classmethod
    def named(cls, name: str) -> Role:
        """ "admin" -> ADMIN; an unknown word may the least."""
        return cls.__members__.get(name.upper(), cls.PERSON)

    @property
    def word(self) -> str:
        """As it is stored and told."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks. `scopes` is None in a session: then the role decides alone."""

    person_id: str
    name: str
    email: str
    number: str
    role: Role
    scopes: frozenset[str] | None = None
    csrf: str = field(default="", repr=False)
    address: str = ""
    session: SessionRecord | None = None
    token: TokenRecord | None = None

    def may(self, role: Role, scope: str = "") -> bool:
        """True when the role suffices and a token's scopes hold `scope`; "x:write" holds "x:read"."""
        if self.role < role:
            return False
        if self.scopes is None:
            return True
        return bool(scope) and (scope in self.scopes or scope.replace(":read", ":write") in self.scopes)


def needs(role: Role, scope: str = "") -> Callable[..., Awaitable[Visitor]]:
    """A dependency that lets in sessions with this role, and tokens of somebody with this role that have the
    scope. Without a scope no token opens it.
    """

    async def visitor(connection: HTTPConnection, house: Annotated[House, Depends(house_of)]) -> Visitor:
        found = await visitor_of(connection, house)
        if found is None:
            raise ApiProblem(401, "Sign in first.", headers={"WWW-Authenticate": "Bearer"})
        if not found.may(role, scope):
            raise ApiProblem(403, _refusal(found, role, scope))
        return found

    return visitor


def needs_scope(scope: str, role: Role = Role.OPERATOR) -> Callable[..., Awaitable[Visitor]]:
    """The same, the other way round."""
    return needs(role, scope)


async def visitor_of(connection: HTTPConnection, house: House) -> Visitor | None:
    """Who it is; None for strangers. Raises 401 for a token and 403 for a page that is not ours."""
    authorization = connection.headers.get("authorization", "")
    if authorization:
        return await _with_token(connection, house, authorization)
    cookie = connection.cookies.get(COOKIE, "")
    if not cookie or len(cookie) > MAX_TOKEN:
        return None
    now = house.clock()
    session = await house.in_thread(house.sessions.find, cookie, now=now)
    person = await house.in_thread(house.people.person, session.person) if session else None
    if session is None or person is None:
        return None
    if connection.scope["type"] != "http" or connection.scope["method"] not in SAFE_METHODS:
        must_come_from_us(connection)
    if connection.scope["type"] == "http" and connection.scope["method"] not in SAFE_METHODS:
        _must_know_secret(connection, session)
    if now - session.seen_at > SEEN_AGAIN:
        lifetime = house.settings.web.session_hours * 3600
        await house.in_thread(house.sessions.seen, session, now=now, expires_at=now + lifetime)
    return _visitor(connection, person, session=session, csrf=session.csrf)


def must_come_from_us(connection: HTTPConnection) -> None:
    """A browser says whose page is asking; a program says nothing."""
    origin = connection.headers.get("origin")
    if origin is not None:
        split = urlsplit(origin) if origin.isascii() else urlsplit("")
        if split.netloc.lower() != connection.headers.get("host", "").lower() or not split.netloc:
            raise ApiProblem(403, "This request comes from another site.")
    elif connection.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise ApiProblem(403, "This request comes from another site.")


def give_cookie(response: Response, connection: HTTPConnection, cookie: str, *, seconds: int) -> None:
    """To the browser, out of reach of scripts. Over http (on this machine only) no browser would return a
    secure one.
    """
    response.set_cookie(
        COOKIE,
        cookie,
        max_age=seconds,
        path="/",
        secure=connection.url.scheme in ("https", "wss"),
        httponly=True,
        samesite="lax",
    )


def take_cookie(response: Response) -> None:
    """The browser shall forget it."""
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")


def address_of(connection: HTTPConnection) -> str:
    """Where the visitor is, as the listener saw it."""
    return connection.client.host if connection.client else ""


async def _with_token(connection: HTTPConnection, house: House, authorization: str) -> Visitor:
    kind, _, text = authorization.partition(" ")
    text = text.strip()
    now = house.clock()
    token = None
    if kind.lower() == "bearer" and 0 < len(text) <= MAX_TOKEN:
        token = await house.in_thread(house.tokens.find, text, now=now)
    person = await house.in_thread(house.people.person, token.person) if token else None
    if token is None or person is None:
        challenge = 'Bearer error="invalid_token"'
        raise ApiProblem(401, "This token is not known here.", headers={"WWW-Authenticate": challenge})
    if now - token.used_at > SEEN_AGAIN:
        await house.in_thread(house.tokens.used, token.id, now=now)
    return _visitor(connection, person, scopes=token.scopes, token=token)


def _visitor(
    connection: HTTPConnection,
    person: Person,
    *,
    scopes: frozenset[str] | None = None,
    csrf: str = "",
    session: SessionRecord | None = None,
    token: TokenRecord | None = None,
) -> Visitor:
    return Visitor(
        person_id=person.id,
        name=person.name,
        email=person.email,
        number=person.number,
        role=Role.named(person.role),
        scopes=scopes,
        csrf=csrf,
        address=address_of(connection),
        session=session,
        token=token,
    )


def _must_know_secret(connection: HTTPConnection, session: SessionRecord) -> None:
    given = connection.headers.get(CSRF_HEADER, "")
    if not compare_digest(given.encode("utf-8", "replace"), session.csrf.encode()):
        raise ApiProblem(403, "This page is out of date; load it again.", kind="csrf")


def _refusal(visitor: Visitor, role: Role, scope: str) -> str:
    if visitor.role < role:
        return f"This needs the role {role.word}; you have {visitor.role.word}."
    return f"This token lacks the scope {scope}." if scope else "No token may do this; sign in instead."
