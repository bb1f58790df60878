# SPDX-License-Identifier: Apache-2.0
"""Whose word is an identity header? Trust domains: RFC 3325, RFC 5806, RFC 7315.

What others claim about the caller stops here: phones and strangers can write anything. What passes
instead is our own assertion, made from the proof the caller gave, and only to phones of this domain.
A challenge for our realm is such a claim, too: who answers it would prove a password to whoever asked.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from ringback.kernel import BIT
from ringback.sip.errors import PeerError
from ringback.sip.message.credentials import Challenge
from ringback.sip.message.editing import header_line
from ringback.sip.message.uri import NameAddr, SipUri

if TYPE_CHECKING:
    from ringback.sip.message.message import Request, Response

#: Fields that only a trusted element may set. In every message that passes, all of them are left out.
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
FIELD = CLAIMS[0]
CLAIM_BITS = sum(BIT[name.lower()] for name in CLAIMS)


def strip_challenges(response: Response, realm: str) -> None:
    """Drop challenges for our realm from what others answered: those we make are never passed on. A callee
    that challenges the BYE of its caller in our name would get a digest to guess the password from.
    """
    for name in ("WWW-Authenticate", "Proxy-Authenticate"):
        lines = response.reading.get_all(name)
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


@lru_cache(4096)
def assertion(number: str, name: str, domain: str) -> bytes:
    """RFC 3325 9.1: the line that names a user of ours."""
    return header_line(FIELD, identity(number, name, domain))


def identity(number: str, name: str, domain: str) -> str:
    """The value of that line."""
    return str(NameAddr(SipUri(number, domain), name))


def wants_privacy(request: Request) -> bool:
    """RFC 3323: the caller asked to stay unnamed, or so unclearly that it may have."""
    try:
        values = request.parsed("Privacy")
    except PeerError:
        return True
    return isinstance(values, list) and any(value in ("id", "header", "user") for value in values)
