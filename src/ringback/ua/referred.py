# SPDX-License-Identifier: Apache-2.0
"""What do we do when the other side of a call sends us to somebody else? (RFC 3515, RFC 5589, RFC 3891)

Nothing, unless the owner of the phone asked for it: whoever obeys REFER lets others place calls at its cost.
When it is obeyed the call object stays and gets another peer: who plays or listens goes on doing so.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from ringback.sip.errors import PeerError
from ringback.sip.events import (
    Event,
    SessionEnded,
    SessionEstablished,
    SessionProgress,
    SessionRequestReceived,
)
from ringback.sip.message import NameAddr, SipUri
from ringback.sip.transfer_fields import (
    EVENT,
    SIPFRAG,
    ReferTarget,
    names,
    refer_target,
    replaced_by,
    sipfrag,
    subscription_state,
)
from ringback.ua.call_requests import session_request
from ringback.ua.errors import CallError

if TYPE_CHECKING:
    from ringback.sip.dialog.invite_session import InviteSession
    from ringback.sip.message import Request
    from ringback.sip.message.values import DialogReference
    from ringback.sip.transaction.server import ServerTransaction
    from ringback.ua.agent import UserAgent
    from ringback.ua.call import Call

logger = logging.getLogger("ringback.ua")

#: Asked with the call and whom it is sent to; False refuses.
OnTransfer = Callable[["Call", SipUri], Awaitable[bool | None]]

#: How long the new call may ring.
LONGEST_RINGING = 60.0
#: How long the old peer gets to hang up by itself once it knows that the new call stands.
FAREWELL_TIME = 2.0


class Transfers:
    """Obeys REFERs and INVITEs with Replaces for the calls of one phone."""

    def __init__(self, agent: UserAgent) -> None:
        self._agent = agent
        #: Who may say no; None: see `obeys`.
        self.on_transfer: OnTransfer | None = None
        #: Whether REFERs are obeyed without asking.
        self.obeys = False
        self._running: set[asyncio.Task[None]] = set()

    @property
    def is_allowed(self) -> bool:
        """True when a REFER may be obeyed at all."""
        return self.obeys or self.on_transfer is not None

    # --- REFER -----------------------------------------------------------------------------------------

    def take(self, call: Call, request: Request) -> int:
        """The answer to a REFER. 202 says that its sender will hear more (RFC 3515 2.4.2)."""
        if not self.is_allowed:
            return 603
        if not call.is_answered or call.is_moving:
            return 491
        try:
            target = _target_of(request)
        except PeerError as error:
            return error.status
        call.is_moving = True
        task = asyncio.create_task(self._obey(call, request, target), name="ringback transfer")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return 202

    async def _obey(self, call: Call, request: Request, target: ReferTarget) -> None:
        reports = _Reports(self._agent, call.session, request)
        try:
            await reports.send(100)
            if await self._is_wanted(call, target.uri):
                await self._move(call, request, target, reports)
            else:
                call.is_moving = False
                await reports.send(603)
        except CallError as error:
            logger.info("a transfer to %s ends: %s", target.uri, error)
        finally:
            call.is_moving = False

    async def _is_wanted(self, call: Call, uri: SipUri) -> bool:
        if self.on_transfer is None:
            return True
        try:
            return await self.on_transfer(call, uri) is not False
        except Exception:
            logger.exception("the handler of a transfer failed")
            return False

    async def _move(self, call: Call, request: Request, target: ReferTarget, reports: _Reports) -> None:
        new = _NewCall(self._agent)
        try:
            await new.place(call, request, target)
            async with asyncio.timeout(LONGEST_RINGING):
                status, reason = await new.outcome
        except TimeoutError:
            status, reason = 408, ""
        finally:
            new.settle(call)
        if status < 300 and not call.is_over:
            try:
                old = call.move(new.session, new.session.remote_sdp)
            except PeerError:
                self._agent.perform(new.session.bye)
                status, reason = 488, ""
        call.is_moving = False  # before the report: the next REFER may come with its answer
        await reports.send(status, reason)
        if status < 300 and not call.is_over:
            await _part(self._agent, old)

    # --- Replaces --------------------------------------------------------------------------------------

    def replace(self, transaction: ServerTransaction) -> bool:
        """Take an INVITE that replaces one of our calls; False when it is a plain one (RFC 3891 3)."""
        try:
            reference = replaced_by(transaction.request)
        except PeerError as error:
            self._agent.respond(transaction, error.status)
            return True
        if reference is None:
            return False
        found = [call for call in self._agent.calls if _is(call, reference)]
        if not found or not found[0].is_answered:
            self._agent.respond(transaction, 481)
        elif reference.has_parameter("early-only"):
            self._agent.respond(transaction, 486)
        else:
            self._take_over(found[0], transaction)
        return True

    def _take_over(self, call: Call, transaction: ServerTransaction) -> None:
        session = self._agent.incoming_session(transaction, call.receive_event)
        if session is None:
            return
        offer, audio = session.remote_sdp, call.living_audio()
        try:
            host = transaction.flow.remote.host
            answer = audio.make_offer() if offer is None else audio.make_answer(offer, signalling_host=host)
        except PeerError as error:
            self._agent.perform(session.reject, 488 if error.status == 488 else 400)
            return
        old = call.move(session, None)
        self._agent.perform(session.accept, answer)
        if old.ended is None:
            self._agent.perform(old.bye)

    async def close(self) -> None:
        """Give up what is under way."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)


