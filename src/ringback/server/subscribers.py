# SPDX-License-Identifier: Apache-2.0
"""Who has an account here, and who has just proved to be its owner?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol


@dataclass(slots=True)
class Subscriber:
    """A user of this server. `ha1s` maps a digest algorithm to H(number:realm:password).

    Nobody changes one; not frozen for the reason of `UserRecord`.
    """

    number: str
    name: str = ""
    ha1s: Mapping[str, str] = field(default_factory=dict, repr=False)


class Subscribers(Protocol):
    """The users as the server sees them: in memory, since no request waits for a disk.

    `find` takes the user part of a URI or of credentials: the number, or another name of the same user.
    """

    def find(self, user: str) -> Subscriber | None: ...


class Principal(NamedTuple):
    """The user who proved to be the sender of a request. Made by `authentication.py` and nobody else."""

    number: str
    name: str = ""
