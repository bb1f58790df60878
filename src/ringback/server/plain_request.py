# SPDX-License-Identifier: Apache-2.0
"""How is a plain request answered with header lines that are ready? By slices of its octets.

For requests that come by the thousand and end here, and for the 100 to an INVITE that goes on: 2 us, and 6
when each line is made of a name and a value.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from ringback.kernel import respond, split_head
from ringback.sip.message.editing import header_line
from ringback.sip.message.message import Response
from ringback.sip.message.names import reason_phrase

if TYPE_CHECKING:
    from ringback.server.pipeline import Exchange


def answer(exchange: Exchange, status: int, lines: bytes, to_tag: str = "") -> None:
    """Answer with header lines that are ready, each with its end.

    `to_tag`: for what is kept, one of chance (1 us) instead of one that can be made again (3 us).
    """
    transaction = exchange.transaction
    head = None if transaction is None else transaction.request.head
    if transaction is not None and head is not None:
        start, reason, end = _frame(status, exchange.stack.user_agent)
        octets = respond(
            head.data,
            start,
            to_tag=to_tag or transaction.local_tag if status > 100 else None,
            at_end=lines + end,
            with_timestamp=status == 100,
        )
        if octets is not None:
            exchange.send(Response.made(status, reason, octets))
            return
    fields = split_head(b"\r\n" + lines + b"\r\n")[1]
    exchange.respond(status, headers=[(name.decode("ascii"), _text(value)) for name, value in fields])


@lru_cache(maxsize=64)
def _frame(status: int, user_agent: str) -> tuple[bytes, str, bytes]:
    """The status line, its reason, and what stands at the end."""
    reason = reason_phrase(status)
    server = header_line("Server", user_agent) if user_agent else b""
    return f"SIP/2.0 {status} {reason}".encode(), reason, server + b"Content-Length: 0\r\n\r\n"


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")
