# SPDX-License-Identifier: Apache-2.0
"""What is done to bytes before anybody looks at them? Parsing, the verdict, the stamp of their source.

RFC 3261 sections 18.2.1 and 18.3, RFC 3581 section 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringback.sip.errors import PeerError
from ringback.sip.message.message import Request, Response
from ringback.sip.message.parser import check_request, check_response, parse_message

if TYPE_CHECKING:
    from ringback.sip.flow import Flow


@dataclass(frozen=True, slots=True)
class Unreadable:
    """No SIP message at all."""

    error: PeerError


@dataclass(frozen=True, slots=True)
class BadRequest:
    """A request with a fault. It is answered, unless it is an ACK."""

    request: Request
    error: PeerError


@dataclass(frozen=True, slots=True)
class BadResponse:
    """A response with a fault. It is dropped: nobody answers a response."""

    error: PeerError


Received = Request | Response | BadRequest | BadResponse | Unreadable


def read_message(data: bytes, flow: Flow) -> Received:
    """Never raises. A request carries the stamp of its source when it can carry one.

    This is for what is not plain: plain messages are read, judged and stamped by `kernel.scan` in one pass.
    """
    try:
        message = parse_message(data)
    except PeerError as error:
        return Unreadable(error)
    if isinstance(message, Response):
        return _judge_response(message)
    return _judge_request(message, flow)


def stamp_source(request: Request, flow: Flow) -> None:
    """18.2.1 and RFC 3581 4: `received` and `rport` of the top Via say where the request really came from.

    What the peer wrote there itself is replaced: responses go where these parameters say.
    """
    via = request.top_via
    host, port = flow.remote
    stamped = via.without_parameter("received")
    if via.wants_rport:
        stamped = stamped.with_parameter("rport", str(port)).with_parameter("received", host)
    elif via.host != host:
        stamped = stamped.with_parameter("received", host)
    if stamped != via:
        request.headers.replace_first_value("Via", str(stamped))


def _judge_response(response: Response) -> Received:
    try:
        check_response(response)
    except PeerError as error:
        return BadResponse(error)
    return response


def _judge_request(request: Request, flow: Flow) -> Received:
    try:
        stamp_source(request, flow)
        check_request(request)
    except PeerError as error:
        return BadRequest(request, error)
    return request
