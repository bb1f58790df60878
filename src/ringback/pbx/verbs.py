# SPDX-License-Identifier: Apache-2.0
"""What can a running phone system be asked? The table: a verb is a row, in the file of those who answer it.

A row says what one signalling process does, and how the answers of several become one. The same verbs serve
the commands (over the control socket) and the console (over the link to its process).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from ringback.pbx.app import PhoneSystem

Answer = dict[str, Any]


class Verb(NamedTuple):
    """`perform` answers for one process and raises `RingbackError` to refuse; `merge` takes the answers of
    all processes, never none.
    """

    perform: Callable[[PhoneSystem, Mapping[str, Any]], Awaitable[Answer]]
    merge: Callable[[Sequence[Answer]], Answer]
    is_for_one: bool = False
    """It does something, so that only one of several processes is asked: any of them."""


def joined(answers: Sequence[Answer]) -> Answer:
    """Lists one behind the other, numbers added; of anything else the first."""
    total: Answer = {}
    for answer in answers:
        for name, value in answer.items():
            if isinstance(value, list):
                total[name] = [*total.get(name, ()), *value]
            elif isinstance(value, int | float) and not isinstance(value, bool):
                total[name] = total.get(name, 0) + value
            else:
                total.setdefault(name, value)
    return total


def first_found(answers: Sequence[Answer]) -> Answer:
    """Of the one who knows what was asked for: it says "found"."""
    return next((answer for answer in answers if answer.get("found")), {"found": False})


def anyone(answers: Sequence[Answer]) -> Answer:
    """All would say the same."""
    return answers[0]
