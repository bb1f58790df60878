# SPDX-License-Identifier: Apache-2.0
"""Who changed what, and when?"""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Depends

from ringback.web.api.access import TheHouse, routes
from ringback.web.api.shapes import PageNumber, PageSize, SearchText
from ringback.web.api.system_shapes import AuditEntry, AuditLog
from ringback.web.sessions import Role, Visitor, needs

router = routes("audit")

Reader = Annotated[Visitor, Depends(needs(Role.ADMIN, "system:read"))]


@router.get("/audit")
async def read_audit_log(
    house: TheHouse, _: Reader, search: SearchText = "", page: PageNumber = 1, size: PageSize = 50
) -> AuditLog:
    """Changes, the newest first."""
    changes, total = await asyncio.to_thread(house.changes.search, search, page=page, size=size)
    items = [AuditEntry.model_validate(change, from_attributes=True) for change in changes]
    return AuditLog(items=items, total=total, page=page, size=size)
