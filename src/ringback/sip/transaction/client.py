# SPDX-License-Identifier: Apache-2.0
"""How does a request of ours get its answer? Client transactions: RFC 3261 section 17.1, RFC 6026 section 7.2.

A machine is a table: (state, input) -> (next state, actions). A pair that is not in the table is ignored.
The state changes before the actions run. A machine has one deadline at a time and never asks for the time.

What an outcome means is decided by the owner (`sending.py`): a timeout here may be the cue to try another
target. Where the table differs from the figures of RFC 3261:

- NEW is the time before a way to the next hop is known; ABANDON ends it when the user changes its mind.
- A connection that breaks in PROCEEDING ends the transaction: nobody behind a lost connection answers, and
  the caller should not listen to a ring tone that comes from nowhere.
- A failure to send the ACK in COMPLETED is not reported: the user has its final response already.
- CANCEL_TIMEOUT is the end of an INVITE that was cancelled and still got no final response (9.1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

from ringback.sip.transaction.derived_requests import make_ack
from ringback.sip.transaction.rate_cap import RateCap
from ringback.sip.transaction.timers import disarm

if TYPE_CHECKING:
    from ringback.sip.events import Consumer, Event
    from ringback.sip.flow import Flow
    from ringback.sip.message.message import Request, Response
    from ringback.sip.transaction.keys import Key
    from ringback.sip.transaction.timers import Deadline, Deadlines, Due, Timers


class State(IntEnum):
    """CALLING belongs to INVITE, TRYING to everything else."""

    NEW = 0
    CALLING = 1
    TRYING = 2
    PROCEEDING = 3
    COMPLETED = 4
    ACCEPTED = 5
    TERMINATED = 6


class Input(IntEnum):
    """What can happen to a client transaction."""

    START = 0
    PROVISIONAL = 1
    SUCCESS = 2
    FAILURE = 3
    TIMER_A = 4
    TIMER_B = 5
    TIMER_D = 6
    TIMER_E = 7
    TIMER_F = 8
    TIMER_K = 9
    TIMER_M = 10
    CANCEL_TIMEOUT = 11
    TRANSPORT_ERROR = 12
    ABANDON = 13


#: By these names because a member costs 0.3 us when it is looked up on its class.
_NEW, _CALLING, _TRYING, _PROCEEDING, _COMPLETED, _ACCEPTED, _TERMINATED = State
# fmt: off
(_START, _PROVISIONAL, _SUCCESS, _FAILURE, _TIMER_A, _TIMER_B, _TIMER_D, _TIMER_E, _TIMER_F, _TIMER_K, _TIMER_M,
 _CANCEL_TIMEOUT, _TRANSPORT_ERROR, _ABANDON) = Input
# fmt: on


class ClientTransactionOwner(Protocol):
    """What a client transaction needs from the world, and whom it tells."""

    @property
    def timers(self) -> Timers: ...
    @property
    def deadlines(self) -> Deadlines: ...
    def send(self, data: bytes, flow: Flow) -> None: ...
    def response_received(self, transaction: ClientTransaction, response: Response, now: float) -> None: ...
    def timed_out(self, transaction: ClientTransaction, now: float) -> None: ...
    def transport_failed(self, transaction: ClientTransaction, detail: str, now: float) -> None: ...
    def terminated(self, transaction: ClientTransaction) -> None: ...


@dataclass(slots=True, eq=False, init=False, repr=False)
class ClientTransaction:
    """One request and what comes back. Made by `SipStack.send_request`; read it, do not change it.

    It stays the same object while several targets are tried: `request` and `flow` are those of the latest attempt.
    """

    request: Request
    owner: ClientTransactionOwner
    consumer: Consumer | None
    flow: Flow | None
    state: State
    key: Key
    branch: str
    branch_suffix: str
    is_invite: bool
    _transitions: Transitions
    last_response: Response | None
    last_status: int
    """That of the last response, 0 before any."""
    path: Flow | None
    """What `TransactionTable` finds it by."""
    failure_detail: str

    attempt: int
    """How many targets were tried before this one."""
    has_more: bool
    """True while a failure means: try the next target."""
    is_seeking_flow: bool
    """True between FlowNeeded and its answer."""
    search: Deadline | None
    """The end of the patience with a silent target, or with the search for one."""
    held_failure: Event | None
    """What to report when no target is left."""
    successor: ClientTransaction | None
    """Set on an attempt that was left behind for the next target."""
    is_cancelled: bool
    cancel_reason: str | None
    is_cancel_sent: bool
    is_cancel: bool
    """True for a CANCEL: nobody waits for its outcome."""
    is_origin: bool
    """True when the request has no Via but ours: then a response must not have more either (8.1.3.3)."""

    _data: bytes
    _ack: bytes
    _acks: RateCap | None
    _interval: float
    _ends_at: float
    """When Timer B or F fires, or in the last states Timer D, K or M."""
    due_at: float
    """Of its one deadline: Timer A or E, and what comes last of them, Timer B or F; or the end after a CANCEL."""
    slot: dict[Due, None] | None
    """Where that stands in the calendar."""

    def __init__(
        self,
        request: Request,
        owner: ClientTransactionOwner,
        consumer: Consumer | None = None,
        branch_suffix: str = "",
        *,
        flow: Flow | None = None,
        state: State = _NEW,
        key: Key = (),
        branch: str = "",
    ) -> None:
        """`branch_suffix` is what the branch of every attempt ends with; `branch` is that of this one."""
        self.last_response = self.path = self.search = self.held_failure = None
        self.successor = self.cancel_reason = self._acks = self.slot = None
        self.last_status = self.attempt = 0
        self.failure_detail = ""
        self.has_more = self.is_seeking_flow = self.is_cancelled = False
        self.is_cancel_sent = self.is_cancel = self.is_origin = False
        self._data = self._ack = b""
        self._interval = self.due_at = 0.0
        self._ends_at = math.inf
        self.request = request
        self.owner = owner
        self.consumer = consumer
        self.flow = flow
        self.state = state
        self.key = key
        self.branch = branch
        self.branch_suffix = branch_suffix
        self.is_invite = request.method == "INVITE"
        self._transitions = INVITE_TRANSITIONS if self.is_invite else NON_INVITE_TRANSITIONS

    @property
    def has_ended(self) -> bool:
        """True when nothing more will come of it."""
        return self.state is _TERMINATED

    def feed(self, what: Input, now: float) -> None:
        """One step of the machine."""
        transition = self._transitions.get((self.state, what))
        if transition is None:
            return
        self.state, actions = transition
        for action in actions:
            action(self, now)
        if self.state is _TERMINATED:
            if self.slot is not None:
                disarm(self)
            self.owner.terminated(self)

    def start(self, now: float) -> None:
        """Send `request`, which carries our Via by now, on `flow`."""
        if self.last_status:
            self.last_response, self.last_status = None, 0
        self._data = self.request.to_bytes()
        self.feed(_START, now)

    def receive(self, response: Response, now: float) -> None:
        """A response that matches (17.1.3)."""
        self.last_response = response
        self.last_status = status = response.status
        self.feed(_PROVISIONAL if status < 200 else _SUCCESS if status < 300 else _FAILURE, now)

    def fail(self, detail: str, now: float) -> None:
        """The transport could not deliver, or the connection is lost (17.1.4)."""
        self.failure_detail = detail
        self.feed(_TRANSPORT_ERROR, now)

    def limit_wait_after_cancel(self, now: float) -> None:
        """9.1: a cancelled INVITE that is not answered in 64*T1 is given up."""
        self.owner.deadlines.enter(now + self.owner.timers.transaction_timeout, self)

    def expire(self, now: float) -> None:
        """For the calendar: the one deadline has come. What it is follows from the state."""
        if self.state is _PROCEEDING and self.is_invite:
            self.feed(_CANCEL_TIMEOUT, now)
        elif self.due_at >= self._ends_at:
            self.feed(_timeout_of(self), now)
        else:
            self.feed(_TIMER_A if self.is_invite else _TIMER_E, now)

    def shed(self) -> None:
        """Forget request and response, when nobody will look any more; see `ServerTransaction.shed`."""
        if self.state >= _COMPLETED:
            self.last_response = None
            self.request.shed()

    def leave_behind(self) -> ClientTransaction:
        """Move what is left of this attempt into a transaction of its own, and be NEW again.

        What is left still acknowledges failures, and still takes a late answer (`successor` says whose it was).
        """
        rest = ClientTransaction(
            self.request, self.owner, flow=self.flow, state=self.state, key=self.key, branch=self.branch
        )
        rest.successor = self
        rest.last_response, rest.last_status = self.last_response, self.last_status
        rest._data, rest._ack = self._data, self._ack
        if rest.state is not _TERMINATED:
            rest._ends_at = self._ends_at
            rest.owner.deadlines.linger(self._ends_at, rest)
        disarm(self)
        self.request, self.key, self.state = self.request.copy(), (), _NEW
        self._ack = b""
        return rest

    def end_wait(self, now: float) -> None:
        """For the calendar: the wait for stray responses is over, if it was this attempt's."""
        if now >= self._ends_at:
            self.feed(_end_of(self), now)


