# SPDX-License-Identifier: Apache-2.0
"""How does a program answer the calls of one or more numbers?

app = App()

@app.call("+442079460000")
async def menu(call):
    await call.answer()
    key = await call.ask("Sales, press 1. Support, press 2.")

app.run()

An `App` is a phone whose calls go to the handler of the number that was dialled. It is reached in two ways:
with an account it registers, so that its server sends it the calls of that user; without one it listens, and
whoever sends a call for one of its numbers to this machine reaches it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from ringback.sip.errors import PeerError
from ringback.sip.message import SipUri, TelUri
from ringback.ua.account import DIALLED, SEPARATORS, InvalidAddress
from ringback.ua.incoming import OnCall
from ringback.ua.phone import Phone

if TYPE_CHECKING:
    from ringback.sip.message import Request, Uri

#: Where an App without an account is expected to listen (RFC 3261 19.1.2).
STANDARD_PORT = 5060
#: A program that answers has more callers than a desk.
MAX_CALLS = 200
#: The caller's preference decides; what is not installed is left out.
CODECS = ("opus", "G722", "PCMU", "PCMA")

AnyHandler = TypeVar("AnyHandler", bound=OnCall)

#: What may be said outside of the program -> the parameter of `Phone` it sets.
VARIABLES = {
    "RINGBACK_APP_ADDRESS": "address",
    "RINGBACK_APP_PASSWORD": "password",
    "RINGBACK_APP_SERVER": "server",
    "RINGBACK_APP_TRANSPORT": "transport",
    "RINGBACK_APP_HOST": "host",
    "RINGBACK_APP_PORT": "port",
}


class App(Phone):
    """Answers calls by what was dialled. All parameters are those of `Phone`.

    What is not given is taken from the environment, so that a program says what it does and not where:
    RINGBACK_APP_ADDRESS, _PASSWORD, _SERVER and _TRANSPORT (the account), _HOST and _PORT (where to listen).
    An App without an account listens on port 5060.
    """

    def __init__(self, address: str | None = None, password: str | None = None, **options: Any) -> None:
        given = {"address": address, "password": password, **options}
        wanted = {**from_environment(os.environ), **{k: v for k, v in given.items() if v is not None}}
        if wanted.get("address") is None:
            wanted.setdefault("port", STANDARD_PORT)
        wanted.setdefault("max_calls", MAX_CALLS)
        wanted.setdefault("codecs", CODECS)
        super().__init__(**wanted)
        self._numbers: dict[str, OnCall] = {}

    def call(self, *numbers: str) -> Callable[[AnyHandler], AnyHandler]:
        """Answer calls to these numbers (or names) with the function below; without any, all other calls.

        The function is the life of the call: when it returns, the call is hung up; when the caller hangs up,
        it is cancelled. A decorator.
        """

        def take(handler: AnyHandler) -> AnyHandler:
            for number in numbers:
                self._numbers[spelling(number)] = handler
            if not numbers:
                self.on_call(handler)
            return handler

        return take

    @property
    def numbers(self) -> list[str]:
        """What is answered here by name."""
        return list(self._numbers)

    async def _open(self) -> None:
        await super()._open()
        self.agent.incoming.choose = self._handler_for

    def _handler_for(self, request: Request) -> OnCall | None:
        """Servers put our own address into the Request-URI; what was dialled is still in the To."""
        for uri in _dialled(request):
            found = self._numbers.get(spelling(_user(uri)))
            if found is not None:
                return found
        return self._on_call


def spelling(number: str) -> str:
    """One spelling for what people write as a number: "+44 20 7946 0000" is "+442079460000"."""
    return SEPARATORS.sub("", number) if DIALLED.fullmatch(number) else number


def from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """The parameters that the environment sets. InvalidAddress for a port that is none."""
    found: dict[str, Any] = {
        name: environment[variable] for variable, name in VARIABLES.items() if environment.get(variable)
    }
    if "port" in found:
        text = found["port"]
        if not (text.isascii() and text.isdecimal() and int(text) <= 65_535):
            raise InvalidAddress(f"RINGBACK_APP_PORT={text!r} is no port")
        found["port"] = int(text)
    return found


def _dialled(request: Request) -> list[Uri]:
    try:
        return [request.uri, request.to.uri]
    except PeerError:
        return []


def _user(uri: Uri) -> str:
    match uri:
        case SipUri(user=user):
            return user or ""
        case TelUri(number=number):
            return number
    return ""
