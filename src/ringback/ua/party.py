# SPDX-License-Identifier: Apache-2.0
"""Who is at the other end, in words a person can use?"""

from __future__ import annotations

from dataclasses import dataclass

from ringback.sip.errors import PeerError
from ringback.sip.message import NameAddr, Request, SipUri, TelUri, Uri


@dataclass(frozen=True, slots=True)
class Party:
    """A caller, a callee or the sender of a message. `name` and `number` may be empty: nobody must give
    them.
    """

    name: str
    number: str
    uri: Uri | None

    def __str__(self) -> str:
        number = self.number or str(self.uri or "unknown")
        return f"{self.name} <{number}>" if self.name else number


def party_of(address: NameAddr) -> Party:
    """The party a From or To names."""
    uri = address.uri
    match uri:
        case SipUri(user=user):
            number = user or ""
        case TelUri(number=number):
            pass
        case _:
            number = ""
    return Party(address.display_name, number, uri)


def sender_of(request: Request) -> Party:
    """Who sent a request: what its From says (RFC 3261 20.20)."""
    return _party(request, "From")


def addressee_of(request: Request) -> Party:
    """To whom a request was sent at first: what its To says (RFC 3261 20.39)."""
    return _party(request, "To")


def _party(request: Request, field: str) -> Party:
    try:
        return party_of(request.from_ if field == "From" else request.to)
    except PeerError:
        return Party("", "", None)
