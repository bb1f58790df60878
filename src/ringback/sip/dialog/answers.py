# SPDX-License-Identifier: Apache-2.0
"""Which message takes the answer to an offer, and how is an offer refused? RFC 6337 sections 2 and 3.

The message that brought the offer decides. Only requests can be refused by a status; where the offer came
in a response there is nothing left to say but goodbye.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ringback.sip.dialog import modification_received, reliability
from ringback.sip.dialog.acknowledging import acknowledge
from ringback.sip.dialog.invite_usage import Carrier, PendingOffer

if TYPE_CHECKING:
    from ringback.sip.dialog.invite_session import InviteSession

Answer = Callable[["InviteSession", PendingOffer, bytes, float], None]
Headers = Iterable[tuple[str, str]]
Refusal = Callable[["InviteSession", PendingOffer, int, Headers, float], None]


def _answer_success(session: InviteSession, offer: PendingOffer, sdp: bytes, now: float) -> None:
    assert offer.request is not None
    offer.usage.negotiation.send_answer(sdp)
    acknowledge(offer.usage, offer.request, now=now, sdp=sdp)


def _refuse_success(
    session: InviteSession, offer: PendingOffer, status: int, headers: Headers, now: float
) -> None:
    """An ACK cannot refuse: it goes without an answer. A call without media is hung up, a re-INVITE
    undone.
    """
    assert offer.request is not None
    negotiation = offer.usage.negotiation
    negotiation.withdraw()
    acknowledge(offer.usage, offer.request, now=now)
    if negotiation.local is None:
        session.bye(now=now, reason=f"SIP;cause={status}")


def _answer_provisional(session: InviteSession, offer: PendingOffer, sdp: bytes, now: float) -> None:
    assert offer.response is not None
    offer.usage.negotiation.send_answer(sdp)
    reliability.send_prack(offer.usage, offer.response, now=now, sdp=sdp)


def _refuse_provisional(
    session: InviteSession, offer: PendingOffer, status: int, headers: Headers, now: float
) -> None:
    """A PRACK cannot refuse either."""
    assert offer.response is not None
    offer.usage.negotiation.withdraw()
    reliability.send_prack(offer.usage, offer.response, now=now)
    session.bye(now=now, reason=f"SIP;cause={status}")


def _answer_prack(session: InviteSession, offer: PendingOffer, sdp: bytes, now: float) -> None:
    assert offer.transaction is not None
    offer.usage.negotiation.send_answer(sdp)
    session.respond(offer.transaction, 200, body=sdp, content_type="application/sdp", now=now)


def _refuse_prack(
    session: InviteSession, offer: PendingOffer, status: int, headers: Headers, now: float
) -> None:
    assert offer.transaction is not None
    offer.usage.negotiation.withdraw()
    session.respond(offer.transaction, status, headers=headers, now=now)


ANSWERS: dict[Carrier, Answer] = {
    Carrier.SUCCESS: _answer_success,
    Carrier.RELIABLE_PROVISIONAL: _answer_provisional,
    Carrier.PRACK: _answer_prack,
    Carrier.REINVITE: modification_received.answer_reinvite,
    Carrier.UPDATE: modification_received.answer_update,
}

REFUSALS: dict[Carrier, Refusal] = {
    Carrier.SUCCESS: _refuse_success,
    Carrier.RELIABLE_PROVISIONAL: _refuse_provisional,
    Carrier.PRACK: _refuse_prack,
    Carrier.REINVITE: modification_received.refuse_reinvite,
    Carrier.UPDATE: modification_received.refuse_update,
}
