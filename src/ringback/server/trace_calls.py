# SPDX-License-Identifier: Apache-2.0
"""Which calls are in a trace, who called whom, and how did it go?

An `Exchange` is all that was said with one Call-ID: a call, or a registration with its renewals, a text, an
OPTIONS. Both halves of a call that went through the server have the same one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ringback.server.trace_file import TraceRecord
from ringback.sip.errors import PeerError
from ringback.sip.message.message import Message, Request, Response
from ringback.sip.message.parser import parse_message
from ringback.ua.ladder import Ladder

#: Final responses that ask for the same again, with credentials or a longer Session-Expires.
ASK_AGAIN = frozenset({401, 407, 422})
UNKNOWN = "?"


@dataclass(slots=True)
class Exchange:
    """All messages with one Call-ID, in their order."""

    call_id: str
    records: list[TraceRecord] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)

    @property
    def began(self) -> float:
        """When its first message was there, in seconds since 1970."""
        return self.records[0].time

    @property
    def request(self) -> Request | None:
        """The first request; None when the trace began later."""
        return next((message for message in self.messages if isinstance(message, Request)), None)

    @property
    def method(self) -> str:
        """What was asked first."""
        return self.request.method if self.request is not None else UNKNOWN

    @property
    def is_call(self) -> bool:
        """True if there is an INVITE in it."""
        return any(isinstance(one, Request) and one.method == "INVITE" for one in self.messages)

    @property
    def caller(self) -> str:
        """The address in From."""
        return _address(self.messages[0], "From")

    @property
    def callee(self) -> str:
        """The address in To."""
        return _address(self.messages[0], "To")

    @property
    def is_success(self) -> bool:
        """True if the answer was a 2xx."""
        final = self._final()
        return final is not None and 200 <= final[1].status < 300

    def result(self) -> str:
        """How it went, in a few words."""
        final = self._final()
        if final is None:
            return "no final answer"
        at, response = final
        if not self.is_success or self.method != "INVITE":
            return f"{response.status} {response.reason}".rstrip(" ")
        end = self._ended(response.to_tag)
        return "answered" if end is None else f"answered, {max(end - at, 0.0):.1f} s"

    def ladder(self, name: str = "ringback") -> Ladder:
        """The messages, for drawing, with the server between the two sides."""
        ladder = Ladder(name, between=True)
        for record in self.records:
            ladder.record(record.sent, record.data, record.flow, record.offset)
        return ladder

    def _final(self) -> tuple[float, Response] | None:
        """The final response to who asked first, and when: one that asks for nothing more if there is one."""
        last: tuple[float, Response] | None = None
        first = self.records[0]
        for record, message in zip(self.records, self.messages, strict=True):
            if (
                isinstance(message, Response)
                and message.status >= 200
                and record.sent is not first.sent
                and record.flow.remote == first.flow.remote
                and _cseq_method(message) == self.method
            ):
                last = record.offset, message
                if self.is_call and message.status not in ASK_AGAIN:
                    break  # what comes later belongs to re-INVITEs
        return last

    def _ended(self, tag: str | None) -> float | None:
        """When somebody hung up the dialog with this tag of the called phone; others lost a race."""
        return next(
            (
                record.offset
                for record, message in zip(self.records, self.messages, strict=True)
                if isinstance(message, Request)
                and message.method == "BYE"
                and tag in (message.from_tag, message.to_tag)
            ),
            None,
        )


def exchanges(records: Iterable[TraceRecord]) -> list[Exchange]:
    """The exchanges of a trace, in the order of their beginnings. Bytes without a Call-ID belong to none."""
    found: dict[str, Exchange] = {}
    for record in records:
        try:
            message = parse_message(record.data)
        except PeerError:
            continue
        call_id = (message.headers.get("Call-ID") or "").strip(" \t")
        if call_id:
            exchange = found.setdefault(call_id, Exchange(call_id))
            exchange.records.append(record)
            exchange.messages.append(message)
    return list(found.values())


def _address(message: Message, name: str) -> str:
    """The URI of From or To without its scheme; as it was written where it cannot be read."""
    try:
        uri = (message.from_ if name == "From" else message.to).uri
    except PeerError:
        return message.headers.get(name) or UNKNOWN
    return str(uri).partition(";")[0].removeprefix("sip:").removeprefix("sips:")


def _cseq_method(message: Response) -> str:
    return (message.headers.get("CSeq") or "").rpartition(" ")[2]
