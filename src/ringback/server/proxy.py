# SPDX-License-Identifier: Apache-2.0
"""How do requests reach the phones they are for? The transaction-stateful proxy: RFC 3261 section 16.

This service chooses the targets: the way a dialog's own Record-Route names, the phones of the user that
the dial plan found, or another domain. `forwarding.py` makes the copies, `forking.py` awaits what becomes
of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.server import clauses
from ringback.server.branch import ForkingPolicy
from ringback.server.forking import ResponseContext
from ringback.server.routing import ToUser
from ringback.server.target_set import is_sips
from ringback.server.targets import Target, target_of
from ringback.sip.flow import Transport
from ringback.sip.message.uri import SipUri
from ringback.sip.routing import next_hop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringback.server.call_records.book import CallBook
    from ringback.server.flow_token import Onward
    from ringback.server.forwarding import Forwarder
    from ringback.server.location import Location
    from ringback.server.pipeline import Exchange
    from ringback.server.target_set import TargetSet
    from ringback.sip.flow import Flow
    from ringback.sip.message.message import Response

#: The Max-Breadth of an ACK: it goes to one place.
NO_FORK = 1


class Proxy:
    """The last service: whatever still has no answer is passed on, or refused."""

    def __init__(
        self,
        forwarder: Forwarder,
        policy: ForkingPolicy,
        *,
        location: Location,
        target_set: TargetSet,
        recurses: bool = True,
        book: CallBook | None = None,
    ) -> None:
        self.policy = policy
        self.recurses = recurses
        self._forwarder = forwarder
        self._location = location
        self._target_set = target_set
        self._book = book
        self._contexts: set[ResponseContext] = set()

    @property
    def pending(self) -> int:
        """Requests that are being forwarded."""
        return len(self._contexts)

    def serve(self, exchange: Exchange) -> bool:
        targets = self._targets(exchange)
        if exchange.transaction is None:
            self._pass_ack(exchange, targets)
        elif not targets:
            exchange.refuse(480, clauses.NO_TARGETS, exchange.decision, (), self._left_out(exchange))
        elif exchange.keep():
            if exchange.decision is not None:
                exchange.decide(clauses.TARGETS, exchange.decision, targets)
            self._forward(exchange, targets)
        return True

    def _forward(self, exchange: Exchange, targets: Sequence[Target]) -> None:
        context = ResponseContext(
            exchange,
            targets,
            forwarding=self._forwarder,
            policy=self.policy,
            recurse=self._recurse if self._may_recurse(exchange) else None,
            closed=self._closed,
        )
        if self._book is not None and exchange.to_tag is None and exchange.request.method == "INVITE":
            self._book.pass_on(exchange)
        elif self._book is not None and exchange.request.method == "BYE":
            self._book.passed_bye(exchange.request)
        self._contexts.add(context)
        context.start()

    def _closed(self, context: ResponseContext) -> None:
        self._contexts.discard(context)
        if self._book is not None and context.exchange.record is not None:
            self._book.passed_final(context.exchange)

    def _pass_ack(self, exchange: Exchange, targets: Sequence[Target]) -> None:
        """16.11: the ACK to a 2xx has no transaction. It goes along its Route, or to the only phone."""
        if len(targets) == 1 and not targets[0].is_gone:
            (target,) = targets
            request = self._forwarder.prepare(exchange, target, breadth=NO_FORK)
            exchange.stack.send_stateless(
                request,
                now=exchange.stack.now,
                flow=target.flow,
                branch_suffix=exchange.loop_hash,
                hand_over=True,
            )

    # --- the target set

    def _targets(self, exchange: Exchange) -> Sequence[Target]:
        """16.5: of a dialog, of a user, or the Request-URI itself."""
        if exchange.dialog is not None:
            return [self._target_in_dialog(exchange, exchange.dialog)]
        if exchange.routes:
            return [Target(exchange.request.target)]
        return self._target_set.of(
            exchange.decision, driver=exchange.driver, secure=is_sips(exchange.request.uri)
        )

    def _left_out(self, exchange: Exchange) -> tuple[str, ...]:
        secure = is_sips(exchange.request.uri)
        return self._target_set.left_out(exchange.decision, driver=exchange.driver, secure=secure)

    def _target_in_dialog(self, exchange: Exchange, onward: Onward) -> Target:
        """The neighbour's connection; if it was replaced, that of the same phone now; else what the
        message says.
        """
        text = exchange.request.target
        is_alive = exchange.driver.is_alive
        binding = None
        if onward.handle:
            binding = self._location.find(onward.handle, now=exchange.stack.now)
        if binding is not None and binding.flow is not None and is_alive(binding.flow):
            return Target(text, binding.flow)
        flow = onward.flow
        if flow is not None and is_alive(flow):
            return Target(text, flow)
        if binding is not None:
            known = target_of(binding, is_alive)
            return Target(text, None, known.route, is_gone=known.is_gone)
        return Target(text, is_gone=flow is not None and not _listens(exchange, flow))

    # --- redirections

    def _may_recurse(self, exchange: Exchange) -> bool:
        """16.5: only for addresses that are ours to resolve."""
        return self.recurses and isinstance(exchange.decision, ToUser)

    def _recurse(self, exchange: Exchange, response: Response) -> Sequence[Target]:
        return self._target_set.of_redirection(
            response,
            method=exchange.request.method,
            caller=exchange.principal,
            driver=exchange.driver,
            secure=is_sips(exchange.request.uri),
        )


def _listens(exchange: Exchange, flow: Flow) -> bool:
    """The neighbour's connection is closed. A new one is opened to where it was, if the message says so, and
    to no other place: a dialog is no permission to send through us to anybody.
    """
    if flow.transport in (Transport.WS, Transport.WSS):
        return False
    hop = next_hop(exchange.request.edited(drop_routes=exchange.own_routes))
    return isinstance(hop, SipUri) and hop.host == flow.remote.host
