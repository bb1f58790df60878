# SPDX-License-Identifier: Apache-2.0
"""What does an INVITE session know about each dialog it created? RFC 5057 calls this the INVITE usage.

A callee has one. A caller has one for each peer that answered with a tag of its own: a proxy may have
forked the INVITE (RFC 3261 13.2.2.4).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

from ringback.sip.dialog.dialog import Dialog
from ringback.sip.dialog.negotiation import Negotiation
from ringback.sip.errors import PeerError

if TYPE_CHECKING:
    from ringback.sip.dialog.requests import DialogRequests
    from ringback.sip.message.message import Request, Response
    from ringback.sip.transaction.server import ServerTransaction


class Carrier(IntEnum):
    """Which message brought an offer; it decides which message takes the answer (RFC 6337 table 1)."""

    SUCCESS = 0
    RELIABLE_PROVISIONAL = 1
    PRACK = 2
    REINVITE = 3
    UPDATE = 4


@dataclass(frozen=True, slots=True)
class PendingOffer:
    """An offer of the peer (or its wish for one of ours) that our user has not answered yet."""

    carrier: Carrier
    usage: InviteUsage
    sdp: bytes | None
    transaction: ServerTransaction | None = None
    """The request that waits for the answer (PRACK, re-INVITE, UPDATE)."""
    request: Request | None = None
    """Our INVITE whose 2xx or reliable 1xx brought the offer."""
    response: Response | None = None
    """The reliable 1xx."""


@dataclass(slots=True, eq=False)
class InviteUsage:
    """One dialog of a session, and what was negotiated in it."""

    dialog: Dialog
    requests: DialogRequests
    negotiation: Negotiation = field(default_factory=Negotiation)
    allowed: frozenset[str] = frozenset()
    """The methods the peer said it takes."""
    remote_rseq: dict[int, int] = field(default_factory=dict)
    """CSeq of an INVITE of ours -> RSeq of the last reliable provisional response taken (RFC 3262 4)."""
    failed_pracks: dict[int, bytes | None] = field(default_factory=dict)
    """RSeq -> the description of a PRACK that was refused and goes out anew when the response comes again."""
    acknowledgements: dict[int, Request] = field(default_factory=dict)
    """CSeq of an INVITE of ours -> the ACK that each repetition of its 2xx gets (13.2.2.4)."""

    def learn(self, message: Request | Response) -> None:
        """20.5: what the peer allows; a message without Allow says nothing."""
        try:
            allowed = message.allow
        except PeerError:
            return
        if allowed:
            self.allowed = frozenset(allowed)

    def allows(self, method: str) -> bool:
        """True if the peer said so."""
        return method in self.allowed
