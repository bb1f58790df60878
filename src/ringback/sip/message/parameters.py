# SPDX-License-Identifier: Apache-2.0
"""How are ";name=value" parameters, comma lists and tokens read and written (RFC 3261 7.3.1 and 25.1)?

A parameter is a pair (name, value) as it stands on the wire: the value keeps its quotes, and is None where
there is no "=". `parameter()` gives the meaning: without quotes and quoted pairs.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, cast

from ringback.sip.errors import PeerError
from ringback.sip.message.escapes import quote_string, unquote_string

Parameters = tuple[tuple[str, str | None], ...]

TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]+"  # noqa: S105 - a token of the grammar
#: A quoted-string: one alternation under one star, so it cannot backtrack.
QUOTED = r'"(?:[^"\\]|\\.)*+"'
#: gen-value is a token, a host or a quoted-string. Unquoted we take every printable character that
#: separates nothing here: tags with "=" or "/" are common, and harmless.
_UNQUOTED = r"[!#-+\--:=?@A-Z\[\]^_`a-z{|}~]+"

_TOKEN = re.compile(TOKEN)
_VALUE = re.compile(_UNQUOTED)
_PARAMETER = re.compile(rf"(;[ \t]*+({TOKEN})[ \t]*+(?:=[ \t]*+({_UNQUOTED}|{QUOTED})[ \t]*+)?)", re.DOTALL)
_SEPARATOR = re.compile(rf'{QUOTED}|<[^<>]*+>|(,)|(")', re.DOTALL)


def is_token(text: str) -> bool:
    """True for a `token`: a method, a parameter's name, a header field's name."""
    return _TOKEN.fullmatch(text) is not None


def token(text: str) -> str:
    """`text` itself; PeerError unless it is a token."""
    if _TOKEN.fullmatch(text) is None:
        raise PeerError("not a token", section="RFC 3261 25.1")
    return text


def parse_parameters(text: str) -> Parameters:
    """Read ";a=1;b;c=\"x\"". No name may come twice (RFC 3261 7.3.1)."""
    if not text:
        return ()
    pairs: list[tuple[str, str | None]] = []
    length = 0
    for whole, name, value in _PARAMETER.findall(text):
        length += len(whole)
        pairs.append((name, value or None))
    if length != len(text):
        raise PeerError("malformed parameter", section="RFC 3261 7.3.1")
    if len(pairs) > 1:
        check_unique(pairs)
    return tuple(pairs)


def check_unique(pairs: Sequence[tuple[str, str | None]]) -> None:
    """RFC 3261 7.3.1 and 19.1.1: a parameter name must not appear more than once."""
    if len({name.lower() for name, _ in pairs}) != len(pairs):
        raise PeerError("a parameter appears twice", section="RFC 3261 7.3.1")


def print_parameters(parameters: Parameters) -> str:
    """The inverse of `parse_parameters`."""
    if not parameters:
        return ""
    return "".join(f";{name}" if value is None else f";{name}={value}" for name, value in parameters)


def find_parameter(parameters: Parameters, name: str) -> str | None:
    """The meaning of the parameter `name` (given in lower case); None if it is absent or has no value."""
    for key, value in parameters:
        if key == name or key.lower() == name:
            if value is not None and value[:1] == '"':
                return unquote_string(value)
            return value
    return None


def wire_value(value: str) -> str:
    """`value` as it may stand behind "=": quoted where it must be."""
    return value if _VALUE.fullmatch(value) else quote_string(value)


def split_list(text: str) -> list[str]:
    """Cut at the commas that stand neither in quotes nor in angle brackets; blanks around are dropped.

    An empty text is the empty list; an empty element is left in for the caller to judge.
    """
    if "," not in text:
        text = text.strip(" \t")
        return [text] if text else []
    if '"' not in text and "<" not in text:
        return [element.strip(" \t") for element in text.split(",")]
    elements, start = [], 0
    for found in _SEPARATOR.finditer(text):
        if found.group(1):
            elements.append(text[start : found.start()].strip(" \t"))
            start = found.end()
        elif found.group(2):
            raise PeerError("quoted string without an end", section="RFC 3261 25.1")
    elements.append(text[start:].strip(" \t"))
    return elements


def filled(elements: Iterable[str]) -> list[str]:
    """The elements of a list whose grammar allows no empty one (RFC 4475 3.1.2.1)."""
    checked = list(elements)
    if "" in checked:
        raise PeerError("empty element in a list", section="RFC 3261 25.1")
    return checked


class HasParameters:
    """What every dataclass with ";name=value" parameters can do."""

    __slots__ = ()
    parameters: Parameters

    def parameter(self, name: str) -> str | None:
        """The value of a parameter, without quotes; None if it is absent or valueless."""
        return find_parameter(self.parameters, name.lower())

    def has_parameter(self, name: str) -> bool:
        """True if the parameter is there, with or without a value."""
        wanted = name.lower()
        return any(key.lower() == wanted for key, _ in self.parameters)

    def with_parameter(self, name: str, value: str | None = None) -> Self:
        """A copy in which the parameter `name` has this value, in its old place or at the end."""
        return self._with(put_parameter(self.parameters, name, value))

    def without_parameter(self, name: str) -> Self:
        """A copy without the parameter."""
        return self._with(drop_parameters(self.parameters, name))

    def _with(self, parameters: Parameters) -> Self:
        return cast(Self, replace(cast(Any, self), parameters=parameters))


@dataclass(frozen=True, slots=True)
class Parameterised(HasParameters):
    """A token, URI reference or other short text with parameters behind it: "session;handling=optional"."""

    value: str
    parameters: Parameters = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        value, semicolon, rest = text.partition(";")
        value = value.strip(" \t")
        if not value or _VALUE.fullmatch(value) is None:
            raise PeerError("not a token", section="RFC 3261 25.1")
        return cls(value, parse_parameters(semicolon + rest))

    def __str__(self) -> str:
        return self.value + print_parameters(self.parameters)


def put_parameter(parameters: Parameters, name: str, value: str | None) -> Parameters:
    """Replace the parameter in its place, or append it."""
    pair = (name, None if value is None else wire_value(value))
    wanted = name.lower()
    if any(key.lower() == wanted for key, _ in parameters):
        return tuple(pair if old[0].lower() == wanted else old for old in parameters)
    return (*parameters, pair)


def drop_parameters(parameters: Parameters, *names: str) -> Parameters:
    """The parameters but for those named."""
    unwanted = {name.lower() for name in names}
    return tuple(pair for pair in parameters if pair[0].lower() not in unwanted)
