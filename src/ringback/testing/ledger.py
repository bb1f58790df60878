# SPDX-License-Identifier: Apache-2.0
"""What was said, by whom, when? The record that invariants are checked against.

    ledger = Ledger()
    driver.watch(ledger.tap("server"))
    ...
    for line in ledger.ladder(): print(line)

One entry for each message that a driver sent or received, retransmissions included.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ringback.sip.errors import PeerError
from ringback.sip.flow import Flow
from ringback.sip.message.message import Request, Response
from ringback.sip.message.parser import parse_message


@dataclass(frozen=True, slots=True)
class Entry:
    """One message at one place."""

    now: float
    who: str
    is_sent: bool
    message: Request | Response
    flow: Flow
    #: Counts the starts of who sent or received it.
    life: int = 1

    @property
    def transaction(self) -> tuple[str, str]:
        """The branch, and the method (a CANCEL shares the branch of its INVITE)."""
        method = self.message.cseq.method
        return self.message.top_via.branch or "", "INVITE" if method == "ACK" else method

    def __str__(self) -> str:
        message = self.message
        what = message.method if isinstance(message, Request) else f"{message.status} {message.reason}"
        arrow = "->" if self.is_sent else "<-"
        return f"{self.now:10.3f}  {self.who:8} {arrow} {self.flow.remote!s:22} {what} ({message.cseq})"


class Ledger:
    """Entries in the order of their time."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        #: Messages that could not be placed in a transaction.
        self.unreadable = 0

    def tap(self, who: str, *, life: int = 1) -> Callable[[bool, bytes, Flow, float], None]:
        """A watcher for `StackDriver.watch` (or `Phone.watch`)."""

        def watcher(is_sent: bool, data: bytes, flow: Flow, now: float) -> None:
            try:
                message = parse_message(data)
                entry = Entry(now, who, is_sent, message, flow, life)
                entry.transaction  # noqa: B018 - raises when the message cannot be placed
            except PeerError:
                self.unreadable += 1
            else:
                self.entries.append(entry)

        return watcher

    def requests(self, *, is_sent: bool | None = None) -> Iterator[tuple[Entry, Request]]:
        """The requests, with their entries."""
        for entry in self.entries:
            if isinstance(entry.message, Request) and is_sent in (None, entry.is_sent):
                yield entry, entry.message

    def responses(self, *, is_sent: bool | None = None) -> Iterator[tuple[Entry, Response]]:
        """The responses, with their entries."""
        for entry in self.entries:
            if isinstance(entry.message, Response) and is_sent in (None, entry.is_sent):
                yield entry, entry.message

    def ladder(self) -> list[str]:
        """One line for each entry."""
        return [str(entry) for entry in self.entries]
