# SPDX-License-Identifier: Apache-2.0
"""Two users for trying things out: `ringback serve --demo`."""

from __future__ import annotations

from dataclasses import dataclass, field

from ringback.pbx.accounts import make_password, new_user
from ringback.server.storage.store import Store, UserRecord

USERS = (("101", "Anna"), ("102", "Bob"))
MADE_BY = "demo"


@dataclass(frozen=True, slots=True)
class DemoUser:
    """A user and the password to show; empty when somebody else made the user, whose password we do not
    touch.
    """

    number: str
    name: str
    password: str = field(repr=False)


def make_demo_users(store: Store, *, realm: str) -> list[DemoUser]:
    """Users 101 and 102 with passwords made now. Passwords are not kept, so each start makes new ones."""
    existing = {user.number: user for user in store.users()}
    return [
        _demo_user(store, number, name, existing=existing.get(number), realm=realm) for number, name in USERS
    ]


def _demo_user(store: Store, number: str, name: str, *, existing: UserRecord | None, realm: str) -> DemoUser:
    if existing is not None and existing.made_by != MADE_BY:
        return DemoUser(number, existing.name, "")
    password = make_password()
    store.remove_bindings_of(number)
    store.put_user(new_user(number, name, password=password, realm=realm, made_by=MADE_BY))
    return DemoUser(number, name, password)
