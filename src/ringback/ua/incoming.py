# SPDX-License-Identifier: Apache-2.0
"""What does a phone do with a request that others begin? RFC 3261 sections 8.2 and 11.2, RFC 3428.

A call gets a task of its own that lives as long as the call: when the handler returns, the call is hung up;
when the caller hangs up, the handler is cancelled. Methods are rows of ANSWERS; what has no row is answered
with 405.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from ringback.sip.events import Event, RequestReceived
from ringback.sip.message import SipUri
from ringback.ua.call import Call
from ringback.ua.errors import CallError
from ringback.ua.messaging import TextMessage, text_of

if TYPE_CHECKING:
    from ringback.sip.message import Request
    from ringback.sip.transaction.server import ServerTransaction
    from ringback.ua.agent import UserAgent

logger = logging.getLogger("ringback.ua")

OnCall = Callable[[Call], Awaitable[None]]
Fields = list[tuple[str, str]]
OnMessage = Callable[[TextMessage], Awaitable[None]]
Choose = Callable[["Request"], OnCall | None]

#: Messages being handled at the same time; strangers cannot make us start more tasks.
MESSAGE_LIMIT = 64


class IncomingRequests:
    """Answers new requests and runs the handlers of the phone's owner."""

    def __init__(self, agent: UserAgent, *, max_calls: int) -> None:
        self.on_call: OnCall | None = None
        #: Who answers a call by what was dialled, for programs with several numbers; None: `on_call`.
        self.choose: Choose | None = None
        self._on_message: OnMessage | None = None
        self._agent = agent
        self._max_calls = max_calls
        self._handlers: dict[Call, asyncio.Task[None]] = {}
        self._messages: set[asyncio.Task[None]] = set()

    def set_on_message(self, handler: OnMessage | None) -> None:
        """Who reads messages; what we say that we can changes with it."""
        self._on_message = handler
        self.announce_methods()

    def announce_methods(self) -> None:
        """What we say that we can do follows what our owner wants."""
        self._agent.sessions.allow = tuple(self.allowed)

    @property
    def calls(self) -> list[Call]:
        """Incoming calls whose handlers run."""
        return list(self._handlers)

    def receive_event(self, event: Event) -> None:
        """What nobody asked for. A stray ACK and a misbehaving peer need nothing from us."""
        if not isinstance(event, RequestReceived):
            return
        transaction = event.transaction
        method = event.request.method
        unknown = self._unknown_extensions(transaction)
        if event.request.to.tag is not None or method in IN_DIALOG_ONLY:
            self._respond(transaction, 481)
        elif method not in ANSWERS:
            self._respond(transaction, 405, headers=[("Allow", ", ".join(self.allowed))])
        elif not self._is_for_us(transaction):
            self._respond(transaction, 404)
        elif unknown:
            self._respond(transaction, 420, headers=[("Unsupported", ", ".join(unknown))])
        else:
            ANSWERS[method](self, transaction)

    def call_ended(self, call: Call) -> None:
        """A call is over: whoever handles it is told by cancellation, unless it is the handler that hung
        up.
        """
        task = self._handlers.get(call)
        ended = call.ended
        if task is not None and ended is not None and ended.by != "local":
            task.cancel()

    async def close(self) -> None:
        """Cancel every handler and wait for its clean-up."""
        tasks = [*self._handlers.values(), *self._messages]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- methods ---------------------------------------------------------------------------------------

    def _invite(self, transaction: ServerTransaction) -> None:
        if self._agent.transfers.replace(transaction):
            return
        handler = self.on_call if self.choose is None else self.choose(transaction.request)
        if handler is None:
            self._respond(transaction, 480)
            return
        if self._agent.call_count >= self._max_calls:
            self._respond(transaction, 486)
            return
        call = self._agent.incoming_call(transaction)
        if call is None:
            return
        task = asyncio.create_task(self._handle(call, handler), name="ringback call")
        self._handlers[call] = task
        task.add_done_callback(lambda _task: self._handlers.pop(call, None))

    async def _handle(self, call: Call, handler: OnCall) -> None:
        """The handler's lifetime is the call's."""
        status = 603
        try:
            await handler(call)
        except CallError as error:
            logger.info("the call from %s ends: %s", call.caller, error)
            status = error.status if 400 <= error.status <= 699 else 480
        except asyncio.CancelledError:
            status = 480
            raise
        except Exception:
            logger.exception("the handler of a call from %s failed", call.caller)
            status = 500
        finally:
            await self._finish(call, status)

    async def _finish(self, call: Call, status: int) -> None:
        if call.is_over:
            return
        if call.is_answered:
            await call.hangup()
        else:
            await call.reject(status)

    def _options(self, transaction: ServerTransaction) -> None:
        """11.2: what an INVITE would be answered with, and what we can."""
        self._respond(transaction, 200, headers=self.capabilities())

    def _message(self, transaction: ServerTransaction) -> None:
        status, headers = self.take_message(transaction.request)
        self._respond(transaction, status, headers=headers)

    def take_message(self, request: Request) -> tuple[int, Fields]:
        """RFC 3428 section 7: give the text to its handler; 200 says that it arrived, not that it was
        read.
        """
        if self._on_message is None:
            return 405, [("Allow", ", ".join(self.allowed))]
        message = text_of(request)
        if message is None:
            return 415, [("Accept", "text/plain")]
        if len(self._messages) >= MESSAGE_LIMIT:
            return 503, [("Retry-After", "5")]
        work = self._deliver(message, self._on_message)
        task = asyncio.create_task(work, name="ringback message")
        self._messages.add(task)
        task.add_done_callback(self._messages.discard)
        return 200, []

    async def _deliver(self, message: TextMessage, handler: OnMessage) -> None:
        try:
            await handler(message)
        except Exception:
            logger.exception("the handler of a message from %s failed", message.sender)

    # --- checks ----------------------------------------------------------------------------------------

    @property
    def allowed(self) -> list[str]:
        """The methods that are answered, for Allow."""
        allowed = ["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "PRACK", "UPDATE", "NOTIFY"]
        if self._on_message is not None:
            allowed.append("MESSAGE")
        return [*allowed, "REFER"] if self._agent.transfers.is_allowed else allowed

    def capabilities(self) -> Fields:
        """What we can, for answers to OPTIONS."""
        return [
            ("Allow", ", ".join(self.allowed)),
            ("Accept", "application/sdp, text/plain"),
            ("Supported", ", ".join(self._agent.supported)),
        ]

    def _is_for_us(self, transaction: ServerTransaction) -> bool:
        """8.2.2.1. Scanners ring phones by guessing names, so strangers must know ours; our own server may
        call us what it likes (providers put the dialled number there). A phone without a name takes all.
        """
        if self.choose is not None:
            return transaction.request.method != "INVITE" or self._is_chosen(transaction.request)
        account, home = self._agent.account, self._agent.reachability.home
        if account.is_anonymous or (home is not None and home.remote.host == transaction.flow.remote.host):
            return True
        uri = transaction.request.uri
        return isinstance(uri, SipUri) and uri.user in (None, account.uri.user)

    def _is_chosen(self, request: Request) -> bool:
        return self.choose is not None and (self.choose(request) is not None or "Replaces" in request.headers)

    def _unknown_extensions(self, transaction: ServerTransaction) -> list[str]:
        """8.2.2.3: what the request requires and we do not know."""
        known = self._agent.supported
        return [tag for tag in transaction.request.require if tag not in known]

    def _respond(self, transaction: ServerTransaction, status: int, *, headers: Fields | None = None) -> None:
        self._agent.respond(transaction, status, headers=headers or [])


Answer = Callable[[IncomingRequests, "ServerTransaction"], None]

#: How each method is answered outside of a dialog.
ANSWERS: dict[str, Answer] = {
    "INVITE":  IncomingRequests._invite,
    "OPTIONS": IncomingRequests._options,
    "MESSAGE": IncomingRequests._message,
}  # fmt: skip

#: Methods that only make sense inside a dialog: without one, 481 (12.2.2, RFC 6665 4.1.3, RFC 6086 4.2.2).
IN_DIALOG_ONLY = frozenset({"BYE", "INFO", "NOTIFY", "PRACK", "UPDATE"})
