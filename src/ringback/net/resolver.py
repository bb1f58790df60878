# SPDX-License-Identifier: Apache-2.0
"""Which servers stand for a URI, in which order? RFC 3263: transport, port, addresses from the URI and DNS.

1. Transport (4.1): the URI says it; or the host is numeric or has a port: UDP (TLS for sips); or NAPTR says;
   or the SRV records that exist say; or UDP (TLS for sips).
2. Port and address (4.2): numeric as it stands; a port means A and AAAA; else SRV; else A, AAAA.
3. Several answers: by priority and weight (RFC 2782), those that failed lately last (4.3).

What DNS says is as little to be trusted as what a peer says: names and addresses are checked, all is bounded.
"""

import asyncio
import ipaddress
import random
import re
from collections.abc import Awaitable, Iterable, Sequence
from typing import NamedTuple

from ringback.net.dns import DnsClient, DnsFailure, NaptrRecord, Record, SrvRecord
from ringback.net.dns_cache import CacheLimits, DnsCache
from ringback.net.errors import NameNotFound
from ringback.net.hosts_file import HostsFile
from ringback.net.targets import Target, TargetHealth
from ringback.net.transport import TRANSPORTS
from ringback.sip.flow import Address, Transport
from ringback.sip.message.sip_uri import SipUri
from ringback.sip.message.uri import Uri

MOST_TARGETS = 16
ADDRESSES_PER_NAME = 4
BUDGET = 2.0
#: NAPTR and SRV may take so much of the budget each; servers that drop such questions must not cost a call.
SERVICE_TIMEOUT = 0.6
LABEL = re.compile(r"[0-9A-Za-z_]([0-9A-Za-z_-]{0,61}[0-9A-Za-z_])?", re.ASCII)

SERVICES = {row.naptr_service: row.transport for row in TRANSPORTS.values()}
SRV_PREFIXES = {row.transport: row.srv_prefix for row in TRANSPORTS.values() if row.srv_prefix}
#: RFC 3261 26.2.2: what a transport parameter means in a SIPS URI.
SECURE = {Transport.UDP: Transport.TLS, Transport.TCP: Transport.TLS, Transport.WS: Transport.WSS}


class _Place(NamedTuple):
    """A host, perhaps still a name, and how to speak to it."""

    transport: Transport
    host: str
    port: int


