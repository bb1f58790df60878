# SPDX-License-Identifier: Apache-2.0
"""What the stack tells the world above the I/O line.

Every event has a `consumer`: the callable that asked for it (given to `send_request` or to the session),
or None, which means: whoever handles what nobody asked for (a new request, a stray ACK).

Events are not frozen: that alone would cost 0.7 us of every message. Nobody changes them all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ringback.sip.dialog.invite_session import InviteSession
    from ringback.sip.flow import Flow
    from ringback.sip.message.message import Request, Response
    from ringback.sip.message.uri import Uri
    from ringback.sip.transaction.client import ClientTransaction
    from ringback.sip.transaction.server import ServerTransaction

Consumer = Callable[["Event"], None]


class Outgoing(Protocol):
    """A message that waits for a flow: a client transaction, or a request sent without one (an ACK)."""

    @property
    def request(self) -> Request: ...


class Event:
    """Something happened."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def consumer(self) -> Consumer | None:
            """Who asked for this event; None when nobody did."""

    else:
        consumer = None  # a property would cost 0.1 us


# --- transactions: RFC 3261 section 17 --------------------------------------------------------------


@dataclass(slots=True)
class RequestReceived(Event):
    """A new request outside of any dialog known here. Answer it through its transaction."""

    request: Request
    transaction: ServerTransaction
    flow: Flow


@dataclass(slots=True)
class AckReceived(Event):
    """An ACK of no transaction and no dialog of ours: a proxy forwards it, a user agent drops it."""

    request: Request
    flow: Flow


@dataclass(slots=True)
class CancelReceived(Event):
    """The caller gave up (RFC 3261 9.2). The CANCEL is answered; `transaction` is the INVITE's."""

    request: Request
    transaction: ServerTransaction

    @property
    def consumer(self) -> Consumer | None:
        return self.transaction.consumer


@dataclass(slots=True)
class ServerTransactionFailed(Event):
    """Our response could not be delivered, or no ACK came for it (Timer H)."""

    transaction: ServerTransaction
    detail: str

    @property
    def consumer(self) -> Consumer | None:
        return self.transaction.consumer


@dataclass(slots=True)
class ResponseReceived(Event):
    """A response to a request of ours: every provisional, the final one, and repeated 2xx to INVITE."""

    response: Response
    transaction: ClientTransaction

    @property
    def consumer(self) -> Consumer | None:
        return self.transaction.consumer


@dataclass(slots=True)
class RequestTimedOut(Event):
    """Nobody answered in time (Timer B or F), on no flow that was tried."""

    transaction: ClientTransaction

    @property
    def consumer(self) -> Consumer | None:
        return self.transaction.consumer


@dataclass(slots=True)
class TransportFailed(Event):
    """The request could not be sent anywhere."""

    transaction: ClientTransaction
    detail: str

    @property
    def consumer(self) -> Consumer | None:
        return self.transaction.consumer


@dataclass(slots=True)
class FlowNeeded(Event):
    """Find a way to `hop` (RFC 3263) and call `use_flow` or `no_flow`. The driver's business.

    `attempt` counts from 0; a higher number means: the flow used before failed, take the next target.
    """

    outgoing: Outgoing
    hop: Uri
    attempt: int


@dataclass(slots=True)
class PeerMisbehaved(Event):
    """Bytes from a peer broke a rule; what could be answered was answered. For logs and bans."""

    flow: Flow
    detail: str
    status: int
    section: str


# --- INVITE sessions: RFC 3261 sections 13 to 15 ----------------------------------------------------


@dataclass(slots=True)
class SessionEvent(Event):
    """Something happened to a session."""

    session: InviteSession

    @property
    def consumer(self) -> Consumer | None:
        return self.session.consumer


@dataclass(slots=True)
class SessionProgress(SessionEvent):
    """A provisional response other than 100 came for our INVITE."""

    response: Response


@dataclass(slots=True)
class SessionEstablished(SessionEvent):
    """Caller: a 2xx came. Callee: the ACK came. `response` is the 2xx."""

    response: Response


@dataclass(slots=True)
class OfferReceived(SessionEvent):
    """The peer offers `sdp` (in INVITE, 2xx, PRACK, re-INVITE, UPDATE): call `session.answer` or `refuse`.

    `sdp` is None when a re-INVITE without a body asks us for an offer; `answer` then takes our offer.
    """

    sdp: bytes | None


@dataclass(slots=True)
class AnswerReceived(SessionEvent):
    """The peer answered our offer. `is_early` when it came in a provisional response."""

    sdp: bytes
    is_early: bool


@dataclass(slots=True)
class OfferRefused(SessionEvent):
    """Our re-INVITE or UPDATE was refused; the session goes on as before (RFC 6141)."""

    status: int
    reason: str
    response: Response | None = None


@dataclass(slots=True)
class SessionRequestReceived(SessionEvent):
    """A request inside the dialog (INFO, MESSAGE, REFER, NOTIFY, ...): answer with `session.respond`."""

    request: Request
    transaction: ServerTransaction


@dataclass(slots=True)
class SessionEnded(SessionEvent):
    """The last event of a session. `status` is the SIP status that says why (200 after a BYE).

    `by` is "local", "remote", "timeout" or "transport"; `response` is the refusing response if there was one.
    """

    status: int
    reason: str
    by: str
    response: Response | None = None
