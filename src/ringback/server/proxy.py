# SPDX-License-Identifier: Apache-2.0
"""How do requests reach the phones they are for? The transaction-stateful proxy: RFC 3261 section 16.

This service chooses the targets of what begins something: the phones of the user that the dial plan found,
or another domain. `forwarding.py` makes the copies, `forking.py` awaits what becomes of them. Requests inside
dialogs are `mid_dialog.py`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.server import clauses
from ringback.server.branch import ForkingPolicy
from ringback.server.forking import ResponseContext
from ringback.server.routing import ToUser
from ringback.server.target_set import is_sips
from ringback.server.targets import Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringback.server.call_records.book import CallBook
    from ringback.server.forwarding import Forwarder
    from ringback.server.pipeline import Exchange
    from ringback.server.target_set import TargetSet
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
        target_set: TargetSet,
        recurses: bool = True,
        book: CallBook | None = None,
    ) -> None:
        self.policy = policy
        self.recurses = recurses
        self._forwarder = forwarder
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
            self.forward(exchange, targets)
        return True

    def forward(self, exchange: Exchange, targets: Sequence[Target]) -> None:
        """16.6 to 16.10: what a response context is for."""
        context = ResponseContext(
            exchange,
            targets,
            self._forwarder,
            self.policy,
            self._closed,
            # 16.5: only for addresses that are ours to resolve.
            self._recurse if self.recurses and isinstance(exchange.decision, ToUser) else None,
        )
        if self._book is not None and exchange.to_tag is None and exchange.request.method == "INVITE":
            self._book.pass_on(exchange)
        elif self._book is not None and exchange.request.method == "BYE":  # of who knows no Record-Route
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
        """16.5: of a user, or the Request-URI itself."""
        if exchange.routes:
            return [Target(exchange.request.target)]
        return self._target_set.of(
            exchange.decision, driver=exchange.driver, secure=is_sips(exchange.request.uri)
        )

    def _left_out(self, exchange: Exchange) -> tuple[str, ...]:
        secure = is_sips(exchange.request.uri)
        return self._target_set.left_out(exchange.decision, driver=exchange.driver, secure=secure)

    # --- redirections

    def _recurse(self, exchange: Exchange, response: Response) -> Sequence[Target]:
        return self._target_set.of_redirection(
            response,
            method=exchange.request.method,
            caller=exchange.principal,
            driver=exchange.driver,
            secure=is_sips(exchange.request.uri),
        )
