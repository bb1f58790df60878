# SPDX-License-Identifier: Apache-2.0
"""How does a request find the service that answers it? It walks an ordered list until one does.

A service is an object with one method, `serve(exchange)`: True means the request is answered or taken
over, and the walk is over. A service that must wait returns an awaitable of the same. The walk is
synchronous until one does: nothing is kept for a stranger while admission and authentication judge
(answers are stateless until `Exchange.keep`). While a service waits, later requests of the same Call-ID
queue behind it, so that a dialog's requests keep their order.

Whatever a service raises ends here: the peer's fault becomes the response it deserves, ours becomes a 500
and a log entry. No traceback reaches the wire, no call is left without an answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ringback.server.amplification import keep_small
from ringback.server.decisions import NOTES, Decisions
from ringback.server.log_limit import LogLimit
from ringback.sip.errors import PeerError
from ringback.sip.events import AckReceived, CancelReceived, Event, RequestReceived

if TYPE_CHECKING:
    from ringback.net.driver import StackDriver
    from ringback.server.call_records.book import CallBook
    from ringback.server.call_records.parties import PassedCall
    from ringback.server.call_records.record import CallRecord
    from ringback.server.decisions import Clause
    from ringback.server.flow_token import Side
    from ringback.server.routing import Decision
    from ringback.server.subscribers import Principal
    from ringback.sip.flow import Flow
    from ringback.sip.message.message import Request, Response
    from ringback.sip.transaction.server import ServerTransaction

logger = logging.getLogger("ringback.server")
logger.addFilter(LogLimit())

#: Requests of one Call-ID that may queue behind a waiting service, and Call-IDs that may have a queue.
QUEUE_LIMIT = 32
WAITING_LIMIT = 10_000

HeaderList = Sequence[tuple[str, str]]


class Exchange:
    """One request and what the services found out about it.

    `request` is the very one that arrived; nobody changes it. What the copies that leave shall not have is
    noted here, and left out where they are made (`forwarding.py`). A service that needs another request
    than the one that came replaces it. An ACK has no transaction and is never answered.

    `present` are the fields that `request` has, as bits of `kernel.BIT`; `max_forwards` is -1 without one.
    Commands go to the stack directly: whoever calls the services drains it afterwards.
    """

    __slots__ = (
        "decision",
        "decisions",
        "dialog",
        "driver",
        "flow",
        "is_answered",
        "loop_hash",
        "max_forwards",
        "notes",
        "own_routes",
        "present",
        "principal",
        "record",
        "request",
        "routes",
        "stack",
        "status",
        "to_tag",
        "transaction",
        "undo",
        "without",
    )

    def __init__(
        self,
        request: Request,
        flow: Flow,
        driver: StackDriver,
        transaction: ServerTransaction | None = None,
        decisions: Decisions | None = None,
    ) -> None:
        head = request.head
        if head is None:
            self.replace_request(request)
        else:  # what every service asks is asked once: each would cost 0.1 us each time
            self.request, self.to_tag = request, head.to_tag
            self.present, self.max_forwards = head.present, head.max_forwards
        self.decisions = decisions
        self.notes: list[Any] | None = None
        self.flow = flow
        self.driver = driver
        self.stack = driver.stack
        self.transaction = transaction
        self.principal: Principal | None = None
        self.dialog: Side | None = None
        """Where its dialog leads, when the request came along our own Record-Route."""
        self.decision: Decision | None = None
        self.own_routes = 0
        """How many of the first Routes are ours."""
        self.routes: Sequence[str] = ()
        """The URIs of those that are not."""
        self.without = 0
        """The fields that stay here: bits of `kernel.BIT`."""
        self.loop_hash = ""
        self.is_answered = False
        self.status = 0
        """Of the last response that was sent."""
        self.record: CallRecord | PassedCall | None = None
        """What is written down of the call that it begins."""
        self.undo: Callable[[], None] | None = None
        """Called when something of ours raises: there may be branches to cancel."""

    @property
    def arrived(self) -> Request:
        """The request as it came, with the `received` and `rport` of its sender."""
        return self.transaction.request if self.transaction is not None else self.request

    def replace_request(self, request: Request) -> None:
        """From now on `request` is served: our own copy, with changes."""
        hops = request.max_forwards
        self.request, self.to_tag = request, request.to_tag
        self.present, self.max_forwards = request.present, -1 if hops is None else hops

    def decide(self, clause: Clause, *facts: Any) -> None:
        """Note what was decided; it is put into words when somebody asks."""
        notes = self.notes
        if notes is None:
            if self.decisions is None:
                return
            notes = self.notes = self.decisions.notes_of(self)
        if len(notes) < NOTES:
            notes += (self.stack.now, clause, facts)

    def refuse(
        self, status: int, clause: Clause, *facts: Any, reason: str | None = None, headers: HeaderList = ()
    ) -> None:
        """Answer with a failure, and note why."""
        self.decide(clause, *facts)
        self.respond(status, reason, headers=headers)

    def keep(self) -> bool:
        """From now on the transaction is stored. False: there is nothing more to do (a repetition, or no
        room). That it is answered in time is seen to at the end of the walk: most are by then.
        """
        transaction = self.transaction
        if transaction is None or transaction.is_kept:
            return True
        return self.stack.keep(transaction, now=self.stack.now, answers_soon=True)

    def see_to_trying(self) -> None:
        """A 100 is due, in a while, if the transaction is kept and nothing was said yet (RFC 3261 17.2.1)."""
        transaction = self.transaction
        if transaction is not None and transaction.is_kept and not transaction.last_status:
            transaction.start(self.stack.now)

    def close(self) -> None:
        """It is answered, or about to be: only what another 2xx needs is still kept, and no way from here to
        whoever has served it, so that nothing waits for a garbage collector.
        """
        self.undo = None
        if self.transaction is not None:
            self.transaction.consumer = None
            self.request = self.transaction.request
            self.transaction.shed()

    def respond(
        self,
        status: int,
        reason: str | None = None,
        *,
        headers: HeaderList = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> None:
        """Answer: stateless as long as nothing is kept."""
        if self.transaction is None:
            self.is_answered = True
            return
        response = self.stack.make_response(
            self.transaction, status, reason, headers=headers, body=body, content_type=content_type
        )
        self.send(response)

    def send(self, response: Response) -> None:
        """Answer with a response made elsewhere."""
        transaction = self.transaction
        if transaction is None:
            return
        was_answered = self.is_answered
        self.is_answered = was_answered or response.status >= 200
        self.status = response.status
        stack = self.stack
        respond = stack.respond
        if not transaction.is_kept:
            respond = stack.respond_stateless
            if not self.flow.is_reliable:
                keep_small(response, transaction.request)
        try:
            respond(transaction, response, now=stack.now)
        except BaseException:
            self.is_answered = was_answered
            raise

    def fail(self, error: Exception) -> None:
        """The guard: whatever was raised, the peer gets an answer and nothing is left behind."""
        if isinstance(error, PeerError):
            logger.info("%s from %s: %s (%s)", self.request.method, self.flow, error.detail, error.section)
            self._give_up(error.status, error.detail)
        else:
            logger.error(
                "our fault: %s from %s could not be handled", self.request.method, self.flow, exc_info=error
            )
            self._give_up(500, "Server Internal Error")

    def _give_up(self, status: int, reason: str) -> None:
        undo, self.undo = self.undo, None
        if undo is not None:
            undo()
        if not self.is_answered:
            self.respond(status, reason)


class Service(Protocol):
    """One entry of the list."""

    def serve(self, exchange: Exchange) -> bool | Awaitable[bool]: ...


class Pipeline:
    """The ordered list. Give `receive` to the driver as its handler."""

    def __init__(
        self,
        services: Sequence[Service],
        decisions: Decisions | None = None,
        book: CallBook | None = None,
    ) -> None:
        self.services = tuple(services)
        self._decisions = decisions
        self._book = book
        self.driver: StackDriver | None = None
        self._waiting: dict[str, deque[Exchange]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """How many Call-IDs have a request in a service that waits."""
        return len(self._waiting)

    def receive(self, event: Event) -> None:
        """The driver's handler: events that nobody asked for."""
        assert self.driver is not None
        if isinstance(event, RequestReceived):
            exchange = Exchange(event.request, event.flow, self.driver, event.transaction, self._decisions)
        elif isinstance(event, AckReceived):
            exchange = Exchange(event.request, event.flow, self.driver, None, self._decisions)
        else:
            if isinstance(event, CancelReceived):
                self._cancel(event.transaction)
            return
        queue = self._waiting.get(exchange.request.call_id) if self._waiting else None
        if queue is None:
            self._walk(exchange, 0)
        elif len(queue) < QUEUE_LIMIT:
            queue.append(exchange)
        else:
            exchange.respond(500, headers=[("Retry-After", "5")])

    async def close(self) -> None:
        """Stop what still waits."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _walk(self, exchange: Exchange, start: int) -> None:
        """Inside the guard: from service to service, until one answers or wants to wait. What is refused at
        once is written down.
        """
        try:
            for index, service in enumerate(self.services[start:], start + 1):
                outcome = service.serve(exchange)
                if outcome is True or exchange.is_answered:
                    break
                if outcome is not False:
                    self._wait(exchange, outcome, index)
                    break
            else:
                exchange.respond(404)
        except Exception as error:  # noqa: BLE001 (logged there)
            exchange.fail(error)
        if exchange.status >= 300:
            self._refused(exchange)
        elif not exchange.status and start == 0 and exchange.transaction is not None:
            exchange.see_to_trying()

    def _refused(self, exchange: Exchange) -> None:
        if self._book is not None and exchange.request.method == "INVITE" and exchange.to_tag is None:
            self._book.refused(exchange)

    def _wait(self, exchange: Exchange, outcome: Awaitable[bool], index: int) -> None:
        if len(self._waiting) >= WAITING_LIMIT and exchange.request.call_id not in self._waiting:
            _discard(outcome)
            exchange.respond(503, headers=[("Retry-After", "5")])
            return
        if not exchange.keep():
            _discard(outcome)
            return
        self._waiting.setdefault(exchange.request.call_id, deque())
        if exchange.transaction is not None:
            exchange.transaction.user = exchange
        task = asyncio.get_running_loop().create_task(self._resume(exchange, outcome, index))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _resume(self, exchange: Exchange, outcome: Awaitable[bool], index: int) -> None:
        """Wait, walk on, and let the next request of this Call-ID in."""
        waiting = asyncio.ensure_future(outcome)
        try:
            await asyncio.wait((waiting,))
        finally:
            waiting.cancel()
        exchange.driver.perform(self._go_on, exchange, waiting, index)

    def _go_on(self, exchange: Exchange, waited: asyncio.Future[bool], index: int, *, now: float) -> None:
        exchange.stack.now = now  # an input like every other
        error = None if waited.cancelled() else waited.exception()
        if isinstance(error, Exception):
            exchange.fail(error)
        elif not waited.result() and not exchange.is_answered:
            self._walk(exchange, index)
        self._next_of(exchange.request.call_id)

    def _next_of(self, call_id: str) -> None:
        """The request that waited longest, and those behind it, until one waits again."""
        queue = self._waiting.pop(call_id, None)
        while queue:
            exchange = queue.popleft()
            self._walk(exchange, 0)
            if call_id in self._waiting:
                self._waiting[call_id].extend(queue)
                return

    def _cancel(self, transaction: ServerTransaction) -> None:
        """The caller gave up while a service waited (RFC 3261 9.2); the walk ends with what it waits for."""
        exchange = transaction.user
        if isinstance(exchange, Exchange) and not exchange.is_answered:
            exchange.respond(487)


def _discard(outcome: Awaitable[bool]) -> None:
    """Never awaited, and no complaint about it."""
    close = getattr(outcome, "close", None)
    if close is not None:
        close()
