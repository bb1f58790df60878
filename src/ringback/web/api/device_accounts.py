# SPDX-License-Identifier: Apache-2.0
"""How is a device made, changed and revoked?"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from ringback.pbx.accounts import checked_name, mint_device
from ringback.server.storage.devices import DeviceRecord
from ringback.web.api.access import missing
from ringback.web.api.account_cards import qr_picture, settings_of, words_for_a_phone
from ringback.web.api.people_shapes import AddedDevice, Device, DeviceChange, NewDevice, User
from ringback.web.api.server_news import tell_server
from ringback.web.house import House


def devices_of(house: House, number: str) -> list[Device]:
    """Those of one user. Blocks."""
    return [_shown(each) for each in house.store.devices(number=number)]


def device_of(house: House, device_id: str) -> Device | None:
    """By id. Blocks."""
    found = _record(house, device_id)
    return None if found is None else _shown(found)


async def add_device_to(house: House, user: User, wish: NewDevice) -> AddedDevice:
    """A new device with a password of its own."""
    record, password = await asyncio.to_thread(
        mint_device, house.store, user.number, name=wish.name, kind=wish.kind, realm=house.realm,
        now=house.clock(),
    )  # fmt: skip
    await tell_server(house, "devices-changed")
    settings = settings_of(house, user.number, user.name, password)
    return AddedDevice(
        device=_shown(record),
        password=password,
        qr=qr_picture(settings.phone_uri),
        settings=words_for_a_phone(settings),
    )


async def change_device_in(house: House, device: Device, wish: DeviceChange) -> Device:
    """A new name, or another way to encrypt sound."""
    record = await asyncio.to_thread(_change, house, device.id, wish)
    await tell_server(house, "devices-changed")
    return _shown(record)


async def revoke(house: House, device: Device) -> None:
    """Its password ends, and what it registered is forgotten."""
    await asyncio.to_thread(house.store.remove_device, device.id)
    await tell_server(house, "devices-changed")


def _change(house: House, device_id: str, wish: DeviceChange) -> DeviceRecord:
    record = _record(house, device_id)
    if record is None:
        raise missing("device", device_id)
    if wish.name is not None:
        record = replace(record, name=checked_name(wish.name))
    if wish.security is not None:
        record = replace(record, security=wish.security)
    house.store.put_device(record)
    return record


def _record(house: House, device_id: str) -> DeviceRecord | None:
    return next((each for each in house.store.devices() if each.id == device_id), None)


def _shown(record: DeviceRecord) -> Device:
    return Device.model_validate(record, from_attributes=True)
