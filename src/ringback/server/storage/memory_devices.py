# SPDX-License-Identifier: Apache-2.0
"""How does a store that forgets keep devices and guest pages? The part of `MemoryStore` that implements
`DeviceStore`.
"""

from collections.abc import Sequence
from dataclasses import replace

from ringback.server.storage.devices import DeviceRecord, GuestPage, Kind
from ringback.server.storage.memory_bindings import MemoryBindings


class MemoryDevices(MemoryBindings):
    """Devices in dictionaries."""

    __slots__ = ("_devices", "_guest_pages")

    def __init__(self) -> None:
        super().__init__()
        self._devices: dict[str, DeviceRecord] = {}
        self._guest_pages: dict[str, GuestPage] = {}

    def devices(self, *, number: str | None = None, kind: Kind | None = None) -> Sequence[DeviceRecord]:
        found = [
            each
            for each in self._devices.values()
            if number in (None, each.number) and kind in (None, each.kind)
        ]
        return sorted(found, key=lambda each: (each.created_at, each.id))

    def put_device(self, device: DeviceRecord) -> None:
        old = self._devices.get(device.id, device)
        self._devices[device.id] = replace(device, created_at=old.created_at, last_seen=old.last_seen)

    def remove_device(self, device: str) -> bool:
        known = self._devices.pop(device, None)
        if known is not None:
            self.remove_bindings_of(known.number, device=device)
        return known is not None

    def see_devices(self) -> None:
        for binding in self._bindings.values():
            known = self._devices.get(binding.device)
            if known is not None and known.last_seen < binding.registered_at:
                self._devices[known.id] = replace(known, last_seen=binding.registered_at)

    def guest_pages(self) -> Sequence[GuestPage]:
        return [self._guest_pages[name] for name in sorted(self._guest_pages)]

    def put_guest_page(self, page: GuestPage) -> None:
        old = self._guest_pages.get(page.name, page)
        self._guest_pages[page.name] = replace(page, created_at=old.created_at)

    def remove_guest_page(self, name: str) -> bool:
        return self._guest_pages.pop(name, None) is not None
