# SPDX-License-Identifier: Apache-2.0
"""How does a number answer that is no phone? Applications: calls that end on this server, each run by one
coroutine.

An application gets an `IncomingCall` and drives its session; when the coroutine returns, the call is hung
up; when it raises, the caller gets a 500 or a BYE. What the applications do is the business of `pbx/`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ringback.media.plane import BridgeStatistics
from ringback.server import clauses
from ringback.server.admission import ALLOW
from ringback.server.call_records.record import LegRecord, Party
from ringback.server.record_route import split_sent_by, transport_parameter
from ringback.server.routing import ToApplication
from ringback.sip.errors import RingbackError
from ringback.sip.events import Event, SessionEnded, SessionEstablished
from ringback.sip.flow import Transport
from ringback.sip.message.uri import NameAddr, SipUri

if TYPE_CHECKING:
    from ringback.media.plane import LegStatistics
    from ringback.net.driver import StackDriver
    from ringback.server.call_records.book import CallBook
    from ringback.server.call_records.record import CallRecord
    from ringback.server.pipeline import Exchange
    from ringback.server.subscribers import Principal
    from ringback.sip.dialog.invite_session import InviteSession
    from ringback.sip.dialog.session_table import SessionTable
    from ringback.sip.flow import Flow

logger = logging.getLogger("ringback.applications")

#: Events of one call that may wait for its application. A peer can cause them faster than anybody reads.
EVENT_LIMIT = 64


@dataclass(slots=True, eq=False)
class IncomingCall:
    """A call for an application. `number` is what was dialled; `caller` is None for a stranger.

    Commands go through the driver: `call.driver.perform(call.session.accept, sdp)`.
    """

    number: str
    caller: Principal | None
    driver: StackDriver
    flow: Flow
    session: InviteSession = field(init=False)
    record: CallRecord | None = None
    """What is written down of it."""
    leg: str = "caller"
    """Who calls, in the record."""
    sound: Callable[[], LegStatistics] | None = None
    """Says how it sounds; the application sets it when there is something to be heard."""
    _events: asyncio.Queue[Event] = field(default_factory=lambda: asyncio.Queue(EVENT_LIMIT))

    async def next_event(self) -> Event:
        """The next SessionEvent; the last one is SessionEnded."""
        return await self._events.get()

    def receive(self, event: Event) -> None:
        """The session's consumer. Whoever floods an application loses the call."""
        if isinstance(event, SessionEstablished) and self.record is not None:
            self.record.answered()
        if isinstance(event, SessionEnded):
            self._note_end(event)
            while self._events.full():
                self._events.get_nowait()
            self._events.put_nowait(event)
        elif not self._events.full():
            self._events.put_nowait(event)
        elif self.session.ended is None:
            self.driver.perform(self.session.bye)

    @property
    def has_sound_here(self) -> bool:
        """True while somebody may ask how it sounds."""
        return self.record is not None and not self.record.ended_at

    async def sample(self) -> None:
        """For the `Sampler`."""
        self.measure()

    def measure(self) -> None:
        """Write down how it sounds."""
        if self.record is not None and self.sound is not None:
            self.record.measured(BridgeStatistics(self.record.id, (self.sound(),)))

    def _note_end(self, event: SessionEnded) -> None:
        """A caller that is lost has ended it; what we refuse or hang up, the number that was dialled."""
        if self.record is not None:
            by = "callee" if event.by == "local" else "caller"
            self.record.end(event.status, by=by, how=event.by, reason=event.reason)


class ApplicationCommands:
    """What can be done from outside with a call that an application answers."""

    __slots__ = ("_call",)

    def __init__(self, call: IncomingCall) -> None:
        self._call = call

    def hang_up(self) -> None:
        """End it."""
        call = self._call
        if call.record is not None:
            call.record.end(200, by="server", why="the call was ended by command")
        if call.session.ended is None:
            call.driver.perform(call.session.bye)

    async def transfer(self, to: str, *, side: str = "") -> None:
        raise RingbackError("a call to a number of this server is not transferred; hang up and call anew")

    async def record(self, path: str) -> None:
        raise RingbackError("a call to a number of this server is not recorded")

    async def stop_recording(self) -> None:
        raise RingbackError("a call to a number of this server is not recorded")

    async def play(self, path: str, *, side: str = "") -> None:
        raise RingbackError("nothing can be played into a call to a number of this server")


class Application(Protocol):
    """Answers one call from its start to its end."""

    def __call__(self, call: IncomingCall) -> Coroutine[Any, Any, None]: ...


class Applications(Protocol):
    """What there is on this server, by the name that `ToApplication` carries."""

    def find(self, name: str) -> Application | None: ...


class NoApplications:
    """A server that answers nothing itself."""

    def find(self, name: str) -> Application | None:
        return None


