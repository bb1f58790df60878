# SPDX-License-Identifier: Apache-2.0
"""What does a SIP or SIPS URI say, and when do two of them say the same (RFC 3261 19.1)?"""

import re
from dataclasses import dataclass, field, replace
from typing import Any, Self

from ringback.sip.errors import PeerError
from ringback.sip.message.escapes import (
    HEADER_SAFE,
    PARAMETER_SAFE,
    PASSWORD_SAFE,
    USER_SAFE,
    escape,
    unescape,
)
from ringback.sip.message.host import HOST, bracketed, canonical_host
from ringback.sip.message.numbers import decimal
from ringback.sip.message.parameters import HasParameters, Parameters, check_unique

#: The grammar in one pass; every class excludes what follows it, so nothing backtracks. "#" in the user part
#: is not in the grammar, but many phones send feature codes so.
_SIP_URI = re.compile(
    r"sip(s?):"
    r"(?:([A-Za-z0-9\-_.!~*'()%&=+$,;?/#]++)(?::([A-Za-z0-9\-_.!~*'()%&=+$,]*+))?@)?"
    rf"({HOST})(?::([0-9]{{1,5}}))?"
    r"(;[A-Za-z0-9\-_.!~*'()%\[\]/:&+$=;]*+)?"
    r"(?:\?([A-Za-z0-9\-_.!~*'()%\[\]/?:+$=&]*+))?",
    re.IGNORECASE | re.ASCII,
)

#: 19.1.4: these never match when only one of the two URIs has them.
_SIGNIFICANT = ("user", "ttl", "method", "maddr", "transport")


@dataclass(slots=True, unsafe_hash=True)
class SipUri(HasParameters):
    """sip:user:password@host:port;parameters?headers. All parts are unescaped text.

    Never changed once it is made: the same one is given to everybody who reads the same text. (To say so with
    `frozen` would cost 0.8 of the 2.5 us that it takes to read one.)
    A URI that was parsed prints as it was written; a changed one is written anew.
    `==` compares the parts one by one, `is_equivalent` obeys 19.1.4.
    """

    user: str | None
    host: str
    port: int | None = None
    secure: bool = field(default=False, kw_only=True)
    password: str | None = field(default=None, kw_only=True)
    parameters: Parameters = field(default=(), kw_only=True)
    headers: tuple[tuple[str, str], ...] = field(default=(), kw_only=True)
    text: str = field(default="", kw_only=True, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.text:
            host = self.host.strip("[]").lower()
            self.host = canonical_host(f"[{host}]") if ":" in host else host

    @staticmethod
    def parse(text: str) -> "SipUri":
        """Read a URI; PeerError if the grammar does not allow it."""
        found = _SIP_URI.fullmatch(text)
        if found is None:
            raise PeerError("malformed SIP URI", section="RFC 3261 19.1.1")
        secure, user, password, host, port, parameters, headers = found.groups()
        return SipUri(
            None if user is None else unescape(user),
            canonical_host(host),
            None if port is None else decimal(port, limit=65535),
            secure=bool(secure),
            password=None if password is None else unescape(password),
            parameters=_parse_parameters(parameters) if parameters else (),
            headers=_parse_headers(headers) if headers is not None else (),
            text=text,
        )

    def __str__(self) -> str:
        return self.text or self._spelled()

    def _spelled(self) -> str:
        return "".join(
            (
                self.scheme,
                ":",
                self._userinfo(),
                bracketed(self.host),
                "" if self.port is None else f":{self.port}",
                *(_print_parameter(name, value) for name, value in self.parameters),
                _print_headers(self.headers),
            )
        )

    def _userinfo(self) -> str:
        if self.user is None:
            return ""
        password = "" if self.password is None else ":" + escape(self.password, PASSWORD_SAFE)
        return f"{escape(self.user, USER_SAFE)}{password}@"

    @property
    def scheme(self) -> str:
        """ "sip" or "sips"."""
        return "sips" if self.secure else "sip"

    @property
    def transport(self) -> str | None:
        """The transport parameter in upper case."""
        value = self.parameter("transport")
        return None if value is None else value.upper()

    def without_parameters(self, *names: str) -> Self:
        """A copy without the parameters named."""
        unwanted = {name.lower() for name in names}
        return self.replace(parameters=tuple(p for p in self.parameters if p[0].lower() not in unwanted))

    def replace(self, **changes: Any) -> Self:
        """A copy with some parts changed; it is written anew."""
        return replace(self, text="", **changes)

    def _with(self, parameters: Parameters) -> Self:
        return self.replace(parameters=parameters)

    def address_of_record(self) -> "SipUri":
        """Scheme, user, host and port alone (10.3 step 5: what a registrar looks up)."""
        return SipUri(self.user, self.host, self.port, secure=self.secure)

    def is_equivalent(self, other: object) -> bool:
        """The comparison of 19.1.4, on unescaped text: "%3B" and ";" in a user part count as the same."""
        return (
            isinstance(other, SipUri)
            and self.secure == other.secure
            and self.user == other.user
            and self.password == other.password
            and self.host == other.host
            and self.port == other.port
            and _same_parameters(self.parameters, other.parameters)
            and _comparable_headers(self.headers) == _comparable_headers(other.headers)
        )


def _parse_parameters(text: str) -> Parameters:
    pairs: list[tuple[str, str | None]] = []
    for piece in text[1:].split(";"):
        name, equals, value = piece.partition("=")
        if not name or "=" in value or (equals and not value):
            raise PeerError("malformed URI parameter", section="RFC 3261 19.1.1")
        pairs.append((unescape(name), unescape(value) if equals else None))
    parameters = tuple(pairs)
    check_unique(parameters)
    return parameters


def _parse_headers(text: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for piece in text.split("&"):
        name, equals, value = piece.partition("=")
        if not name or not equals or "=" in value:
            raise PeerError("malformed header in a URI", section="RFC 3261 19.1.1")
        pairs.append((unescape(name), unescape(value)))
    return tuple(pairs)


def _print_parameter(name: str, value: str | None) -> str:
    name = escape(name, PARAMETER_SAFE)
    return f";{name}" if value is None else f";{name}={escape(value, PARAMETER_SAFE)}"


def _print_headers(headers: tuple[tuple[str, str], ...]) -> str:
    if not headers:
        return ""
    return "?" + "&".join(f"{escape(n, HEADER_SAFE)}={escape(v, HEADER_SAFE)}" for n, v in headers)


def _folded(text: str) -> str:
    """Lower case for ASCII letters only: no other character has an upper and a lower case in SIP."""
    return text.lower() if text.isascii() else text


def _same_parameters(ours: Parameters, theirs: Parameters) -> bool:
    one = {_folded(name): value and _folded(value) for name, value in ours}
    two = {_folded(name): value and _folded(value) for name, value in theirs}
    if any((name in one) != (name in two) for name in _SIGNIFICANT):
        return False
    return all(two[name] == value for name, value in one.items() if name in two)


def _comparable_headers(headers: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    return sorted((_folded(name), value) for name, value in headers)
