# SPDX-License-Identifier: Apache-2.0
"""Where can a request go, and which of these places failed lately?"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from ringback.sip.flow import Address, Transport

#: How long a target that failed is tried last; doubled each time it fails again, up to the longest.
FIRST_PENALTY = 30.0
LONGEST_PENALTY = 300.0
REMEMBERED_FAILURES = 1024


class Target(NamedTuple):
    """One place to send to. `server_name` is whom a TLS certificate must name (RFC 5922)."""

    transport: Transport
    address: Address
    server_name: str | None = None


class TargetHealth:
    """Remembers failures per target, not per domain: one dead server must not take its domain down."""

    def __init__(self) -> None:
        self._failures: OrderedDict[tuple[Transport, Address], tuple[float, float]] = OrderedDict()

    def failed(self, target: Target, now: float) -> None:
        """The target did not answer or refused."""
        key = target[:2]
        _until, penalty = self._failures.pop(key, (0.0, FIRST_PENALTY / 2))
        penalty = min(2 * penalty, LONGEST_PENALTY)
        self._failures[key] = (now + penalty, penalty)
        if len(self._failures) > REMEMBERED_FAILURES:
            self._failures.popitem(last=False)

    def works(self, target: Target) -> None:
        """The target answered."""
        self._failures.pop(target[:2], None)

    def is_failing(self, target: Target, now: float) -> bool:
        """True while the penalty of its last failure runs."""
        until, _penalty = self._failures.get(target[:2], (0.0, 0.0))
        return now < until

    def healthy_first(self, targets: Iterable[Target], now: float) -> list[Target]:
        """The same targets; those that failed lately come last, the order is kept otherwise."""
        return sorted(targets, key=lambda target: self.is_failing(target, now))
