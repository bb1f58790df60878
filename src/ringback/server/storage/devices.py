# SPDX-License-Identifier: Apache-2.0
"""What is kept of a device: one phone, browser or guest with a password of its own, which can be taken away
from it without touching the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

Kind = Literal["phone", "browser", "guest", "app"]
KINDS: tuple[Kind, ...] = ("phone", "browser", "guest", "app")

#: How sound with this device is encrypted; "" is as the settings say.
Security = Literal["", "optional", "required", "off"]
SECURITIES: tuple[Security, ...] = ("", "optional", "required", "off")


@dataclass(slots=True)
class DeviceRecord:
    """A device. Its SIP user name is the `number`; `ha1s` are those of its own password. Times are seconds
    since 1970, and 0 is never.

    Nobody changes one; it is not frozen for the reason of `UserRecord`.
    """

    id: str
    number: str
    name: str
    kind: Kind
    realm: str
    created_at: float = 0.0
    expires_at: float = 0.0
    made_by: str = ""
    security: Security = ""
    may_call: str = ""
    """The only number a guest may call; its own `number` is in no directory. "" for devices of users."""
    last_seen: float = 0.0
    ha1s: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(slots=True)
class GuestPage:
    """A page from which anybody may call one number: `/call/NAME`."""

    name: str
    number: str
    title: str = ""
    enabled: bool = True
    created_at: float = 0.0


class DeviceStore(Protocol):
    """Devices and guest pages. Everything but `see_devices` may block for as long as a disk does, and raises
    `StorageError`.
    """

    def devices(self, *, number: str | None = None, kind: Kind | None = None) -> Sequence[DeviceRecord]:
        """All of them, or those of one number or kind, by the time they were made."""
        ...

    def put_device(self, device: DeviceRecord) -> None:
        """Keep a new one, or change one: everything but `last_seen`."""
        ...

    def remove_device(self, device: str) -> bool:
        """Forget the device with this id, and what is stored of its registrations."""
        ...

    def see_devices(self) -> None:
        """Note from the stored registrations when each device was last there. Returns at once."""
        ...

    def guest_pages(self) -> Sequence[GuestPage]: ...
    def put_guest_page(self, page: GuestPage) -> None: ...
    def remove_guest_page(self, name: str) -> bool: ...
