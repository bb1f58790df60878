# SPDX-License-Identifier: Apache-2.0
"""Whose word is an identity header? Trust domains: RFC 3325, RFC 5806, RFC 7315.

What others claim about the caller stops here: phones and strangers can write anything. What passes
instead is our own assertion, made from the proof the caller gave, and only to phones of this domain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.sip.errors import PeerError
from ringback.sip.message.uri import NameAddr, SipUri

if TYPE_CHECKING:
    from ringback.server.subscribers import Principal
    from ringback.sip.message.message import Message, Request

#: Fields that only a trusted element may set. The names are looked up case-blind and in every spelling.
CLAIMS = (
    "P-Asserted-Identity",
    "P-Preferred-Identity",
    "P-Asserted-Service",
    "P-Associated-URI",
    "P-Called-Party-ID",
    "P-Charging-Function-Addresses",
    "P-Charging-Vector",
    "P-Profile-Key",
    "P-Served-User",
    "P-User-Database",
    "P-Visited-Network-ID",
    "Remote-Party-ID",
    "Diversion",
)


def strip_claims(message: Message) -> None:
    """Drop every claim of an untrusted neighbour."""
    for name in CLAIMS:
        if name in message.headers:
            message.headers.remove(name)


def assert_identity(request: Request, principal: Principal | None, domain: str) -> None:
    """RFC 3325 9.1: the caller as we know it, unless the caller asked to stay unnamed."""
    if principal is None or _wants_privacy(request):
        return
    identity = NameAddr(SipUri(principal.number, domain), principal.name)
    request.headers.add("P-Asserted-Identity", str(identity))


def _wants_privacy(request: Request) -> bool:
    try:
        values = request.parsed("Privacy")
    except PeerError:
        return True
    return isinstance(values, list) and any(value in ("id", "header", "user") for value in values)
