# SPDX-License-Identifier: Apache-2.0
"""Who may offer now, and what has been agreed? RFC 3264 section 4, RFC 6337 section 2, RFC 6141 for refusals.

One offer may be outstanding in a dialog, whoever made it and whichever message carried it:

    INVITE offer      -> answer in 2xx, or in a reliable 1xx
    2xx offer         -> answer in ACK
    reliable 1xx offer -> answer in PRACK
    PRACK offer       -> answer in its 2xx
    UPDATE offer      -> answer in its 2xx

A description in an unreliable 1xx is only a preview of the answer (RFC 3261 13.2.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from ringback.sip.errors import InvalidState, PeerError
from ringback.sip.message.body import find_part
from ringback.sip.message.message import Request, Response

SDP = "application/sdp"


class OfferState(IntEnum):
    """NEW: nothing was agreed yet. STABLE: something was, and nothing is outstanding."""

    NEW = 0
    LOCAL_OFFER = 1
    REMOTE_OFFER = 2
    STABLE = 3


class OfferInput(IntEnum):
    """What can happen to offers."""

    OFFER_SENT = 0
    OFFER_RECEIVED = 1
    ANSWER_SENT = 2
    ANSWER_RECEIVED = 3


_S, _I = OfferState, OfferInput

#: A pair that is not here is forbidden. Refusals go back to where the offer came from: `withdraw`.
TRANSITIONS: dict[tuple[OfferState, OfferInput], OfferState] = {
    (_S.NEW, _I.OFFER_SENT): _S.LOCAL_OFFER,
    (_S.NEW, _I.OFFER_RECEIVED): _S.REMOTE_OFFER,
    (_S.LOCAL_OFFER, _I.ANSWER_RECEIVED): _S.STABLE,
    (_S.REMOTE_OFFER, _I.ANSWER_SENT): _S.STABLE,
    (_S.STABLE, _I.OFFER_SENT): _S.LOCAL_OFFER,
    (_S.STABLE, _I.OFFER_RECEIVED): _S.REMOTE_OFFER,
}


@dataclass(slots=True)
class Negotiation:
    """The offers and answers of one dialog. `local` and `remote` are what was agreed last."""

    state: OfferState = OfferState.NEW
    local: bytes | None = None
    remote: bytes | None = None
    outstanding: bytes | None = None
    preview: bytes | None = None

    def copy(self) -> Negotiation:
        """The offer of an INVITE counts in every dialog that the INVITE creates."""
        return Negotiation(self.state, self.local, self.remote, self.outstanding)

    def is_allowed(self, what: OfferInput) -> bool:
        """True if this may happen now."""
        return (self.state, what) in TRANSITIONS

    def send_offer(self, sdp: bytes) -> None:
        """We offer."""
        self._move(OfferInput.OFFER_SENT)
        self.outstanding = sdp

    def receive_offer(self, sdp: bytes) -> None:
        """The peer offers."""
        self._move(OfferInput.OFFER_RECEIVED)
        self.outstanding = sdp

    def send_answer(self, sdp: bytes) -> None:
        """We answer the peer's offer."""
        self._move(OfferInput.ANSWER_SENT)
        self.local, self.remote, self.outstanding = sdp, self.outstanding, None

    def receive_answer(self, sdp: bytes) -> None:
        """The peer answers our offer."""
        self._move(OfferInput.ANSWER_RECEIVED)
        self.local, self.remote, self.outstanding = self.outstanding, sdp, None

    def withdraw(self) -> None:
        """The outstanding offer was refused or came to nothing: all is as before it (RFC 3264 4, RFC 6141
        3).
        """
        if self.state in (OfferState.LOCAL_OFFER, OfferState.REMOTE_OFFER):
            self.state = OfferState.NEW if self.local is None else OfferState.STABLE
            self.outstanding = None

    @property
    def latest_local(self) -> bytes | None:
        """Ours: the outstanding offer, or what was agreed."""
        return self.outstanding if self.state is OfferState.LOCAL_OFFER else self.local

    @property
    def latest_remote(self) -> bytes | None:
        """Theirs: the outstanding offer, the preview of an answer, or what was agreed."""
        if self.state is OfferState.REMOTE_OFFER:
            return self.outstanding
        return self.preview if self.remote is None else self.remote

    def _move(self, what: OfferInput) -> None:
        state = TRANSITIONS.get((self.state, what))
        if state is None:
            raise InvalidState(f"no {what.name} in {self.state.name}: one offer at a time (RFC 3264 4)")
        self.state = state


def session_description(message: Request | Response) -> bytes | None:
    """The SDP that is offered or answered in a message: the body, or a part of a multipart body (RFC
    5621).
    """
    if not message.body:
        return None
    try:
        return find_part(message.content_type, message.body, SDP)
    except PeerError:
        return None


def check_body(request: Request) -> None:
    """Raise PeerError for a multipart body that cannot be taken apart: it may hold an offer (RFC 5621 7)."""
    if request.body:
        find_part(request.content_type, request.body, SDP)
