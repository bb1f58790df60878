# SPDX-License-Identifier: Apache-2.0
"""How does an application answer somebody who is in a call already? A session that stands, seen as one that
comes in.

Whoever is transferred to a number of this server is asked what they offer (re-INVITE without a description);
then the application runs as for any caller. `accept` answers that offer, or makes one by re-INVITE where none
was made; `reject` gives the session back to the call it comes from, which goes on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, cast

from ringback.sip.errors import InvalidState
from ringback.sip.events import (
    AnswerReceived,
    OfferReceived,
    OfferRefused,
    SessionEnded,
    SessionEstablished,
    SessionEvent,
)
from ringback.sip.message.message import Response
from ringback.sip.message.names import reason_phrase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ringback.sip.dialog.invite_session import InviteSession
    from ringback.sip.events import Event

#: What is said to a change that the peer begins while it is asked for its offer.
BUSY = 491


class Keeper(Protocol):
    """The call that the session comes from. One of the last three is called once, by an event or command."""

    def continued(self, sdp: bytes, *, is_offer: bool) -> bytes:
        """A description of the application as the peer is to get it: it continues what it was told before."""

    def ready(self) -> None:
        """The peer has said what it offers, or that it makes no offer: an application may `hear` now."""

    def taken(self) -> None:
        """The application has it."""

    def given_back(self, status: int, reason: str) -> None:
        """The application does not want it: the keeper is the consumer again."""

    def gone(self, event: SessionEnded) -> None:
        """It ended before anything was decided."""


class StandingSession:
    """What an application sees of the session. All that is not said here is as with the session itself."""

    __slots__ = (
        "_awaits_answer",
        "_is_asking",
        "_is_decided",
        "_is_taken",
        "_keeper",
        "_session",
        "ended",
        "hear",
        "is_described",
        "offer",
    )

    def __init__(self, session: InviteSession, keeper: Keeper) -> None:
        self._session = session
        self._keeper = keeper
        self._is_decided = False
        self._is_asking = False
        self._awaits_answer = False
        self._is_taken = False
        self.offer: bytes | None = None
        """What the peer offers the application."""
        self.is_described = False
        """The peer and the application have agreed on something."""
        self.ended: SessionEnded | None = None
        self.hear: Callable[[Event], None] | None = None
        """The application."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    @property
    def remote_sdp(self) -> bytes | None:
        """The offer, as if it had come in an INVITE; then what was said last."""
        return self._session.remote_sdp if self._is_taken else self.offer

    @property
    def is_established(self) -> bool:
        """True while it stands between the peer and the application."""
        return self._is_taken and self._session.is_established

    @property
    def unanswered_offer(self) -> bytes | None:
        """The offer, for whoever gets the session back before it was answered."""
        return self.offer if self.offer is not None and not self.is_described else None

    @property
    def is_waiting(self) -> bool:
        """The peer is to offer or to answer something."""
        return self.ended is None and (self._is_asking or self._awaits_answer)

    # --- commands of the keeper

    def ask(self, *, now: float, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Ask the peer for its offer. InvalidState if this is not the moment."""
        self._session.reinvite(None, now=now, headers=headers, is_retried=False)
        self._is_asking = True
        self._session.consumer = self.receive

    # --- commands of the application

    def ring(
        self,
        sdp: bytes | None = None,
        *,
        now: float,
        status: int = 180,
        reliable: bool | None = None,
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Who is in a call needs no ringing. Early sound is sound."""
        if sdp is not None:
            self._describe(sdp, now)

    def accept(
        self, sdp: bytes | None = None, *, now: float, headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        """Take the session: with the answer, or with an offer if the peer made none."""
        if self._is_taken or (sdp is None and not self.is_described):
            raise InvalidState("the call is answered, or wants an answer")
        if sdp is not None:
            self._describe(sdp, now)
        if not self._awaits_answer:
            self._take()

    def reject(
        self,
        status: int = 480,
        reason: str | None = None,
        *,
        now: float,
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Give it back; while the peer thinks about an offer of ours it is of no use to others: hang up."""
        if self._is_taken or self.ended is not None:
            raise InvalidState("only a call that was not answered can be refused")
        if self._awaits_answer:
            self._session.bye(now=now)
        else:
            self._give_back(status, reason or reason_phrase(status))

    def answer(self, sdp: bytes, *, now: float) -> None:
        """Answer a change of the peer's."""
        self._session.answer(self._keeper.continued(sdp, is_offer=False), now=now)

    def reinvite(self, sdp: bytes | None, *, now: float, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Change the session."""
        offer = None if sdp is None else self._keeper.continued(sdp, is_offer=True)
        self._session.reinvite(offer, now=now, headers=headers)

    def bye(self, *, now: float, reason: str | None = None) -> None:
        """Hang up, or give it back."""
        if self._is_taken:
            self._session.bye(now=now, reason=reason)
        elif self.ended is None:
            self.reject(480, now=now)

    # --- what the session says

    def receive(self, event: Event) -> None:
        """The session's consumer."""
        if not isinstance(event, SessionEvent):
            return
        if isinstance(event, SessionEnded):
            self._lose(event)
        elif self._is_asking:
            self._receive_offer(event)
        elif self._awaits_answer and isinstance(event, OfferRefused):
            self._awaits_answer = False
            self._give_back(event.status, event.reason)
        else:
            self._pass_on(event)
            if self._awaits_answer and isinstance(event, AnswerReceived):
                self._awaits_answer, self.is_described = False, True
                self._take()

    def _receive_offer(self, event: SessionEvent) -> None:
        """What comes of `ask`. Nothing else can be answered by anybody meanwhile."""
        now = self._session.stack.now
        if isinstance(event, OfferReceived) and self._session.modification is not None:
            self._session.refuse(BUSY, now=now)
        elif isinstance(event, OfferReceived | OfferRefused):
            self._is_asking = False
            self.offer = event.sdp if isinstance(event, OfferReceived) else None
            self._keeper.ready()

    def _lose(self, event: SessionEnded) -> None:
        was_decided, self._is_decided = self._is_decided, True
        self._end(event)
        if not was_decided:
            self._keeper.gone(event)

    # --- what becomes of it

    def _describe(self, sdp: bytes, now: float) -> None:
        if self.unanswered_offer is not None:
            self.answer(sdp, now=now)
            self.is_described = True
        else:
            self.reinvite(sdp, now=now)
            self._awaits_answer = True

    def _take(self) -> None:
        self._is_taken = self._is_decided = True
        self._pass_on(SessionEstablished(self._session, Response(200)))
        self._keeper.taken()

    def _give_back(self, status: int, reason: str) -> None:
        self._is_decided = True
        self._end(SessionEnded(self._session, status, reason, "local"))
        self._keeper.given_back(status, reason)

    def _end(self, event: SessionEnded) -> None:
        self.ended = event
        self._pass_on(event)
        self.hear = None

    def _pass_on(self, event: SessionEvent) -> None:
        if self.hear is not None:
            self.hear(replace(event, session=as_session(self)))


def as_session(standing: StandingSession) -> InviteSession:
    """It has all that applications use of a session."""
    return cast("InviteSession", standing)
