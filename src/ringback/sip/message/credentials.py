# SPDX-License-Identifier: Apache-2.0
"""What do challenges and credentials say? A scheme and its auth-params (RFC 3261 20.7, 20.44)."""

import re
from dataclasses import dataclass, field
from typing import Self

from ringback.kernel import auth_parameters
from ringback.sip.errors import PeerError
from ringback.sip.message.escapes import quote_string, unquote_string
from ringback.sip.message.parameters import QUOTED, TOKEN

_SCHEME = re.compile(rf"({TOKEN})(?:[ \t]+(.*))?", re.DOTALL)
_PARAMETER = re.compile(rf'[ \t]*({TOKEN})[ \t]*=[ \t]*(?:({QUOTED})|([^",; \t]*+))[ \t]*(,|$)', re.DOTALL)
_TOKEN_68 = re.compile(r"[A-Za-z0-9\-._~+/]+=*")

#: Written without quotes (RFC 3261 25.1, RFC 7616 3.3 and 3.4). In a challenge qop is quoted.
_BARE = {"algorithm", "nc", "stale", "userhash", "qop"}
_BARE_IN_CHALLENGE = _BARE - {"qop"}


@dataclass(slots=True)
class Challenge:
    """WWW-Authenticate and Proxy-Authenticate: names in lower case, values without quotes. Nobody changes one
    (not frozen: 0.5 us less for each request with credentials).

    `token` holds what a scheme like Bearer puts there instead of parameters.
    """

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)
    token: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        if text[:7] == "Digest ":
            plain = auth_parameters(text[7:])
            if plain is not None:
                return cls("Digest", plain)
        found = _SCHEME.fullmatch(text)
        if found is None:
            raise PeerError("malformed authentication scheme", section="RFC 3261 25.1")
        scheme, rest = found.groups()
        if not rest:
            return cls(scheme)
        if _TOKEN_68.fullmatch(rest):
            return cls(scheme, {}, rest)
        return cls(scheme, parse_auth_parameters(rest))

    def __str__(self) -> str:
        return _print(self, bare=_BARE_IN_CHALLENGE)

    def parameter(self, name: str) -> str | None:
        """The value of a parameter, without quotes."""
        return self.parameters.get(name.lower())


@dataclass(slots=True)
class Credentials(Challenge):
    """Authorization and Proxy-Authorization."""

    def __str__(self) -> str:
        return _print(self, bare=_BARE)


@dataclass(frozen=True, slots=True)
class AuthenticationResult:
    """What a server tells after a good answer: nextnonce, rspauth, ... (RFC 7616 3.5)."""

    parameters: dict[str, str]

    @classmethod
    def parse(cls, text: str) -> Self:
        return cls(parse_auth_parameters(text))

    def __str__(self) -> str:
        return print_auth_parameters(self.parameters, bare=_BARE)


def parse_auth_parameters(text: str) -> dict[str, str]:
    """Read 'realm="a", algorithm=MD5'. No name may come twice. What all phones write the kernel reads: 0.6 us
    instead of 12 for the nine parameters of a digest.
    """
    parameters = auth_parameters(text)
    return _careful_parameters(text) if parameters is None else parameters


def _careful_parameters(text: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    position = 0
    while True:
        found = _PARAMETER.match(text, position)
        if found is None:
            raise PeerError("malformed authentication parameter", section="RFC 3261 25.1")
        name, quoted, bare, comma = found.groups()
        name = name.lower()
        if name in parameters:
            raise PeerError("an authentication parameter appears twice", section="RFC 3261 7.3.1")
        parameters[name] = bare if quoted is None else unquote_string(quoted)
        position = found.end()
        if not comma:
            return parameters


def print_auth_parameters(parameters: dict[str, str], *, bare: set[str]) -> str:
    """The inverse of `parse_auth_parameters`."""
    return ", ".join(
        f"{name}={value if name in bare else quote_string(value)}" for name, value in parameters.items()
    )


def _print(value: Challenge, *, bare: set[str]) -> str:
    rest = value.token or print_auth_parameters(value.parameters, bare=bare)
    return f"{value.scheme} {rest}" if rest else value.scheme
