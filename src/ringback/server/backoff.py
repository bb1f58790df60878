# SPDX-License-Identifier: Apache-2.0
"""Who guesses passwords, and how long must they wait? A bounded table of failures.

It counts by source and account; by source alone with more patience, since an office behind one address may
mistype; by the network of the source; and by account alone, since a botnet has many sources. Waiting
doubles with each failure past the free ones and is forgotten with time. It is a delay, never a ban: the right
password from a phone that is registered here is always heard (`authentication.py` sees to that), and a
source that proved to be the owner before does not wait for what others do to the account.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class BackoffPolicy:
    """Seconds, and how many failures are free."""

    free_per_account: int = 5
    free_per_source: int = 30
    free_per_network: int = 100
    free_from_everywhere: int = 100
    first_delay: float = 2.0
    longest_delay: float = 300.0
    longest_for_everywhere: float = 10.0
    """For an account that many sources guess at, so that its owner can come in from somewhere new."""
    memory: float = 900.0
    """A source that was quiet for so long has a clean record again."""
    table_size: int = 20_000


@dataclass(slots=True)
class _Record:
    failures: int = 0
    last: float = 0.0
    blocked_until: float = 0.0


class FailureTable:
    """(source, account) -> how long to wait. The oldest records leave when it is full."""

    def __init__(self, policy: BackoffPolicy | None = None) -> None:
        self.policy = policy or BackoffPolicy()
        self._records: OrderedDict[tuple[str, str], _Record] = OrderedDict()
        self._owners: OrderedDict[tuple[str, str], None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._records)

    def wait(self, source: str, account: str, *, now: float) -> float:
        """Seconds until credentials for `account` from `source` are looked at again; 0 for at once."""
        if not self._records:
            return 0.0  # nobody guesses: nearly always
        keys = [(source, account), (source, ""), (_network(source), "")]
        if (source, account) not in self._owners:
            keys.append(("", account))
        return max(0.0, *(self._blocked_until(key, now) - now for key in keys))

    def failed(self, source: str, account: str, *, now: float) -> None:
        """A wrong password for `account` came from `source`."""
        policy = self.policy
        self._count((source, account), policy.free_per_account, now)
        self._count((source, ""), policy.free_per_source, now)
        self._count((_network(source), ""), policy.free_per_network, now)
        self._count(("", account), policy.free_from_everywhere, now, longest=policy.longest_for_everywhere)

    def succeeded(self, source: str, account: str) -> None:
        """The owner is there: the record of this account from this source is clean."""
        owner, owners = (source, account), self._owners
        if self._records:
            self._records.pop(owner, None)
        if owner in owners:
            owners.move_to_end(owner)
            return
        owners[owner] = None
        if len(owners) > self.policy.table_size:
            owners.popitem(last=False)

    def _blocked_until(self, key: tuple[str, str], now: float) -> float:
        record = self._records.get(key)
        return record.blocked_until if record is not None else now

    def _count(self, key: tuple[str, str], free: int, now: float, *, longest: float | None = None) -> None:
        record = self._records.pop(key, None)
        if record is None or now - record.last > self.policy.memory:
            record = _Record()
        record.failures += 1
        record.last = now
        excess = record.failures - free
        if excess > 0:
            delay = min(
                self.policy.first_delay * 2 ** min(excess - 1, 30), longest or self.policy.longest_delay
            )
            record.blocked_until = now + delay
        self._records[key] = record
        while len(self._records) > self.policy.table_size:
            self._records.popitem(last=False)


@lru_cache(maxsize=4096)
def _network(source: str) -> str:
    """The /24 or /48 around an address: what one attacker rents at once."""
    try:
        address = ipaddress.ip_address(source)
    except ValueError:
        return source
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False))
