# SPDX-License-Identifier: Apache-2.0
"""How does a caller acknowledge a provisional response? PRACK: RFC 3262 section 4. The callee's half is
`reliable_responses.py`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ringback.sip.dialog.invite_usage import Carrier, InviteUsage, PendingOffer
from ringback.sip.dialog.negotiation import OfferInput, OfferState, session_description
from ringback.sip.errors import PeerError
from ringback.sip.events import AnswerReceived, Event, OfferReceived, ResponseReceived

if TYPE_CHECKING:
    from ringback.sip.dialog.invite_session import InviteSession
    from ringback.sip.message.message import Request, Response

SDP = "application/sdp"


def is_reliable(response: Response) -> bool:
    """True if the response wants a PRACK and says for what. A 100 never does."""
    try:
        return response.status > 100 and "100rel" in response.require and response.rseq is not None
    except PeerError:
        return False


def is_next(usage: InviteUsage, response: Response) -> bool:
    """RFC 3262 4: taken are the first one and then each with an RSeq one higher; repetitions and gaps are
    not.
    """
    number, rseq = response.cseq.number, response.rseq
    assert rseq is not None
    last = usage.remote_rseq.get(number)
    if last is not None and rseq != last + 1:
        return False
    usage.remote_rseq = {number: rseq}
    return True


def acknowledge(
    session: InviteSession, usage: InviteUsage, response: Response, invite: Request, *, now: float
) -> None:
    """Send the PRACK, unless the response brought an offer: then it carries our user's answer."""
    sdp = session_description(response)
    negotiation = usage.negotiation
    if sdp is not None and negotiation.state is OfferState.LOCAL_OFFER:
        negotiation.receive_answer(sdp)
        session.emit(AnswerReceived(session, sdp, is_early=True))
    elif sdp is not None and _is_offer(usage, invite):
        negotiation.receive_offer(sdp)
        offer = PendingOffer(Carrier.RELIABLE_PROVISIONAL, usage, sdp, request=invite, response=response)
        session.pending.append(offer)
        session.emit(OfferReceived(session, sdp))
        return
    send_prack(usage, response, now=now)


def send_prack(usage: InviteUsage, response: Response, *, now: float, sdp: bytes | None = None) -> None:
    """RFC 3262 7.2: RAck names the RSeq and the INVITE."""
    cseq = response.cseq
    prack = usage.dialog.make_request(
        "PRACK",
        headers=[("RAck", f"{response.rseq} {cseq.number} {cseq.method}")],
        body=sdp or b"",
        content_type=None if sdp is None else SDP,
    )
    usage.requests.send(prack, partial(_concluded, usage, response, sdp), now=now)


def repeat_prack(usage: InviteUsage, response: Response, *, now: float) -> None:
    """A repeated response whose PRACK was refused: a request that overtook it had the higher CSeq."""
    rseq = response.rseq
    if rseq in usage.failed_pracks:
        send_prack(usage, response, now=now, sdp=usage.failed_pracks.pop(rseq))


def _is_offer(usage: InviteUsage, invite: Request) -> bool:
    return session_description(invite) is None and usage.negotiation.is_allowed(OfferInput.OFFER_RECEIVED)


def _concluded(usage: InviteUsage, response: Response, sdp: bytes | None, event: Event) -> None:
    """Whatever became of the PRACK, the final response to the INVITE decides. 500 alone can be mended."""
    if isinstance(event, ResponseReceived) and event.response.status == 500 and response.rseq is not None:
        usage.failed_pracks = {response.rseq: sdp}
