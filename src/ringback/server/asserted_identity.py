# SPDX-License-Identifier: Apache-2.0
"""Whose word is an identity header? Trust domains: RFC 3325, RFC 5806, RFC 7315.

What others claim about the caller stops here: phones and strangers can write anything. What passes
instead is our own assertion, made from the proof the caller gave, and only to phones of this domain.
A challenge for our realm is such a claim, too: who answers it would prove a password to whoever asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.sip.errors import PeerError
from ringback.sip.message.credentials import Challenge
from ringback.sip.message.uri import NameAddr, SipUri

if TYPE_CHECKING:
    from ringback.server.subscribers import Principal
    from ringback.sip.message.message import Message, Request, Response

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


def strip_challenges(response: Response, realm: str) -> None:
    """Drop challenges for our realm from what others answered: those we make are never passed on. A callee
    that challenges the BYE of its caller in our name would get a digest to guess the password from.
    """
    for name in ("WWW-Authenticate", "Proxy-Authenticate"):
        lines = response.headers.get_all(name)
        kept = [line for line in lines if not _names_realm(line, realm)]
        if len(kept) < len(lines):
            response.headers.remove(name)
            for line in kept:
                response.headers.add(name, line)


def _names_realm(line: str, realm: str) -> bool:
    """True for a challenge for `realm`, and for one that a careless phone might take for it."""
    if realm.lower() in line.lower():
        return True
    try:
        return Challenge.parse(line).parameters.get("realm", "").lower() == realm.lower()
    except PeerError:
        return True


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
