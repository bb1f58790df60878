# SPDX-License-Identifier: Apache-2.0
"""Who repeats a 2xx until the ACK comes? The callee: RFC 3261 sections 13.3.1.4 and 14.2, on every
transport.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringback.sip.message.message import Response
    from ringback.sip.stack import SipStack
    from ringback.sip.transaction.server import ServerTransaction
    from ringback.sip.transaction.timers import Deadline


@dataclass(slots=True, eq=False)
class Acceptance:
    """One 2xx that waits for its ACK. `given_up(now)` is called when 64*T1 have passed without one."""

    stack: SipStack
    transaction: ServerTransaction
    response: Response
    given_up: Callable[[float], None]
    is_initial: bool
    has_offer: bool
    """True when the ACK must carry the answer."""
    _interval: float = 0.0
    _give_up_at: float = 0.0
    _deadline: Deadline | None = None

    def start(self, now: float) -> None:
        """Send it for the first time."""
        timers = self.stack.timers
        self._interval = timers.t1
        self._give_up_at = now + 64 * timers.t1
        self._deadline = self.stack.deadlines.arm(now + self._interval, self._repeat)
        self.stack.respond(self.transaction, self.response, now=now)

    def stop(self) -> None:
        """The ACK came, or nobody waits for it any more."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _repeat(self, now: float) -> None:
        if now >= self._give_up_at:
            self._deadline = None
            self.given_up(now)
            return
        self._interval = min(2 * self._interval, self.stack.timers.t2)
        self._deadline = self.stack.deadlines.arm(min(now + self._interval, self._give_up_at), self._repeat)
        self.stack.respond(self.transaction, self.response, now=now)
