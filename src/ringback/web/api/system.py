# SPDX-License-Identifier: Apache-2.0
"""How is the server doing?"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Annotated, Any

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
    failures = (await house.server.ask("tls-failures"))["failures"]
    disk = await asyncio.to_thread(disk_of, house.directory)
    known = {name: value for name, value in status.items() if name in SystemState.model_fields}
    return SystemState.model_validate(
        {**known, **_of_workers(status), "disk": disk, "tls_failures": failures}
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


def _of_workers(status: dict[str, Any]) -> dict[str, Any]:
    """With several processes for signalling, "workers" is a list; with one there is none."""
    workers = status.get("workers")
    return {
        "workers": [each for each in workers if isinstance(each, dict)] if isinstance(workers, list) else []
    }
