# SPDX-License-Identifier: Apache-2.0
"""What becomes of INFO, MESSAGE, OPTIONS, NOTIFY and their like inside a call? They cross, and so do the
answers: RFC 6086, RFC 3428, RFC 3261 section 11.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from ringback.server.b2bua.header_fields import CREDENTIALS, Fields, crossing, crossing_refusal
from ringback.sip.errors import PeerError
from ringback.sip.events import Event, RequestTimedOut, ResponseReceived, TransportFailed

if TYPE_CHECKING:
    from ringback.server.b2bua.call import BridgedCall
    from ringback.server.b2bua.leg import BridgeLeg
    from ringback.sip.events import SessionRequestReceived
    from ringback.sip.message.message import Request, Response
    from ringback.sip.transaction.server import ServerTransaction

#: What describes a body crosses with it.
_OF_THE_BODY = ("Content-Disposition", "Content-Encoding", "Content-ID", "Content-Language", "MIME-Version")

#: Refusals that say "not this kind of request".
_UNKNOWN_KIND = (405, 415, 469, 488, 501)

_KEY = re.compile(rb"(?:^Signal\s*=\s*)?([0-9A-D*#])\s*(?:\r?\n|$)", re.IGNORECASE)


def pass_request(call: BridgedCall, leg: BridgeLeg, event: SessionRequestReceived) -> None:
    """Send the request of one leg to the other."""
    request, transaction = event.request, event.transaction
    other = call.partner_of(leg)
    if other is None or other.is_over or other.session.usage is None:
        status = 200 if request.method == "OPTIONS" else 480
        leg.command(leg.session.respond, transaction, status)
        return
    sent = other.command(
        other.session.request,
        request.method,
        headers=_fields_of(request),
        body=request.body,
        content_type=request.headers.get("Content-Type") if request.body else None,
        consumer=partial(_returned, call, leg, transaction),
    )
    if not sent:
        leg.command(leg.session.respond, transaction, 480)


def _fields_of(request: Request) -> Fields:
    fields = crossing(request.reading)
    for name in (*CREDENTIALS, *(_OF_THE_BODY if request.body else ())):
        fields += [(name, line) for line in request.reading.get_all(name)]
    return fields


def _returned(call: BridgedCall, leg: BridgeLeg, transaction: ServerTransaction, event: Event) -> None:
    """What came of it; a provisional response tells nobody anything."""
    if leg.is_over:
        return
    if isinstance(event, RequestTimedOut):
        leg.command(leg.session.respond, transaction, 408)
    elif isinstance(event, TransportFailed):
        leg.command(leg.session.respond, transaction, 503)
    elif isinstance(event, ResponseReceived) and event.response.status >= 200:
        _pass_back(call, leg, transaction, event.response)


def _pass_back(call: BridgedCall, leg: BridgeLeg, transaction: ServerTransaction, response: Response) -> None:
    key = _key_of(transaction.request) if response.status in _UNKNOWN_KIND else ""
    if key and call.media.is_open and not call.is_over:
        call.put(_press, call, leg, key)
        leg.command(leg.session.respond, transaction, 200)
        return
    headers = crossing_refusal(response, realm=call.bridge.realm)
    if response.body:
        headers += [(name, line) for name in _OF_THE_BODY for line in response.reading.get_all(name)]
    leg.command(
        leg.session.respond,
        transaction,
        response.status,
        response.reason,
        headers=headers,
        body=response.body,
        content_type=response.headers.get("Content-Type") if response.body else None,
    )


def _key_of(request: Request) -> str:
    """The key that an INFO tells of; "" for anything else."""
    try:
        kind = request.content_type
    except PeerError:
        return ""
    if request.method != "INFO" or kind is None or kind.type != "application":
        return ""
    if kind.subtype not in ("dtmf", "dtmf-relay"):
        return ""
    found = _KEY.search(request.body[:200].strip())
    return "" if found is None else found[1].decode("ascii").upper()


async def _press(call: BridgedCall, leg: BridgeLeg, key: str) -> None:
    """Who knows no INFO hears the key."""
    other = call.partner_of(leg)
    if other is not None:
        await call.media.press(other, key)
