# SPDX-License-Identifier: Apache-2.0
"""How is one request tried at many targets, and one answer made of many? RFC 3261 sections 16.6, 16.7,
16.8 and 16.10.

The response context. Targets of one q are tried together, q after q. Provisional responses and every 2xx
go to the caller at once; of the failures the best one does, when nothing is left to try. Who answers
first has the call, the others get a CANCEL that says so (RFC 3326). The life of a branch:

    WAITING --response 1xx--> RINGING --final, timeout, transport error--> DONE
       `-- CANCEL by us (answered elsewhere, 6xx, caller gave up, nobody answers) --> CANCELLED --> DONE

Every input runs inside the guard of the exchange: if something of ours raises, all branches are cancelled
and the caller gets a 500.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING, Protocol

from ringback.server.best_response import best_response
from ringback.server.targets import Target, is_same_target, serial_groups
from ringback.sip.events import (
    CancelReceived,
    Event,
    RequestTimedOut,
    ResponseReceived,
    ServerTransactionFailed,
    TransportFailed,
)

if TYPE_CHECKING:
    from ringback.server.pipeline import Exchange
    from ringback.sip.flow import Flow
    from ringback.sip.message.message import Request, Response
    from ringback.sip.message.uri import Uri
    from ringback.sip.transaction.client import ClientTransaction
    from ringback.sip.transaction.timers import Deadline

#: RFC 3326 section 2: what stops the other phones from counting a missed call.
ANSWERED_ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'
DECLINED_EVERYWHERE = 'SIP;cause=603;text="Declined elsewhere"'

#: How long a branch that was cancelled and never said anything may hold up the answer.
SILENCE = 2.0

#: RFC 5393 5.3.3: where nobody said how broad a request may become.
DEFAULT_BREADTH = 60


@dataclass(frozen=True, slots=True)
class ForkingPolicy:
    """Times in seconds."""

    timer_c: float = 181.0
    ring_time: float = 120.0
    max_branches: int = 16
    max_breadth: int = DEFAULT_BREADTH


class BranchState(IntEnum):
    """See the picture above."""

    WAITING = 0
    RINGING = 1
    CANCELLED = 2
    DONE = 3


@dataclass(slots=True, eq=False)
class Branch:
    """One copy of the request, on its way to one target."""

    target: Target
    breadth: int
    state: BranchState = BranchState.WAITING
    transaction: ClientTransaction | None = None
    timer_c: Deadline | None = None

    @property
    def is_pending(self) -> bool:
        return self.state is not BranchState.DONE


class Forwarding(Protocol):
    """What messages look like when they leave us (`forwarding.py`)."""

    def prepare(self, exchange: Exchange, target: Target, *, breadth: int) -> Request:
        """The copy of a request for one target."""
        ...

    def pass_back(self, response: Response, flow: Flow | None) -> Response | None:
        """The response for the hop before us; None if it was meant for us."""
        ...


#: The further targets that a 3xx names; empty when it is to be passed on instead.
Recurse = Callable[["Exchange", "Response"], Sequence[Target]]


class ResponseContext:
    """16.7: everything about one request that was forwarded, until its last branch is done."""

    def __init__(
        self,
        exchange: Exchange,
        targets: Iterable[Target],
        *,
        forwarding: Forwarding,
        policy: ForkingPolicy,
        recurse: Recurse | None = None,
        closed: Callable[[ResponseContext], None] = lambda _: None,
    ) -> None:
        self.exchange = exchange
        self.branches: list[Branch] = []
        self._groups = deque(serial_groups(targets))
        self._forwarding = forwarding
        self._policy = policy
        self._recurse = recurse
        self._closed = closed
        self._failures: list[Response] = []
        self._seen: list[Uri] = []
        self._is_invite = exchange.request.method == "INVITE"
        self._is_cancelled = False
        self._is_over = False
        self._ring_deadline: Deadline | None = None

    def start(self) -> None:
        """Take over the exchange: answer 100 to an INVITE and try the first targets."""
        transaction = self.exchange.transaction
        assert transaction is not None
        transaction.consumer = self.receive_upstream
        self.exchange.on_failure.append(self._abandon)
        if self._is_invite:
            self.exchange.respond(100)
        self._go_on()

    # --- from the caller

    def receive_upstream(self, event: Event) -> None:
        """CANCEL, or a caller that cannot be reached any more."""
        if isinstance(event, CancelReceived):
            reason = event.request.headers.get("Reason")
            self.exchange.attempt(lambda: self._give_up(reason))
        elif isinstance(event, ServerTransactionFailed) and not self.exchange.is_answered:
            self.exchange.attempt(lambda: self._give_up(None))

    def _give_up(self, reason: str | None) -> None:
        """16.10: nothing new is tried, what rings is told to stop."""
        self._is_cancelled = True
        self._groups.clear()
        self._cancel_pending(reason)
        self._go_on()

    # --- from the branches

    def receive(self, branch: Branch, event: Event) -> None:
        """What came of one branch."""
        self.exchange.attempt(lambda: self._receive(branch, event))

    def _receive(self, branch: Branch, event: Event) -> None:
        if isinstance(event, ResponseReceived):
            self._receive_response(branch, event.response)
        elif isinstance(event, RequestTimedOut):
            self._fail(branch, 408)
        elif isinstance(event, TransportFailed):
            self._fail(branch, 430 if branch.target.is_registered else 503)

    def _receive_response(self, branch: Branch, received: Response) -> None:
        flow = branch.transaction.flow if branch.transaction is not None else None
        response = self._forwarding.pass_back(received, flow) if flow is not None else None
        if response is None:
            if received.status >= 200:  # cancelled before a way was found: made by our own stack
                self._fail(branch, received.status)
            return
        if response.status < 200:
            self._progress(branch, response)
        elif response.status < 300:
            self._succeed(branch, response)
        elif branch.is_pending:
            self._refuse(branch, response)

    def _progress(self, branch: Branch, response: Response) -> None:
        """Steps 2 and 5: 100 stays here; others restart Timer C and go to the caller."""
        if response.status == 100 or not branch.is_pending:
            return
        if branch.state is BranchState.WAITING:
            branch.state = BranchState.RINGING
        if branch.timer_c is not None:
            self._start_timer_c(branch)
        if not self.exchange.is_answered and not self._is_cancelled and branch.state is BranchState.RINGING:
            self.exchange.send(response)

    def _succeed(self, branch: Branch, response: Response) -> None:
        """Steps 5 and 10: every 2xx to an INVITE goes to the caller at once, also a second one."""
        self._finish(branch)
        if self._is_invite or not self.exchange.is_answered:
            self.exchange.send(response)
        self._groups.clear()
        self._cancel_pending(ANSWERED_ELSEWHERE)
        self._go_on()

    def _refuse(self, branch: Branch, response: Response) -> None:
        """Steps 4 to 6: a 3xx may name more targets, a 6xx ends all search."""
        was_cancelled_by_us = branch.state is BranchState.CANCELLED and not self._is_cancelled
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
        if response.status >= 600:
            self._groups.clear()
            self._cancel_pending(DECLINED_EVERYWHERE)
        self._go_on()

    def _fail(self, branch: Branch, status: int) -> None:
        """16.8, 16.9: nothing came back, or nothing could be sent."""
        if not branch.is_pending:
            return
        was_cancelled = branch.state is BranchState.CANCELLED
        self._finish(branch)
        if not was_cancelled and self._try_alternate(branch):
            return
        if not was_cancelled:
            self._failures.append(self._made_here(status))
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
        while not any(branch.is_pending for branch in self.branches):
            if not self._groups:
                self._conclude()
                return
            self._launch_all(self._groups.popleft())

    def _launch_all(self, targets: Sequence[Target]) -> None:
        """16.6 for each target, within what RFC 5393 and our own limit leave."""
        fresh = [each for each in targets if not self._is_known(each.uri)]
        fresh = fresh[: self._policy.max_branches - len(self.branches)]
        budget = self._breadth_left()
        if len(fresh) > budget:
            fresh, later = fresh[:budget], fresh[budget:]
            self._groups.appendleft(later)
        self._arm_ring_deadline()
        for index, target in enumerate(fresh):
            self._seen.append(target.uri)
            self._launch(target, budget // len(fresh) + (1 if index < budget % len(fresh) else 0))

    def _is_known(self, uri: Uri) -> bool:
        """16.5: no URI is tried twice."""
        return any(is_same_target(uri, seen) for seen in self._seen)

    def _breadth_left(self) -> int:
        """RFC 5393 5.3.3: what came in, less what pending branches were given."""
        given = self.exchange.request.max_breadth
        allowed = self._policy.max_breadth if given is None else min(given, self._policy.max_breadth)
        return max(0, allowed - sum(branch.breadth for branch in self.branches if branch.is_pending))

    def _launch(self, target: Target, breadth: int) -> None:
        branch = Branch(target, breadth)
        self.branches.append(branch)
        if target.is_gone:
            self._finish(branch)
            if not self._try_alternate(branch):
                self._failures.append(self._made_here(430))
            return
        driver = self.exchange.driver
        request = self._forwarding.prepare(self.exchange, target, breadth=breadth)
        branch.transaction = driver.perform(
            driver.stack.send_request,
            request,
            flow=target.flow,
            consumer=partial(self.receive, branch),
            branch_suffix=self.exchange.loop_hash,
        )
        if self._is_invite:
            self._start_timer_c(branch)

    # --- timers

    def _start_timer_c(self, branch: Branch) -> None:
        """16.6 step 11: no INVITE waits for ever."""
        if branch.timer_c is not None:
            branch.timer_c.cancel()
        branch.timer_c = self._arm(self._policy.timer_c, lambda: self._cancel(branch, None))

    def _arm_ring_deadline(self) -> None:
        """How long one group of phones may ring before the next one does, or the caller is told."""
        if self._ring_deadline is not None:
            self._ring_deadline.cancel()
        if self._is_invite and self.exchange.dialog is None:
            self._ring_deadline = self._arm(self._policy.ring_time, lambda: self._cancel_pending(None))

    def _arm(self, delay: float, expired: Callable[[], None]) -> Deadline:
        driver = self.exchange.driver
        return driver.stack.deadlines.arm(driver.now + delay, lambda _now: self.exchange.attempt(expired))

    # --- endings

    def _cancel_pending(self, reason: str | None) -> None:
        for branch in self.branches:
            self._cancel(branch, reason)

    def _cancel(self, branch: Branch, reason: str | None) -> None:
        """16.10 and 9.1. Only an INVITE can be cancelled; its final response is still awaited."""
        if not self._is_invite or branch.transaction is None:
            return
        if branch.state in (BranchState.WAITING, BranchState.RINGING):
            branch.state = BranchState.CANCELLED
            self._send_cancel(branch.transaction, reason)
            if branch.transaction.last_response is None:
                self._arm(SILENCE, lambda: self._give_up_silent(branch))

    def _send_cancel(self, transaction: ClientTransaction, reason: str | None) -> None:
        driver = self.exchange.driver
        driver.perform(driver.stack.cancel, transaction, reason=reason)

    def _give_up_silent(self, branch: Branch) -> None:
        """A CANCEL waits for a first sign of life (9.1); the caller does not wait as long for a dead
        phone.
        """
        if branch.is_pending and branch.transaction is not None and branch.transaction.last_response is None:
            self._finish(branch)
            self._go_on()

    def _finish(self, branch: Branch) -> None:
        branch.state = BranchState.DONE
        if branch.timer_c is not None:
            branch.timer_c.cancel()
            branch.timer_c = None

    def _conclude(self) -> None:
        """Step 6: nothing is pending and nothing left to try."""
        if self._ring_deadline is not None:
            self._ring_deadline.cancel()
        if not self.exchange.is_answered:
            self.exchange.send(self._outcome())
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
        return self.exchange.driver.stack.make_response(self.exchange.transaction, status)

    def _abandon(self) -> None:
        """The guard caught something: leave nothing ringing."""
        self._groups.clear()
        for branch in self.branches:
            if branch.is_pending:
                self._finish(branch)
                if self._is_invite and branch.transaction is not None:
                    self._send_cancel(branch.transaction, None)
        self._end()

    def _end(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._closed(self)
