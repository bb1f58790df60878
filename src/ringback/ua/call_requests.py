# SPDX-License-Identifier: Apache-2.0
"""What about the requests inside a call that neither end it nor change its media? INFO, MESSAGE, OPTIONS,
REFER, NOTIFY: how those of the peer are answered, and how ours are sent.

RFC 3261 section 12.2.2; digits by INFO as most phones send them (application/dtmf-relay, application/dtmf).
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from ringback.sip.errors import PeerError
from ringback.sip.events import Event, RequestTimedOut, ResponseReceived, TransportFailed
from ringback.ua.errors import Unreachable

if TYPE_CHECKING:
    from ringback.sip.dialog.invite_session import InviteSession
    from ringback.sip.message import Request, Response
    from ringback.sip.transaction.server import ServerTransaction
    from ringback.ua.call import Call
    from ringback.ua.call_host import CallHost, Fields

#: Some phones write the event codes of RFC 4733, 10 for * and so on, instead of what is on the key.
SIGNAL = re.compile(
    rb"^[ \t]*(?:Signal[ \t]*=[ \t]*)?([0-9A-Da-d*#]|1[0-5])[ \t]*$", re.IGNORECASE | re.MULTILINE
)
CODES = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}
DIGIT_TYPES = ("application/dtmf-relay", "application/dtmf")


def answer_request(call: Call, host: CallHost, request: Request, transaction: ServerTransaction) -> None:
    """Answer one request inside the dialog of `call`."""
    headers: Fields = []
    match request.method:
        case "INFO":
            status = _info(call, request)
        case "OPTIONS":
            status, headers = 200, host.capabilities()
        case "MESSAGE":
            status, headers = host.take_message(request)
        case "REFER":
            status = host.take_transfer(call, request)
        case "NOTIFY":
            status = call.transfer_notified(request)
        case _:
            status = 501
    host.perform(call.session.respond, transaction, status, headers=headers)


async def session_request(
    host: CallHost,
    session: InviteSession,
    method: str,
    *,
    headers: Fields | None = None,
    body: bytes = b"",
    content_type: str | None = None,
    is_vital: bool = True,
) -> tuple[int, Response]:
    """Send a request inside a dialog: its CSeq number and its final response. `Unreachable` without one.

    `is_vital`: a 481 ends the call; not for a NOTIFY, which is of another usage (RFC 5057 5.1).
    """
    answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

    def receive(event: Event) -> None:
        if answer.done():
            return
        if isinstance(event, ResponseReceived) and event.response.status >= 200:
            answer.set_result(event.response)
        elif isinstance(event, RequestTimedOut):
            answer.set_exception(Unreachable(408, "no response"))
        elif isinstance(event, TransportFailed):
            answer.set_exception(Unreachable(503, event.detail))

    transaction = host.perform(
        session.request,
        method,
        headers=headers or [],
        body=body,
        content_type=content_type,
        consumer=receive,
        is_vital=is_vital,
    )
    response = await answer
    return transaction.request.cseq.number, response


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
    if found is None:
        return None
    key = found[1].decode("ascii").upper()
    return CODES.get(key, key)
