# SPDX-License-Identifier: Apache-2.0
"""What does the resolver ask of DNS? Four kinds of records, one question at a time (RFC 2782, 3403, 3596)."""

from typing import NamedTuple, Protocol


class SrvRecord(NamedTuple):
    """RFC 2782: where a service runs."""

    priority: int
    weight: int
    port: int
    target: str


class NaptrRecord(NamedTuple):
    """RFC 3403: which services a domain offers."""

    order: int
    preference: int
    flags: str
    service: str
    regexp: str
    replacement: str


#: A and AAAA records are their address as text.
Record = str | SrvRecord | NaptrRecord


class DnsAnswer(NamedTuple):
    """The records (none: the name has none of this kind) and for how many seconds that may be believed."""

    records: tuple[Record, ...]
    ttl: float


class DnsFailure(OSError):
    """DNS did not answer, or answered that it cannot. Not the same as: there is no such record."""


class DnsClient(Protocol):
    """Asks DNS. Names have no trailing dot; `kind` is "A", "AAAA", "SRV" or "NAPTR"."""

    async def query(self, name: str, kind: str) -> DnsAnswer:
        """The answer, aliases (CNAME) followed. Raises `DnsFailure`."""
        ...
