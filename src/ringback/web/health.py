# SPDX-License-Identifier: Apache-2.0
"""What do load balancers and service managers ask? Is it alive, is it ready; nothing for strangers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import PlainTextResponse

from ringback.sip.errors import RingbackError
from ringback.web.house import House, house_of

router = APIRouter(include_in_schema=False)

PATIENCE = 2.0


@router.get("/healthz")
async def healthz() -> PlainTextResponse:
    """This process answers."""
    return PlainTextResponse("ok\n")


@router.get("/readyz")
async def readyz(house: Annotated[House, Depends(house_of)]) -> PlainTextResponse:
    """The telephone server answers, too."""
    try:
        await house.server.ask("ping", timeout=PATIENCE)
    except (RingbackError, TimeoutError):
        return PlainTextResponse("not ready\n", 503)
    return PlainTextResponse("ready\n")
