# SPDX-License-Identifier: Apache-2.0
"""How is the server set, where does each value come from, and how does one change it?"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from ringback.web.api.access import TheHouse, routes
from ringback.web.api.shapes import FieldProblem
from ringback.web.api.system_shapes import SettingsChange, SettingsChanged, SettingsPage
from ringback.web.problems import ApiProblem
from ringback.web.sessions import Role, Visitor, needs

router = routes("settings")

Reader = Annotated[Visitor, Depends(needs(Role.ADMIN, "settings:read"))]
Writer = Annotated[Visitor, Depends(needs(Role.ADMIN, "settings:write"))]


@router.get("/settings")
async def read_settings(house: TheHouse, _: Reader) -> SettingsPage:
    """All settings, with where each comes from."""
    return SettingsPage.model_validate(await house.server.ask("settings"))


@router.patch("/settings")
async def change_settings(house: TheHouse, visitor: Writer, wish: SettingsChange) -> SettingsChanged:
    """Write new values into the settings file and take them over at once, as far as that is possible."""
    answer = await house.server.ask("settings-change", changes=wish.changes, version=wish.version)
    if answer.get("stale"):
        raise ApiProblem(409, "the settings file was changed meanwhile; look at the page again")
    problems = [FieldProblem.model_validate(each) for each in answer.get("problems", ())]
    if problems:
        errors = [each.model_dump() for each in problems]
        raise ApiProblem(422, "; ".join(each.message for each in problems), errors=errors)
    changed = SettingsChanged.model_validate(answer)
    if changed.changed:
        await house.audit(visitor, "settings.change", "settings", answer.get("before"), answer.get("after"))
    return changed