Action = Callable[[ClientTransaction, float], None]
Transitions = Mapping[tuple[State, Input], tuple[State, tuple[Action, ...]]]


def _end_of(transaction: ClientTransaction) -> Input:
    """What the end of the current state is called."""
    if transaction.state is _COMPLETED:
        return _TIMER_D if transaction.is_invite else _TIMER_K
    if transaction.state is _ACCEPTED:
        return _TIMER_M
    return _timeout_of(transaction)


# --- actions ------------------------------------------------------------------------------------------


def _send_request(transaction: ClientTransaction, now: float) -> None:
    assert transaction.flow is not None
    transaction.owner.send(transaction._data, transaction.flow)


def _start_timers(transaction: ClientTransaction, now: float) -> None:
    """Timers A and E start at T1, and only where messages get lost; else Timer B or F is armed at once."""
    assert transaction.flow is not None
    timers = transaction.owner.timers
    transaction._ends_at = now + timers.transaction_timeout
    _repeat_after(transaction, math.inf if transaction.flow.is_reliable else timers.t1, now)


def _double_interval(transaction: ClientTransaction, now: float) -> None:
    """17.1.1.2: Timer A doubles each time."""
    _repeat_after(transaction, 2 * transaction._interval, now)


def _double_interval_to_t2(transaction: ClientTransaction, now: float) -> None:
    """17.1.2.2: Timer E doubles until it is T2."""
    _repeat_after(transaction, min(2 * transaction._interval, transaction.owner.timers.t2), now)


