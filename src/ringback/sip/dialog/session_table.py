# SPDX-License-Identifier: Apache-2.0
"""Which INVITE sessions has this user agent? The table makes them, and knows when none is left."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from ringback.sip.dialog import answering, calling
from ringback.sip.dialog.dialog import Dialog
from ringback.sip.dialog.invite_session import InviteSession
from ringback.sip.dialog.invite_usage import InviteUsage
from ringback.sip.dialog.negotiation import SDP, check_body, session_description
from ringback.sip.dialog.requests import DialogRequests
from ringback.sip.dialog.session_states import Input, Occasion, State, advance
from ringback.sip.dialog.session_timer import SHORTEST_INTERVAL, SessionTimer
from ringback.sip.errors import InvalidState, PeerError
from ringback.sip.message.names import METHODS
from ringback.sip.message.uri import NameAddr

if TYPE_CHECKING:
    from ringback.sip.dialog.farewell import Farewell
    from ringback.sip.dialog.identifier import DialogId
    from ringback.sip.digest_client import DigestClient
    from ringback.sip.events import Consumer
    from ringback.sip.flow import Flow
    from ringback.sip.message.message import Request
    from ringback.sip.stack import SipStack
    from ringback.sip.transaction.server import ServerTransaction

#: What a session handles itself or passes up.
ALLOW = ("INVITE", "ACK", "CANCEL", "BYE", "UPDATE", "PRACK", "INFO", "MESSAGE", "OPTIONS", "REFER", "NOTIFY")

#: Extensions of the session itself: RFC 3262 and RFC 4028.
SUPPORTED = ("100rel", "timer")

#: Requests whose body may be an offer or an answer. An ACK is not refused, and a BYE is always taken.
OFFER_METHODS = ("INVITE", "UPDATE", "PRACK")

Fields = list[tuple[str, str]]


class SessionTable:
    """Makes INVITE sessions on one stack, and holds them until the last message about them is through.

    `credentials` answer challenges unless a call brings its own. `session_expires` 0 asks for no session
    timer; without "timer" in `supported` there is none at all.
    """

    __slots__ = (
        "_keeps",
        "allow",
        "credentials",
        "min_session_expires",
        "session_expires",
        "stack",
        "supported",
    )

    def __init__(
        self,
        stack: SipStack,
        *,
        credentials: DigestClient | None = None,
        allow: Sequence[str] = ALLOW,
        supported: Sequence[str] = SUPPORTED,
        session_expires: int = 1800,
        min_session_expires: int = SHORTEST_INTERVAL,
    ) -> None:
        self.stack = stack
        self.credentials = credentials
        self.allow = tuple(allow)
        self.supported = tuple(supported)
        self.session_expires = session_expires
        self.min_session_expires = min_session_expires
        self._keeps: dict[InviteSession | Farewell, None] = {}

    def __len__(self) -> int:
        """Sessions, and BYEs that are still under way: 0 when all is quiet."""
        return len(self._keeps)

    @property
    def sessions(self) -> list[InviteSession]:
        """Those that have not ended, oldest first."""
        return [each for each in self._keeps if isinstance(each, InviteSession)]

    def invite(
        self,
        request: Request,
        *,
        now: float,
        consumer: Consumer | None,
        flow: Flow | None = None,
        credentials: DigestClient | None = None,
        sdp: bytes | None = None,
        branch_suffix: str = "",
    ) -> InviteSession:
        """Call somebody. `request` is an INVITE with a Contact and without Via; what a session needs is
        added.

        With `flow` every request of the session goes there. `credentials` replace those of the table.
        """
        request = self._completed(request, sdp)
        session = InviteSession(
            self,
            request,
            is_caller=True,
            state=State.CALLING,
            contact=request.contacts[0],
            consumer=consumer,
            credentials=credentials or self.credentials,
            local_tag=request.from_.tag or "",
            flow=flow,
            pinned_flow=flow,
            branch_suffix=branch_suffix,
            offered=calling.offered_negotiation(session_description(request)),
        )
        session.timer.mark_request(request)
        self.keep(session)
        calling.start(session, request, now=now)
        return session

    def incoming(
        self,
        transaction: ServerTransaction,
        *,
        now: float,
        consumer: Consumer | None,
        contact: NameAddr,
        flow: Flow | None = None,
    ) -> InviteSession:
        """Somebody calls. What cannot be a call is refused at once: then `ended` is set.

        `remote_sdp` is the caller's offer, if there is one; `ring`, `accept` or `reject` answer.
        """
        request = transaction.request
        local_tag = transaction.local_tag
        session = InviteSession(
            self,
            request,
            is_caller=False,
            state=State.INCOMING,
            contact=contact,
            consumer=consumer,
            local_tag=local_tag,
            flow=transaction.flow,
            pinned_flow=flow,
            transaction=transaction,
        )
        is_kept = self.stack.keep(transaction, now=now)
        transaction.consumer = partial(answering.receive_event, session)
        self.keep(session)
        try:
            self._open(session, request)
            status, headers = self._refusal_of_call(session, request) if is_kept else (503, [])
            answering.limit_ringing(session, now=now)
        except PeerError as error:
            status, headers = error.status, []
        if status:
            advance(session, Input.REJECT, Occasion(now, status=status, headers=headers))
        return session

    def _open(self, session: InviteSession, request: Request) -> None:
        """12.1.1: the dialog of a callee, from the start, so that CANCEL and BYE find it."""
        assert session.flow is not None
        is_secure = session.flow.transport.is_secure
        dialog = Dialog.from_request(
            request, local_tag=session.local_tag, contact=session.contact, is_secure=is_secure
        )
        usage = InviteUsage(dialog, DialogRequests(self.stack, dialog, flow=session.pinned_flow))
        usage.learn(request)
        offer = session_description(request)
        if offer is not None:
            usage.negotiation.receive_offer(offer)
        session.dialog, session.usage = dialog, usage
        session.usages[dialog.remote_tag] = usage
        assert session.transaction is not None
        session.unanswered[session.transaction] = None
        self.stack.register_dialog(dialog.id, session)

    # --- what the sessions ask

    def capabilities(self) -> Fields:
        """13.2.1, 13.3.1.4: what we can do, for INVITEs and their responses."""
        supported = [("Supported", ", ".join(self.supported))] if self.supported else []
        return [("Allow", ", ".join(self.allow)), *supported]

    def refusal(self, request: Request) -> tuple[int, Fields]:
        """8.2.1, 8.2.2.3: the status for a method or an extension we do not know, and 0 for none.

        PeerError when its option tags or the parts of its body cannot be read: nothing that follows must fail
        for them.
        """
        if request.method in OFFER_METHODS:
            check_body(request)
        tags = [*request.require, *request.supported]
        if request.method not in self.allow:
            return (405 if request.method in METHODS else 501), [("Allow", ", ".join(self.allow))]
        unknown = [tag for tag in tags[: len(request.require)] if tag not in self.supported]
        return (420, [("Unsupported", ", ".join(unknown))]) if unknown else (0, [])

    def find(self, dialog_id: DialogId) -> InviteSession | None:
        """The session whose dialog has this name."""
        usage = self.stack.usage_of(dialog_id)
        return usage if isinstance(usage, InviteSession) and usage.table is self else None

    def new_timer(self, session: InviteSession) -> SessionTimer:
        """A session timer as this table is set."""
        return SessionTimer(
            session,
            wanted=self.session_expires,
            shortest=max(self.min_session_expires, SHORTEST_INTERVAL),
            is_supported="timer" in self.supported,
        )

    def random_number(self, below: int) -> int:
        """For delays that two ends must not choose alike."""
        return self.stack.identifiers.session_id() % below

    def keep(self, each: InviteSession | Farewell) -> None:
        """It is not over yet."""
        self._keeps[each] = None

    def forget(self, each: InviteSession | Farewell) -> None:
        """It is."""
        self._keeps.pop(each, None)

    def _completed(self, request: Request, sdp: bytes | None) -> Request:
        if request.method != "INVITE" or not request.contacts:
            raise InvalidState("a call is an INVITE with a Contact (RFC 3261 8.1.1.8)")
        request = request.copy()
        if request.from_.tag is None:
            request.headers["From"] = str(request.from_.with_parameter("tag", self.stack.identifiers.tag()))
        for name, value in self.capabilities():
            if name not in request.headers:
                request.headers.add(name, value)
        if sdp is not None:
            request.body = sdp
            request.headers["Content-Type"] = SDP
        return request

    def _refusal_of_call(self, session: InviteSession, request: Request) -> tuple[int, Fields]:
        """What makes an INVITE no call for us, and 0 for nothing."""
        if request.to.tag is not None:
            return 481, []
        status, headers = self.refusal(request)
        if status:
            return status, headers
        if request.body and session_description(request) is None and not _is_optional(request):
            return 415, [("Accept", SDP)]
        minimum = session.timer.too_short(request)
        return (422, [("Min-SE", str(minimum))]) if minimum is not None else (0, [])


def _is_optional(request: Request) -> bool:
    """20.11: a body may be passed over if its sender says so; parts of a multipart body are looked at one
    by one.
    """
    handling = (request.headers.get("Content-Disposition") or "").replace(" ", "")
    content_type = request.content_type
    return "handling=optional" in handling or (content_type is not None and content_type.type == "multipart")
