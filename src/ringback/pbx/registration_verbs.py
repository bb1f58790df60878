# SPDX-License-Identifier: Apache-2.0
"""What can be done about registered phones from outside? The rows of `verb_table.py` for registrations."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ringback.pbx.verbs import Answer, Verb, first_found

if TYPE_CHECKING:
    from ringback.pbx.app import PhoneSystem


async def _remove(system: PhoneSystem, arguments: Mapping[str, Any]) -> Answer:
    """Forget one contact of one user; it may register again. Every worker knows it, and each forgets it."""
    number, key = str(arguments.get("number", "")), str(arguments.get("key", ""))
    now = asyncio.get_running_loop().time()
    location = system.server.location
    if not any(binding.key == key for binding in location.bindings(number, now=now)):
        return {"found": False}
    location.commit(number, remove=[key], now=now)
    return {"found": True}


ROWS: dict[str, Verb] = {"registration-remove": Verb(_remove, first_found)}