class ApplicationCalls:
    """The service: requests whose destination is an application."""

    def __init__(
        self,
        applications: Applications,
        sessions: SessionTable,
        book: CallBook,
        *,
        limit: Callable[[], int] = lambda: 200,
    ) -> None:
        self._book = book
        self._applications = applications
        self._sessions = sessions
        self._limit = limit
        self._running: set[asyncio.Task[None]] = set()

    @property
    def running(self) -> int:
        """Calls that applications answer now."""
        return len(self._running)

    def serve(self, exchange: Exchange) -> bool:
        if not isinstance(exchange.decision, ToApplication):
            return False
        name = exchange.decision.name
        application = self._applications.find(name)
        if application is None:
            exchange.refuse(404, clauses.APPLICATION_REFUSED, name, "there is no such thing", 404)
        elif exchange.to_tag is not None:
            exchange.refuse(481, clauses.NO_DIALOG, exchange.request.method)
        elif exchange.request.method == "OPTIONS":
            exchange.respond(
                200, headers=[("Allow", ", ".join(self._sessions.allow)), ("Accept", "application/sdp")]
            )
        elif exchange.request.method != "INVITE":
            exchange.respond(405, headers=[("Allow", ALLOW)])
        elif len(self._running) >= self._limit():
            exchange.refuse(486, clauses.APPLICATION_FULL, len(self._running))
        else:
            exchange.decide(clauses.APPLICATION, name)
            self._start(exchange, name, application)
        return True

    async def close(self) -> None:
        """End every call."""
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, exchange: Exchange, name: str, application: Application) -> None:
        assert exchange.transaction is not None
        if not exchange.keep():
            return
        uri = exchange.request.uri
        number = (uri.user or "") if isinstance(uri, SipUri) else str(uri).partition(":")[2]
        call = IncomingCall(number, exchange.principal, exchange.driver, exchange.flow)
        call.session = exchange.driver.perform(
            self._sessions.incoming,
            exchange.transaction,
            consumer=call.receive,
            contact=contact_on(number, exchange.flow),
            flow=exchange.flow,
        )
        exchange.is_answered = True
        if call.session.ended is not None:
            exchange.status = call.session.ended.status
            return
        call.record = self._book.open(exchange, mode="application")
        call.record.callee.name = call.record.callee.name or name
        self._launch(application, call)

    def take(self, name: str, call: IncomingCall) -> int:
        """Answer one whose session is made already; the status of the refusal if that cannot be, else 0."""
        application = self._applications.find(name)
        if application is None:
            return 404
        if len(self._running) >= self._limit():
            return 486
        if call.record is None:
            call.record = self._record_of_standing(name, call)
        call.record.mode = "application"
        call.record.callee.name = call.record.callee.name or name
        self._launch(application, call)
        return 0

    def _record_of_standing(self, name: str, call: IncomingCall) -> CallRecord:
        """Who is transferred here is in a call already."""
        number = call.caller.number if call.caller is not None else str(call.flow.remote.host)
        caller = self._book.party(number, principal=call.caller)
        record = self._book.open_between(caller, Party(call.number, name), mode="application")
        invite = call.session.invite
        record.add_leg(LegRecord("caller", caller.number, str(call.flow.remote), invite.call_id, caller.name))
        record.answered()
        return record

    def _launch(self, application: Application, call: IncomingCall) -> None:
        if call.record is not None:
            call.record.commands = ApplicationCommands(call)
            self._book.sampler.watch(call)
        task = asyncio.get_running_loop().create_task(_run(application, call))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(_log_failure)


async def _run(application: Application, call: IncomingCall) -> None:
    """The application's life. Whatever ends it, the caller is not left alone."""
    is_well = False
    try:
        await application(call)
        is_well = True
    except asyncio.CancelledError:
        is_well = True
        raise
    finally:
        _end(call, is_well=is_well)
        call.measure()
        call.sound = None  # what the application kept is free, and no circle is left
        if call.record is not None:
            call.record.end(200, by="callee")
            call.record.close()


def _end(call: IncomingCall, *, is_well: bool) -> None:
    session = call.session
    if session.ended is not None:
        return
    if is_well or session.dialog is None or session.is_established:
        call.driver.perform(session.bye)
    else:
        call.driver.perform(session.reject, 500)


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        logger.error("our fault: an application failed", exc_info=task.exception())


def contact_on(number: str, flow: Flow, *, secure: bool = False) -> NameAddr:
    """Where requests of the dialog reach us: by the way the INVITE came, or will go."""
    host, port = split_sent_by(flow.sent_by)
    uri = SipUri(number or None, host, port, secure=secure)
    if flow.transport is not Transport.UDP:
        uri = uri.with_parameter("transport", transport_parameter(flow.transport, secure=secure))
    return NameAddr(uri)