class _NewCall:
    """The call that takes the place of the old one, until it is answered."""

    def __init__(self, agent: UserAgent) -> None:
        self._agent = agent
        self._session: InviteSession | None = None
        self.outcome: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

    @property
    def session(self) -> InviteSession:
        assert self._session is not None
        return self._session

    async def place(self, call: Call, refer: Request, target: ReferTarget) -> None:
        agent = self._agent
        contact = await agent.reachability.contact_towards(
            agent.first_hop(target.uri), secure=target.uri.secure
        )
        headers = [("Contact", str(contact))]
        referrer = refer.headers.get("Referred-By")
        if referrer is not None:
            headers.append(("Referred-By", referrer))
        if target.replaces is not None:
            headers += [("Replaces", str(target.replaces)), ("Require", "replaces")]
        request = agent.make_request("INVITE", target.uri, headers=headers)
        self._session = agent.perform(
            agent.sessions.invite,
            request,
            consumer=self._receive,
            credentials=agent.credentials_for(request),
            sdp=call.living_audio().make_offer(),
        )

    def settle(self, call: Call) -> None:
        """Leave nothing ringing."""
        if self._session is None or self._session.ended is not None:
            return
        is_answered = self.outcome.done() and not self.outcome.cancelled() and self.outcome.result()[0] < 300
        if not is_answered or call.is_over:
            self._agent.perform(self._session.bye)

    def _receive(self, event: Event) -> None:
        match event:
            case SessionProgress():
                pass
            case SessionEstablished():
                self._settle(200, "OK")
            case SessionRequestReceived(session=session, transaction=transaction):
                self._agent.perform(session.respond, transaction, 480)
            case SessionEnded(status=status, reason=reason):
                self._settle(status if status >= 300 else 480, reason)

    def _settle(self, status: int, reason: str) -> None:
        if not self.outcome.done():
            self.outcome.set_result((status, reason))


class _Reports:
    """What the sender of a REFER hears of it: an implicit subscription (RFC 3515 2.4.4)."""

    def __init__(self, agent: UserAgent, session: InviteSession, refer: Request) -> None:
        self._agent = agent
        self._session = session
        self._event = f"{EVENT};id={refer.cseq.number}"

    async def send(self, status: int, reason: str = "") -> None:
        """Report; whoever does not want to know, or hung up, is not told."""
        if self._session.ended is not None:
            return
        headers = [
            ("Event", self._event),
            ("Subscription-State", subscription_state(is_over=status >= 200)),
        ]
        with suppress(CallError):
            await session_request(
                self._agent.host,
                self._session,
                "NOTIFY",
                headers=headers,
                body=sipfrag(status, reason),
                content_type=SIPFRAG,
                is_vital=False,
            )


async def _part(agent: UserAgent, old: InviteSession) -> None:
    """The sender of the REFER hangs up when it knows (RFC 5589 6.1); if it does not, we do."""
    waited = 0.0
    while old.ended is None and waited < FAREWELL_TIME:
        await asyncio.sleep(0.1)
        waited += 0.1
    if old.ended is None:
        agent.perform(old.bye)


def _target_of(request: Request) -> ReferTarget:
    """RFC 3515 2.4.1: exactly one Refer-To."""
    lines = request.headers.get_all("Refer-To")
    if len(lines) != 1:
        raise PeerError("not one Refer-To", section="RFC 3515 2.4.1")
    return refer_target(NameAddr.parse(lines[0]))


def _is(call: Call, reference: DialogReference) -> bool:
    dialog = call.session.dialog
    return dialog is not None and names(reference, dialog.id)
