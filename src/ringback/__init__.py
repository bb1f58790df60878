# SPDX-License-Identifier: Apache-2.0
"""Ringback: a complete phone system in one Python package.

What most programs need is here by name and imported when it is first used, so that `import ringback` costs
nothing:

    from ringback import Phone, Busy, NoAnswer
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ringback.version import VERSION as __version__  # noqa: N811

if TYPE_CHECKING:
    from ringback.net.driver import StackDriver as StackDriver
    from ringback.sip.errors import InvalidState as InvalidState
    from ringback.sip.errors import PeerError as PeerError
    from ringback.sip.errors import RingbackError as RingbackError
    from ringback.sip.message import NameAddr as NameAddr
    from ringback.sip.message import Request as Request
    from ringback.sip.message import Response as Response
    from ringback.sip.message import SipUri as SipUri
    from ringback.sip.stack import SipStack as SipStack
    from ringback.ua.account import InvalidAddress as InvalidAddress
    from ringback.ua.app import App as App
    from ringback.ua.call import Call as Call
    from ringback.ua.call import CallState as CallState
    from ringback.ua.errors import AuthenticationFailed as AuthenticationFailed
    from ringback.ua.errors import Busy as Busy
    from ringback.ua.errors import CallEnded as CallEnded
    from ringback.ua.errors import CallError as CallError
    from ringback.ua.errors import Declined as Declined
    from ringback.ua.errors import Forbidden as Forbidden
    from ringback.ua.errors import NoAnswer as NoAnswer
    from ringback.ua.errors import NotAcceptable as NotAcceptable
    from ringback.ua.errors import NotFound as NotFound
    from ringback.ua.errors import ServerError as ServerError
    from ringback.ua.errors import Unreachable as Unreachable
    from ringback.ua.ladder import Ladder as Ladder
    from ringback.ua.messaging import TextMessage as TextMessage
    from ringback.ua.party import Party as Party
    from ringback.ua.phone import Phone as Phone
    from ringback.ua.registration import RegistrationState as RegistrationState

#: Public name -> the module that has it.
PUBLIC: dict[str, str] = {
    "App":                  "ringback.ua.app",
    "AuthenticationFailed": "ringback.ua.errors",
    "Busy":                 "ringback.ua.errors",
    "Call":                 "ringback.ua.call",
    "CallEnded":            "ringback.ua.errors",
    "CallError":            "ringback.ua.errors",
    "CallState":            "ringback.ua.call",
    "Declined":             "ringback.ua.errors",
    "Forbidden":            "ringback.ua.errors",
    "InvalidAddress":       "ringback.ua.account",
    "InvalidState":         "ringback.sip.errors",
    "Ladder":               "ringback.ua.ladder",
    "NameAddr":             "ringback.sip.message",
    "NoAnswer":             "ringback.ua.errors",
    "NotAcceptable":        "ringback.ua.errors",
    "NotFound":             "ringback.ua.errors",
    "Party":                "ringback.ua.party",
    "PeerError":            "ringback.sip.errors",
    "Phone":                "ringback.ua.phone",
    "RegistrationState":    "ringback.ua.registration",
    "Request":              "ringback.sip.message",
    "Response":             "ringback.sip.message",
    "RingbackError":        "ringback.sip.errors",
    "ServerError":          "ringback.ua.errors",
    "SipStack":             "ringback.sip.stack",
    "SipUri":               "ringback.sip.message",
    "StackDriver":          "ringback.net.driver",
    "TextMessage":          "ringback.ua.messaging",
    "Unreachable":          "ringback.ua.errors",
}  # fmt: skip

__all__ = ["PUBLIC", "__version__", *PUBLIC]  # noqa: PLE0604 (the names are those of the table)


def __getattr__(name: str) -> object:
    if name == "audio":  # a module, so that its names stand together: audio.Pcm, audio.beep
        return import_module("ringback.audio")
    module = PUBLIC.get(name)
    if module is None:
        raise AttributeError(f"module 'ringback' has no attribute {name!r}")
    value = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})
