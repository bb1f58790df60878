# SPDX-License-Identifier: Apache-2.0
"""How is a request to us answered reliably? Server transactions: RFC 3261 section 17.2, RFC 6026, RFC 4320.

A machine is a table: (state, input) -> (next state, actions). A pair that is not in the table is ignored;
so a second final response is discarded, as 17.2.1 and 17.2.2 ask. The state changes before the actions run.
A machine has one deadline at a time; the waits for repetitions linger in the calendar (`timers.py`).
Where the table differs from the figures of RFC 3261:

- A transport error is reported, and the state stays (RFC 6026 8.8): what cannot be delivered now may be
  asked for again.
- TRYING_DUE sends the 100 that 17.2.1 (INVITE) and RFC 4320 4.1 (everything else) ask of whoever has not
  answered yet.
- GIVE_UP ends a non-INVITE transaction that nobody answered in time: the client has stopped waiting, and a
  408 would only do harm (RFC 4320 4.2).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

from ringback.sip.message.message import Response
from ringback.sip.transaction.keys import cancel_mark
from ringback.sip.transaction.rate_cap import RateCap
from ringback.sip.transaction.response_making import response_tag
from ringback.sip.transaction.timers import disarm

if TYPE_CHECKING:
    from ringback.sip.events import Consumer
    from ringback.sip.flow import Flow
    from ringback.sip.identifiers import Identifiers
    from ringback.sip.message.message import Request
    from ringback.sip.statistics import StackStatistics
    from ringback.sip.transaction.keys import Key
    from ringback.sip.transaction.timers import Deadlines, Due, Timers


class State(IntEnum):
    """TRYING belongs to everything but INVITE; ACCEPTED and CONFIRMED to INVITE alone."""

    TRYING = 0
    PROCEEDING = 1
    COMPLETED = 2
    CONFIRMED = 3
    ACCEPTED = 4
    TERMINATED = 5


class Input(IntEnum):
    """What can happen to a server transaction."""

    REQUEST = 0
    ACK = 1
    PROVISIONAL = 2
    SUCCESS = 3
    FAILURE = 4
    TRYING_DUE = 5
    TIMER_G = 6
    TIMER_H = 7
    TIMER_I = 8
    TIMER_J = 9
    TIMER_L = 10
    GIVE_UP = 11
    TRANSPORT_ERROR = 12


#: By these names because a member costs 0.3 us when it is looked up on its class.
_TRYING, _PROCEEDING, _COMPLETED, _CONFIRMED, _ACCEPTED, _TERMINATED = State
# fmt: off
(_REQUEST, _ACK, _PROVISIONAL, _SUCCESS, _FAILURE, _TRYING_DUE, _TIMER_G, _TIMER_H, _TIMER_I, _TIMER_J,
 _TIMER_L, _GIVE_UP, _TRANSPORT_ERROR) = Input
# fmt: on


class ServerTransactionOwner(Protocol):
    """What a server transaction needs from the world, and whom it tells."""

    @property
    def timers(self) -> Timers: ...
    @property
    def deadlines(self) -> Deadlines: ...
    @property
    def identifiers(self) -> Identifiers: ...
    @property
    def statistics(self) -> StackStatistics: ...
    def send_response(self, transaction: ServerTransaction, data: bytes) -> None: ...
    def response_failed(self, transaction: ServerTransaction, detail: str) -> None: ...
    def server_terminated(self, transaction: ServerTransaction) -> None: ...


@dataclass(slots=True, eq=False, init=False, repr=False)
class ServerTransaction:
    """One request of a peer and what we answered. Answer it with `SipStack.respond`.

    `local_tag` is the To tag that responses get unless their maker has another: the same each time (16.11).
    """

    request: Request
    flow: Flow
    key: Key
    owner: ServerTransactionOwner
    arrived: float
    is_invite: bool
    state: State
    _local_tag: str
    _transitions: Transitions
    consumer: Consumer | None
    """Who receives CancelReceived and ServerTransactionFailed of this transaction."""
    user: object | None
    """Free for the owner."""
    last_response: Response | None
    """What was sent last, as long as it may be sent again or a CANCEL may come."""
    last_status: int
    reply_flow: Flow | None
    """Where responses go (18.2.2)."""
    path: Flow | None
    """What `TransactionTable` finds it by."""
    is_kept: bool
    """True once it is stored and repetitions of the request are absorbed."""
    is_settled: bool
    """True once its owner counted it among those that only wait for repetitions."""
    is_cancelled: bool
    is_flow_lost: bool
    is_seeking_flow: bool
    merged_key: Key | None
    ack_key: Key | None
    failure_detail: str

    _cancel_mark: int | None
    _data: bytes
    _repeats: RateCap | None
    _interval: float
    _ends_at: float
    """When the patience with a missing ACK is over (Timer H)."""
    due_at: float
    """Of its one deadline: the 100, the end of a request that nobody answers, Timer G, then H."""
    slot: dict[Due, None] | None
    """Where that stands in the calendar."""

    def __init__(  # noqa: PLR0917 - called for every request, and keywords cost
        self,
        request: Request,
        flow: Flow,
        key: Key,
        owner: ServerTransactionOwner,
        local_tag: str = "",
        arrived: float = 0.0,
        reply_flow: Flow | None = None,
    ) -> None:
        self.consumer = self.user = self.last_response = self.path = None
        self.merged_key = self.ack_key = self._cancel_mark = self._repeats = self.slot = None
        self.last_status = 0
        self.is_kept = self.is_settled = False
        self.is_cancelled = self.is_flow_lost = False
        self.is_seeking_flow = False
        self.failure_detail = ""
        self._data = b""
        self._interval = self._ends_at = self.due_at = 0.0
        self.request = request
        self.flow = flow
        self.key = key
        self.owner = owner
        self.arrived = arrived
        self.reply_flow = reply_flow
        self._local_tag = local_tag
        self.is_invite = request.method == "INVITE"
        if self.is_invite:
            self.state = _PROCEEDING
            self._transitions = INVITE_TRANSITIONS
        else:
            self.state = _TRYING
            self._transitions = NON_INVITE_TRANSITIONS

    @property
    def local_tag(self) -> str:
        """The To tag of our responses, made when somebody asks (1.5 us): forwarded requests need none."""
        if not self._local_tag:
            self._local_tag = response_tag(self.owner.identifiers, self.request)
        return self._local_tag

    @local_tag.setter
    def local_tag(self, tag: str) -> None:
        self._local_tag = tag

    @property
    def cancel_mark(self) -> int:
        """What its CANCEL shares with it besides the branch (9.1)."""
        return cancel_mark(self.request) if self._cancel_mark is None else self._cancel_mark

    @property
    def has_ended(self) -> bool:
        """True when nothing more will come of it."""
        return self.state is _TERMINATED

    @property
    def has_final_response(self) -> bool:
        """True when a final response was sent."""
        return self.last_status >= 200

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
            self.owner.server_terminated(self)

    def start(self, now: float) -> None:
        """It is stored now, and nobody answers at once: see to the 100."""
        timers = self.owner.timers
        delay = timers.trying_delay if self.is_invite else timers.non_invite_trying_delay
        self.owner.deadlines.enter(max(now, self.arrived + delay), self)

    def expire(self, now: float) -> None:
        """For the calendar: the one deadline has come. What it is follows from the state."""
        if self.state is _COMPLETED:
            self.feed(_TIMER_G if self.due_at < self._ends_at else _TIMER_H, now)
        elif self.is_invite or self.state is _TRYING:
            self.feed(_TRYING_DUE, now)
        else:
            self.feed(_GIVE_UP, now)

    def end_wait(self, now: float) -> None:
        """For the calendar: no repetition comes any more."""
        self.feed(_END_OF[self.state], now)

    def respond(self, response: Response, now: float) -> None:
        """A response of our user. What the state does not allow any more is discarded."""
        status = response.status
        if status == 408 and not self.is_invite:
            self.feed(_GIVE_UP, now)
            return
        what = _PROVISIONAL if status < 200 else _SUCCESS if status < 300 else _FAILURE
        transition = self._transitions.get((self.state, what))
        if transition is None:
            return
        if status < 200 and not self.is_invite and self._is_forbidden(status, now):
            return
        if response is not self.last_response or not self._data:
            self.last_response, self.last_status = response, status
            self._data = response.to_bytes()
        self.state, actions = transition
        for action in actions:
            action(self, now)
        if self.state is _TERMINATED:
            if self.slot is not None:
                disarm(self)
            self.owner.server_terminated(self)

    def fail(self, detail: str, now: float) -> None:
        """A response could not be delivered (17.2.4)."""
        self.failure_detail = detail
        self.feed(_TRANSPORT_ERROR, now)

    def shed(self) -> None:
        """Forget request and answer, when it only waits for repetitions and nobody will look any more.

        Most of 32 s of calls in memory is what nobody reads again: 8 KB a call.
        """
        if self.state is _ACCEPTED:
            self._cancel_mark = cancel_mark(self.request)
        elif self.state is _COMPLETED and not self.is_invite:
            self._local_tag = ""
        else:
            return
        self.last_response = None
        self.request.shed()

    def resend(self) -> None:
        """The last response once more, on a flow that replaces a lost one."""
        if self._data:
            self.owner.send_response(self, self._data)

    def _is_forbidden(self, status: int, now: float) -> bool:
        """RFC 4320 4.1: no provisional response to a non-INVITE but 100, and on UDP not early."""
        is_early = now < self.arrived + self.owner.timers.non_invite_trying_delay
        return status != 100 or (is_early and not self.flow.is_reliable)


#: What the end of the wait for repetitions is called.
_END_OF = {_COMPLETED: _TIMER_J, _CONFIRMED: _TIMER_I, _ACCEPTED: _TIMER_L}

Action = Callable[[ServerTransaction, float], None]
Transitions = Mapping[tuple[State, Input], tuple[State, tuple[Action, ...]]]


# --- actions ------------------------------------------------------------------------------------------


def _send_response(transaction: ServerTransaction, now: float) -> None:
    transaction.owner.send_response(transaction, transaction._data)


def _send_trying(transaction: ServerTransaction, now: float) -> None:
    """17.2.1: a 100 without a To tag."""
    transaction.last_response, transaction.last_status = Response.to(transaction.request, 100), 100
    transaction._data = transaction.last_response.to_bytes()
    _send_response(transaction, now)


def _limit_wait(transaction: ServerTransaction, now: float) -> None:
    """A client that was told 100 stops waiting for more when its Timer F fires."""
    at = transaction.arrived + transaction.owner.timers.transaction_timeout
    transaction.owner.deadlines.enter(max(now, at), transaction)


def _repeat_response(transaction: ServerTransaction, now: float) -> None:
    """The request came again: so does what was sent last, but not for a storm of requests."""
    if not transaction._data:
        return
    if transaction._repeats is None:
        transaction._repeats = RateCap()
    if transaction._repeats.allows(now):
        transaction.owner.send_response(transaction, transaction._data)
    else:
        transaction.owner.statistics.unanswered_repetitions += 1


def _wait_for_ack(transaction: ServerTransaction, now: float) -> None:
    """A failure to an INVITE is repeated (Timer G) until the ACK comes, where messages get lost.

    What comes last of the repetitions, or alone, is Timer H.
    """
    timers = transaction.owner.timers
    transaction._ends_at = now + timers.transaction_timeout
    _repeat_after(transaction, math.inf if transaction.flow.is_reliable else timers.t1, now)


def _send_again(transaction: ServerTransaction, now: float) -> None:
    transaction.owner.send_response(transaction, transaction._data)
    _repeat_after(transaction, min(2 * transaction._interval, transaction.owner.timers.t2), now)


def _repeat_after(transaction: ServerTransaction, interval: float, now: float) -> None:
    transaction._interval = interval
    at, ends_at = now + interval, transaction._ends_at
    transaction.owner.deadlines.enter(at if at < ends_at else ends_at, transaction)


def _wait_for_stray_acks(transaction: ServerTransaction, now: float) -> None:
    """Timer I: T4 on UDP, none otherwise."""
    is_reliable = transaction.flow.is_reliable
    _linger(transaction, 0.0 if is_reliable else transaction.owner.timers.t4, now)


def _wait_for_stray_requests(transaction: ServerTransaction, now: float) -> None:
    """Timer J: 64*T1 on UDP, none otherwise."""
    is_reliable = transaction.flow.is_reliable
    wait = 0.0 if is_reliable else transaction.owner.timers.transaction_timeout
    _linger(transaction, wait, now)


def _wait_for_stray_invites(transaction: ServerTransaction, now: float) -> None:
    """RFC 6026 8.4: Timer L, on every transport; more 2xx of our user may follow, but none is repeated."""
    if not transaction.is_flow_lost:
        transaction._data = b""
    _linger(transaction, transaction.owner.timers.transaction_timeout, now)


def _report_no_ack(transaction: ServerTransaction, now: float) -> None:
    transaction.owner.response_failed(transaction, "no ACK came for the final response")


def _report_transport_error(transaction: ServerTransaction, now: float) -> None:
    transaction.owner.response_failed(transaction, transaction.failure_detail)


def _linger(transaction: ServerTransaction, wait: float, now: float) -> None:
    """The last action of a row: a wait of no length is over at once."""
    if transaction.slot is not None:
        disarm(transaction)
    if wait > 0:
        transaction.owner.deadlines.linger(now + wait, transaction)
    else:
        transaction.state = _TERMINATED


# --- tables -------------------------------------------------------------------------------------------

# fmt: off
_S, _I = State, Input
_ACCEPT = (_send_response, _wait_for_stray_invites)
_REFUSE = (_send_response, _wait_for_ack)
_ANSWER = (_send_response, _wait_for_stray_requests)

#: RFC 3261 figure 7 with RFC 6026 section 7.1.
INVITE_TRANSITIONS: Transitions = {
    (_S.PROCEEDING, _I.REQUEST):         (_S.PROCEEDING, (_repeat_response,)),
    (_S.PROCEEDING, _I.PROVISIONAL):     (_S.PROCEEDING, (disarm, _send_response)),
    (_S.PROCEEDING, _I.SUCCESS):         (_S.ACCEPTED,   _ACCEPT),
    (_S.PROCEEDING, _I.FAILURE):         (_S.COMPLETED,  _REFUSE),
    (_S.PROCEEDING, _I.TRYING_DUE):      (_S.PROCEEDING, (_send_trying,)),
    (_S.PROCEEDING, _I.TRANSPORT_ERROR): (_S.PROCEEDING, (_report_transport_error,)),

    (_S.COMPLETED,  _I.REQUEST):         (_S.COMPLETED,  (_repeat_response,)),
    (_S.COMPLETED,  _I.ACK):             (_S.CONFIRMED,  (_wait_for_stray_acks,)),
    (_S.COMPLETED,  _I.TIMER_G):         (_S.COMPLETED,  (_send_again,)),
    (_S.COMPLETED,  _I.TIMER_H):         (_S.TERMINATED, (_report_no_ack,)),
    (_S.COMPLETED,  _I.TRANSPORT_ERROR): (_S.COMPLETED,  (_report_transport_error,)),

    (_S.CONFIRMED,  _I.TIMER_I):         (_S.TERMINATED, ()),

    (_S.ACCEPTED,   _I.SUCCESS):         (_S.ACCEPTED,   (_send_response,)),
    (_S.ACCEPTED,   _I.TIMER_L):         (_S.TERMINATED, ()),
    (_S.ACCEPTED,   _I.TRANSPORT_ERROR): (_S.ACCEPTED,   (_report_transport_error,)),
}

#: RFC 3261 figure 8.
NON_INVITE_TRANSITIONS: Transitions = {
    (_S.TRYING,     _I.PROVISIONAL):     (_S.PROCEEDING, (_send_response, _limit_wait)),
    (_S.TRYING,     _I.SUCCESS):         (_S.COMPLETED,  _ANSWER),
    (_S.TRYING,     _I.FAILURE):         (_S.COMPLETED,  _ANSWER),
    (_S.TRYING,     _I.TRYING_DUE):      (_S.PROCEEDING, (_send_trying, _limit_wait)),
    (_S.TRYING,     _I.GIVE_UP):         (_S.TERMINATED, ()),

    (_S.PROCEEDING, _I.REQUEST):         (_S.PROCEEDING, (_repeat_response,)),
    (_S.PROCEEDING, _I.PROVISIONAL):     (_S.PROCEEDING, (_send_response,)),
    (_S.PROCEEDING, _I.SUCCESS):         (_S.COMPLETED,  _ANSWER),
    (_S.PROCEEDING, _I.FAILURE):         (_S.COMPLETED,  _ANSWER),
    (_S.PROCEEDING, _I.TRANSPORT_ERROR): (_S.PROCEEDING, (_report_transport_error,)),
    (_S.PROCEEDING, _I.GIVE_UP):         (_S.TERMINATED, ()),

    (_S.COMPLETED,  _I.REQUEST):         (_S.COMPLETED,  (_repeat_response,)),
    (_S.COMPLETED,  _I.TIMER_J):         (_S.TERMINATED, ()),
    (_S.COMPLETED,  _I.TRANSPORT_ERROR): (_S.COMPLETED,  (_report_transport_error,)),
}
# fmt: on
