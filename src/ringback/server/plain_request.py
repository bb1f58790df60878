# SPDX-License-Identifier: Apache-2.0
"""How is a plain request read and answered without making its header fields? By slices of its octets.

For requests that come by the thousand and end here: a REGISTER needs four lines of fifteen. Making the header
fields costs 8 us, finding a line 0.3, an answer whose lines are ready 1.5.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from ringback.kernel import respond, split_head
from ringback.sip.message.editing import header_line
from ringback.sip.message.message import Response
from ringback.sip.message.names import reason_phrase

if TYPE_CHECKING:
    from ringback.kernel import Head
    from ringback.server.pipeline import Exchange


class Lines:
    """The header lines of a plain head."""

    __slots__ = ("_data", "_end", "_lower")

    def __init__(self, head: Head) -> None:
        self._data = head.data
        self._end = head.body_start
        self._lower = head.data.lower()

    def only(self, name: bytes) -> str | None:
        """The value of the only line of `name`, which is written like b"\\r\\nexpires:". None when there is
        none, when there are several, and when it is written otherwise: then the header fields know.
        """
        lower, end = self._lower, self._end
        start = lower.find(name, 0, end)
        if start < 0:
            return None
        start += len(name)
        if lower.find(name, start, end) >= 0:
            return None
        value = self._data[start : lower.find(b"\r\n", start, end)]
        return value.decode("utf-8", "surrogateescape").strip(" \t")


def answer(exchange: Exchange, status: int, lines: bytes) -> None:
    """Answer with header lines that are ready, each with its end."""
    transaction = exchange.transaction
    head = None if transaction is None else transaction.request.head
    if transaction is not None and head is not None:
        octets = respond(
            head.data,
            _status_line(status),
            to_tag=transaction.local_tag,
            at_end=b"%b%bContent-Length: 0\r\n\r\n" % (lines, _server(exchange.driver.stack.user_agent)),
        )
        if octets is not None:
            exchange.send(Response.made(status, reason_phrase(status), octets))
            return
    fields = split_head(b"\r\n" + lines + b"\r\n")[1]
    exchange.respond(status, headers=[(name.decode("ascii"), _text(value)) for name, value in fields])


@lru_cache(maxsize=64)
def _status_line(status: int) -> bytes:
    return f"SIP/2.0 {status} {reason_phrase(status)}".encode()


@lru_cache(maxsize=16)
def _server(user_agent: str) -> bytes:
    return header_line("Server", user_agent) if user_agent else b""


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")