class Resolver:
    """Finds targets; remembers DNS answers and failed targets.

        from ringback.net.resolver import Resolver
        from ringback.sip.message.sip_uri import SipUri
        from ringback.testing import Names, run

        names = Names()
        names.srv("_sip._udp.example.com", "pbx.example.com", 5070)
        names.a("pbx.example.com", "192.0.2.1")
        targets = run(Resolver(names).resolve(SipUri.parse("sip:101@example.com")))
        assert str(targets[0].address) == "192.0.2.1:5070"

    One resolver serves a whole process: what it knows of dead targets helps every call.
    """

    def __init__(
        self,
        dns: DnsClient,
        *,
        limits: CacheLimits | None = None,
        hosts: HostsFile | None = None,
        chance: random.Random | None = None,
    ) -> None:
        self._cache = DnsCache(dns, limits)
        self._hosts = hosts or HostsFile()
        self._chance = chance or random.SystemRandom()
        self.health = TargetHealth()

    async def resolve(self, uri: Uri, *, transports: Sequence[Transport] = tuple(Transport)) -> list[Target]:
        """At most 16 targets in the order to be tried. Raises `NameNotFound` after 2 s at most."""
        known = self.resolve_numeric(uri, transports=transports)
        if known is not None:
            return known
        assert isinstance(uri, SipUri)
        host = _host(uri)
        if not is_host_name(host):
            raise NameNotFound(f"{host[:80]!r} is no host name")
        try:
            async with asyncio.timeout(BUDGET):
                places = await self._places(uri, host, transports)
                targets = await self._addresses(places, uri.host)
        except TimeoutError as error:
            raise NameNotFound(f"{host}: DNS did not answer in {BUDGET:g} s") from error
        except DnsFailure as error:
            raise NameNotFound(str(error)) from error
        if not targets:
            raise NameNotFound(f"{host}: nothing in DNS that we can reach")
        return self.health.healthy_first(targets, asyncio.get_running_loop().time())

    def resolve_numeric(
        self, uri: Uri, *, transports: Sequence[Transport] = tuple(Transport)
    ) -> list[Target] | None:
        """The one target of a numeric URI, without waiting; None when a name must be looked up."""
        if not isinstance(uri, SipUri):
            raise NameNotFound("only a SIP URI says where to send")
        transport = wanted_transport(uri)
        if transport is not None and transport not in transports:
            raise NameNotFound(f"{transport} is not available here")
        address = canonical_address(_host(uri))
        if address is None:
            return None
        transport = transport or (Transport.TLS if uri.secure else Transport.UDP)
        return [Target(transport, Address(address, uri.port or TRANSPORTS[transport].default_port), uri.host)]

    async def close(self) -> None:
        """Give up the questions under way."""
        await self._cache.close()

    # --- transport and port ---

    async def _places(self, uri: SipUri, host: str, transports: Sequence[Transport]) -> list[_Place]:
        transport = wanted_transport(uri)
        fallback = transport or (Transport.TLS if uri.secure else Transport.UDP)
        plain = [_Place(fallback, host, uri.port or TRANSPORTS[fallback].default_port)]
        if uri.port or self._in_hosts_file(host):
            return plain
        if transport is not None:
            services = [(transport, SRV_PREFIXES[transport] + host)] if transport in SRV_PREFIXES else []
        else:
            allowed = [one for one in transports if one.is_secure or not uri.secure]
            services = await self._naptr(host, allowed) or [
                (one, prefix + host) for one, prefix in SRV_PREFIXES.items() if one in allowed
            ]
        return await self._srv(services) or plain

    async def _naptr(self, host: str, allowed: Sequence[Transport]) -> list[tuple[Transport, str]]:
        """RFC 3263 4.1: the services offered, in the order the domain asks for."""
        records = [
            record
            for record in await self._ask_service(host, "NAPTR")
            if isinstance(record, NaptrRecord)
            and record.flags.lower() == "s"
            and not record.regexp  # a pattern of a stranger's is never run
            and SERVICES.get(record.service.upper()) in allowed
            and is_host_name(record.replacement)
        ]
        records.sort(key=lambda record: (record.order, record.preference))
        return [(SERVICES[record.service.upper()], record.replacement) for record in records[:MOST_TARGETS]]

    async def _srv(self, services: list[tuple[Transport, str]]) -> list[_Place]:
        """RFC 3263 4.2: the servers of each service, the first service first."""
        answers = await asyncio.gather(*(self._ask_service(name, "SRV") for _transport, name in services))
        places: list[_Place] = []
        for (transport, _name), answer in zip(services, answers, strict=True):
            usable = [
                record
                for record in answer
                if isinstance(record, SrvRecord)
                and 0 < record.port < 65_536
                and is_host_name(record.target)  # "." says: this service is decidedly not here
            ]
            places += [_Place(transport, one.target, one.port) for one in by_weight(usable, self._chance)]
        return places[:MOST_TARGETS]

    async def _ask_service(self, name: str, kind: str) -> tuple[Record, ...]:
        """A failure is taken as "no such record": A and AAAA may still be answered."""
        try:
            return await self._cache.lookup(name.lower(), kind, timeout=SERVICE_TIMEOUT)
        except DnsFailure:
            return ()

    # --- addresses ---

    def _in_hosts_file(self, host: str) -> bool:
        return bool(self._hosts.addresses(host.lower(), asyncio.get_running_loop().time()))

    async def _addresses(self, places: list[_Place], domain: str) -> list[Target]:
        names = list(dict.fromkeys(place.host.lower() for place in places))
        answers = await asyncio.gather(*(self._addresses_of(name) for name in names), return_exceptions=True)
        found = dict(zip(names, answers, strict=True))
        failures = [answer for answer in answers if isinstance(answer, BaseException)]
        if failures and len(failures) == len(answers):
            raise failures[0]
        targets: dict[Target, None] = {}
        for place in places:
            addresses = found[place.host.lower()]
            for address in addresses if not isinstance(addresses, BaseException) else ():
                targets[Target(place.transport, Address(address, place.port), domain)] = None
        return list(targets)[:MOST_TARGETS]

    async def _addresses_of(self, name: str) -> list[str]:
        """IPv4 first, then IPv6; one family that fails does not hide the other."""
        listed = self._hosts.addresses(name, asyncio.get_running_loop().time())
        if listed:
            return list(listed)
        lookups: list[Awaitable[tuple[Record, ...]]] = [
            self._cache.lookup(name, kind, timeout=BUDGET) for kind in ("A", "AAAA")
        ]
        answers = await asyncio.gather(*lookups, return_exceptions=True)
        addresses: list[str] = []
        for answer in answers:
            if not isinstance(answer, BaseException):
                addresses += usable_addresses(answer)
        failures = [answer for answer in answers if isinstance(answer, BaseException)]
        if failures and not addresses:
            raise failures[0]
        return addresses


def wanted_transport(uri: SipUri) -> Transport | None:
    """The transport the URI names. "sips" makes TCP mean TLS (RFC 3261 26.2.2); an unknown word raises."""
    word = uri.transport
    if word is None:
        return None
    if word not in Transport.__members__:
        raise NameNotFound(f"transport {word[:20]!r} is unknown")
    transport = Transport[word]
    return SECURE.get(transport, transport) if uri.secure else transport


def _host(uri: SipUri) -> str:
    """RFC 3263 section 4: the TARGET is the maddr parameter, else the host."""
    return uri.parameter("maddr") or uri.host


def canonical_address(host: str) -> str | None:
    """The IP address in canonical text; None when the host is a name."""
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    return str(address)


def is_host_name(text: str) -> bool:
    """True for a name that a question in DNS can carry (RFC 1035 2.3.4; underscores as in SRV names)."""
    if not 0 < len(text) <= 253 or canonical_address(text) is not None:
        return False
    return all(LABEL.fullmatch(label) for label in text.removesuffix(".").split("."))


def usable_addresses(records: Iterable[Record]) -> list[str]:
    """The first few unicast addresses: DNS may not point us at everybody (multicast) or nobody (0.0.0.0)."""
    addresses: list[str] = []
    for record in records:
        text = canonical_address(record) if isinstance(record, str) else None
        if text is None or len(addresses) >= ADDRESSES_PER_NAME:
            continue
        address = ipaddress.ip_address(text)
        if not (address.is_multicast or address.is_unspecified or text == "255.255.255.255"):
            addresses.append(text)
    return addresses


def by_weight(records: Sequence[SrvRecord], chance: random.Random) -> list[SrvRecord]:
    """RFC 2782: by priority; among equals at random, weight being the chance to come first."""
    waiting = sorted(records[: 4 * MOST_TARGETS], key=lambda record: (record.priority, record.weight))
    ordered: list[SrvRecord] = []
    while waiting:
        equals = [record for record in waiting if record.priority == waiting[0].priority]
        point = chance.uniform(0, sum(record.weight for record in equals))
        running = 0
        for record in equals:
            running += record.weight
            if running >= point:
                break
        waiting.remove(record)
        ordered.append(record)
    return ordered
