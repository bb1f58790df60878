# SPDX-License-Identifier: Apache-2.0
"""How often may somebody guess? A few times at once, then ever more slowly, by address and by account."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from ringback.web.problems import ApiProblem

#: ("address", "192.0.2.1"), ("account", "anna@example.com")
Name = tuple[str, str]

#: So many wrong tries cost nothing; each one more doubles the wait, to at most LONGEST.
FREE, FIRST, LONGEST = 5, 1.0, 900.0
#: Guessing at one account from everywhere must not lock its owner out.
LONGEST_FOR_ACCOUNT = 30.0
#: After so long without a try it begins anew.
FORGETTING = 3600.0
#: So many names are remembered; the longest unused go first.
REMEMBERED = 10_000


@dataclass(slots=True)
class _Tries:
    wrong: int
    last: float


class Throttle:
    """Counts wrong tries. `clock` is the wall clock of the house."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._tries: OrderedDict[Name, _Tries] = OrderedDict()
        self._used: dict[str, float] = {}

    def check(self, *names: Name) -> None:
        """Raises 429 while one of these has to wait."""
        wait = max((self._wait(name) for name in names), default=0.0)
        if wait > 0:
            seconds = int(wait) + 1
            raise ApiProblem(
                429,
                f"Too many wrong tries. Wait {seconds} seconds, then try again.",
                kind="throttled",
                headers={"Retry-After": str(seconds)},
            )

    def attempt(self, *names: Name) -> None:
        """`check`, and count it as wrong until `right` or `undone` says else: of a hundred tries that come at
        the same moment only the first few are looked at.
        """
        self.check(*names)
        self.wrong(*names)

    def undone(self, *names: Name) -> None:
        """The last try was not wrong, and proved nothing either: something is still missing."""
        for name in names:
            if (tries := self._tries.get(name)) is not None:
                tries.wrong -= 1

    def wrong(self, *names: Name) -> None:
        """One more."""
        now = self._clock()
        for name in names:
            tries = self._tries.pop(name, None)
            if tries is None or now - tries.last > FORGETTING:
                tries = _Tries(0, now)
            tries.wrong, tries.last = tries.wrong + 1, now
            self._tries[name] = tries
        while len(self._tries) > REMEMBERED:
            self._tries.popitem(last=False)

    def right(self, *names: Name) -> None:
        """It was them: forget."""
        for name in names:
            self._tries.pop(name, None)

    def count(self, name: Name) -> int:
        """How often it was wrong."""
        tries = self._tries.get(name)
        return tries.wrong if tries is not None else 0

    def once(self, what: str, *, until: float) -> bool:
        """True the first time; what was used stays so until then."""
        now = self._clock()
        self._used = {name: end for name, end in self._used.items() if end > now}
        if what in self._used:
            return False
        self._used[what] = until
        return True

    def _wait(self, name: Name) -> float:
        tries = self._tries.get(name)
        if tries is None or tries.wrong < FREE:
            return 0.0
        pause = min(
            FIRST * 2.0 ** min(tries.wrong - FREE, 20),
            LONGEST_FOR_ACCOUNT if name[0] == "account" else LONGEST,
        )
        return tries.last + pause - self._clock()


def place(address: str) -> Name:
    """Where somebody is: an IPv6 customer holds at least a /64."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "address", address
    if found.version == 6:
        return "address", str(ipaddress.IPv6Address(int(found) >> 64 << 64))
    return "address", address
