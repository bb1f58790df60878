# SPDX-License-Identifier: Apache-2.0
"""SIP messages as data: RFC 3261 sections 7, 19, 20 and 25."""

from ringback.sip.message.headers import Headers
from ringback.sip.message.message import Message, Request, Response
from ringback.sip.message.parser import check_request, check_response, parse_message
from ringback.sip.message.sip_uri import SipUri
from ringback.sip.message.tel_uri import TelUri
from ringback.sip.message.uri import NameAddr, OtherUri, Uri, parse_uri
from ringback.sip.message.via import Via

__all__ = [
    "Headers",
    "Message",
    "NameAddr",
    "OtherUri",
    "Request",
    "Response",
    "SipUri",
    "TelUri",
    "Uri",
    "Via",
    "check_request",
    "check_response",
    "parse_message",
    "parse_uri",
]