def _set_interval_to_t2(transaction: ClientTransaction, now: float) -> None:
    """17.1.2.2: in Proceeding the request is still repeated, every T2."""
    _repeat_after(transaction, transaction.owner.timers.t2, now)


def _repeat_after(transaction: ClientTransaction, interval: float, now: float) -> None:
    """One deadline for both: the last repetition is followed by the timeout."""
    transaction._interval = interval
    at, ends_at = now + interval, transaction._ends_at
    transaction.owner.deadlines.enter(at if at < ends_at else ends_at, transaction)


def _timeout_of(transaction: ClientTransaction) -> Input:
    return _TIMER_B if transaction.is_invite else _TIMER_F


def _pass_up(transaction: ClientTransaction, now: float) -> None:
    assert transaction.last_response is not None
    transaction.owner.response_received(transaction, transaction.last_response, now)


def _send_ack(transaction: ClientTransaction, now: float) -> None:
    """17.1.1.3. Made once, sent for every repetition of the response, but not for a storm of them."""
    assert transaction.flow is not None
    if not transaction._ack:
        assert transaction.last_response is not None
        transaction._ack = make_ack(transaction.request, transaction.last_response).to_bytes()
        transaction._acks = RateCap()
    if transaction._acks is None or transaction._acks.allows(now):
        transaction.owner.send(transaction._ack, transaction.flow)


def _report_timeout(transaction: ClientTransaction, now: float) -> None:
    transaction.owner.timed_out(transaction, now)


def _report_transport_error(transaction: ClientTransaction, now: float) -> None:
    transaction.owner.transport_failed(transaction, transaction.failure_detail, now)


def _wait_for_stray_failures(transaction: ClientTransaction, now: float) -> None:
    """Timer D: at least 32 seconds on UDP, none otherwise."""
    assert transaction.flow is not None
    _linger(transaction, 0.0 if transaction.flow.is_reliable else transaction.owner.timers.d, now)


def _wait_for_stray_successes(transaction: ClientTransaction, now: float) -> None:
    """RFC 6026 8.4: Timer M, on every transport, because other branches of a fork may answer 2xx too."""
    _linger(transaction, transaction.owner.timers.transaction_timeout, now)


def _wait_for_stray_responses(transaction: ClientTransaction, now: float) -> None:
    """Timer K: T4 on UDP, none otherwise."""
    assert transaction.flow is not None
    _linger(transaction, 0.0 if transaction.flow.is_reliable else transaction.owner.timers.t4, now)


def _linger(transaction: ClientTransaction, wait: float, now: float) -> None:
    """The last action of a row: a wait of no length is over at once. The request is not sent any more."""
    if transaction.slot is not None:
        disarm(transaction)
    transaction._data = b""
    if wait > 0:
        transaction._ends_at = now + wait
        transaction.owner.deadlines.linger(transaction._ends_at, transaction)
    else:
        transaction.state = _TERMINATED


# --- tables -------------------------------------------------------------------------------------------

