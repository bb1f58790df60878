# SPDX-License-Identifier: Apache-2.0
"""How far is one copy of a request? The life of a branch (RFC 3261 section 16.7):

WAITING --response 1xx--> RINGING --final, timeout, transport error--> DONE
   `-- CANCEL by us (answered elsewhere, 6xx, caller gave up, nobody answers) --> CANCELLED --> DONE
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from ringback.sip.events import RequestTimedOut, ResponseReceived, TransportFailed

if TYPE_CHECKING:
    from ringback.server.forking import ResponseContext
    from ringback.server.targets import Target
    from ringback.sip.events import Event
    from ringback.sip.transaction.client import ClientTransaction

NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class ForkingPolicy:
    """Times in seconds."""

    timer_c: float = 181.0
    ring_time: float = 120.0
    max_branches: int = 16
    max_breadth: int = 60
    """RFC 5393 5.3.3: where nobody said less."""


class BranchState(IntEnum):
    """See the picture above."""

    WAITING = 0
    RINGING = 1
    CANCELLED = 2
    DONE = 3


#: Looked up once: each costs 960 instructions as an attribute of its class, and 70 here.
WAITING, RINGING, CANCELLED, DONE = BranchState


class Branch:
    """One copy of the request, on its way to one target."""

    __slots__ = ("breadth", "context", "gives_up_at", "state", "target", "transaction")

    def __init__(self, context: ResponseContext, target: Target, breadth: int) -> None:
        self.context = context
        """Which forgets its branches when it ends, so that no circle is left."""
        self.target = target
        self.breadth = breadth
        self.state = WAITING
        self.transaction: ClientTransaction | None = None
        """Until it is done: afterwards only the transaction knows the branch."""
        self.gives_up_at = NEVER
        """The end of Timer C; of a branch that was cancelled: of the patience with it."""

    @property
    def is_pending(self) -> bool:
        return self.state is not DONE

    def receive(self, event: Event) -> None:
        """What came of it."""
        context = self.context
        try:
            if isinstance(event, ResponseReceived):
                context.receive_response(self, event.response, event.transaction.flow)
            elif isinstance(event, RequestTimedOut):
                context.fail(self, 408)
            elif isinstance(event, TransportFailed):
                context.fail(self, 430 if self.target.is_registered else 503)
        except Exception as error:  # noqa: BLE001 (logged there)
            context.exchange.fail(error)
