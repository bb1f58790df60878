# SPDX-License-Identifier: Apache-2.0
"""What can our user do with a call, and what hears it of one? The INVITE session: RFC 3261 sections 13 to
15.

One object for both roles. It holds what the parts of the session share; the rules are in the files that are
named after them: `calling`, `answering`, `ending`, `modification` (ours), `modification_received` (theirs),
`reliability` (PRACK), `session_timer`; the order of events is the table in `transitions`. Commands come
from our user with `now=`; events leave through the stack, in their place among the others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from ringback.sip.dialog import (
    answering,
    ending,
    modification,
    modification_received,
)
from ringback.sip.dialog.answers import ANSWERS, REFUSALS
from ringback.sip.dialog.invite_usage import InviteUsage, PendingOffer
from ringback.sip.dialog.modification import Modification
from ringback.sip.dialog.negotiation import Negotiation
from ringback.sip.dialog.reliable_responses import ReliableResponses
from ringback.sip.dialog.requests import Trust
from ringback.sip.dialog.session_states import UNDECIDED, Input, Occasion, State, Transitions, advance
from ringback.sip.dialog.transitions import TRANSITIONS
from ringback.sip.errors import InvalidState
from ringback.sip.events import Event, SessionEnded, SessionRequestReceived
from ringback.sip.message.names import METHODS

if TYPE_CHECKING:
    from ringback.sip.dialog.acceptance import Acceptance
    from ringback.sip.dialog.dialog import Dialog
    from ringback.sip.dialog.session_table import SessionTable
    from ringback.sip.dialog.session_timer import SessionTimer
    from ringback.sip.digest_client import DigestClient
    from ringback.sip.events import Consumer
    from ringback.sip.flow import Flow
    from ringback.sip.message.message import Request
    from ringback.sip.message.uri import NameAddr
    from ringback.sip.stack import SipStack
    from ringback.sip.transaction.client import ClientTransaction
    from ringback.sip.transaction.server import ServerTransaction
    from ringback.sip.transaction.timers import Deadline

#: Requests of the peer that our user has not answered yet, per session.
UNANSWERED_LIMIT = 64

#: Header fields of our user's, besides those that the session makes.
Headers = Iterable[tuple[str, str]]

#: States in which a dialog can carry requests of ours.
STANDING = (State.ACCEPTED, State.ESTABLISHED)


@dataclass(slots=True, eq=False, repr=False)
class InviteSession:
    """One call, seen from one end. Made by `SessionTable.invite` and `SessionTable.incoming`."""

    transitions: ClassVar[Transitions] = TRANSITIONS

    table: SessionTable
    invite: Request
    is_caller: bool
    state: State
    contact: NameAddr
    consumer: Consumer | None = None
    credentials: DigestClient | None = None
    local_tag: str = ""
    flow: Flow | None = None
    """How the peer of the INVITE was reached, or reached us."""
    pinned_flow: Flow | None = None
    """Where all requests of this session must go; None: each finds its way by route set and target."""
    branch_suffix: str = ""
    """What ends the branch of our INVITE (loop detection, RFC 5393 4.2.2)."""
    transaction: ServerTransaction | None = None
    client_transaction: ClientTransaction | None = None
    trust: Trust = field(default_factory=Trust)
    dialog: Dialog | None = None
    usage: InviteUsage | None = None
    usages: dict[str, InviteUsage] = field(default_factory=dict)
    released: dict[str, InviteUsage] = field(default_factory=dict)
    offered: Negotiation = field(default_factory=Negotiation)
    ended: SessionEnded | None = None

    pending: deque[PendingOffer] = field(default_factory=deque)
    unanswered: dict[ServerTransaction, None] = field(default_factory=dict)
    acceptances: dict[int, Acceptance] = field(default_factory=dict)
    modification: Modification | None = None
    remote_invite: ServerTransaction | None = None
    previewed: bytes | None = None
    ringing: Deadline | None = None
    expiry: Deadline | None = None
    reliable: ReliableResponses = field(init=False)
    timer: SessionTimer = field(init=False)

    def __post_init__(self) -> None:
        self.reliable = ReliableResponses(self)
        self.timer = self.table.new_timer(self)

    def __repr__(self) -> str:
        role = "caller" if self.is_caller else "callee"
        return f"<InviteSession {self.invite.call_id} {role} {self.state.name}>"

    # --- what can be read

    @property
    def stack(self) -> SipStack:
        """Where messages and events go."""
        return self.table.stack

    @property
    def is_established(self) -> bool:
        """True while the call stands for both ends."""
        return self.state is State.ESTABLISHED

    @property
    def local_sdp(self) -> bytes | None:
        """What we offered or answered last."""
        negotiation = self.offered if self.usage is None else self.usage.negotiation
        return negotiation.latest_local

    @property
    def remote_sdp(self) -> bytes | None:
        """What the peer offered or answered last."""
        return None if self.usage is None else self.usage.negotiation.latest_remote

    # --- commands of a callee

    def ring(
        self,
        sdp: bytes | None = None,
        *,
        now: float,
        status: int = 180,
        reliable: bool | None = None,
        headers: Headers = (),
    ) -> None:
        """Send a provisional response. `reliable`: with 100rel if the caller can (it is used anyway if it
        must).
        """
        if not 100 < status < 200:
            raise InvalidState(f"{status} is no status for ringing")
        self._expect_callee()
        if sdp is not None and not answering.can_describe(self):
            raise InvalidState("offer and answer of the INVITE are exchanged: use update")
        self._command(
            Input.RING, Occasion(now, status=status, sdp=sdp, is_reliable=reliable, headers=tuple(headers))
        )

    def accept(self, sdp: bytes | None = None, *, now: float, headers: Headers = ()) -> None:
        """Send 200. `sdp` answers the INVITE's offer, or offers if there was none; not needed after
        `ring(sdp)`.
        """
        self._expect_callee()
        if not answering.can_accept(self, sdp):
            raise InvalidState("the offer of the INVITE wants an answer")
        occasion = Occasion(now, sdp=sdp, headers=tuple(headers))
        if self.state is State.RINGING and self.reliable.holds_success_back:
            self.reliable.deferred = occasion
        else:
            self._command(Input.ACCEPT, occasion)

    def reject(
        self,
        status: int = 480,
        reason: str | None = None,
        *,
        now: float,
        headers: Headers = (),
    ) -> None:
        """Refuse the call with a final response, 300 to 699."""
        if not 300 <= status <= 699:
            raise InvalidState(f"{status} is no status for a refusal")
        occasion = Occasion(now, status=status, reason=reason or "", headers=tuple(headers))
        self._command(Input.REJECT, occasion)

    # --- commands of a caller

    def cancel(self, *, now: float, reason: str | None = None) -> None:
        """Give up the call before it is answered. A 2xx may still cross: then it is released with a BYE."""
        self._command(Input.CANCEL, Occasion(now, cause=reason or ""))

    # --- commands of both

    def bye(self, *, now: float, reason: str | None = None) -> None:
        """Hang up, whatever the state: a call that is not answered yet is cancelled or refused.

        `reason` is a Reason header field (RFC 3326). Hanging up what has ended does nothing.
        """
        if self.state in UNDECIDED:
            self.cancel(now=now, reason=reason)
        elif self.state in (State.INCOMING, State.RINGING):
            self.reject(480, now=now)
        else:
            advance(self, Input.BYE, Occasion(now, cause=reason or ""))

    def reinvite(
        self, sdp: bytes | None, *, now: float, headers: Headers = (), is_retried: bool = True
    ) -> None:
        """Change the session by re-INVITE; without `sdp` the peer is asked to offer (RFC 3261 14.1).

        `is_retried`: False leaves it to our user to try again after 491 or 500.
        """
        if self.state is not State.ESTABLISHED:
            raise InvalidState("only an established session can be changed by re-INVITE")
        modification.begin(self, "INVITE", sdp, now=now, headers=headers, is_retried=is_retried)

    def update(
        self, sdp: bytes | None = None, *, now: float, headers: Headers = (), is_retried: bool = True
    ) -> None:
        """Change the session by UPDATE, also before it is answered; the peer must allow it (RFC 3311 5.1)."""
        if self.usage is None or self.state in (State.CANCELLING, State.DEPARTING, State.ENDED):
            raise InvalidState("there is no dialog to update")
        if not self.usage.allows("UPDATE"):
            raise InvalidState("the peer does not allow UPDATE")
        modification.begin(self, "UPDATE", sdp, now=now, headers=headers, is_retried=is_retried)

    def answer(self, sdp: bytes, *, now: float) -> None:
        """Answer the oldest `OfferReceived`, in whatever message takes the answer (RFC 6337)."""
        offer = self._take_offer()
        ANSWERS[offer.carrier](self, offer, sdp, now)
        self.reliable.proceed(now=now)

    def refuse(self, status: int = 488, *, now: float, headers: Headers = ()) -> None:
        """Refuse the oldest `OfferReceived`. An offer that a response brought can only be refused by
        hanging up.
        """
        offer = self._take_offer()
        REFUSALS[offer.carrier](self, offer, status, headers, now)
        self.reliable.proceed(now=now)

    def request(
        self,
        method: str,
        *,
        now: float,
        headers: Headers = (),
        body: bytes = b"",
        content_type: str | None = None,
        consumer: Consumer | None = None,
        is_vital: bool = True,
    ) -> ClientTransaction:
        """Send another request in the dialog: INFO, MESSAGE, REFER, ... `consumer` hears what comes of it.

        `is_vital`: False for another usage of the dialog, whose end is not the session's (RFC 5057 5.1).
        """
        if self.usage is None or self.state in (State.DEPARTING, State.ENDED):
            raise InvalidState("there is no dialog to send a request in")
        if method in ("INVITE", "UPDATE", "BYE", "CANCEL", "ACK", "PRACK"):
            raise InvalidState(f"{method} is sent by a command of its own")
        request = self.usage.dialog.make_request(
            method, headers=headers, body=body, content_type=content_type
        )
        watched = modification.watched(self, consumer, is_vital=is_vital)
        return self.usage.requests.send(request, watched, now=now)

    def move_to(self, flow: Flow) -> None:
        """The peer is reached by another connection from now on."""
        self.pinned_flow = flow
        for usage in self.usages.values():
            usage.requests.flow = flow

    def respond(
        self,
        transaction: ServerTransaction,
        status: int,
        reason: str | None = None,
        *,
        now: float,
        headers: Headers = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> None:
        """Answer a request of the peer (`SessionRequestReceived`)."""
        if 200 <= status < 300:
            self._follow(transaction.request)
        response = self.stack.make_response(
            transaction,
            status,
            reason,
            headers=headers,
            body=body,
            content_type=content_type,
            to_tag=self.local_tag,
        )
        self.stack.respond(transaction, response, now=now)
        if status >= 200:
            self.unanswered.pop(transaction, None)

    # --- what the stack hands over

    def receive_request(
        self, request: Request, transaction: ServerTransaction | None, flow: Flow, now: float
    ) -> None:
        """A request inside one of our dialogs."""
        if transaction is None:
            answering.receive_ack(self, request, now=now)
            return
        usage = self.usages.get(request.from_.tag or "")
        if usage is None or self.state is State.ENDED:
            self.respond(transaction, 481, now=now)
        elif not usage.dialog.accept_order(request):
            self.respond(transaction, 500, now=now)
        elif not self._is_refused(transaction, now):
            self._expect_answer(transaction, now)
            usage.learn(request)
            RECEIVERS.get(request.method, _pass_up)(self, usage, transaction, now)

    def _is_refused(self, transaction: ServerTransaction, now: float) -> bool:
        """8.2.1 and 8.2.2.3: methods and extensions we do not know. A BYE is never refused for its
        extensions.
        """
        status, headers = self.table.refusal(transaction.request)
        if not status or transaction.request.method == "BYE":
            return False
        self.respond(transaction, status, headers=headers, now=now)
        return True

    def _expect_answer(self, transaction: ServerTransaction, now: float) -> None:
        """Whatever our user leaves unanswered is answered 487 at the end (15.1.2)."""
        if len(self.unanswered) >= UNANSWERED_LIMIT:
            self.respond(next(iter(self.unanswered)), 500, now=now)
        self.unanswered[transaction] = None

    # --- what the parts of the session share

    def emit(self, event: Event) -> None:
        """Nothing is heard of a session after its end."""
        if self.ended is None:
            self.stack.emit(event)

    def _follow(self, request: Request) -> None:
        """12.2.2: the Contact of a target refresh request that we granted."""
        row, usage = METHODS.get(request.method), self.usages.get(request.from_.tag or "")
        if row is not None and row.refreshes_target and usage is not None:
            usage.dialog.refresh_target(request)

    def _command(self, what: Input, occasion: Occasion) -> None:
        if not advance(self, what, occasion):
            raise InvalidState(f"no {what.name} in {self.state.name}")

    def _expect_callee(self) -> None:
        if self.is_caller:
            raise InvalidState("a caller does not answer its own call")

    def _take_offer(self) -> PendingOffer:
        if not self.pending:
            raise InvalidState("there is no offer to answer")
        return self.pending.popleft()


Receiver = Callable[[InviteSession, InviteUsage, "ServerTransaction", float], None]


def _receive_bye(
    session: InviteSession, usage: InviteUsage, transaction: ServerTransaction, now: float
) -> None:
    ending.receive_bye(session, transaction, now=now)


def _receive_reinvite(
    session: InviteSession, usage: InviteUsage, transaction: ServerTransaction, now: float
) -> None:
    modification_received.receive_reinvite(session, usage, transaction, now=now)


def _receive_update(
    session: InviteSession, usage: InviteUsage, transaction: ServerTransaction, now: float
) -> None:
    modification_received.receive_update(session, usage, transaction, now=now)


def _receive_prack(
    session: InviteSession, usage: InviteUsage, transaction: ServerTransaction, now: float
) -> None:
    session.reliable.receive_prack(transaction, now=now)


def _pass_up(session: InviteSession, usage: InviteUsage, transaction: ServerTransaction, now: float) -> None:
    if session.ended is not None:
        session.respond(transaction, 481, now=now)
        return
    session.emit(SessionRequestReceived(session, transaction.request, transaction))


#: Methods of the INVITE usage; any other is our user's business.
RECEIVERS: dict[str, Receiver] = {
    "BYE": _receive_bye,
    "INVITE": _receive_reinvite,
    "UPDATE": _receive_update,
    "PRACK": _receive_prack,
}
