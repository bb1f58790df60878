# SPDX-License-Identifier: Apache-2.0
"""What becomes of a request that goes to one place only, and is no INVITE? RFC 3261 sections 16.6 to 16.9.

One client transaction for one server transaction: what answers the one answers the other. Nothing rings and
nothing can be cancelled (9.1), there is no Timer C, and no response is better than the only one. So nothing
is left of the response context of `forking.py` but what stands here: a third of its work, for every request
inside a dialog.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.kernel import BIT
from ringback.server import clauses
from ringback.sip.events import RequestTimedOut, ResponseReceived, TransportFailed

if TYPE_CHECKING:
    from ringback.server.forwarding import Forwarder
    from ringback.server.pipeline import Exchange
    from ringback.sip.events import Event
    from ringback.sip.flow import Flow
    from ringback.sip.message.message import Response
    from ringback.sip.message.uri import NameAddr
    from ringback.sip.transaction.client import ClientTransaction


_MAX_BREADTH = BIT["max-breadth"]

#: Where it goes: on this flow; else where this Route leads, or the Request-URI; or True: nowhere any more.
Way = tuple["Flow | None", "tuple[NameAddr, ...]", bool]


class SoleBranch:
    """The request, until it is answered. It stands in `pending` as long."""

    __slots__ = ("_exchange", "_forwarder", "_pending")

    def __init__(self, exchange: Exchange, forwarder: Forwarder, pending: set[SoleBranch]) -> None:
        self._exchange = exchange
        self._forwarder = forwarder
        self._pending = pending

    def start(self, way: Way, max_breadth: int) -> None:
        """Send it on."""
        exchange = self._exchange
        flow, route, is_gone = way
        if is_gone:  # RFC 5626 5.3
            self._fail(430, 430)
            return
        breadth = max_breadth
        if exchange.present & _MAX_BREADTH:  # RFC 5393 5.3.3
            breadth = min(exchange.request.max_breadth or 0, breadth)
        stack = exchange.stack
        stack.send_request(
            self._forwarder.prepare_mid_dialog(exchange, route, breadth),
            now=stack.now,
            flow=flow,
            consumer=self.receive,
            hand_over=True,
        )
        self._pending.add(self)

    def receive(self, event: Event) -> None:
        """What came of it, inside the guard of the exchange."""
        try:
            if isinstance(event, ResponseReceived):
                self._receive_response(event.response, event.transaction)
            elif isinstance(event, RequestTimedOut):
                self._fail(408, 408)
            elif isinstance(event, TransportFailed):
                self._fail(503, 500)
        except Exception as error:  # noqa: BLE001 (logged there)
            self._pending.discard(self)
            self._exchange.fail(error)

    def _receive_response(self, received: Response, transaction: ClientTransaction) -> None:
        """16.7 steps 2 to 9. A 100 tells this hop only that the next one is at work."""
        status = received.status
        if status < 200:
            return  # RFC 4320 4.1: no other hop hears of it
        response = self._forwarder.pass_back(received, transaction.flow)
        transaction.shed()
        if response is None:  # it was for us
            self._fail(status, status)
        else:
            self._conclude(response if status < 300 else self._refused(response))

    def _refused(self, response: Response) -> Response:
        """16.7 step 6: a 503 says nothing about us."""
        status = 500 if response.status == 503 else response.status
        self._exchange.decide(clauses.BRANCH_FAILED, self._exchange.request.target, response.status)
        self._exchange.decide(clauses.OUTCOME, status)
        return response if status == response.status else self._made_here(status)

    def _fail(self, cause: int, status: int) -> None:
        """16.8, 16.9: nothing came back, or nothing could be sent. A 408 is not sent either (RFC 4320)."""
        self._exchange.decide(clauses.BRANCH_SILENT, self._exchange.request.target, cause)
        self._exchange.decide(clauses.OUTCOME, status)
        self._conclude(self._made_here(status))

    def _made_here(self, status: int) -> Response:
        assert self._exchange.transaction is not None
        return self._exchange.stack.make_response(self._exchange.transaction, status)

    def _conclude(self, response: Response) -> None:
        self._pending.discard(self)
        if not self._exchange.is_answered:
            self._exchange.send(response)
        self._exchange.close()
