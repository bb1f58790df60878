# SPDX-License-Identifier: Apache-2.0
"""Who answers for the office? The people whose phones ring when somebody dials 0."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ringback.pbx.accounts import InvalidAccount, checked_number
from ringback.server.storage.store import Store

NUMBER = "0"
#: The named value of the store: a JSON list of numbers. Without one, everybody answers.
VALUE = "operator"
MAX_OPERATORS = 20


def operators(store: Store) -> tuple[str, ...]:
    """Their numbers; none means everybody with a registered phone. Raises StorageError."""
    return read(store.value(VALUE))


def put_operators(store: Store, numbers: Sequence[str]) -> None:
    """These from now on, once the server is told "users-changed". Raises InvalidAccount, StorageError."""
    chosen = list(dict.fromkeys(checked_number(number) for number in numbers))
    if len(chosen) > MAX_OPERATORS:
        raise InvalidAccount(f"at most {MAX_OPERATORS} people answer for the office")
    unknown = [number for number in chosen if not store.users(number=number)]
    if unknown:
        raise InvalidAccount(f"there is no user {', '.join(unknown)}")
    store.put_value(VALUE, json.dumps(chosen))


def read(value: str | None) -> tuple[str, ...]:
    """The numbers in the value; what is damaged counts as none."""
    try:
        found = json.loads(value or "[]")
    except (ValueError, RecursionError):
        return ()
    if not isinstance(found, list):
        return ()
    return tuple(number for number in found if isinstance(number, str))[:MAX_OPERATORS]
