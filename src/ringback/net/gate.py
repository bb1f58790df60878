# SPDX-License-Identifier: Apache-2.0
"""Who decides what is worked on first when more comes than the driver can work on at once?

The driver has a gate or none. An open gate is not asked: messages pass without being looked at. When more
waits in a socket than one read can take, or when the gate is not open, the driver gives it everything that
comes (`sort`), works on what it hands back (`take`), and sends what it has to say (`answers`). Its `door`
sends some away where they are read from the socket, so that the gate does not even hear of them. The gate
that knows SIP is `ringback.server.overload`.
"""

from collections.abc import Sequence
from typing import Protocol

from ringback.kernel import Door
from ringback.sip.flow import Flow

#: A whole message and the flow it came on, or is to go on.
FlowMessage = tuple[bytes, Flow]


class MessageGate(Protocol):
    """Keeps messages that wait, best first. The driver calls it from its loop only, with the loop's time."""

    #: True while nothing waits and nothing has to be watched for.
    is_open: bool

    @property
    def door(self) -> Door | None:
        """Sends away whom the gate would refuse."""
        ...

    def sort(self, batch: Sequence[FlowMessage], now: float) -> None:
        """Take over what came."""
        ...

    def take(self, now: float) -> list[FlowMessage]:
        """What is to be worked on next, a fraction of a second's work: so much can nobody overtake."""
        ...

    def answers(self) -> list[FlowMessage]:
        """What is to be sent to those who are not served; each only once."""
        ...

    def pause(self) -> float | None:
        """In how many seconds to `take` again: 0.0 at once, None when nothing waits."""
        ...

    def late(self, seconds: float, now: float) -> None:
        """A timer was served so late: the loop has more to do than it can, whatever the sockets say."""
        ...

    def trust(self, flow: Flow, now: float) -> None:
        """The peer on this flow proved who it is."""
        ...
