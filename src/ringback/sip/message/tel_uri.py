# SPDX-License-Identifier: Apache-2.0
"""What does a tel URI say, and when do two of them name the same number (RFC 3966)?"""

import re
from dataclasses import dataclass
from typing import Self

from ringback.sip.errors import PeerError
from ringback.sip.message.escapes import PARAMETER_SAFE, escape, unescape
from ringback.sip.message.parameters import HasParameters, Parameters, check_unique

#: Global: "+" and digits. Local: hexadecimal digits, "*" and "#". Both with visual separators (section 3).
_TEL_URI = re.compile(
    r"tel:(\+(?=[\-.()]*+[0-9])[0-9\-.()]++|(?=[\-.()]*+[0-9A-Fa-f*#])[0-9A-Fa-f*#\-.()]++)"
    r"(;[A-Za-z0-9\-_.!~*'()%\[\]/:&+$=;]*+)?",
    re.IGNORECASE | re.ASCII,
)
_SEPARATORS = str.maketrans("", "", "-.()")


@dataclass(frozen=True, slots=True)
class TelUri(HasParameters):
    """tel:number;parameters. A local number should say its phone-context; we read it without, too."""

    number: str
    parameters: Parameters = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a tel URI; PeerError if the grammar does not allow it."""
        found = _TEL_URI.fullmatch(text)
        if found is None:
            raise PeerError("malformed tel URI", section="RFC 3966 3")
        number, parameters = found.groups()
        return cls(number, _parse_parameters(parameters) if parameters else ())

    def __str__(self) -> str:
        return f"tel:{self.number}" + "".join(
            f";{name}" if value is None else f";{name}={escape(value, PARAMETER_SAFE)}"
            for name, value in self.parameters
        )

    @property
    def scheme(self) -> str:
        """ "tel"."""
        return "tel"

    @property
    def is_global(self) -> bool:
        """True for a number that means the same everywhere: one with "+" (section 5.1.4)."""
        return self.number[:1] == "+"

    @property
    def digits(self) -> str:
        """The number without its visual separators."""
        return self.number.translate(_SEPARATORS)

    def is_equivalent(self, other: object) -> bool:
        """The comparison of section 4: separators, case and the order of parameters say nothing."""
        return (
            isinstance(other, TelUri)
            and self.is_global == other.is_global
            and self.digits.lower() == other.digits.lower()
            and _comparable(self.parameters) == _comparable(other.parameters)
        )


def _parse_parameters(text: str) -> Parameters:
    pairs: list[tuple[str, str | None]] = []
    for piece in text[1:].split(";"):
        name, equals, value = piece.partition("=")
        if not name or "=" in value or "%" in name or (equals and not value):
            raise PeerError("malformed parameter of a tel URI", section="RFC 3966 3")
        pairs.append((name, unescape(value) if equals else None))
    parameters = tuple(pairs)
    check_unique(parameters)
    return parameters


def _comparable(parameters: Parameters) -> dict[str, str | None]:
    return {name.lower(): _comparable_value(name.lower(), value) for name, value in parameters}


def _comparable_value(name: str, value: str | None) -> str | None:
    if not value or not value.isascii():
        return value
    if name == "ext" or (name == "phone-context" and value[0] == "+"):
        return value.translate(_SEPARATORS).lower()
    return value.lower()
