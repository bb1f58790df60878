# SPDX-License-Identifier: Apache-2.0
"""How does a caller acknowledge a 2xx? RFC 3261 section 13.2.2.4. The same for INVITE and re-INVITE."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringback.sip.dialog.invite_usage import InviteUsage
    from ringback.sip.message.message import Request

#: ACKs kept for repeated 2xx responses: those of the latest INVITEs of a dialog.
MEMORY_LIMIT = 4

CREDENTIALS = ("Authorization", "Proxy-Authorization")


def acknowledge(usage: InviteUsage, invite: Request, *, now: float, sdp: bytes | None = None) -> None:
    """Send an ACK with the number and the credentials of its INVITE, and keep it for repetitions of the
    2xx.
    """
    number = invite.cseq.number
    ack = usage.dialog.make_request(
        "ACK",
        cseq=number,
        headers=[(name, value) for name in CREDENTIALS for value in invite.headers.get_all(name)],
        body=sdp or b"",
        content_type=None if sdp is None else "application/sdp",
    )
    usage.acknowledgements[number] = ack
    if len(usage.acknowledgements) > MEMORY_LIMIT:
        del usage.acknowledgements[next(iter(usage.acknowledgements))]
    usage.requests.acknowledge(ack, now=now)


def repeat_acknowledgement(usage: InviteUsage, number: int, *, now: float) -> None:
    """A repeated 2xx: the ACK was lost, or is still owed and goes out when our user has answered."""
    ack = usage.acknowledgements.get(number)
    if ack is not None:
        usage.requests.acknowledge(ack, now=now)
