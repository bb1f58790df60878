# SPDX-License-Identifier: Apache-2.0
"""How is one request tried at many targets, and one answer made of many? RFC 3261 sections 16.6, 16.7,
16.8 and 16.10.

The response context. Targets of one q are tried together, q after q. Provisional responses and every 2xx
go to the caller at once; of the failures the best one does, when nothing is left to try. Who answers
first has the call, the others get a CANCEL that says so (RFC 3326).

Every input runs inside the guard of the exchange: if something of ours raises, all branches are cancelled
and the caller gets a 500.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ringback.kernel import BIT
from ringback.server import clauses
from ringback.server.best_response import best_response
from ringback.server.branch import CANCELLED, DONE, NEVER, RINGING, WAITING, Branch, ForkingPolicy
from ringback.server.plain_request import answer
from ringback.server.targets import Target, is_same_target, serial_groups
from ringback.sip.events import CancelReceived, Event, ServerTransactionFailed

if TYPE_CHECKING:
    from ringback.server.forwarding import Forwarder
    from ringback.server.pipeline import Exchange
    from ringback.sip.flow import Flow
    from ringback.sip.message.message import Response
    from ringback.sip.transaction.client import ClientTransaction
    from ringback.sip.transaction.timers import Deadline

#: RFC 3326 section 2: what stops the other phones from counting a missed call.
ANSWERED_ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'
DECLINED_EVERYWHERE = 'SIP;cause=603;text="Declined elsewhere"'

#: How long a branch that was cancelled and never said anything may hold up the answer.
SILENCE = 2.0

_MAX_BREADTH = BIT["max-breadth"]


#: The further targets that a 3xx names; empty when it is to be passed on instead.
Recurse = Callable[["Exchange", "Response"], Sequence[Target]]


class ResponseContext:
    """16.7: everything about one request that was forwarded, until its last branch is done."""

    __slots__ = (
        "_alarm",
        "_closed",
        "_failures",
        "_forwarding",
        "_groups",
        "_is_cancelled",
        "_is_invite",
        "_pending",
        "_policy",
        "_recurse",
        "_ringing_ends_at",
        "branches",
        "exchange",
    )

    def __init__(  # noqa: PLR0917 - made for every INVITE, and keywords cost
        self,
        exchange: Exchange,
        targets: Iterable[Target],
        forwarding: Forwarder,
        policy: ForkingPolicy,
        closed: Callable[[ResponseContext], None],
        recurse: Recurse | None = None,
    ) -> None:
        self.exchange = exchange
        self.branches: list[Branch] = []
        self._groups = serial_groups(targets)
        self._forwarding = forwarding
        self._policy = policy
        self._recurse = recurse
        self._closed = closed
        self._failures: list[Response] = []
        self._pending = 0
        self._is_invite = exchange.request.method == "INVITE"
        self._is_cancelled = False
        self._ringing_ends_at = NEVER
        self._alarm: Deadline | None = None

    def start(self) -> None:
        """Take over the exchange: answer 100 to an INVITE and try the first targets."""
        assert self.exchange.transaction is not None
        self.exchange.transaction.consumer = self.receive_upstream
        self.exchange.undo = self._abandon
        if self._is_invite:
            answer(self.exchange, 100, b"")
        self._go_on()

    # --- from the caller

    def receive_upstream(self, event: Event) -> None:
        """CANCEL, or a caller that cannot be reached any more."""
        try:
            if isinstance(event, CancelReceived):
                self._give_up(event.request.reading.get("Reason"))
            elif isinstance(event, ServerTransactionFailed) and not self.exchange.is_answered:
                self._give_up(None)
        except Exception as error:  # noqa: BLE001 (logged there)
            self.exchange.fail(error)

    def _give_up(self, reason: str | None) -> None:
        """16.10: nothing new is tried, what rings is told to stop."""
        self._is_cancelled = True
        self.exchange.decide(clauses.GAVE_UP)
        self._groups.clear()
        self._cancel_pending(reason)
        self._go_on()

    # --- from the branches

    def receive_response(self, branch: Branch, received: Response, flow: Flow | None) -> None:
        """Each but the 100, which tells this hop only that the next one is at work (step 2)."""
        status = received.status
        if status == 100:
            return
        response = self._forwarding.pass_back(received, flow) if flow is not None else None
        if response is None:
            if status >= 200:  # cancelled before a way was found: made by our own stack
                self.fail(branch, status)
        elif status < 200:
            self._progress(branch, response)
        elif status < 300:
            self._succeed(branch, response)
        elif branch.is_pending:
            self._refuse(branch, response)

    def _progress(self, branch: Branch, response: Response) -> None:
        """Steps 2 and 5: restart Timer C, and tell the caller."""
        if branch.state is WAITING:
            branch.state = RINGING
        if branch.state is not RINGING:
            return
        if self._is_invite:
            branch.gives_up_at = self.exchange.stack.now + self._policy.timer_c
        if not self.exchange.is_answered and not self._is_cancelled:
            self.exchange.send(response)

    def _succeed(self, branch: Branch, response: Response) -> None:
        """Steps 5 and 10: every 2xx to an INVITE goes to the caller at once, also a second one."""
        self._finish(branch)
        if self._is_invite and self.exchange.dialog is None:
            self.exchange.decide(clauses.ANSWERED_BY, branch.target.text, response.status)
        if self._is_invite or not self.exchange.is_answered:
            self.exchange.send(response)
        self._groups.clear()
        if self._pending:
            self._cancel_pending(ANSWERED_ELSEWHERE)
        else:
            self._end()

    def _refuse(self, branch: Branch, response: Response) -> None:
        """Steps 4 to 6: a 3xx may name more targets, a 6xx ends all search."""
        was_cancelled_by_us = branch.state is CANCELLED and not self._is_cancelled
        self._finish(branch)
        if response.status == 430 and self._try_alternate(branch):
            return
        if response.status < 400 and self._recurse is not None and not self._is_settled:
            further = self._recurse(self.exchange, response)
            if further:
                self._launch_all(further)
                self._go_on()
                return
        if not (was_cancelled_by_us and response.status == 487):
            self._failures.append(response)
            self.exchange.decide(clauses.BRANCH_FAILED, branch.target.text, response.status)
        if response.status >= 600:
            self._groups.clear()
            self._cancel_pending(DECLINED_EVERYWHERE)
        self._go_on()

    def fail(self, branch: Branch, status: int) -> None:
        """16.8, 16.9: nothing came back, or nothing could be sent."""
        if not branch.is_pending:
            return
        was_cancelled = branch.state is CANCELLED
        self._finish(branch)
        if not was_cancelled:
            if self._try_alternate(branch):
                return
            self._failures.append(self._made_here(status))
            self.exchange.decide(clauses.BRANCH_SILENT, branch.target.text, status)
        self._go_on()

    def _try_alternate(self, branch: Branch) -> bool:
        """RFC 5626 section 7: the phone's other flow."""
        if not branch.target.alternates or self._is_settled:
            return False
        first, *others = branch.target.alternates
        self._launch(replace(first, alternates=tuple(others)), branch.breadth)
        return True

    # --- targets

    @property
    def _is_settled(self) -> bool:
        """Nothing new is to be tried."""
        return self._is_cancelled or self.exchange.is_answered

    def _go_on(self) -> None:
        """Next targets if nothing is pending, the answer if there are none."""
        while not self._pending:
            if not self._groups:
                self._conclude()
                return
            self._launch_all(self._groups.pop(0))

    def _launch_all(self, targets: Sequence[Target]) -> None:
        """16.6 for each target, within what RFC 5393 and our own limit leave."""
        budget = self._breadth_left()
        if self._is_invite and self.exchange.dialog is None:
            self._ringing_ends_at = self.exchange.stack.now + self._policy.ring_time
        if len(targets) == 1 and not self.branches:
            self._launch(targets[0], budget)
            return
        fresh = [target for target in targets if not self._is_known(target)]
        fresh = fresh[: max(0, self._policy.max_branches - len(self.branches))]
        if len(fresh) > budget:
            self._groups.insert(0, fresh[budget:])
            del fresh[budget:]
        for index, target in enumerate(fresh):
            self._launch(target, budget // len(fresh) + (1 if index < budget % len(fresh) else 0))

    def _is_known(self, target: Target) -> bool:
        """16.5: no URI is tried twice."""
        return any(is_same_target(target.uri, branch.target.uri) for branch in self.branches)

    def _breadth_left(self) -> int:
        """RFC 5393 5.3.3: what came in, less what pending branches were given."""
        allowed = self._policy.max_breadth
        if self.exchange.present & _MAX_BREADTH:
            allowed = min(self.exchange.request.max_breadth or 0, allowed)
        given = sum(branch.breadth for branch in self.branches if branch.is_pending) if self._pending else 0
        return max(0, allowed - given)

    def _launch(self, target: Target, breadth: int) -> None:
        branch = Branch(self, target, breadth)
        self.branches.append(branch)
        self._pending += 1
        if target.is_gone:
            self._finish(branch)
            if not self._try_alternate(branch):
                self._failures.append(self._made_here(430))
                self.exchange.decide(clauses.BRANCH_SILENT, branch.target.text, 430)
            return
        stack = self.exchange.stack
        transaction = stack.send_request(
            self._forwarding.prepare(self.exchange, target, breadth=breadth),
            now=stack.now,
            flow=target.flow,
            consumer=branch.receive,
            branch_suffix=self.exchange.loop_hash,
            hand_over=True,
        )
        if branch.state is DONE:
            return
        branch.transaction = transaction
        if self._is_invite:
            branch.gives_up_at = stack.now + self._policy.timer_c
            self._watch(min(branch.gives_up_at, self._ringing_ends_at))

    # --- timers

    def _watch(self, instant: float) -> None:
        """Look at the clock at `instant`, or before. One alarm serves the ring time, Timer C of all branches
        and the patience after a CANCEL; what is put off later (Timer C, by every 1xx) does not move it.
        """
        if instant == NEVER or (self._alarm is not None and self._alarm.due_at <= instant):
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self.exchange.stack.deadlines.arm(instant, self._look_at_clock)

    def _look_at_clock(self, now: float) -> None:
        self._alarm = None
        try:
            if self._ringing_ends_at <= now:
                self._ringing_ends_at = NEVER
                self.exchange.decide(clauses.NOBODY_ANSWERED, self._policy.ring_time)
                self._cancel_pending(None)
            for branch in [each for each in self.branches if each.gives_up_at <= now]:
                self._run_out_of_patience(branch)
            if self._pending:
                self._watch(min(self._ringing_ends_at, *[each.gives_up_at for each in self.branches]))
        except Exception as error:  # noqa: BLE001 (logged there)
            self.exchange.fail(error)

    def _run_out_of_patience(self, branch: Branch) -> None:
        """16.6 step 11: no INVITE waits for ever. A CANCEL waits for a first sign of life (9.1); the caller
        does not wait as long for a dead phone.
        """
        branch.gives_up_at = NEVER
        if branch.state is not CANCELLED:
            self._cancel(branch, None)
        elif branch.transaction is not None and not branch.transaction.last_status:
            self._finish(branch)
            self._go_on()

    # --- endings

    def _cancel_pending(self, reason: str | None) -> None:
        for branch in self.branches:
            self._cancel(branch, reason)

    def _cancel(self, branch: Branch, reason: str | None) -> None:
        """16.10 and 9.1. Only an INVITE can be cancelled; its final response is still awaited."""
        transaction = branch.transaction
        if not self._is_invite or transaction is None or branch.state is CANCELLED:
            return
        branch.state, branch.gives_up_at = CANCELLED, NEVER
        if not transaction.last_status:
            branch.gives_up_at = self.exchange.stack.now + SILENCE
            self._watch(branch.gives_up_at)
        self._send_cancel(transaction, reason)

    def _send_cancel(self, transaction: ClientTransaction, reason: str | None) -> None:
        self.exchange.stack.cancel(transaction, now=self.exchange.stack.now, reason=reason)

    def _finish(self, branch: Branch) -> None:
        if branch.state is DONE:
            return
        self._pending -= 1
        branch.state, branch.gives_up_at = DONE, NEVER
        if branch.transaction is not None:
            branch.transaction.shed()
            branch.transaction = None

    def _conclude(self) -> None:
        """Step 6: nothing is pending and nothing left to try."""
        if not self.exchange.is_answered:
            outcome = self._outcome()
            self.exchange.decide(clauses.OUTCOME, outcome.status)
            self.exchange.send(outcome)
        self._end()

    def _outcome(self) -> Response:
        """The best failure, in words that mean the same one hop further up."""
        if self._is_cancelled:
            return self._made_here(487)
        if not self._failures:
            return self._made_here(480 if self._is_invite and self.exchange.dialog is None else 408)
        best = best_response(self._failures)
        if best.status == 503:
            return self._made_here(500)
        if best.status == 430 and self.exchange.dialog is None:
            return self._made_here(480)
        return best

    def _made_here(self, status: int) -> Response:
        assert self.exchange.transaction is not None
        return self.exchange.stack.make_response(self.exchange.transaction, status)

    def _abandon(self) -> None:
        """The guard caught something: leave nothing ringing."""
        self._groups.clear()
        for branch in self.branches:
            transaction = branch.transaction
            self._finish(branch)
            if self._is_invite and transaction is not None:
                self._send_cancel(transaction, None)
        self._end()

    def _end(self) -> None:
        """From here to the last timer of the call, what stays in memory is what a late 2xx needs."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = None
        self._failures.clear()
        self.branches.clear()
        self.exchange.close()
        self._closed(self)
