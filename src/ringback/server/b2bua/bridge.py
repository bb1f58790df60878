# SPDX-License-Identifier: Apache-2.0
"""Who joins a caller with whoever takes the call? The bridge: the service before the proxy, and the table of
calls that are on.

It takes INVITEs that begin a call to a user or to another address. All else inside such a call is for the
sessions it made; everything else on this server goes its way as before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from ringback.server import clauses
from ringback.server.b2bua.beginning import Beginning
from ringback.server.b2bua.call import BridgedCall, Work
from ringback.server.b2bua.commands import CallCommands, CommandRefused
from ringback.server.b2bua.invitation import Invitation
from ringback.server.b2bua.media import CallMedia
from ringback.server.b2bua.placing import Placing
from ringback.server.b2bua.reception import Reception
from ringback.server.b2bua.record_keeping import note_asked
from ringback.server.b2bua.records import ended_in_words
from ringback.server.b2bua.ways import Ways
from ringback.server.decisions import Decisions
from ringback.server.routing import ToUri, ToUser, ToUsers
from ringback.server.subscribers import Principal
from ringback.sip.dialog.identifier import DialogId
from ringback.sip.message.uri import SipUri
from ringback.sip.transfer_fields import replaced_by

if TYPE_CHECKING:
    from ringback.media.plane import MediaEvent, MediaPlane
    from ringback.net.driver import StackDriver
    from ringback.server.applications import ApplicationCalls, IncomingCall
    from ringback.server.b2bua.bridge_policy import BridgePolicy
    from ringback.server.b2bua.leg import BridgeLeg
    from ringback.server.branch import ForkingPolicy
    from ringback.server.call_records.book import CallBook
    from ringback.server.call_records.record import CallRecord
    from ringback.server.location import Location
    from ringback.server.loop_detection import LoopDetector
    from ringback.server.pipeline import Exchange
    from ringback.server.storage.devices import Security
    from ringback.server.target_set import TargetSet
    from ringback.server.targets import Target
    from ringback.sip.dialog.invite_session import InviteSession
    from ringback.sip.dialog.session_table import SessionTable
    from ringback.sip.message.values import DialogReference

logger = logging.getLogger("ringback.calls")

#: Extensions of our sessions.
SUPPORTED = ("100rel", "timer", "replaces", "norefersub")

#: Calls that are shown to people, the newest first.
SHOWN = 50


class Bridge:
    """The service, and what its calls ask it for."""

    def __init__(
        self,
        sessions: SessionTable,
        policy: BridgePolicy,
        forking: ForkingPolicy,
        *,
        target_set: TargetSet,
        location: Location,
        loops: LoopDetector,
        domain: str,
        realm: str,
        applications: ApplicationCalls,
        is_elsewhere: Callable[[str], bool] = lambda _: False,
        plane: MediaPlane | None = None,
        decisions: Decisions | None = None,
        book: CallBook,
        security_of: Callable[[Principal | None], Security] = lambda _: "",
    ) -> None:
        self.security_of = security_of
        self.decisions = Decisions() if decisions is None else decisions
        self.book = book
        """Where calls are written down."""
        self.policy = policy
        self.forking = forking
        self.domain = domain
        self.realm = realm
        self.legs: dict[InviteSession, BridgeLeg] = {}
        """Who is in a call, by session."""
        self._sessions = sessions
        self.is_closing = False
        self._reception = Reception(self, sessions, location)
        self._target_set = target_set
        self._loops = loops
        self._applications = applications
        self.ways = Ways(self, target_set, location, is_elsewhere)
        self._plane = plane
        self._calls: dict[str, BridgedCall] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._background: set[asyncio.Task[Any]] = set()
        if plane is not None:
            plane.on_event = self._hear_of_media

    # --- the service

    def serve(self, exchange: Exchange) -> bool:
        """Take an INVITE that begins a call to people."""
        request = exchange.request
        if not self.policy.is_enabled or request.method != "INVITE" or exchange.transaction is None:
            return False
        if exchange.to_tag is not None or not isinstance(exchange.decision, ToUser | ToUsers | ToUri):
            return False
        self.ways.driver = exchange.driver
        reference = replaced_by(request)
        if reference is None or not self._reception.serve_takeover(exchange, reference):
            self._serve_call(exchange)
        return True

    async def close(self) -> None:
        """End every call: each hangs up on its way out."""
        self.is_closing = True
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*self._background, return_exceptions=True)

    @property
    def running(self) -> int:
        """How many calls are on."""
        return len(self._calls)

    def calls(self) -> list[BridgedCall]:
        """The newest calls, the last one first."""
        return list(self._calls.values())[: -SHOWN - 1 : -1]

    def call_of(self, number: str) -> BridgedCall | None:
        """The call with this number, if it is on."""
        return self._calls.get(number)

    def place(self, driver: StackDriver, caller: str, to: str) -> CallRecord:
        """Ring the phones of a user, then call somebody for them."""
        self.ways.driver = driver
        if not self.policy.is_enabled or len(self._calls) >= self.policy.max_calls:
            raise CommandRefused("no calls are placed here now (calls.mode, calls.max_bridged)")
        call = self._new_call(driver)
        placing = Placing(call, caller, to)
        placing.open(call.number)
        self._calls[call.number] = call
        self._start(call, placing.begin)
        return call.record

    # --- what calls ask

    def invite(
        self, call: BridgedCall, invitation: Invitation, leg: BridgeLeg, target: Target, sdp: bytes | None
    ) -> None:
        """Send the INVITE to one who may take the call."""
        came = invitation.came or invitation.caller.session.flow
        assert came is not None, "who calls came by some way"
        known = [tag for tag in self._sessions.supported if tag != "100rel" or _may_prack(invitation)]
        request = invitation.request_for(
            target,
            call.driver,
            came,
            domain=self.domain,
            breadth=leg.breadth,
            extensions=[("Supported", ", ".join(known))],
        )
        leg.session = call.driver.perform(
            self._sessions.invite,
            request,
            consumer=leg.receive,
            flow=target.flow,
            sdp=sdp,
            branch_suffix=invitation.loop_hash,
        )
        leg.is_fresh = False
        self.legs[leg.session] = leg
        self.decisions.link(request.call_id, call.call_id, call.driver.now)
        note_asked(leg, request.call_id)

    def run_application(self, name: str, call: IncomingCall) -> int:
        """Let an application have somebody who was in a call; the status of a refusal if it cannot."""
        return self._applications.take(name, call)

    def leg_named(self, reference: DialogReference) -> BridgeLeg | None:
        """The leg whose dialog a Replaces names (RFC 3891 3)."""
        dialog_id = DialogId(
            reference.call_id, reference.parameter("to-tag") or "", reference.parameter("from-tag") or ""
        )
        session = self._sessions.find(dialog_id)
        return None if session is None else self.legs.get(session)

    def unlist(self, leg: BridgeLeg) -> None:
        """A leg is of no call any more."""
        if not leg.is_fresh:
            self.legs.pop(leg.session, None)

    def in_background(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[Any]:
        """Something that nobody waits for."""
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    def ended(self, call: BridgedCall) -> None:
        """A call is over."""
        self._calls.pop(call.number, None)
        if call.media.is_open:
            self.in_background(_close_media(call))
        elif not call.is_handed_over:
            call.record.close()

    # --- inside

    def _is_busy_guest(self, principal: Principal | None) -> bool:
        """Anybody can be a guest: one call each, so that nobody rings a phone a hundred times at once."""
        if principal is None or not principal.may_call:
            return False
        callers = (call.caller.principal for call in self._calls.values())
        return any(each is not None and each.number == principal.number for each in callers)

    def _serve_call(self, exchange: Exchange) -> None:
        loop_hash = self._loops.round_hash_of(exchange.request)
        if self._loops.is_loop(exchange.request, loop_hash):
            exchange.refuse(482, clauses.LOOPING)
            return
        if len(self._calls) >= self.policy.max_calls:
            running = len(self._calls)
            exchange.refuse(503, clauses.TOO_MANY_CALLS, running, headers=[("Retry-After", "10")])
            return
        if self._is_busy_guest(exchange.principal):
            exchange.refuse(403, clauses.GUEST_IS_BUSY, reason="One Call At A Time")
            return
        secure = isinstance(exchange.request.uri, SipUri) and exchange.request.uri.secure
        targets = self.ways.targets(exchange.decision, secure=secure)
        if not targets:
            left_out = self._target_set.left_out(exchange.decision, driver=exchange.driver, secure=secure)
            exchange.refuse(480, clauses.NO_TARGETS, exchange.decision, (), left_out)
            return
        exchange.decide(clauses.TARGETS, exchange.decision, targets)
        call = self._new_call(exchange.driver)
        leg = self._reception.take(exchange, call)
        if leg is None:
            return
        call.caller = leg
        invitation = Invitation.of(exchange, leg, max_breadth=self.forking.max_breadth, loop_hash=loop_hash)
        self._calls[call.number] = call
        exchange.decide(clauses.BRIDGED, leg.end.name, call.number)
        call.record = self.book.open(exchange, mode="bridge", key=call.number)
        call.record.commands = CallCommands(call)
        leg.record = call.record.legs[0]
        self._start(call, Beginning(call).place, invitation, targets)

    def _new_call(self, driver: StackDriver) -> BridgedCall:
        number = f"{driver.stack.identifiers.session_id():016x}"  # it is the id of the record, too
        media = CallMedia(number, self._plane, self.policy.anchoring)
        return BridgedCall(self, number, driver, media)

    def _start(self, call: BridgedCall, first: Work, *arguments: Any) -> None:
        task = asyncio.get_running_loop().create_task(call.run(first, *arguments))
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("our fault: a call failed", exc_info=task.exception())

    def _hear_of_media(self, event: MediaEvent) -> None:
        call = self._calls.get(event.bridge)
        if call is not None:
            call.hear_of_media(event)


async def _close_media(call: BridgedCall) -> None:
    """Free the ports, and say how the sound was."""
    statistics = await call.media.close()
    if not call.is_handed_over:
        if statistics is not None and statistics.legs:
            call.record.measured(statistics)
        call.record.close()
    if statistics is not None:
        words = ended_in_words(statistics, reason=call.media.reason, names=call.names)
        logger.info("call %s: %s", call.number, words)


def _may_prack(invitation: Invitation) -> bool:
    """Without an offer of ours a reliable response may bring one, which only a caller who takes it itself can
    answer.
    """
    return invitation.offer is not None or invitation.has_100rel
