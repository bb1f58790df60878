# SPDX-License-Identifier: Apache-2.0
"""What does DNS say in a test? What the test wrote into it, truth or lies. A `ringback.net.dns.DnsClient`.

    from ringback.testing import Names, run

    names = Names()
    names.srv("_sip._udp.example.com", "pbx.example.com", 5060)
    names.a("pbx.example.com", "10.0.0.1")
    assert run(names.query("pbx.example.com", "A")).records == ("10.0.0.1",)

Every in-memory `Network` has one, its `dns`.
"""

import asyncio
from collections import Counter

from ringback.net.dns import DnsAnswer, DnsFailure, NaptrRecord, Record, SrvRecord

LONGEST_CHAIN = 8


class Names:
    """The records of an invented DNS, and its faults."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, str], list[Record]] = {}
        self._ttls: dict[tuple[str, str], float] = {}
        self._aliases: dict[str, str] = {}
        #: Names whose questions fail (SERVFAIL); "*" means every name.
        self.broken: set[str] = set()
        #: How long each answer takes.
        self.delay = 0.0
        #: How often each question was asked.
        self.asked: Counter[tuple[str, str]] = Counter()

    def add(self, name: str, kind: str, record: Record, *, ttl: float = 60.0) -> None:
        """Any record, also one no honest server would send."""
        key = (name.lower(), kind)
        self._records.setdefault(key, []).append(record)
        self._ttls[key] = ttl

    def a(self, name: str, *addresses: str, ttl: float = 60.0) -> None:
        """IPv4 addresses of a host."""
        for address in addresses:
            self.add(name, "A", address, ttl=ttl)

    def aaaa(self, name: str, *addresses: str, ttl: float = 60.0) -> None:
        """IPv6 addresses of a host."""
        for address in addresses:
            self.add(name, "AAAA", address, ttl=ttl)

    def srv(
        self, name: str, target: str, port: int, *, priority: int = 0, weight: int = 0, ttl: float = 60.0
    ) -> None:
        """Where a service runs."""
        self.add(name, "SRV", SrvRecord(priority, weight, port, target), ttl=ttl)

    def naptr(
        self,
        name: str,
        service: str,
        replacement: str,
        *,
        order: int = 0,
        preference: int = 0,
        flags: str = "s",
        regexp: str = "",
        ttl: float = 60.0,
    ) -> None:
        """Which service a domain offers."""
        self.add(name, "NAPTR", NaptrRecord(order, preference, flags, service, regexp, replacement), ttl=ttl)

    def cname(self, name: str, target: str) -> None:
        """An alias."""
        self._aliases[name.lower()] = target.lower()

    def remove(self, name: str, kind: str) -> None:
        """Forget the records of one kind."""
        self._records.pop((name.lower(), kind), None)

    async def query(self, name: str, kind: str) -> DnsAnswer:
        """The records written before; none is a negative answer that may be believed for 30 s."""
        self.asked[name.lower(), kind] += 1
        if self.delay:
            await asyncio.sleep(self.delay)
        if name in self.broken or "*" in self.broken:
            raise DnsFailure(f"{name}: server failure")
        key = (self._canonical(name.lower()), kind)
        return DnsAnswer(tuple(self._records.get(key, ())), self._ttls.get(key, 30.0))

    def _canonical(self, name: str) -> str:
        for _ in range(LONGEST_CHAIN):
            if name not in self._aliases:
                return name
            name = self._aliases[name]
        raise DnsFailure(f"{name}: the chain of aliases has no end")
