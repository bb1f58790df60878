# SPDX-License-Identifier: Apache-2.0
"""Which INVITE sessions has this user agent? It makes them, and knows when none is left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ringback.sip.dialog import answering, calling
from ringback.sip.dialog.dialog import Dialog
from ringback.sip.dialog.invite_session import InviteSession
from ringback.sip.dialog.invite_usage import InviteUsage
from ringback.sip.dialog.negotiation import SDP, session_description
from ringback.sip.dialog.requests import DialogRequests
from ringback.sip.dialog.session_states import State
from ringback.sip.dialog.session_timer import SHORTEST_INTERVAL, SessionTimer
from ringback.sip.errors import InvalidState
from ringback.sip.message.names import METHODS

if TYPE_CHECKING:
    from functools import partial

    from ringback.sip.dialog.farewell import Farewell
    from ringback.sip.digest_client import DigestClient
    from ringback.sip.events import Consumer
    from ringback.sip.flow import Flow
    from ringback.sip.message.message import Request
    from ringback.sip.message.uri import NameAddr
    from ringback.sip.stack import SipStack
    from ringback.sip.transaction.server import ServerTransaction

#: What a session handles itself or passes up.
ALLOW = (
    "INVITE",
    "ACK",
    "CANCEL",
    "BYE",
    "UPDATE",
    "PRACK",
    "INFO",
    "MESSAGE",
    "OPTIONS",
    "REFER",
    "NOTIFY",
)
