# SPDX-License-Identifier: Apache-2.0
"""SIP without I/O: bytes and `now` in, events and bytes out. Start at `SipStack` (`stack.py`)."""

from ringback.sip.dialog.identifier import DialogId, DialogUsage
from ringback.sip.dialog.invite_session import InviteSession
from ringback.sip.dialog.session_table import SessionTable
from ringback.sip.digest_client import DigestClient
from ringback.sip.digest_server import DigestServer, Verdict
from ringback.sip.errors import InvalidState, MalformedMessage, PeerError, RingbackError
from ringback.sip.events import (
    AckReceived,
    AnswerReceived,
    CancelReceived,
    Consumer,
    Event,
    FlowNeeded,
    OfferReceived,
    OfferRefused,
    PeerMisbehaved,
    RequestReceived,
    RequestTimedOut,
    ResponseReceived,
    ServerTransactionFailed,
    SessionEnded,
    SessionEstablished,
    SessionProgress,
    SessionRequestReceived,
    TransportFailed,
)
from ringback.sip.flow import Address, Flow, Transport
from ringback.sip.identifiers import Identifiers
from ringback.sip.message import (
    Headers,
    Message,
    NameAddr,
    Request,
    Response,
    SipUri,
    Uri,
    parse_message,
    parse_uri,
)
from ringback.sip.routing import next_hop, route_request
from ringback.sip.stack import SipStack
from ringback.sip.transaction import ClientTransaction, Deadlines, ServerTransaction, Timers

__all__ = [
    "AckReceived",
    "Address",
    "AnswerReceived",
    "CancelReceived",
    "ClientTransaction",
    "Consumer",
    "Deadlines",
    "DialogId",
    "DialogUsage",
    "DigestClient",
    "DigestServer",
    "Event",
    "Flow",
    "FlowNeeded",
    "Headers",
    "Identifiers",
    "InvalidState",
    "InviteSession",
    "MalformedMessage",
    "Message",
    "NameAddr",
    "OfferReceived",
    "OfferRefused",
    "PeerError",
    "PeerMisbehaved",
    "Request",
    "RequestReceived",
    "RequestTimedOut",
    "Response",
    "ResponseReceived",
    "RingbackError",
    "ServerTransaction",
    "ServerTransactionFailed",
    "SessionEnded",
    "SessionEstablished",
    "SessionProgress",
    "SessionRequestReceived",
    "SessionTable",
    "SipStack",
    "SipUri",
    "Timers",
    "Transport",
    "TransportFailed",
    "Uri",
    "Verdict",
    "next_hop",
    "parse_message",
    "parse_uri",
    "route_request",
]
