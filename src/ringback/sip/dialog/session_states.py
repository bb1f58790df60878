# SPDX-License-Identifier: Apache-2.0
"""Which states can an INVITE session be in, and how does it move? RFC 3261 sections 13 to 15, RFC 5407.

A caller's session goes CALLING - PROCEEDING - ESTABLISHED, by way of CANCELLING when it gives up. A
callee's goes INCOMING - RINGING - ACCEPTED - ESTABLISHED; ACCEPTED means that the ACK is still to come.
Whoever accepted a call and wants to leave before the ACK has come waits in DEPARTING (15.1.1: no BYE before
the ACK). ENDED is final: an ACK or a response that comes late finds nothing to re-open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringback.sip.dialog.invite_session import InviteSession
    from ringback.sip.message.message import Request, Response
    from ringback.sip.transaction.server import ServerTransaction


class State(IntEnum):
    """The table of moves is in `transitions.py`."""

    CALLING = 0
    PROCEEDING = 1
    CANCELLING = 2
    INCOMING = 3
    RINGING = 4
    ACCEPTED = 5
    DEPARTING = 6
    ESTABLISHED = 7
    ENDED = 8


class Input(IntEnum):
    """What can happen to a session: responses to our INVITE, requests of the peer, commands, the passing of
    time.
    """

    PROVISIONAL = 0
    SUCCESS = 1
    SUCCESS_WITHOUT_ANSWER = 2
    RETRY = 3
    FAILURE = 4
    TIMEOUT = 5
    TRANSPORT_ERROR = 6

    ACK = 10
    ACK_WITHOUT_ANSWER = 11
    BYE_RECEIVED = 12
    CANCEL_RECEIVED = 13

    RING = 20
    ACCEPT = 21
    REJECT = 22
    CANCEL = 23
    BYE = 24

    NO_ACK = 30
    NO_PRACK = 31
    DIALOG_LOST = 32
    EXPIRED = 33


#: States in which the first 2xx makes the call.
UNDECIDED = (State.CALLING, State.PROCEEDING)


@dataclass(frozen=True, slots=True)
class Occasion:
    """What an action may need to know about the input that caused it."""

    now: float
    response: Response | None = None
    request: Request | None = None
    transaction: ServerTransaction | None = None
    status: int = 0
    reason: str = ""
    cause: str = ""
    """A Reason header field for the BYE or CANCEL that follows (RFC 3326)."""
    sdp: bytes | None = None
    is_reliable: bool | None = None
    headers: Iterable[tuple[str, str]] = ()


Action = Callable[["InviteSession", Occasion], None]
Transitions = Mapping[tuple[State, Input], tuple[State, tuple[Action, ...]]]


def advance(session: InviteSession, what: Input, occasion: Occasion) -> bool:
    """One step of the machine. False: this input means nothing in this state.

    An action that fails is a fault of ours; the others are done all the same, so that a session that ends
    says so and lets go of what it holds.
    """
    transition = session.transitions.get((session.state, what))
    if transition is None:
        return False
    session.state, actions = transition
    fault: Exception | None = None
    for action in actions:
        try:
            action(session, occasion)
        except Exception as error:  # noqa: BLE001 (raised below)
            fault = fault or error
    if fault is not None:
        raise fault
    return True
