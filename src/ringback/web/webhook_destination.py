# SPDX-License-Identifier: Apache-2.0
"""Where may a webhook lead? To the outside; not to this machine or the networks behind it.

An address is checked twice: as it is written, when it is entered, and as it is resolved, at each delivery, so
that a name which later means 127.0.0.1 leads nowhere. The connection is made to the very address that was
checked. Networks of one's own are allowed in the setting web.webhook_allow.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: RFC 6052: IPv4 addresses in IPv6 ones, which lead a translator wherever they say.
NAT64 = ip_network("64:ff9b::/96")
#: RFC 6890: of the protocols' own; clouds tell machines their secrets there (192.0.0.192).
PROTOCOLS = ip_network("192.0.0.0/24")
MAX_URL = 2000


class NotAllowed(OSError):
    """The address is one of ours or of nobody: nothing is sent."""


def checked_url(url: str, *, allowed: Sequence[str] = ()) -> str:
    """The address, if it can be one; ValueError with what is wrong. A name is resolved later."""
    if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("this is no address of a web server")
    try:
        split = urlsplit(url)
        host, port = split.hostname, split.port
    except ValueError:
        raise ValueError("this is no address of a web server") from None
    if split.scheme not in ("http", "https") or not host:
        raise ValueError("write an address as https://example.com/path")
    if split.username is not None or split.password is not None:
        raise ValueError("leave user and password out: they would be shown; deliveries are signed instead")
    if port == 0:
        raise ValueError("there is no port 0")
    literal = _literal(host)
    if literal is not None and not is_allowed(literal, networks(allowed)):
        raise ValueError(f"{host} is not an address outside; web.webhook_allow can allow its network")
    is_here = host == "localhost" or host.endswith(".localhost")
    if is_here and not any(network.is_loopback for network in networks(allowed)):
        raise ValueError("localhost is this server; web.webhook_allow can allow it")
    return url


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """As in the settings."""
    return tuple(ip_network(text, strict=False) for text in texts)


def is_allowed(address: Address, allowed: Sequence[Network]) -> bool:
    """True for an address that anybody may have, and for those of allowed networks."""
    real = _unwrapped(address)
    if any(
        each.version == network.version and each in network for each in (address, real) for network in allowed
    ):
        return True
    if real in PROTOCOLS:
        return False
    return real.is_global and not real.is_multicast and not real.is_reserved and not real.is_unspecified


class GuardedResolver(AbstractResolver):
    """Resolves names for aiohttp, and leaves out the addresses that are not allowed."""

    def __init__(self, inner: AbstractResolver, allowed: Sequence[Network]) -> None:
        self._inner = inner
        self._allowed = allowed

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Raises `NotAllowed` when nothing is left. Literal addresses never come here: see `check_host`."""
        found = await self._inner.resolve(host, port, family)
        usable = [each for each in found if is_allowed(ip_address(each["host"]), self._allowed)]
        if found and not usable:
            raise NotAllowed(f"{host} leads to {found[0]['host']}, which is not outside")
        return usable

    async def close(self) -> None:
        await self._inner.close()


def check_host(url: str, allowed: Sequence[Network]) -> None:
    """Literal addresses are never resolved, so they are looked at here. Raises `NotAllowed`."""
    host = urlsplit(url).hostname or ""
    literal = _literal(host)
    if literal is not None and not is_allowed(literal, allowed):
        raise NotAllowed(f"{host} is not outside")


def _literal(host: str) -> Address | None:
    """The address a host name is. Old spellings of IPv4 (0x7f.1, 2130706433) count: resolvers take them."""
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host)) if host and host[-1].isalnum() else None
    except OSError:
        return None


def _unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 one really means."""
    if isinstance(address, IPv4Address):
        return address
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    if address.teredo is not None:
        return address.teredo[1]
    return address.ipv4_mapped or address.sixtofour or address
