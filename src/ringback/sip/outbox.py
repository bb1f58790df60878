# SPDX-License-Identifier: Apache-2.0
"""What waits to cross the I/O line outwards? Bytes for peers, and events for us, in the order they arose."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from ringback.sip.statistics import StackStatistics

if TYPE_CHECKING:
    from ringback.sip.events import Event
    from ringback.sip.flow import Flow


class Outbox:
    """Filled by the transactions and sessions of one stack, emptied by its driver."""

    __slots__ = ("events", "messages", "statistics")

    def __init__(self) -> None:
        self.statistics = StackStatistics()
        #: What waits to be sent.
        self.messages: list[tuple[bytes, Flow]] = []
        #: Oldest first.
        self.events: deque[Event] = deque()

    def send(self, data: bytes, flow: Flow) -> None:
        """Bytes of one whole message."""
        self.messages.append((data, flow))

    def emit(self, event: Event) -> None:
        """Something that whoever is above the line shall know."""
        self.events.append(event)

    def take_messages(self) -> list[tuple[bytes, Flow]]:
        """All that waits to be sent, oldest first; it is the caller's now."""
        messages = self.messages
        if messages:
            self.statistics.sent += len(messages)
            self.messages = []
        return messages

    def take_event(self) -> Event | None:
        """The oldest event."""
        return self.events.popleft() if self.events else None