# ruff: noqa: E501
# fmt: off
_S, _I = State, Input
_ONE_SUCCESS  = (_pass_up, _wait_for_stray_successes)
_ONE_FAILURE  = (_send_ack, _pass_up, _wait_for_stray_failures)
_ONE_RESPONSE = (_pass_up, _wait_for_stray_responses)

#: RFC 3261 figure 5 with RFC 6026 section 7.2.
INVITE_TRANSITIONS: Transitions = {
    (_S.NEW,        _I.START):           (_S.CALLING,    (_send_request, _start_timers)),
    (_S.NEW,        _I.TRANSPORT_ERROR): (_S.TERMINATED, (_report_transport_error,)),
    (_S.NEW,        _I.ABANDON):         (_S.TERMINATED, ()),

    (_S.CALLING,    _I.PROVISIONAL):     (_S.PROCEEDING, (disarm, _pass_up)),
    (_S.CALLING,    _I.SUCCESS):         (_S.ACCEPTED,   _ONE_SUCCESS),
    (_S.CALLING,    _I.FAILURE):         (_S.COMPLETED,  _ONE_FAILURE),
    (_S.CALLING,    _I.TIMER_A):         (_S.CALLING,    (_send_request, _double_interval)),
    (_S.CALLING,    _I.TIMER_B):         (_S.TERMINATED, (_report_timeout,)),
    (_S.CALLING,    _I.TRANSPORT_ERROR): (_S.TERMINATED, (_report_transport_error,)),

    (_S.PROCEEDING, _I.PROVISIONAL):     (_S.PROCEEDING, (_pass_up,)),
    (_S.PROCEEDING, _I.SUCCESS):         (_S.ACCEPTED,   _ONE_SUCCESS),
    (_S.PROCEEDING, _I.FAILURE):         (_S.COMPLETED,  _ONE_FAILURE),
    (_S.PROCEEDING, _I.CANCEL_TIMEOUT):  (_S.TERMINATED, (_report_timeout,)),
    (_S.PROCEEDING, _I.TRANSPORT_ERROR): (_S.TERMINATED, (_report_transport_error,)),

    (_S.COMPLETED,  _I.FAILURE):         (_S.COMPLETED,  (_send_ack,)),
    (_S.COMPLETED,  _I.TIMER_D):         (_S.TERMINATED, ()),
    (_S.COMPLETED,  _I.TRANSPORT_ERROR): (_S.TERMINATED, ()),

    (_S.ACCEPTED,   _I.SUCCESS):         (_S.ACCEPTED,   (_pass_up,)),
    (_S.ACCEPTED,   _I.TIMER_M):         (_S.TERMINATED, ()),
}

#: RFC 3261 figure 6.
NON_INVITE_TRANSITIONS: Transitions = {
    (_S.NEW,        _I.START):           (_S.TRYING,     (_send_request, _start_timers)),
    (_S.NEW,        _I.TRANSPORT_ERROR): (_S.TERMINATED, (_report_transport_error,)),
    (_S.NEW,        _I.ABANDON):         (_S.TERMINATED, ()),

    (_S.TRYING,     _I.PROVISIONAL):     (_S.PROCEEDING, (_pass_up,)),
    (_S.TRYING,     _I.SUCCESS):         (_S.COMPLETED,  _ONE_RESPONSE),
    (_S.TRYING,     _I.FAILURE):         (_S.COMPLETED,  _ONE_RESPONSE),
    (_S.TRYING,     _I.TIMER_E):         (_S.TRYING,     (_send_request, _double_interval_to_t2)),
    (_S.TRYING,     _I.TIMER_F):         (_S.TERMINATED, (_report_timeout,)),
    (_S.TRYING,     _I.TRANSPORT_ERROR): (_S.TERMINATED, (_report_transport_error,)),

    (_S.PROCEEDING, _I.PROVISIONAL):     (_S.PROCEEDING, (_pass_up,)),
    (_S.PROCEEDING, _I.SUCCESS):         (_S.COMPLETED,  _ONE_RESPONSE),
    (_S.PROCEEDING, _I.FAILURE):         (_S.COMPLETED,  _ONE_RESPONSE),
    (_S.PROCEEDING, _I.TIMER_E):         (_S.PROCEEDING, (_send_request, _set_interval_to_t2)),
    (_S.PROCEEDING, _I.TIMER_F):         (_S.TERMINATED, (_report_timeout,)),
    (_S.PROCEEDING, _I.TRANSPORT_ERROR): (_S.TERMINATED, (_report_transport_error,)),

    (_S.COMPLETED,  _I.TIMER_K):         (_S.TERMINATED, ()),
}
# fmt: on
