# SPDX-License-Identifier: Apache-2.0
"""Which phones does a user have, each with a password of its own?"""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Depends

from ringback.web.api.access import TheHouse, missing, must_be_theirs, routes, sees_all
from ringback.web.api.device_accounts import add_device_to, change_device_in, device_of, devices_of, revoke
from ringback.web.api.people_shapes import AddedDevice, Device, DeviceChange, Devices, NewDevice
from ringback.web.api.shapes import Done, IdInPath, NumberInPath
from ringback.web.api.staff import existing_user
from ringback.web.house import House
from ringback.web.problems import ApiProblem
from ringback.web.sessions import Role, Visitor, needs

router = routes("devices")

Reader = Annotated[Visitor, Depends(needs(Role.PERSON, "users:read"))]
Writer = Annotated[Visitor, Depends(needs(Role.PERSON, "users:write"))]


@router.get("/users/{number}/devices")
async def list_devices(house: TheHouse, visitor: Reader, number: NumberInPath) -> Devices:
    """The devices of a user."""
    must_be_theirs(visitor, number)
    await existing_user(house, number)
    items = await asyncio.to_thread(devices_of, house, number)
    return Devices(items=items, total=len(items))


@router.post("/users/{number}/devices", status_code=201)
async def add_device(house: TheHouse, visitor: Writer, number: NumberInPath, wish: NewDevice) -> AddedDevice:
    """Make a device. The answer has its password, which is shown only now."""
    must_be_theirs(visitor, number)
    _must_be_trusted(visitor, number)
    user = await existing_user(house, number)
    added = await add_device_to(house, user, wish)
    await house.audit(visitor, "device.add", added.device.id, None, {"number": number, **wish.model_dump()})
    return added


@router.patch("/devices/{device_id}")
async def change_device(house: TheHouse, visitor: Writer, device_id: IdInPath, wish: DeviceChange) -> Device:
    """Rename a device, or say how its sound is encrypted."""
    before = await _visible_device(house, visitor, device_id)
    _must_be_trusted(visitor, before.number)
    after = await change_device_in(house, before, wish)
    await house.audit(
        visitor, "device.change", device_id, before.model_dump(), wish.model_dump(exclude_none=True)
    )
    return after


@router.delete("/devices/{device_id}")
async def remove_device(house: TheHouse, visitor: Writer, device_id: IdInPath) -> Done:
    """Revoke a device: its password ends, and what it registered is forgotten, nothing else."""
    before = await _visible_device(house, visitor, device_id)
    _must_be_trusted(visitor, before.number)
    await revoke(house, before)
    await house.audit(visitor, "device.remove", device_id, before.model_dump(), None)
    return Done()


def _must_be_trusted(visitor: Visitor, number: str) -> None:
    """Whoever has a password of somebody's phone speaks in their name: operators see devices, and no more."""
    if visitor.role < Role.ADMIN and visitor.number != number:
        raise ApiProblem(403, f"This needs the role admin; you have {visitor.role.word}.")


async def _visible_device(house: House, visitor: Visitor, device_id: str) -> Device:
    found = await asyncio.to_thread(device_of, house, device_id)
    if found is None or not (sees_all(visitor) or found.number == visitor.number != ""):
        raise missing("device", device_id)
    return found
