# SPDX-License-Identifier: Apache-2.0
"""Does this URI mean us? Our domains, and the addresses our sockets are reached at (RFC 3261 16.4, 16.5)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from ringback.sip.message.uri import SHORT, SipUri, TelUri, parse_uri

if TYPE_CHECKING:
    from ringback.net.endpoint import Endpoint
    from ringback.sip.flow import Flow
    from ringback.sip.message.uri import Uri

WILDCARDS = frozenset(("0.0.0.0", "::", ""))  # noqa: S104 (compared, not bound)
LOOPBACKS = ("127.0.0.1", "::1", "localhost")

#: Local addresses learnt from connections, at most: a machine has few, and strangers cannot add any.
LEARNT_LIMIT = 64

#: URIs that are remembered as ours or not.
NAMED_LIMIT = 1024


class Locality:
    """Knows which hosts and ports are this server."""

    def __init__(self, domains: Iterable[str], addresses: Iterable[str] = ()) -> None:
        self._domains = frozenset(domain.lower() for domain in domains)
        self._hosts = self._domains.union(canonical_host(address) for address in addresses)
        self._ports: frozenset[int] = frozenset()
        self._learnt = 0
        self._named: dict[str, bool] = {}

    def add_endpoint(self, endpoint: Endpoint) -> None:
        """A socket of ours: its addresses and ports mean us."""
        self._named.clear()
        for address in (endpoint.local, endpoint.advertise or endpoint.local):
            self._ports |= {address.port}
            if address.host in WILDCARDS:
                self._hosts |= {*LOOPBACKS, canonical_host(endpoint.outside)}
            else:
                self._hosts |= {canonical_host(address.host)}

    def learn(self, flow: Flow) -> None:
        """On a machine with several addresses, a connection tells which one its peer used."""
        host = flow.local.host
        if host not in self._hosts and host not in WILDCARDS and self._learnt < LEARNT_LIMIT:
            self._hosts |= {canonical_host(host)}
            self._learnt += 1
            self._named.clear()

    def is_ours(self, uri: Uri) -> bool:
        """True when the resource behind `uri` is for us to find: sip:user@our-domain, or a telephone
        number.
        """
        if isinstance(uri, SipUri):
            host, port = uri.host, uri.port
            return (port is None or port in self._ports) and (
                host in self._hosts or self.is_our_host(host, port)
            )
        return isinstance(uri, TelUri)

    def is_our_host(self, host: str, port: int | None) -> bool:
        """True for our domains and addresses, without a port or with one of ours."""
        if port is not None and port not in self._ports:
            return False
        return host in self._hosts or canonical_host(host) in self._hosts

    def names_us(self, text: str) -> bool:
        """True when the SIP URI in `text` names a host and port of ours. Remembered: for what is the same in
        one request after the other (0.1 us).
        """
        known = self._named.get(text)
        if known is None:
            uri = parse_uri(text)
            known = isinstance(uri, SipUri) and self.is_our_host(uri.host, uri.port)
            if len(self._named) >= NAMED_LIMIT:
                self._named.clear()
            if len(text) <= SHORT:
                self._named[text] = known
        return known

    def is_our_socket(self, uri: Uri) -> bool:
        """True when sending to `uri` would send to ourselves: a missing port is the default one."""
        if not isinstance(uri, SipUri):
            return False
        if canonical_host(uri.host) in self._domains:
            return self.is_our_host(uri.host, uri.port)
        is_secure = uri.secure or uri.transport in ("TLS", "WSS")
        return self.is_our_host(uri.host, uri.port or (5061 if is_secure else 5060))

    def is_this_server(self, uri: Uri) -> bool:
        """True for the server itself: an address of ours without a user."""
        return isinstance(uri, SipUri) and not uri.user and self.is_our_host(uri.host, uri.port)

    def user_of(self, uri: Uri) -> str:
        """The user part of an address of ours; empty for the server itself."""
        if isinstance(uri, SipUri):
            return uri.user or ""
        if isinstance(uri, TelUri):
            return "".join(character for character in uri.number if character not in "-.()")
        return ""


@lru_cache(4096)
def canonical_host(host: str) -> str:
    """A host in one spelling: names in lower case, IP addresses as `ipaddress` prints them."""
    host = host.lower() if host.isascii() else host
    if host[-1:] == "." and host[:-1]:
        host = host[:-1]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
