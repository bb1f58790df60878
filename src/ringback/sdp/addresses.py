# SPDX-License-Identifier: Apache-2.0
"""May media be sent to this address? RELIABILITY row 10: one answer, over the canonical form.

Denied are the special-purpose blocks of IANA (RFC 6890) that can never be the place of a telephone:
this network, loopback, link local, multicast, broadcast, protocol assignments and the tunnels that hide
an IPv4 address. Private networks and shared address space are where telephones live, and stay allowed;
so do the documentation and benchmarking blocks, which lead nowhere but are used in laboratories.
"""

import ipaddress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

_DENIED_4 = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_DENIED_6 = tuple(
    IPv6Network(block)
    for block in (
        "::/127",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/32",
        "2001:10::/28",
        "fe80::/10",
        "ff00::/8",
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
_PRIVATE_4 = tuple(
    IPv4Network(block)
    for block in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
    )
)
_PRIVATE_6 = tuple(IPv6Network(block) for block in ("fc00::/7", "fe80::/10", "::1/128"))

#: Longest text of an IP address: eight groups with an embedded IPv4 address.
_LONGEST = 45


def canonical_host(text: str) -> str:
    """The one text of an IP address; an IPv4 address in IPv6 clothes is unwrapped. Else ValueError."""
    return str(_unwrapped(text))


def is_unspecified(host: str) -> bool:
    """True for 0.0.0.0 and ::, which mean "send nothing" (RFC 3264 section 8.4)."""
    return _unwrapped(host).is_unspecified


def is_loopback(host: str) -> bool:
    """True for an address of this machine only."""
    return _unwrapped(host).is_loopback


def is_private(host: str) -> bool:
    """True for an address that means nothing outside of its own network: its owner may sit behind a NAT."""
    address = _unwrapped(host)
    if isinstance(address, IPv4Address):
        return any(address in block for block in _PRIVATE_4)
    return any(address in block for block in _PRIVATE_6)


def is_relayable(host: str, *, allow_loopback: bool = False) -> bool:
    """True when media may be sent to `host`. Text that is no IP address is not."""
    try:
        address = _unwrapped(host)
    except ValueError:
        return False
    if address.is_loopback:
        return allow_loopback
    if isinstance(address, IPv4Address):
        return not any(address in block for block in _DENIED_4)
    if address in _NAT64:
        return is_relayable(str(IPv4Address(address.packed[-4:])))
    if address.sixtofour is not None:
        return is_relayable(str(address.sixtofour))
    return not any(address in block for block in _DENIED_6)


def _unwrapped(text: str) -> IPv4Address | IPv6Address:
    if len(text) > _LONGEST or not text.isascii() or "%" in text:
        raise ValueError("not an IP address")
    address = ipaddress.ip_address(text)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
