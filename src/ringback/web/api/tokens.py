# SPDX-License-Identifier: Apache-2.0
"""With which tokens may programs act for a person?"""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Depends

from ringback.server.storage.entrances import TokenRecord
from ringback.web.api.access import TheHouse, missing, routes
from ringback.web.api.scopes import SCOPES
from ringback.web.api.shapes import Done, IdInPath
from ringback.web.api.system_shapes import AddedToken, NewToken, Token, Tokens
from ringback.web.problems import at_field
from ringback.web.sessions import Role, Visitor, needs

router = routes("tokens")

#: No scope: a token cannot make tokens.
Owner = Annotated[Visitor, Depends(needs(Role.PERSON))]


@router.get("/tokens")
async def list_tokens(house: TheHouse, visitor: Owner) -> Tokens:
    """Your tokens."""
    items = [_shown(each) for each in await asyncio.to_thread(house.tokens.of, visitor.person_id)]
    return Tokens(items=items, total=len(items), scopes=SCOPES)


@router.post("/tokens", status_code=201)
async def add_token(house: TheHouse, visitor: Owner, wish: NewToken) -> AddedToken:
    """Make a token. It may do what its scopes say, as far as you may."""
    unknown = [scope for scope in wish.scopes if scope not in SCOPES]
    if unknown:
        raise at_field("scopes", f"there is no scope {unknown[0]!r}; there are: {', '.join(SCOPES)}")
    now = house.clock()
    if wish.expires and wish.expires <= now:
        raise at_field("expires", "that is in the past")
    secret, record = await asyncio.to_thread(
        house.tokens.make,
        visitor.person_id,
        wish.name,
        frozenset(wish.scopes),
        now=now,
        expires_at=wish.expires,
    )
    await house.audit(visitor, "token.add", wish.name, None, {"scopes": sorted(record.scopes)})
    return AddedToken(token=_shown(record), secret=secret)


@router.delete("/tokens/{token_id}")
async def remove_token(house: TheHouse, visitor: Owner, token_id: IdInPath) -> Done:
    """End a token at once."""
    if not await asyncio.to_thread(house.tokens.remove, token_id, person=visitor.person_id):
        raise missing("token", token_id)
    await house.audit(visitor, "token.remove", token_id)
    return Done()


def _shown(record: TokenRecord) -> Token:
    return Token(
        id=record.id,
        name=record.name,
        scopes=sorted(record.scopes),
        created_at=record.created_at,
        expires_at=record.expires_at,
        used_at=record.used_at,
        person=record.person,
    )
