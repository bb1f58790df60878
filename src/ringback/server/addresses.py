# SPDX-License-Identifier: Apache-2.0
"""Which address and which domain does this server go by, and why?

Every choice comes with its reason, so that the person who starts the server can see what was assumed.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass

from ringback.net.network import Network
from ringback.server.config import Settings
from ringback.server.interfaces import interface_addresses

#: Documentation addresses (RFC 5737, RFC 3849): nothing is sent there, the route to them is the default
#: route.
FAR_IPV4, FAR_IPV6 = "192.0.2.1", "2001:db8::1"
ANY = frozenset({"0.0.0.0", "::"})  # noqa: S104 (compared, not bound)

Origin = Callable[[str, str], str]  # ("sip", "domain") -> "--domain", "ringback.toml:3:1" or ""


@dataclass(frozen=True, slots=True)
class Choice:
    """Something that was decided, and the reason in words that follow "because"."""

    value: str
    reason: str


async def advertised_addresses(settings: Settings, network: Network, *, origin: Origin) -> list[Choice]:
    """What others are told to reach us at: at most one IPv4 and one IPv6 address, never nothing."""
    said = [Choice(address, f"{origin('sip', 'advertise')} says so") for address in settings.sip.advertise]
    if said:
        return sorted(said, key=lambda choice: ":" in choice.value)
    found: dict[bool, Choice] = {}
    for host in settings.sip.host:
        choice = Choice(host, f"{origin('sip', 'host') or 'host'} listens there") if host not in ANY else None
        choice = choice or await _address_of_default_route(network, is_ipv6=":" in host)
        if choice is not None:
            found.setdefault(":" in host, choice)
    if not found:
        found[False] = Choice(
            "127.0.0.1", "this machine has no network; only programs on it can reach the server"
        )
    return [found[is_ipv6] for is_ipv6 in sorted(found)]


def domain(settings: Settings, advertised: list[Choice], *, origin: Origin) -> Choice:
    """The domain of the users' addresses."""
    if settings.sip.domain:
        return Choice(settings.sip.domain, f"{origin('sip', 'domain')} says so")
    return Choice(advertised[0].value, "no --domain was given, and phones can reach this address without DNS")


def other_names(settings: Settings, advertised: list[Choice]) -> tuple[str, ...]:
    """Names and addresses that mean this server too, besides its domain."""
    names = [*settings.sip.aliases, *(choice.value for choice in advertised)]
    names += [host for host in settings.sip.host if host not in ANY]
    if any(host in ANY for host in settings.sip.host):
        names += ["localhost", "127.0.0.1", "::1", *_host_names(), *interface_addresses()]
    return tuple(dict.fromkeys(names))


async def _address_of_default_route(network: Network, *, is_ipv6: bool) -> Choice | None:
    try:
        address = await network.source_address(FAR_IPV6 if is_ipv6 else FAR_IPV4)
    except OSError:
        return None
    if address.startswith("fe80:") or address in ANY:
        return None
    return Choice(address, "it is the address of the interface that reaches the default route")


def _host_names() -> list[str]:
    """What this machine calls itself, where that is a name others could use."""
    with contextlib.suppress(OSError):
        name = socket.gethostname().lower()
        if name.isascii() and name.replace("-", "").replace(".", "").isalnum() and len(name) <= 253:
            return [name]
    return []
