# SPDX-License-Identifier: Apache-2.0
"""Where users and registrations are kept."""

from ringback.server.storage.devices import DeviceRecord, GuestPage
from ringback.server.storage.memory import MemoryStore
from ringback.server.storage.store import (
    BindingRecord,
    StorageError,
    Store,
    StoredRow,
    StoreHealth,
    UserRecord,
)

__all__ = [
    "BindingRecord",
    "DeviceRecord",
    "GuestPage",
    "MemoryStore",
    "StorageError",
    "Store",
    "StoreHealth",
    "StoredRow",
    "UserRecord",
]
