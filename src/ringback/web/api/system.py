# SPDX-License-Identifier: Apache-2.0
"""How is the server doing?"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Annotated

from fastapi import Depends

from ringback.web.api.access import TheHouse, routes
from ringback.web.api.system_shapes import DiskState, SystemState
from ringback.web.sessions import Role, Visitor, needs

router = routes("system")

Reader = Annotated[Visitor, Depends(needs(Role.OPERATOR, "system:read"))]

#: A folder with more files is not added up.
MAX_FILES = 10_000


@router.get("/system")
async def read_system(house: TheHouse, _: Reader) -> SystemState:
    """What `ringback status` shows, with certificate and disk."""
    status = await house.server.ask("status")
    calls = await house.server.ask("calls", limit=1)
    failures = (await house.server.ask("tls-failures"))["failures"]
    known = {name: status[name] for name in SystemState.model_fields if status.get(name) is not None}
    return SystemState.model_validate(
        {
            **known,
            "calls": calls["total"],
            "disk": await asyncio.to_thread(disk_of, house.directory),
            "tls_failures": failures,
        }
    )


def disk_of(directory: Path) -> DiskState:
    """Sizes in bytes. What cannot be read counts as nothing."""
    try:
        usage = shutil.disk_usage(directory)
    except OSError:
        return DiskState()
    return DiskState(
        total=usage.total,
        free=usage.free,
        database=_size(directory, "ringback.db*"),
        recordings=_size(directory / "recordings", "*"),
    )


def _size(folder: Path, pattern: str) -> int:
    total = 0
    try:
        for count, file in enumerate(folder.glob(pattern)):
            if count >= MAX_FILES:
                break
            total += file.stat().st_size
    except OSError:
        return total
    return total
