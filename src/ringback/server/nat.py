# SPDX-License-Identifier: Apache-2.0
"""Can the address in a Contact be believed? NAT repair: RFC 3581, RFC 5626 section 5.3, RFC 3261 section 18.

What a phone behind NAT writes into its Contact is an address of its own network. The address its packets
come from is the one that reaches it; for TCP, TLS and WebSocket it is the connection itself, since most
clients accept none. So a registration remembers its flow, and a dialog that we stay in remembers both
flows in its Record-Route (`flow_token.py`): there, Contacts pass as they are (16.6 lets no proxy change
them). Only a dialog that we will leave gets its Contact rewritten, because nothing else could repair it.
"""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import TYPE_CHECKING

from ringback.sip.flow import Address, Flow
from ringback.sip.message.uri import NameAddr, SipUri

if TYPE_CHECKING:
    from ringback.sip.message.message import Message, Request
    from ringback.sip.message.uri import Uri
    from ringback.sip.message.via import Via

#: Addresses that mean nothing outside the network they are in: RFC 1918, RFC 6598 (between a carrier and its
#: customers), RFC 3927, loopback, and the like of IPv6. (`is_private` counts documentation networks, too.)
PRIVATE = tuple(
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "127.0.0.0/8",
        "fc00::/7",
        "fe80::/10",
        "::1/128",
    )
)


def flow_to_contact(contact: Uri, request: Request, flow: Flow) -> Flow | None:
    """How to reach the sender's `contact`: by a flow, or None: as the URI says, because it means somebody
    else.
    """
    if not isinstance(contact, SipUri):
        return None
    via = request.top_via
    if len(request.vias) > 1:
        return None  # another proxy stands between: Path and URI say the way
    if _is_sender(contact, via) or not is_reachable(contact.host, flow.remote.host):
        return _flow_to_sender(contact, via, flow)
    if contact.host == flow.remote.host and flow.transport.is_reliable:
        return flow
    return None


def is_reachable(host: str, seen_from: str) -> bool:
    """False for names that never resolve, and for private addresses of somebody who comes from a public
    one.
    """
    if host == "invalid" or host.endswith(".invalid"):
        return False  # RFC 7118 appendix B.1: what browsers write
    try:
        address, source = ipaddress.ip_address(host), ipaddress.ip_address(seen_from)
    except ValueError:
        return True
    if address == source:
        return True
    if address.is_unspecified or address.is_multicast:
        return False
    return not _is_private(address) or _is_private(source)


def is_behind_nat(contact: Uri, flow: Flow) -> bool:
    """True when a phone that is reached by `flow` believes to be somewhere else."""
    return isinstance(contact, SipUri) and (contact.host, contact.port or 5060) != flow.remote


def is_numeric(host: str) -> bool:
    """True for an IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def rewrite_contact(message: Message, flow: Flow) -> None:
    """Put the address that reaches the sender into the one Contact of a request or response."""
    contacts = [] if message.is_star_contact else message.contacts
    if len(contacts) != 1 or not isinstance(contacts[0].uri, SipUri):
        return
    uri = contacts[0].uri
    if (uri.host, uri.port or 5060) == flow.remote or is_reachable(uri.host, flow.remote.host):
        return
    seen = uri.replace(host=flow.remote.host, port=flow.remote.port)
    message.headers["Contact"] = str(replace(contacts[0], uri=seen))


def _is_sender(contact: SipUri, via: Via) -> bool:
    """The Contact is the socket that the Via claims: the sender means itself."""
    return contact.host == via.host and (contact.port or 5060) == (via.port or 5060)


def _flow_to_sender(contact: SipUri, via: Via, flow: Flow) -> Flow:
    """A phone that does not ask for rport (RFC 3581) may listen elsewhere than it sends from."""
    if flow.transport.is_reliable or via.wants_rport or contact.host != flow.remote.host:
        return flow
    return replace(flow, remote=Address(flow.remote.host, contact.port or 5060))


def _is_private(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address.version == network.version and address in network for network in PRIVATE)


def contact_with_flow(contact: NameAddr, flow: Flow | None) -> NameAddr:
    """The Contact as others shall see it (302, logs): the address that works."""
    uri = contact.uri
    if flow is None or not isinstance(uri, SipUri) or is_reachable(uri.host, flow.remote.host):
        return contact
    return replace(contact, uri=uri.replace(host=flow.remote.host, port=flow.remote.port))
