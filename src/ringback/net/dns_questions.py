# SPDX-License-Identifier: Apache-2.0
"""How is one question put to a DNS server? With dnspython over asyncio: random ids and ports, UDP, then TCP.

dnspython checks that an answer comes from the server that was asked, to the port it was asked from, with the
same id and question (what RFC 5452 asks for), and bounds the chain of aliases.
"""

from pathlib import Path

import dns.asyncresolver
import dns.exception
import dns.message
import dns.rdatatype
import dns.rdtypes.IN.NAPTR
import dns.rdtypes.IN.SRV
import dns.resolver
from dns.rdata import Rdata

from ringback.net.dns import DnsAnswer, DnsFailure, NaptrRecord, Record, SrvRecord
from ringback.sip.flow import Address

NEGATIVE_TTL = 30.0


class DnsQuestions:
    """Asks the given servers, or those of /etc/resolv.conf as it is now. `SystemDns` makes it when needed."""

    def __init__(self, servers: list[Address] | None, *, resolv_conf: Path, lifetime: float) -> None:
        self._servers = servers
        self._lifetime = lifetime
        self._resolv_conf = resolv_conf
        self._changed = -1
        self._resolver: dns.asyncresolver.Resolver | None = None

    async def query(self, name: str, kind: str) -> DnsAnswer:
        """Ask; an absent name or kind is an empty answer. Raises `DnsFailure`."""
        is_host = kind in ("A", "AAAA")
        resolver = self._current()
        try:
            answer = await resolver.resolve(
                name if is_host else name + ".",
                kind,
                raise_on_no_answer=False,
                lifetime=self._lifetime,
                search=is_host,
            )
        except dns.resolver.NXDOMAIN as error:
            responses = error.responses()  # type: ignore[no-untyped-call]
            return DnsAnswer((), _negative_ttl(list(responses.values())))
        except (dns.exception.DNSException, OSError, EOFError, ValueError) as error:
            raise DnsFailure(f"{name}: {type(error).__name__}") from error
        if answer.rrset is None:
            return DnsAnswer((), _negative_ttl([answer.response]))
        return DnsAnswer(tuple(_record(rdata) for rdata in answer.rrset), float(answer.rrset.ttl))

    def _current(self) -> dns.asyncresolver.Resolver:
        """The resolver for the servers as they are configured now."""
        if self._servers is not None:
            return self._resolver or self._made(configure=False)
        try:
            changed = self._resolv_conf.stat().st_mtime_ns
        except OSError as error:
            raise DnsFailure(f"no DNS server is configured: {error}") from error
        if self._resolver is None or changed != self._changed:
            self._changed = changed
            return self._made(configure=True)
        return self._resolver

    def _made(self, *, configure: bool) -> dns.asyncresolver.Resolver:
        resolver = dns.asyncresolver.Resolver(filename=str(self._resolv_conf), configure=configure)
        if self._servers is not None:
            resolver.nameservers = [server.host for server in self._servers]
            resolver.nameserver_ports = {server.host: server.port for server in self._servers}
        resolver.cache = None  # the cache above knows about stale answers
        resolver.timeout = 1.0
        self._resolver = resolver
        return resolver


def _record(rdata: Rdata) -> Record:
    if isinstance(rdata, dns.rdtypes.IN.SRV.SRV):
        return SrvRecord(rdata.priority, rdata.weight, rdata.port, rdata.target.to_text(omit_final_dot=True))
    if isinstance(rdata, dns.rdtypes.IN.NAPTR.NAPTR):
        flags, service, regexp = (
            part.decode("ascii", "replace") for part in (rdata.flags, rdata.service, rdata.regexp)
        )
        replacement = rdata.replacement.to_text(omit_final_dot=True)
        return NaptrRecord(rdata.order, rdata.preference, flags, service, regexp, replacement)
    return rdata.to_text()


def _negative_ttl(responses: list[dns.message.QueryMessage | dns.message.Message]) -> float:
    """RFC 2308 section 5: the lesser of the SOA record's TTL and its minimum field."""
    for response in responses:
        for rrset in response.authority:
            if rrset.rdtype == dns.rdatatype.SOA and len(rrset):
                return float(min(rrset.ttl, rrset[0].minimum))
    return NEGATIVE_TTL
