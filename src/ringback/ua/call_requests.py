# SPDX-License-Identifier: Apache-2.0
"""How are the requests inside a call answered that neither end it nor change its media? INFO, MESSAGE,
OPTIONS and the rest.

RFC 3261 section 12.2.2; digits by INFO as most phones send them (application/dtmf-relay, application/dtmf).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ringback.sip.errors import PeerError

if TYPE_CHECKING:
    from ringback.sip.message import Request
    from ringback.sip.transaction.server import ServerTransaction
    from ringback.ua.agent import UserAgent
    from ringback.ua.call import Call

SIGNAL = re.compile(rb"^[ \t]*(?:Signal[ \t]*=[ \t]*)?([0-9A-Da-d*#])[ \t]*$", re.IGNORECASE | re.MULTILINE)
DIGIT_TYPES = ("application/dtmf-relay", "application/dtmf")


def answer_request(call: Call, agent: UserAgent, request: Request, transaction: ServerTransaction) -> None:
    """Answer one request inside the dialog of `call`."""
    headers: list[tuple[str, str]] = []
    match request.method:
        case "INFO":
            status = _info(call, request)
        case "OPTIONS":
            status, headers = 200, agent.incoming.capabilities()
        case "MESSAGE":
            status, headers = agent.incoming.take_message(request)
        case _:
            status = 501
    agent.perform(call.session.respond, transaction, status, headers=headers)


def _info(call: Call, request: Request) -> int:
    """RFC 6086 4.2.2: 200 for a body that is understood or absent, 415 for an unknown one."""
    if not request.body:
        return 200
    digit = pressed_digit(request)
    if digit is None:
        return 415
    call.digit_received(digit)
    return 200


def pressed_digit(request: Request) -> str | None:
    """The key an INFO reports."""
    try:
        kind = request.content_type
    except PeerError:
        return None
    if kind is None or kind.media_type not in DIGIT_TYPES:
        return None
    found = SIGNAL.search(request.body.replace(b"\r", b""))
    return found[1].decode("ascii").upper() if found is not None else None
